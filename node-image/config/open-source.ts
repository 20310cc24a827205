import { fileSource } from "./file-source.ts";
import { kubernetesSource } from "./kubernetes-source.ts";
import type { NodeSource, SourceOptions } from "./source.ts";

/** Opens the source that the option names; throws when the name is not understood. */
export function openSource(options: SourceOptions): NodeSource {
  if (options.source.startsWith("file:")) return fileSource(options.source.slice("file:".length), options.log);
  if (options.source !== "kubernetes") {
    throw new Error(`--source ${options.source}: write "kubernetes" or "file:PATH"`);
  }
  return kubernetesSource(options);
}
