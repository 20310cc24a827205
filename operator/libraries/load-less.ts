import { registerHooks } from "node:module";

const baseClass = "/node_modules/@dot-i/k8s-operator/dist/operator.js";
const kubeconfig = "/node_modules/@kubernetes/client-node/dist/config.js";

/**
 * Who imports what, and what it gets instead. The base class and its client bring the models and calls of every kind of
 * Kubernetes and two more HTTP clients: half of the memory of an operator that does nothing yet. None of it is ever called
 * (docs/decisions/0003-operator-base-class.md), so it is not loaded.
 */
const insteadOf: readonly (readonly [importer: string, specifier: string, file: string])[] = [
  [baseClass, "@kubernetes/client-node", "./client-node.ts"],
  [baseClass, "async", "./never-called.ts"],
  [baseClass, "gaxios", "./never-called.ts"],
  [kubeconfig, "./gen/index.js", "./never-called.ts"],
  [kubeconfig, "undici", "./never-called.ts"],
];

// Works for what is resolved after it, so main.ts imports this first and what uses the base class by import().
registerHooks({
  resolve(specifier, context, next) {
    const from = context.parentURL ?? "";
    const found = insteadOf.find(([importer, what]) => what === specifier && from.endsWith(importer));
    if (found === undefined) return next(specifier, context);
    return { url: new URL(found[2], import.meta.url).href, shortCircuit: true };
  },
});
