import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Caller } from "../access/identity.ts";
import { callerOf } from "../access/identity.ts";
import type { Change, Store } from "../objects/types.ts";
import { attributeItem, childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, type Result, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { kmipSite } from "../testing/kmip-site.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { requestOn, withoutObject } from "../testing/object-requests.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import type { AnswerLimits } from "./batch-size.ts";
import { router } from "./router.ts";
import { tag } from "./tags.ts";

/**
 * Bugs that key servers really had and published, each tried on ours. The number in brackets is the other server's
 * advisory (Cosmian KMS unless a CVE or a project is named).
 */
const version = 14;
const owner = callerOf("CN=owner", "CN=clients");
const stranger = callerOf("CN=stranger", "CN=clients");
const absent = "00000000-0000-4000-8000-00000000dead";
/** Item Not Found, and what 2.x calls it. */
const notFound = (since: number) => (since < 20 ? 0x01 : 0x37);
const aes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
const keyBytes = Buffer.from("a7d1c3b59e8f60427b1d3c5a99e8f7061524334251607f8e9dacbbcad9e8f701", "hex");
const id = (value: string) => item.text(tag.UniqueIdentifier, value);

/** A server in memory that tells all that it stored and logged. */
function aServer(failing: { now: boolean } = { now: false }, answers: Partial<AnswerLimits> = {}) {
  const log: object[] = [];
  /** What was asked of the store, without what the answers were. */
  const reads: string[] = [];
  const written: Change[][] = [];
  const memory = memoryStore();
  const store: { -readonly [Part in keyof Store]: Store[Part] } = {
    ...memory,
    object: (each) => {
      reads.push("object");
      return memory.object(each);
    },
    objects: (ids) => {
      reads.push(`objects ${ids.length}`);
      return memory.objects(ids);
    },
    locate: (filter) => {
      reads.push("locate");
      return memory.locate(filter);
    },
    write: async (changes) => {
      if (failing.now) throw new Error("the disk is full");
      written.push([...changes]);
      await memory.write(changes);
    },
  };
  const handler = kmipHandler({ store, keyring: testKeyring(), log: (fields) => void log.push(fields), answers });
  const sendAt = async (spoken: number, caller: Caller, ...requests: readonly Request[]) =>
    resultsOf(decode(await handler(encode(requestMessage(requests, { version: spoken })), caller)));
  const send = (caller: Caller, ...requests: readonly Request[]) => sendAt(version, caller, ...requests);
  const call = async (caller: Caller, number: number, ...children: Item[]) =>
    (await send(caller, { operation: number, payload: payload(...children) }))[0] as Result;
  const registered = async (caller: Caller) =>
    textOf((await call(caller, operation.register, ...registration(keyBytes))).payload, tag.UniqueIdentifier);
  const bytesOf = async (caller: Caller, key: string) =>
    findItem((await call(caller, operation.get, id(key))).payload, tag.KeyMaterial)?.value as Buffer;
  return { log, reads, written, store, handler, send, sendAt, call, registered, bytesOf };
}

function registration(bytes: Buffer): Item[] {
  const block = item.structure(
    tag.KeyBlock,
    item.enumeration(tag.KeyFormatType, 1),
    item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, bytes)),
    item.enumeration(tag.CryptographicAlgorithm, 3),
    item.integer(tag.CryptographicLength, bytes.length * 8),
  );
  return [item.enumeration(tag.ObjectType, 2), template(aes), item.structure(tag.SymmetricKey, block)];
}

function textOf(response: Item | undefined, number: number): string {
  return String(findItem(response, number)?.value);
}

/** Reports of the same kind that are tried in other rooms: where, and by which test. */
const elsewhere: readonly (readonly [string, string, string])[] = [
  [
    "CVE-2018-1000872 in PyKMIP: sockets that stall exhaust the server",
    "listen/server.test.ts",
    "ten thousand half-open connections push out only each other",
  ],
  [
    "the same with a message that is begun",
    "listen/server.test.ts",
    "a message that is begun and not finished is cut, an idle connection is not",
  ],
  ["a field of more than the message [Cosmian, kmip-go]", "ttlv/ttlv.test.ts", "beyond"],
  ["recursion [gmrtd 340, der 2379]", "ttlv/ttlv.test.ts", "structures 33 deep"],
  ["the same as JSON and XML", "ttlv/text-encodings.test.ts", "too deep"],
  [
    "sessions that died are used again [fabric 1022]",
    "hsm-sidecar.test.ts",
    "a lost session is opened again without anybody noticing",
  ],
  [
    "a token that was pulled out and put back [krill 761, parsec 607]",
    "hsm-sidecar.test.ts",
    "a device lost under sixteen requests is opened once, and all are answered",
  ],
  [
    "a module under many threads [parsec 264]",
    "hsm-sidecar.test.ts",
    "many requests at once are answered each with its own",
  ],
  [
    "an HSM that is down is told [boulder 1003]",
    "hsm-sidecar.test.ts",
    "a device that stays away makes the root of trust unavailable until it is back",
  ],
];

for (const [report, file, title] of elsewhere) {
  test(`${report} is tried in ${file}`, () => {
    assert.ok(readFileSync(join(import.meta.dirname, "..", file), "utf8").includes(title));
  });
}

test("each operation names an object or is known to name none", () => {
  const names = new Set([...router.values()].map(({ name }) => name));
  assert.deepEqual(
    [...withoutObject].filter((name) => !names.has(name)),
    [],
  );
});

for (const [number, { name, since }] of router) {
  if (withoutObject.has(name)) continue;
  test(`${name} gives a stranger the same answer for an object of somebody else and for none [2026-016, -017, -018]`, async () => {
    const { sendAt, reads, registered, bytesOf, send } = aServer();
    const victim = await registered(owner);
    const asked = async (target: string) => {
      reads.length = 0;
      const request = { operation: number, payload: payload(...requestOn(name, target)) };
      const [result] = await sendAt(Math.max(version, since), stranger, request);
      return { ...result, reads: [...reads] };
    };
    const [theirs, none] = [await asked(victim), await asked(absent)];
    // Any other reason would mean that the object was not looked for.
    assert.deepEqual([theirs.success, theirs.reason], [false, notFound(since)]);
    // The same reads take a similar time, so that time tells no more than words.
    assert.deepEqual(theirs.reads, none.reads);
    assert.deepEqual(
      [theirs.success, theirs.reason, theirs.message?.replaceAll(victim, "ID")],
      [none.success, none.reason, none.message?.replaceAll(absent, "ID")],
    );
    assert.deepEqual(await bytesOf(owner, victim), keyBytes);
    const [state] = await send(owner, { operation: operation.getAttributes, payload: payload(id(victim)) });
    assert.ok(!JSON.stringify(state, printable).includes("stranger"));
  });
}

test("Import with Replace Existing by a stranger leaves the owner's key as it was [2026-003]", async () => {
  const { call, registered, bytesOf } = aServer();
  const victim = await registered(owner);
  const [type, attributes, object] = registration(Buffer.alloc(32)) as [Item, Item, Item];
  const replace = [type, item.boolean(tag.ReplaceExisting, true), ...childrenOf(attributes, tag.Attribute), object];
  const { success, payload: made, message } = await call(stranger, 0x2a, id(victim), ...replace);
  assert.ok(success, message);
  assert.notEqual(textOf(made, tag.UniqueIdentifier), victim);
  assert.deepEqual(await bytesOf(owner, victim), keyBytes);
});

test("a key of somebody else neither wraps nor unwraps for a stranger [2025-009]", async () => {
  const { call, registered, bytesOf } = aServer();
  const victim = await registered(owner);
  const own = await registered(stranger);
  const wrapping = (target: string) =>
    item.structure(
      tag.KeyWrappingSpecification,
      item.enumeration(tag.WrappingMethod, 1),
      item.structure(
        tag.EncryptionKeyInformation,
        id(target),
        item.structure(tag.CryptographicParameters, item.enumeration(tag.BlockCipherMode, 0x0d)),
      ),
    );
  for (const [key, wrapper] of [
    [own, victim],
    [victim, own],
  ] as const) {
    const answer = await call(stranger, operation.get, id(key), wrapping(wrapper));
    assert.deepEqual([answer.success, answer.reason], [false, notFound(version)]);
    assert.equal(findItem(answer.payload, tag.KeyMaterial), undefined);
  }
  assert.deepEqual(await bytesOf(stranger, own), keyBytes);
});

test("a key that came wrapped by somebody else's key is not unwrapped for a stranger [2025-009]", async () => {
  const { call } = aServer();
  const mask = template({
    "Cryptographic Algorithm": 3,
    "Cryptographic Length": 256,
    "Cryptographic Usage Mask": 0x30,
  });
  const victim = textOf(
    (await call(owner, operation.create, item.enumeration(tag.ObjectType, 2), mask)).payload,
    tag.UniqueIdentifier,
  );
  await call(owner, operation.activate, id(victim));
  const cipher = item.structure(tag.CryptographicParameters, item.enumeration(tag.BlockCipherMode, 0x0d));
  const information = item.structure(tag.EncryptionKeyInformation, id(victim), cipher);
  const wrapping = (...more: Item[]) => [item.enumeration(tag.WrappingMethod, 1), information, ...more];
  // What only the owner can make: the owner's other key, wrapped.
  const secret = await call(owner, operation.register, ...registration(keyBytes));
  const specification = item.structure(
    tag.KeyWrappingSpecification,
    ...wrapping(item.enumeration(tag.EncodingOption, 1)),
  );
  const wrapped = await call(owner, operation.get, id(textOf(secret.payload, tag.UniqueIdentifier)), specification);
  const taken = findItem(wrapped.payload, tag.SymmetricKey);
  assert.ok(taken, wrapped.message);
  const unwrapped = async (caller: Caller) => {
    const made = await call(caller, operation.register, item.enumeration(tag.ObjectType, 2), template(aes), taken);
    assert.ok(made.success, made.message);
    const copy = id(textOf(made.payload, tag.UniqueIdentifier));
    return call(caller, operation.get, copy, item.enumeration(tag.KeyWrapType, 1));
  };
  assert.deepEqual(findItem((await unwrapped(owner)).payload, tag.KeyMaterial)?.value, keyBytes);
  const refused = await unwrapped(stranger);
  assert.deepEqual([refused.success, refused.reason], [false, notFound(version)]);
});

test("what the store is given never holds a key in clear, whatever is done with it [2026-015]", async () => {
  const { call, registered, written, bytesOf } = aServer();
  const key = await registered(owner);
  const long = (number: number, value: bigint): Item => ({ tag: number, type: itemType.longInteger, value });
  const limits = [long(tag.UsageLimitsTotal, 100n), item.enumeration(tag.UsageLimitsUnit, 1)];
  const usage = item.structure(
    tag.Attribute,
    item.text(tag.AttributeName, "Usage Limits"),
    item.structure(tag.AttributeValue, ...limits),
  );
  await call(owner, operation.addAttribute, id(key), usage);
  await call(owner, operation.activate, id(key));
  await call(owner, 0x11, id(key), long(tag.UsageLimitsCount, 1n));
  await call(owner, 0x1f, ...requestOn("Encrypt", key));
  await call(owner, operation.revoke, ...requestOn("Revoke", key));
  await bytesOf(owner, key);
  assert.ok(written.length >= 3);
  for (const changes of written) assertNoKey(JSON.stringify(changes, printable));
});

const changing: readonly (readonly [string, number, readonly Item[]])[] = [
  ["Activate", operation.activate, []],
  ["Revoke", operation.revoke, requestOn("Revoke", "").slice(1)],
  ["Destroy", operation.destroy, []],
  ["Add Attribute", operation.addAttribute, requestOn("Add Attribute", "").slice(1)],
];

for (const [name, number, more] of changing) {
  test(`${name} is one write, and one that fails changes nothing [2026-011]`, async () => {
    const failing = { now: false };
    const { call, registered, written, store } = aServer(failing);
    const key = await registered(owner);
    const before = await store.object(key);
    failing.now = true;
    const refused = await call(owner, number, id(key), ...more);
    assert.equal(refused.success, false);
    assert.deepEqual(await store.object(key), before);
    failing.now = false;
    const writes = written.length;
    assert.equal((await call(owner, number, id(key), ...more)).success, true);
    assert.equal(written.length, writes + 1);
  });
}

test("a key that was read before is not given out once it is destroyed, by no operation [2026-008]", async () => {
  const { call, registered, bytesOf } = aServer();
  const key = await registered(owner);
  assert.deepEqual(await bytesOf(owner, key), keyBytes);
  await call(owner, operation.destroy, id(key));
  for (const [number, { name }] of router) {
    const answer = await call(owner, number, ...requestOn(name, key));
    assertNoKey(JSON.stringify(answer, printable));
    if (["Get", "Encrypt", "Decrypt", "MAC", "Sign"].includes(name)) assert.equal(answer.success, false, name);
  }
});

test("a key is not used to protect once it is known as compromised, though it was just before [2026-008]", async () => {
  const { call, registered } = aServer();
  const key = await registered(owner);
  await call(owner, operation.activate, id(key));
  const ecb = [item.enumeration(tag.BlockCipherMode, 2), item.enumeration(tag.PaddingMethod, 3)];
  const parts = [item.structure(tag.CryptographicParameters, ...ecb), item.bytes(tag.Data, Buffer.alloc(16))];
  const encrypt = () => call(owner, 0x1f, id(key), ...parts);
  const before = await encrypt();
  assert.ok(before.success, before.message);
  await call(owner, operation.revoke, ...requestOn("Revoke", key));
  assert.equal((await encrypt()).success, false);
  for (const number of [operation.get, 0x21, 0x23]) {
    assert.equal(
      (await call(owner, number, id(key), ...(number === operation.get ? [] : parts.slice(1)))).success,
      false,
    );
  }
});

const wrongKeys: readonly (readonly [string, readonly Item[]])[] = [
  ["of another length than it says", registration(keyBytes).map((each) => withLength(each, 128))],
  ["that is no private key", asType(4, tag.PrivateKey)],
  ["that is no certificate", [item.enumeration(tag.ObjectType, 1), template({}), certificate()]],
  ["without its object type's structure", [item.enumeration(tag.ObjectType, 2), template(aes), certificate()]],
];

for (const [name, parts] of wrongKeys) {
  test(`neither the answer nor the log to a key ${name} shows its bytes [2026-013, -014]`, async () => {
    const { call, log } = aServer();
    const answer = await call(owner, operation.register, ...parts);
    assertNoKey(JSON.stringify([answer.message, answer.reason, log], printable));
  });
}

test("a failure that nobody foresaw tells the client a number, and the key neither to it nor to the log [2026-013, -014]", async () => {
  const failing = { now: false };
  const { call, log } = aServer(failing);
  failing.now = true;
  const answer = await call(owner, operation.register, ...registration(keyBytes));
  assert.match(String(answer.message), /^The server failed; its log has the cause under [0-9a-f-]{36}/);
  assert.ok(!JSON.stringify(answer, printable).includes("disk is full"));
  assert.equal(log.length, 1);
  assertNoKey(JSON.stringify(log, printable));
});

test("whoever has no certificate learns nothing: no version, no vendor, no operations [2026-012]", async () => {
  const site = await kmipSite();
  try {
    const asked = encode(requestMessage([{ operation: operation.query, payload: payload() }], { version }));
    const unknown = site.connect("", { identity: undefined }).then((client) => client.exchange(asked));
    await assert.rejects(unknown, /closed the connection|ECONNRESET|alert|EPIPE/);
  } finally {
    await site.close();
  }
});

test("no switch in the sources turns the check of certificates off [threat model F-001]", () => {
  const folder = join(import.meta.dirname, "..");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !/(\.test\.ts$)|^(testing|fuzzing|node_modules)\//.test(file))
    .filter((file) => /NODE_TLS_REJECT_UNAUTHORIZED|insecure/i.test(readFileSync(join(folder, file), "utf8")));
  assert.deepEqual(files, []);
});

const others: readonly (readonly [string, Caller])[] = [
  ["the same name from another authority", callerOf("CN=owner", "CN=other clients")],
  ["a name that spells both parts in one", callerOf("CN=owner\nCN=clients", "")],
  ["a name with the other's in a field of its own", callerOf("O=x\nCN=owner", "CN=clients")],
  ["the same name in other letters", callerOf("CN=Owner", "CN=clients")],
  ["the same name with a space", callerOf("CN=owner ", "CN=clients")],
];

for (const [name, other] of others) {
  test(`two callers are not taken for one: ${name} [threat model F-004]`, async () => {
    const { call, registered } = aServer();
    const key = await registered(owner);
    assert.equal((await call(other, operation.get, id(key))).success, false);
  });
}

test("a user name and password in the header make nobody somebody else [threat model F-004]", async () => {
  const { handler, registered } = aServer();
  const key = await registered(owner);
  const value = item.structure(
    tag.CredentialValue,
    item.text(tag.Username, owner.subject),
    item.text(tag.Password, "x"),
  );
  const credential = item.structure(tag.Credential, item.enumeration(tag.CredentialType, 1), value);
  const header = [item.structure(tag.Authentication, credential)];
  const request = { operation: operation.get, payload: payload(id(key)) };
  const answer = resultsOf(decode(await handler(encode(requestMessage([request], { version, header })), stranger)));
  assert.equal(answer[0]?.success, false);
});

const unreadable: readonly (readonly [string, (message: Item) => Item])[] = [
  ["that is served", (message) => message],
  ["whose batch count is wrong", ({ value, ...rest }) => ({ ...rest, value: (value as Item[]).slice(0, 1) }) as Item],
  ["of an unknown version", (message) => withVersion(message, 9)],
];

for (const [name, change] of unreadable) {
  test(`the password in the header of a message ${name} is told in no answer and no log [2026-013, -014]`, async () => {
    const { handler, log } = aServer();
    const value = item.structure(
      tag.CredentialValue,
      item.text(tag.Username, "u"),
      item.text(tag.Password, "hunter2!"),
    );
    const credential = item.structure(tag.Credential, item.enumeration(tag.CredentialType, 1), value);
    const header = [item.structure(tag.Authentication, credential)];
    const request = { operation: operation.get, payload: payload(id(absent)) };
    const message = encode(change(requestMessage([request], { version, header })));
    assert.ok(message.includes("hunter2!"));
    const answer = await handler(message, owner);
    assert.equal(resultsOf(decode(answer))[0]?.success, false);
    assert.ok(!answer.includes("hunter2!"));
    assert.ok(!JSON.stringify(log, printable).includes("hunter2!"));
  });
}

const lies: readonly (readonly [string, string, RegExp])[] = [
  ["a child longer than its parent", "42007801000000104200770100000100420069010000000", /beyond its parent|cut off/],
  [
    "a text whose length counts the padding [Db2 at KMIP 1.0]",
    paddedText(),
    /null byte.*item 42005[0-9a-f] at byte \d+/,
  ],
  ["4 GiB of text in 24 bytes", "420078010000001042006a07fffffff80000000000000000", /beyond its parent.*42006a/],
  ["structures a thousand deep [CVE-2026-13757 in p11-kit]", deep(1000), /nested deeper than 32/],
];

for (const [name, text, told] of lies) {
  test(`${name}: refused, and the log says where`, async () => {
    const { handler, log } = aServer();
    const bytes = Buffer.from(text.length % 2 === 0 ? text : `${text}0`, "hex");
    const [answer] = resultsOf(decode(await handler(bytes, owner)));
    assert.deepEqual([answer?.success, answer?.reason], [false, 4]);
    assert.match(JSON.stringify(log), told);
  });
}

test("each failure names its operation, reason and message: clients crash on those that do not [libkmip 30]", async () => {
  const { send } = aServer();
  for (const [number] of router) {
    const [answer] = await send(owner, { operation: number, payload: payload(id(absent)) });
    if (answer?.success !== false) continue;
    assert.equal(answer.operation, number);
    assert.ok(answer.reason !== undefined && (answer.message ?? "") !== "");
  }
});

test("a message tells a name of foreign letters in ASCII: PyKMIP fails on any other", async () => {
  const { call } = aServer();
  const added = attributeItem("x-schl\u00fcssel\u2026", { type: 7, value: "x" });
  const repeated = [item.enumeration(tag.ObjectType, 2), template(aes), added, added];
  for (const parts of [repeated, [id("\u2026\u{10ffff}")]]) {
    for (const number of [operation.create, operation.get, operation.getAttributes, operation.addAttribute]) {
      const { message = "" } = await call(owner, number, ...parts);
      assert.match(message, /^[\x20-\x7e]+$/);
    }
  }
});

/** An object of almost the size of a message, which a request of a hundred bytes fetches. */
async function aLargeObject({ call }: ReturnType<typeof aServer>, bytes = 1_000_000): Promise<string> {
  const value = item.bytes(tag.OpaqueDataValue, Buffer.alloc(bytes, 7));
  const object = item.structure(tag.OpaqueObject, item.enumeration(tag.OpaqueDataType, 0x80000001), value);
  const made = await call(owner, operation.register, item.enumeration(tag.ObjectType, 8), template({}), object);
  assert.ok(made.success, made.message);
  return textOf(made.payload, tag.UniqueIdentifier);
}

const goOn = [item.enumeration(tag.BatchErrorContinuationOption, 1)];

test("a batch of a hundred Gets of a large object gets two of them: no answer is larger than 2 MiB [libmongocrypt 1187]", async () => {
  const server = aServer();
  const large = await aLargeObject(server);
  const gets = Array.from({ length: 100 }, () => ({ operation: operation.get, payload: payload(id(large)) }));
  const answer = await server.handler(encode(requestMessage(gets, { version, header: goOn })), owner);
  assert.ok(answer.length <= 2_097_152 + 100 * 256, `${answer.length} bytes`);
  const results = resultsOf(decode(answer));
  assert.deepEqual(
    results.map(({ success, reason }) => (success ? "given" : reason)),
    [...Array.from({ length: 2 }, () => "given"), ...Array.from({ length: 98 }, () => 2)],
  );
  assert.match(results[2]?.message ?? "", /another message/);
});

test("what an answer has no room for is not done: nothing is made that nobody is told of", async () => {
  const server = aServer();
  const large = await aLargeObject(server);
  const gets = Array.from({ length: 2 }, () => ({ operation: operation.get, payload: payload(id(large)) }));
  const create = { operation: operation.create, payload: payload(item.enumeration(tag.ObjectType, 2), template(aes)) };
  const results = await server.send(owner, ...gets, create);
  assert.deepEqual(
    results.map(({ success, reason }) => [success, reason]),
    [
      [true, undefined],
      [true, undefined],
      [false, 2],
    ],
  );
  const found = await server.call(owner, operation.locate);
  assert.equal(childrenOf(found.payload, tag.UniqueIdentifier).length, 1);
});

test("large answers that are made at the same time share a limit, small ones and single ones are always given", async () => {
  const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const server = aServer({ now: false }, { allBytes: 150_000 });
  const large = await aLargeObject(server, 100_000);
  const get = { operation: operation.get, payload: payload(id(large)) };
  const query = { operation: operation.query, payload: payload(item.enumeration(tag.QueryFunction, 1)) };
  server.store.locate = () => {
    begun.resolve();
    return gate.promise.then(() => []);
  };
  const first = server.send(owner, get, { operation: operation.locate, payload: payload() });
  await begun.promise;
  const [, refused] = await server.send(owner, get, get);
  assert.deepEqual([refused?.success, refused?.reason], [false, 2]);
  assert.match(refused?.message ?? "", /many large answers in work/);
  for (const one of [...(await server.send(owner, query, query)), ...(await server.send(owner, get))])
    assert.ok(one.success, one.message);
  gate.resolve();
  assert.ok((await first).every(({ success }) => success));
  assert.ok((await server.send(owner, get, get)).every(({ success }) => success));
});

function assertNoKey(text: string): void {
  for (const form of [keyBytes.toString("hex"), keyBytes.toString("base64").slice(0, 40), keyBytes.toString("latin1")])
    assert.ok(!text.toLowerCase().includes(form.toLowerCase()), "key bytes are shown");
}

function printable(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  const bytes = value as { type?: unknown; data?: unknown } | null;
  const isBuffer = bytes !== null && typeof bytes === "object" && bytes.type === "Buffer" && Array.isArray(bytes.data);
  return isBuffer ? Buffer.from(bytes.data as number[]).toString("hex") : value;
}

function withLength(each: Item, bits: number): Item {
  if (each.tag !== tag.SymmetricKey) return each;
  const [block] = each.value as readonly Item[];
  const parts = ((block as Item).value as readonly Item[]).filter(
    ({ tag: number }) => number !== tag.CryptographicLength,
  );
  return item.structure(
    tag.SymmetricKey,
    item.structure(tag.KeyBlock, ...parts, item.integer(tag.CryptographicLength, bits)),
  );
}

function asType(type: number, number: number): Item[] {
  const [, , key] = registration(keyBytes);
  return [item.enumeration(tag.ObjectType, type), template(aes), { ...(key as Item), tag: number } as Item];
}

function certificate(): Item {
  return item.structure(
    tag.Certificate,
    item.enumeration(tag.CertificateType, 1),
    item.bytes(tag.CertificateValue, keyBytes),
  );
}

function deep(levels: number): string {
  const length = (level: number) => (8 * (levels - 1 - level)).toString(16).padStart(8, "0");
  return Array.from({ length: levels }, (_, level) => `42007801${length(level)}`).join("");
}

/** A name of five letters sent with the length eight. */
function paddedText(): string {
  const request = encode(
    requestMessage(
      [{ operation: operation.locate, payload: payload(attributeItem("Name", { nameValue: "fives", nameType: 1 })) }],
      { version: 10 },
    ),
  ).toString("hex");
  return request.replace("42005507000000056669766573000000", "42005507000000086669766573000000");
}

/** The message said to be of KMIP `major`.0. */
function withVersion({ value, ...rest }: Item, major: number): Item {
  const [head, ...items] = value as Item[];
  const [, ...fields] = (head as Item).value as Item[];
  const parts = [item.integer(tag.ProtocolVersionMajor, major), item.integer(tag.ProtocolVersionMinor, 0)];
  return {
    ...rest,
    value: [item.structure(tag.RequestHeader, item.structure(tag.ProtocolVersion, ...parts), ...fields), ...items],
  } as Item;
}
