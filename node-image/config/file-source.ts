import { readFileSync, statSync } from "node:fs";
import type { KmsNode, KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";
import { parse, parseAllDocuments, stringify } from "yaml";
import { readDocument } from "./document.ts";
import { replaceFile } from "./durable-file.ts";
import type { Log, NodeSource } from "./source.ts";

const maxFileBytes = 1024 * 1024;
const pollMs = 500;
/** So long a changed file must stay as it is: longer than a poll, so that one more change would have been seen. */
const settleMs = 1_000;

/** The KmsNode of a YAML file, read again when the file has changed and is still for a second; a bad edit keeps the last good document. */
export function fileSource(path: string, log: Log): NodeSource {
  const callbacks: ((node: KmsNode) => void)[] = [];
  let node: KmsNode | undefined;
  let problem: string | undefined;
  const load = () => {
    try {
      node = readNodeFile(path);
      problem = undefined;
      for (const callback of callbacks) callback(node);
    } catch (error) {
      problem = `${path}: ${(error as Error).message}`;
      log("error", "cannot read the node's document", { problem });
    }
  };
  // Before it is read for the first time: what comes from then on is a change, however soon.
  let seen = stampOf(path);
  load();
  let settling: NodeJS.Timeout | undefined;
  // Polling, because a watch on a file is lost when an editor replaces it.
  const polling = setInterval(() => {
    const now = stampOf(path);
    if (now === seen) return;
    seen = now;
    // Who writes it in pieces is not done yet: half a document may be one too, of a fleet with fewer members.
    clearTimeout(settling);
    settling = setTimeout(load, settleMs);
  }, pollMs);
  return {
    current: () => node,
    onChange: (callback) => void callbacks.push(callback),
    report: async (status) => writeStatus(path, node, status),
    problem: () => problem,
    close: () => {
      clearInterval(polling);
      clearTimeout(settling);
    },
  };
}

/** Differs when the file was changed, replaced, taken away or locked away. */
function stampOf(path: string): string {
  try {
    const { ino, mtimeMs, size } = statSync(path);
    return `${ino}/${mtimeMs}/${size}`;
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

/** Reads the KmsNode among a file's YAML documents. */
export function readNodeFile(path: string): KmsNode {
  const found = readYamlDocuments(path).find((document) => (document as { kind?: string }).kind === "KmsNode");
  const node = readDocument(found);
  const status = readStatusFile(path);
  return status === undefined ? node : { ...node, status };
}

/** All YAML documents of a file of at most 1 MiB; throws where it is not YAML. */
export function readYamlDocuments(path: string): unknown[] {
  if (statSync(path).size > maxFileBytes) throw new Error(`is larger than ${maxFileBytes} bytes`);
  const documents = parseAllDocuments(readFileSync(path, "utf8"));
  if (!Array.isArray(documents)) return [];
  return documents.map((document) => {
    const error = document.errors[0];
    if (error !== undefined) throw new Error(error.message);
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  });
}

/** Where the status of a node whose document is `path` is written. */
export function statusFileOf(path: string): string {
  return `${path.replace(/\.ya?ml$/, "")}.status.yaml`;
}

/** The status that the node of the document `path` reported last, if any. */
export function readStatusFile(path: string): KmsNodeStatus | undefined {
  try {
    return (parse(readFileSync(statusFileOf(path), "utf8")) as { status?: KmsNodeStatus }).status;
  } catch {
    return undefined; // There is none yet, or it is being looked at by hand; the node writes it anew.
  }
}

function writeStatus(path: string, node: KmsNode | undefined, status: KmsNodeStatus): void {
  const name = node?.metadata.name ?? "unknown";
  const document = { apiVersion: "keyfleet.io/v1alpha1", kind: "KmsNode", metadata: { name }, status };
  replaceFile(statusFileOf(path), stringify(document), 0o644);
}
