/** What the thread shows to who watches it, in shared memory: it may hang, and is then asked no more. */
export interface SharedProgress {
  readonly memory: SharedArrayBuffer;
  /** An input is about to run. */
  begin(input: Buffer): void;
  /** There is one finding more. */
  foundOne(): void;
  /** Inputs begun so far; 0 while the thread loads its code. */
  readonly inputs: number;
  readonly findings: number;
  /** The input that runs now, a copy. */
  readonly input: Buffer;
}

/** Bytes of the longest input that is run. */
export const inputBytesMax = 256 * 1024;

const at = { inputs: 0, inputBytes: 1, findings: 2 } as const;
const headBytes = 4 * Object.keys(at).length;

/** Over memory of its own, or over that which the other thread made. */
export function sharedProgress(memory = new SharedArrayBuffer(headBytes + inputBytesMax)): SharedProgress {
  const numbers = new Int32Array(memory, 0, headBytes / 4);
  const bytes = Buffer.from(memory, headBytes);
  return {
    memory,
    begin: (input) => {
      numbers[at.inputBytes] = input.copy(bytes);
      Atomics.add(numbers, at.inputs, 1);
    },
    foundOne: () => void Atomics.add(numbers, at.findings, 1),
    get inputs() {
      return Atomics.load(numbers, at.inputs);
    },
    get findings() {
      return Atomics.load(numbers, at.findings);
    },
    get input() {
      return Buffer.from(bytes.subarray(0, numbers[at.inputBytes]));
    },
  };
}
