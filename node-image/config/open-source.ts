import { fileSource } from "./file-source.ts";
import { kubernetesSource } from "./kubernetes-source.ts";
import type { NodeSource, SourceOptions } from "./source.ts";

/** Opens the source that the option names: "kubernetes" or "file:PATH". */
export function openSource(options: SourceOptions): NodeSource {
  if (options.source.startsWith("file:")) return fileSource(options.source.slice("file:".length), options.log);
  return kubernetesSource(options);
}
