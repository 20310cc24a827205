import assert from "node:assert/strict";
import { test } from "node:test";
import { pkcs11Limits } from "../operations/pkcs11-applications.ts";
import { findItem, item, payload } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { tag } from "./tags.ts";

/** Places in CK_FUNCTION_LIST_3_0. */
const c = {
  initialize: 1,
  finalize: 2,
  getInfo: 3,
  getFunctionList: 4,
  getSlotList: 5,
  getSlotInfo: 6,
  getTokenInfo: 7,
  getMechanismList: 8,
  getMechanismInfo: 9,
  openSession: 13,
  closeSession: 14,
  closeAllSessions: 15,
  getSessionInfo: 16,
  login: 19,
  generateRandom: 65,
  last: 92,
} as const;
const ckr = {
  ok: 0,
  slot: 0x03,
  arguments: 0x07,
  notSupported: 0x54,
  mechanism: 0x70,
  count: 0xb1,
  handle: 0xb3,
  parallel: 0xb4,
  writeProtected: 0xe2,
  small: 0x150,
  notInitialized: 0x190,
} as const;
const reason = { codec: 0x45, function: 0x46, interface: 0x47 };

const ulong = (value: number) => value.toString(16).padStart(16, "0");
const [slot, noSlot, serial] = [ulong(0), ulong(1), ulong(4)];

/** Calls of callers to a server in memory: hexadecimal digits in, hexadecimal digits out. */
function aServer() {
  const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: () => undefined });
  const call = async (number: number, input?: string, more: { readonly by?: Buffer; readonly as?: string } = {}) => {
    const { by, as = "CN=a" } = more;
    const request = payload(
      item.enumeration(tag.PKCS11Function, number),
      ...(by === undefined ? [] : [item.bytes(tag.CorrelationValue, by)]),
      ...(input === undefined ? [] : [item.bytes(tag.PKCS11InputParameters, Buffer.from(input, "hex"))]),
    );
    const message = encode(requestMessage([{ operation: 0x33, payload: request }], { version: 21 }));
    const [result] = resultsOf(decode(await handler(message, { identity: as, subject: as })));
    const output = findItem(result?.payload, tag.PKCS11OutputParameters)?.value as Buffer | undefined;
    return {
      success: result?.success,
      reason: result?.reason,
      code: findItem(result?.payload, tag.PKCS11ReturnCode)?.value,
      output: output?.toString("hex"),
      correlation: findItem(result?.payload, tag.CorrelationValue)?.value as Buffer | undefined,
    };
  };
  const begin = async (as?: string) => {
    const { correlation } = await call(c.initialize, "01", as === undefined ? {} : { as });
    return (number: number, input?: string) =>
      call(number, input, {
        ...(as === undefined ? {} : { as }),
        ...(correlation === undefined ? {} : { by: correlation }),
      });
  };
  return { call, begin };
}

const open = [c.openSession, slot + serial] as const;
type Case = readonly [
  sentence: string,
  before: readonly (readonly [number, string])[],
  number: number,
  input: string | undefined,
  code: number,
  output?: string,
];
const cases: readonly Case[] = [
  ["the slots are counted", [], c.getSlotList, "010000000000", ckr.ok, "0000000001"],
  ["the slots are listed where there is room", [], c.getSlotList, "010100000008", ckr.ok, `0100000001${slot}`],
  ["the slots have no room, and are counted", [], c.getSlotList, "000100000000", ckr.small, "0000000001"],
  ["there is no slot 1", [], c.getSlotInfo, noSlot, ckr.slot],
  ["no mechanism is told of", [], c.getMechanismList, `${slot}0100000010`, ckr.ok, "0100000000"],
  ["no mechanism is known", [], c.getMechanismInfo, slot + ulong(0x1082), ckr.mechanism],
  ["a mechanism of no slot", [], c.getMechanismInfo, noSlot + ulong(0x1082), ckr.slot],
  ["a session is opened", [], ...open, ckr.ok, ulong(1)],
  ["the next session has the next handle", [open], ...open, ckr.ok, ulong(2)],
  ["a closed session's handle is not given again", [open, [c.closeSession, ulong(1)]], ...open, ckr.ok, ulong(2)],
  ["a session in no slot", [], c.openSession, noSlot + serial, ckr.slot],
  ["a parallel session", [], c.openSession, slot + ulong(0), ckr.parallel],
  ["a session that writes", [], c.openSession, slot + ulong(6), ckr.writeProtected],
  ["a session with a flag that is none", [], c.openSession, slot + ulong(0x14), ckr.arguments],
  ["a session tells of itself", [open], c.getSessionInfo, ulong(1), ckr.ok, slot + ulong(0) + serial + ulong(0)],
  ["a session that nobody opened", [open], c.getSessionInfo, ulong(2), ckr.handle],
  ["a session that was closed", [open, [c.closeSession, ulong(1)]], c.getSessionInfo, ulong(1), ckr.handle],
  ["a session is closed twice", [open, [c.closeSession, ulong(1)]], c.closeSession, ulong(1), ckr.handle],
  ["all sessions are closed", [open, open, [c.closeAllSessions, slot]], c.closeSession, ulong(2), ckr.handle],
  ["an application has ended", [[c.finalize, ""]], c.getInfo, undefined, ckr.notInitialized],
  ["a PIN is told", [open], c.login, `${ulong(1)}${ulong(1)}0000000431323334`, ckr.notSupported],
  ["random bytes are asked for", [open], c.generateRandom, `${ulong(1)}00000010`, ckr.notSupported],
  ["a function that stays with the caller", [], c.getFunctionList, undefined, ckr.notSupported],
  ["the last function there is", [], c.last, undefined, ckr.notSupported],
];

for (const [sentence, before, number, input, code, output] of cases) {
  test(`PKCS#11: ${sentence}`, async () => {
    const call = await aServer().begin();
    for (const [earlier, its] of before) assert.equal((await call(earlier, its)).code, ckr.ok);
    const answer = await call(number, input);
    assert.deepEqual([answer.success, answer.code, answer.output], [true, code, output]);
  });
}

const text = (value: string, length: number) => Buffer.from(value.padEnd(length)).toString("hex");
const unavailable = "f".repeat(16);

test("PKCS#11: slot and token tell what they are, and how many sessions an application has", async () => {
  const call = await aServer().begin();
  await call(...open);
  const described = [text("KMIP", 64), text("keyfleet", 32), ulong(1), "01000100"];
  assert.equal((await call(c.getSlotInfo, slot)).output, described.join(""));
  const token = [
    ...[text("keyfleet", 32), text("keyfleet", 32), text("KMIP", 16), text("1", 16), ulong(0x402)],
    ...[ulong(pkcs11Limits.sessions), ulong(1), unavailable, ulong(0), ulong(0), ulong(0)],
    ...[unavailable, unavailable, unavailable, unavailable, "01000100", text("", 16)],
  ];
  assert.equal((await call(c.getTokenInfo, slot)).output, token.join(""));
});

const malformed: readonly (readonly [sentence: string, number: number, input: string | undefined, reason: number])[] = [
  ["the encoding's version is 2", c.initialize, "02", reason.codec],
  ["there is more than a version", c.initialize, "0100", reason.codec],
  ["a slot of 4 bytes", c.getSlotInfo, "00000000", reason.codec],
  ["no slot", c.getTokenInfo, undefined, reason.codec],
  ["bytes that are left over", c.closeSession, `${ulong(1)}00`, reason.codec],
  ["a megabyte", c.getSlotList, "00".repeat(2 ** 20), reason.codec],
  ["an end with parameters", c.finalize, "00", reason.codec],
  ["function 0", 0, undefined, reason.function],
  ["function 93", 93, undefined, reason.function],
];
for (const [sentence, number, input, expected] of malformed) {
  test(`PKCS#11: ${sentence}: no call at all`, async () => {
    const call = await aServer().begin();
    const answer = await call(number, input);
    assert.deepEqual([answer.success, answer.reason], [false, expected]);
  });
}

test("PKCS#11: an application is its caller's alone, and so are its sessions", async () => {
  const { call, begin } = aServer();
  const { correlation } = await call(c.initialize, "01");
  const by = correlation === undefined ? {} : { by: correlation };
  assert.equal((await call(c.getInfo, undefined, { ...by, as: "CN=b" })).code, ckr.notInitialized);
  assert.equal((await call(...open, by)).code, ckr.ok);
  const other = await begin();
  assert.equal((await other(c.getSessionInfo, ulong(1))).code, ckr.handle);
});

test("PKCS#11: a caller has so many sessions in all its applications, and another caller has its own", async () => {
  const { begin } = aServer();
  const [one, two, other] = [await begin(), await begin(), await begin("CN=b")];
  for (let count = 0; count < pkcs11Limits.sessions; count += 1)
    assert.equal((await (count % 2 === 0 ? one : two)(...open)).code, ckr.ok);
  assert.equal((await two(...open)).code, ckr.count);
  assert.equal((await other(...open)).code, ckr.ok);
  assert.equal((await one(c.finalize)).code, ckr.ok);
  assert.equal((await two(...open)).code, ckr.ok);
});

test("PKCS#11: of too many applications of a caller the oldest ends, and its sessions with it", async () => {
  const { begin } = aServer();
  const first = await begin();
  const second = await begin();
  for (let count = 1; count < pkcs11Limits.applications; count += 1) await begin();
  assert.equal((await first(c.getInfo)).code, ckr.notInitialized);
  assert.equal((await second(c.getInfo)).code, ckr.ok);
});
