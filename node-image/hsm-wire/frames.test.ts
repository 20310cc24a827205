import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeFrame, FrameReader, maxFrameBytes } from "./frames.ts";
import { packFields, unpackFields } from "./messages.ts";

const sample = (id: number, text: string) => ({ id, kind: 3, payload: Buffer.from(text) });

test("frames come out as they went in, however the bytes are cut", () => {
  const sent = [sample(1, "first"), sample(4294967295, ""), sample(7, "x".repeat(5000))];
  const bytes = Buffer.concat(sent.map(encodeFrame));
  for (const step of [1, 2, 3, 4, 5, 9, 4096, bytes.length]) {
    const reader = new FrameReader();
    const got = [];
    for (let at = 0; at < bytes.length; at += step)
      got.push(...reader.push(Buffer.from(bytes.subarray(at, at + step))));
    assert.deepEqual(got, sent, `cut every ${step} bytes`);
  }
});

test("what has come of a frame when its stream ends is no part of the next one", () => {
  const reader = new FrameReader();
  assert.deepEqual([...reader.push(encodeFrame(sample(1, "a secret")).subarray(0, 12))], []);
  reader.clear();
  assert.deepEqual([...reader.push(encodeFrame(sample(2, "well")))], [sample(2, "well")]);
});

test("a frame over the limit is refused by its sender and by its receiver", () => {
  assert.throws(() => encodeFrame({ id: 1, kind: 1, payload: Buffer.alloc(maxFrameBytes) }), RangeError);
  const header = Buffer.alloc(9);
  for (const length of [maxFrameBytes, 0xffffffff, 4, 0]) {
    header.writeUInt32BE(length, 0);
    assert.throws(() => [...new FrameReader().push(header)], RangeError, `length ${length}`);
  }
});

test("fields come out as they went in, and nothing else is taken for fields", () => {
  const packed = packFields([Buffer.from("one"), Buffer.alloc(0)]);
  assert.deepEqual(unpackFields(packed, 2), [Buffer.from("one"), Buffer.alloc(0)]);
  const wrong: [string, Buffer, number][] = [
    ["too few", packed, 3],
    ["too many", packed, 1],
    ["cut short", packed.subarray(0, 6), 1],
    ["a length beyond the end", Buffer.from("ffffffff00", "hex"), 1],
    ["trailing bytes", Buffer.concat([packed, Buffer.from("x")]), 2],
  ];
  for (const [what, payload, count] of wrong) assert.equal(unpackFields(payload, count), undefined, what);
});
