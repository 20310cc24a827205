import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

/**
 * Loaded before the simulation (--import): plants a bug into the real code, to see that the simulation finds it.
 * KEYFLEET_MUTATION is JSON: [end of the file's path, text in it, what stands there instead].
 */
const [path, from, to] = JSON.parse(process.env.KEYFLEET_MUTATION ?? "[]") as string[];
if (path === undefined || from === undefined || to === undefined) throw new Error("KEYFLEET_MUTATION is not set");
registerHooks({
  load: (url, context, next) => {
    if (!url.endsWith(path)) return next(url, context);
    const source = readFileSync(fileURLToPath(url), "utf8");
    if (!source.includes(from)) throw new Error(`${path} does not contain: ${from}`);
    return { format: "module-typescript", shortCircuit: true, source: source.replace(from, to) };
  },
});
