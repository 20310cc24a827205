import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { frame } from "./frame.ts";
import { DecodeError, type Item, itemType } from "./types.ts";

/** The examples of KMIP 1.4, 9.1.2: tag | type | length | value. */
const examples: readonly (readonly [string, Item, string])[] = [
  ["an integer", { tag: 0x420020, type: 2, value: 8 }, "420020 02 00000004 0000000800000000"],
  ["a long integer", { tag: 0x420020, type: 3, value: 123456789000000000n }, "420020 03 00000008 01B69B4BA5749200"],
  [
    "a big integer",
    { tag: 0x420020, type: 4, value: 1234567890000000000000000000n },
    "420020 04 00000010 0000000003FD35EB6BC2DF4618080000",
  ],
  ["an enumeration", { tag: 0x420020, type: 5, value: 255 }, "420020 05 00000004 000000FF00000000"],
  ["a boolean", { tag: 0x420020, type: 6, value: true }, "420020 06 00000008 0000000000000001"],
  [
    "a text string",
    { tag: 0x420020, type: 7, value: "Hello World" },
    "420020 07 0000000B 48656C6C6F20576F726C640000000000",
  ],
  ["a byte string", { tag: 0x420020, type: 8, value: Buffer.from([1, 2, 3]) }, "420020 08 00000003 0102030000000000"],
  ["a date-time", { tag: 0x420020, type: 9, value: 0x47da67f8n }, "420020 09 00000008 0000000047DA67F8"],
  ["an interval", { tag: 0x420020, type: 10, value: 864000 }, "420020 0A 00000004 000D2F0000000000"],
  [
    "an extended date-time",
    { tag: 0x420020, type: 11, value: 0x0004484bca6a5000n },
    "420020 0B 00000008 0004484BCA6A5000",
  ],
  [
    "a structure",
    {
      tag: 0x420020,
      type: 1,
      value: [
        { tag: 0x420004, type: 5, value: 254 },
        { tag: 0x420005, type: 2, value: 255 },
      ],
    },
    "420020 01 00000020 420004 05 00000004 000000FE00000000 420005 02 00000004 000000FF00000000",
  ],
  ["a negative integer", { tag: 0x420020, type: 2, value: -1 }, "420020 02 00000004 FFFFFFFF00000000"],
  ["a negative big integer", { tag: 0x420020, type: 4, value: -1n }, "420020 04 00000008 FFFFFFFFFFFFFFFF"],
  ["an empty text string", { tag: 0x540001, type: 7, value: "" }, "540001 07 00000000"],
  ["an empty structure", { tag: 0x420020, type: 1, value: [] }, "420020 01 00000000"],
];

for (const [name, item, text] of examples) {
  test(`${name} is written and read as the specification says`, () => {
    assert.equal(encode(item).toString("hex"), hex(text).toString("hex"));
    assert.deepEqual(decode(hex(text)), item);
  });
}

const hostile: readonly (readonly [string, string, RegExp])[] = [
  ["nothing at all", "", /header is cut off at byte 0/],
  ["half a header", "420020 02 0000", /header is cut off at byte 0/],
  ["a tag of nobody", "410020 02 00000004 0000000800000000", /neither 42 nor 54 in item 410020 at byte 0/],
  ["type 0", "420020 00 00000004 0000000800000000", /Type 0 does not exist in item 420020 at byte 3/],
  ["type 12", "420020 0C 00000004 0000000800000000", /Type 12 does not exist/],
  ["an extended date-time of 4 bytes", "420020 0B 00000004 0000000800000000", /Length 4 instead of 8/],
  ["an integer of 8 bytes", "420020 02 00000008 0000000000000008", /Length 8 instead of 4/],
  ["a boolean of 4 bytes", "420020 06 00000004 0000000100000000", /Length 4 instead of 8/],
  ["a boolean that is 2", "420020 06 00000008 0000000000000002", /neither 0 nor 1 in item 420020 at byte 8/],
  [
    "padding with something in it",
    "420020 02 00000004 0000000800000001",
    /Padding is not zero in item 420020 at byte 15/,
  ],
  ["a text longer than the message", "420020 07 0000000B 48656C6C6F20576F", /reaches beyond its parent/],
  ["a length of four gigabytes", "420020 08 FFFFFFFF 00", /reaches beyond its parent/],
  ["a text whose padding is cut off", "420020 07 00000003 616263", /reaches beyond its parent/],
  ["a text that is not UTF-8", "420020 07 00000002 C328000000000000", /not UTF-8/],
  ["a text with a null byte", "420020 07 00000002 6100000000000000", /contains a null byte/],
  ["a structure of 4 bytes", "420020 01 00000004 0000000000000000", /not a multiple of eight/],
  ["an empty big integer", "420020 04 00000000", /is empty/],
  [
    "a big integer with needless bytes",
    "420020 04 00000010 00000000000000000000000000000001",
    /needless leading bytes/,
  ],
  ["bytes after the message", "420020 02 00000004 0000000800000000 00", /follow the message at byte 16/],
  [
    "a child larger than its parent",
    "420020 01 00000010 420004 08 00000010 000000FE00000000 0000000000000000",
    /reaches beyond its parent in item 420004 at byte 12/,
  ],
  [
    "a header that does not fit its parent",
    "420020 01 00000008 420004 05 00000004 000000FE00000000",
    /beyond its parent/,
  ],
  ["structures 33 deep", nested(33), /nested deeper than 32/],
];

for (const [name, text, message] of hostile) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => decode(hex(text)),
      (error) => error instanceof DecodeError && message.test(error.message),
    );
  });
}

test("reads structures 32 deep", () => assert.doesNotThrow(() => decode(hex(nested(32)))));

test("refuses a message of more items than it would ever need", () => {
  const empty: Item = { tag: 0x420004, type: 1, value: [] };
  const message = encode({ tag: 0x420020, type: 1, value: Array.from({ length: 20_001 }, () => empty) });
  assert.throws(() => decode(message), /more than 20000 items/);
});

const framings: readonly (readonly [string, string, object])[] = [
  ["nothing yet", "", { kind: "need", bytes: 8 }],
  ["a part of the header", "420078", { kind: "need", bytes: 8 }],
  ["a header", "42007801 00000010", { kind: "need", bytes: 24 }],
  ["a message and more", "42007801 00000000 4200", { kind: "message", bytes: 8 }],
];

for (const [name, text, framing] of framings) {
  test(`framing: ${name}`, () => assert.deepEqual(frame(hex(text)), framing));
}

const unframeable: readonly (readonly [string, Buffer, RegExp])[] = [
  ["HTTP", Buffer.from("GET / HTTP/1.1"), /first byte is not that of a KMIP tag in item 474554 at byte 0/],
  ["one wrong byte", Buffer.from([0x16]), /first byte/],
  ["an outermost text", hex("42007807"), /not a structure in item 420078 at byte 3/],
  ["a message over the limit", hex("42007801 00100000"), /1048584 bytes is over the limit of 1048576/],
  ["a crooked length", hex("42007801 00000009"), /not a multiple of eight/],
];

for (const [name, bytes, message] of unframeable) {
  test(`framing refuses ${name} at once`, () => {
    const framing = frame(bytes);
    assert.ok(framing.kind === "error");
    assert.match(framing.error.message, message);
  });
}

test("what is written is read back, and every damaged byte is refused or read canonically", (context) => {
  const seed = Number(process.env.KEYFLEET_SEED ?? Math.floor(Math.random() * 2 ** 31));
  context.diagnostic(`KEYFLEET_SEED=${seed}`);
  const random = generator(seed);
  for (let round = 0; round < 300; round++) {
    const item = randomItem(random, 4);
    const bytes = encode(item);
    assert.deepEqual(decode(bytes), item);
    damage(bytes, random);
  }
});

/** One canonical form: bytes that are read at all are written again as they were. */
function damage(bytes: Buffer, random: () => number): void {
  const copy = Buffer.from(bytes);
  for (let hit = 0; hit < 5; hit++) copy[Math.floor(random() * copy.length)] = Math.floor(random() * 256);
  const cut = copy.subarray(0, random() < 0.3 ? Math.floor(random() * copy.length) : copy.length);
  try {
    assert.deepEqual(encode(decode(cut)), cut);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
}

function randomItem(random: () => number, depth: number): Item {
  const pick = (count: number) => Math.floor(random() * count);
  const tag = 0x420001 + pick(0x120);
  const type = depth === 0 ? 2 + pick(10) : 1 + pick(11);
  switch (type) {
    case itemType.structure:
      return { tag, type, value: Array.from({ length: pick(5) }, () => randomItem(random, depth - 1)) };
    case itemType.integer:
      return { tag, type, value: pick(2 ** 32) - 2 ** 31 };
    case itemType.enumeration:
    case itemType.interval:
      return { tag, type, value: pick(2 ** 32) };
    case itemType.longInteger:
    case itemType.dateTime:
    case itemType.dateTimeExtended:
      return { tag, type, value: BigInt(pick(2 ** 48)) - 2n ** 47n };
    case itemType.bigInteger:
      return { tag, type, value: (BigInt(pick(2 ** 48)) - 2n ** 47n) ** BigInt(1 + pick(4)) };
    case itemType.boolean:
      return { tag, type, value: random() < 0.5 };
    case itemType.textString:
      return { tag, type, value: "käße☃𝄞".slice(0, pick(4)).repeat(pick(9)) };
    default:
      return { tag, type: itemType.byteString, value: Buffer.from(Array.from({ length: pick(40) }, () => pick(256))) };
  }
}

/** mulberry32: small, seeded, good enough to pick cases. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function nested(depth: number): string {
  return Array.from(
    { length: depth },
    (_, at) => `42002001${(8 * (depth - 1 - at)).toString(16).padStart(8, "0")}`,
  ).join("");
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

test("a big integer takes the fewest eights of bytes that hold it", () => {
  const fewest = (value: bigint) => {
    let bytes = 8;
    while (BigInt.asIntN(bytes * 8, value) !== value) bytes += 8;
    return bytes;
  };
  const edges = [
    0n,
    1n,
    ...[7n, 8n, 31n, 62n, 63n, 64n, 126n, 127n, 128n, 129n, 511n, 2_047n].map((bits) => 2n ** bits),
  ];
  for (const edge of edges) {
    for (const value of [edge - 1n, edge, edge + 1n, -edge - 1n, -edge, -edge + 1n]) {
      assert.equal(encode({ tag: 0x42_0001, type: itemType.bigInteger, value }).length - 8, fewest(value), `${value}`);
    }
  }
});
