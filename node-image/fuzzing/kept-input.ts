import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Summary } from "./fuzzer.ts";
import { inputBytesMax } from "./shared-progress.ts";

/** Writes the slowest input of a target into the folder, a file a target, as findings are told: in hexadecimal digits. Its path. */
export function keepSlowest({ target, slowest }: Pick<Summary, "target" | "slowest">, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${target}-slowest.hex`);
  writeFileSync(path, `${slowest.input}\n`);
  return path;
}

/** The digits of an input that was kept, or of a finding that was copied into a file. Throws if it holds anything else. */
export function readKept(path: string): string {
  const digits = readFileSync(path, "utf8").trim();
  if (!/^([0-9a-f]{2})*$/i.test(digits) || digits.length > 2 * inputBytesMax)
    throw new Error(`${path} is no input: hexadecimal digits of at most ${inputBytesMax} bytes`);
  return digits;
}
