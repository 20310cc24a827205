import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** Bounds of a log on disk: this many bytes a file, and so many older files beside it. */
export interface Rotation {
  readonly maxBytes: number;
  readonly files: number;
}

/** What a node outside Kubernetes keeps of each of its logs: 100 MB. */
export const logRotation: Rotation = { maxBytes: 10_000_000, files: 9 };

/**
 * A file that lines are appended to and that never grows beyond its bounds: at the limit it becomes FILE.1, that FILE.2, and the
 * last is forgotten. A line that cannot be written (a full disk) is dropped; the next that can says how many were.
 */
export function rotatingFile(path: string, { maxBytes, files }: Rotation = logRotation): (line: string) => void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let descriptor: number | undefined;
  let bytes = 0;
  let dropped = 0;
  const open = (): number => {
    const opened = openSync(path, "a", 0o600);
    bytes = fstatSync(opened).size;
    descriptor = opened;
    return opened;
  };
  const rotate = () => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
    for (let at = files; at > 0; at -= 1) renameIfThere(at === 1 ? path : `${path}.${at - 1}`, `${path}.${at}`);
  };
  const append = (line: string) => {
    const length = Buffer.byteLength(line);
    const current = descriptor ?? open();
    if (bytes === 0 || bytes + length <= maxBytes) {
      writeSync(current, line);
      bytes += length;
      return;
    }
    rotate();
    append(line);
  };
  return (line) => {
    try {
      if (dropped > 0)
        append(
          `${JSON.stringify({ time: new Date().toISOString(), level: "error", message: "log lines were lost", dropped })}\n`,
        );
      dropped = 0;
      append(line);
    } catch {
      dropped += 1;
    }
  };
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
