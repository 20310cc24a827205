import type { KubernetesObject } from "../ports/types.ts";
import { asKept } from "../runtime/kept-objects.ts";

const kept = new WeakMap<KubernetesObject, KubernetesObject>();

/** An object as the operator's informers keep it; the same one each time, since identity tells whether it changed. */
export function inCache(object: KubernetesObject): KubernetesObject {
  const known = kept.get(object) ?? asKept(object);
  kept.set(object, known);
  return known;
}
