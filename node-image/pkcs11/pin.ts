import { isUtf8 } from "node:buffer";
import { closeSync, openSync, readSync } from "node:fs";
import { limits } from "./limits.ts";
import { Trouble } from "./trouble.ts";

/** Reads the PIN, hands it to `use` and zeroes it afterwards. Throws Trouble "PinMissing" when there is none. */
export function withPin<Result>(path: string, use: (pin: Buffer) => Result): Result {
  const bytes = Buffer.alloc(limits.pinBytes + 2);
  try {
    return use(usable(bytes.subarray(0, withoutNewline(bytes, readInto(bytes, path))), path));
  } finally {
    bytes.fill(0);
  }
}

function readInto(bytes: Buffer, path: string): number {
  try {
    const file = openSync(path, "r");
    try {
      return readSync(file, bytes);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const cause = (error as NodeJS.ErrnoException).code ?? "unreadable";
    throw missing(`the PIN file ${path} cannot be read (${cause})`);
  }
}

function withoutNewline(bytes: Buffer, length: number): number {
  return bytes[length - 1] === 0x0a ? length - 1 : length;
}

function usable(pin: Buffer, path: string): Buffer {
  if (pin.length === 0) throw missing(`the PIN file ${path} is empty`);
  if (pin.length > limits.pinBytes) throw missing(`the PIN file ${path} holds more than ${limits.pinBytes} bytes`);
  if (!isUtf8(pin) || pin.includes(0)) throw missing(`the PIN file ${path} is not UTF-8 text`);
  return pin;
}

function missing(what: string): Trouble {
  return new Trouble(
    "PinMissing",
    `${what}; put the token's user PIN into the Secret that settings.hsm.pinSecretRef names (key "pin")`,
  );
}
