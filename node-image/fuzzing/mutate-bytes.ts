import type { Random } from "./random.ts";

/** Values at which lengths, counts and signs turn over. */
const edges = [0, 1, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const sizeMax = 8 * 1024;

type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

const mutations: readonly Mutation[] = [
  (bytes, random) => edited(bytes, (copy) => (copy[random.below(copy.length)] = random.below(256))),
  (bytes, random) => {
    const at = random.below(bytes.length);
    return edited(bytes, (copy) => copy.writeUInt8((copy[at] ?? 0) ^ (1 << random.below(8)), at));
  },
  (bytes, random) =>
    edited(bytes, (copy) => copy.length >= 4 && copy.writeUInt32BE(random.pick(edges), random.below(copy.length - 3))),
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => without(bytes, random.below(bytes.length), 1 + random.below(16)),
  (bytes, random) =>
    inserted(bytes, random.below(bytes.length + 1), Buffer.alloc(1 + random.below(16), random.below(256))),
  (bytes, random, other) => {
    const at = random.below(other.length);
    return inserted(bytes, random.below(bytes.length + 1), other.subarray(at, at + random.below(64)));
  },
  (bytes, random, other) =>
    Buffer.concat([bytes.subarray(0, random.below(bytes.length)), other.subarray(random.below(other.length))]),
];

/** A few changes of bytes, without regard to their meaning; the argument stays as it is. */
export function mutateBytes(bytes: Buffer, random: Random, other: Buffer): Buffer {
  let changed = bytes;
  for (let times = 1 + random.below(4); times > 0; times -= 1) {
    if (changed.length === 0 || other.length === 0) return Buffer.from(other);
    changed = random.pick(mutations)(changed, random, other);
  }
  return Buffer.from(changed.subarray(0, sizeMax));
}

function edited(bytes: Buffer, change: (copy: Buffer) => unknown): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  return copy;
}

function without(bytes: Buffer, at: number, count: number): Buffer {
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + count)]);
}

function inserted(bytes: Buffer, at: number, more: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
}
