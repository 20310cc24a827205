import type { KmsNode, KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";

/** Where a node's KmsNode document comes from and where its status goes. */
export interface NodeSource {
  /** The newest document seen, or undefined while none could be read. */
  current(): KmsNode | undefined;
  /** Calls back at every change of the document; errors of the callback are the callback's. */
  onChange(callback: (node: KmsNode) => void): void;
  /** Writes the status of the node; rejects when it could not be written (then call again later). */
  report(status: KmsNodeStatus): Promise<void>;
  /** Why the document cannot be read now, for people; undefined when all is well. */
  problem(): string | undefined;
  close(): void;
}

/** A door to log lines; fields only, never secrets. */
export type Log = (
  level: "debug" | "info" | "warn" | "error",
  message: string,
  fields?: Record<string, unknown>,
) => void;

export interface SourceOptions {
  /** `kubernetes` or `file:PATH`. */
  readonly source: string;
  /** KmsNode name and namespace; only for `kubernetes`. */
  readonly node: string;
  readonly namespace: string;
  /** File that keeps the last document seen, so that a node restarts while the Kubernetes API is away. */
  readonly cacheFile: string;
  readonly log: Log;
}
