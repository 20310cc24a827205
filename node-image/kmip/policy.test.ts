import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../objects/types.ts";
import { childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { tag } from "./tags.ts";

const administrator = "CN=admin";

/** Two nodes over one store: what one sets, the other has read before. */
function aServer() {
  const store = memoryStore();
  let nowMs = 1_800_000_000_000;
  const node = () =>
    kmipHandler({
      store,
      keyring: testKeyring(),
      log: () => undefined,
      now: () => new Date(nowMs),
      firstAdministrators: () => [administrator],
    });
  const nodes = [node(), node()] as const;
  const send = async (
    requests: readonly Request[],
    { version = 21, as = administrator, at = 0 as 0 | 1, header = [] as Item[] } = {},
  ) => {
    const message = encode(requestMessage(requests, { version, header }));
    return decode(await nodes[at](message, { identity: as, subject: as }));
  };
  const one = async (number: number, children: readonly Item[], how: Parameters<typeof send>[1] = {}) => {
    const [result] = resultsOf(await send([{ operation: number, payload: payload(...children) }], how));
    assert.ok(result !== undefined);
    return result;
  };
  return { send, one, wait: (ms: number) => (nowMs += ms) };
}

const set = { defaults: 0x36, constraints: 0x37 } as const;
const getConstraints = 0x38;
const type = (value: number) => item.enumeration(tag.ObjectType, value);
const [symmetric, privateKey, secretData] = [2, 4, 7];
const attributesOf = (...children: Item[]) => item.structure(tag.Attributes, ...children);
const group = (name: string) => item.text(tag.ObjectGroup, name);
const contact = (name: string) => item.text(tag.ContactInformation, name);
const algorithm = (value: number) => item.enumeration(tag.CryptographicAlgorithm, value);
const length = (value: number) => item.integer(tag.CryptographicLength, value);
const mask = (value: number) => item.integer(tag.CryptographicUsageMask, value);

const defaultsFor = (...each: (readonly [number, readonly Item[]])[]) =>
  item.structure(
    tag.DefaultsInformation,
    ...each.map(([objectType, children]) =>
      item.structure(tag.ObjectDefaults, type(objectType), attributesOf(...children)),
    ),
  );

const constraintsOf = (...each: { types?: readonly number[]; groups?: readonly string[]; attributes: Item[] }[]) =>
  item.structure(
    tag.Constraints,
    ...each.map(({ types, groups, attributes }) =>
      item.structure(
        tag.Constraint,
        ...(types === undefined ? [] : [item.structure(tag.ObjectTypes, ...types.map(type))]),
        ...(groups === undefined ? [] : [item.structure(tag.ObjectGroups, ...groups.map(group))]),
        attributesOf(...attributes),
      ),
    ),
  );

const aes = [algorithm(3), length(256), mask(12)];
const create = (...children: Item[]) => [type(symmetric), attributesOf(...children)];
const valuesOf = (answer: Item | undefined, number: number) =>
  childrenOf(findItem(answer, tag.Attributes), number).map(({ value }) => value);

test("defaults are what new objects have that their makers leave out, until they are taken away", async () => {
  const { one } = aServer();
  assert.ok((await one(set.defaults, [defaultsFor([symmetric, [...aes, contact("it"), group("all")]])])).success);
  const made = await one(operation.create, create(contact("sales")), { as: "CN=a" });
  assert.ok(made.success, made.message);
  const got = await one(operation.getAttributes, [findItem(made.payload, tag.UniqueIdentifier) as Item], {
    as: "CN=a",
  });
  const numbers = [tag.CryptographicLength, tag.CryptographicUsageMask, tag.ContactInformation, tag.ObjectGroup];
  assert.deepEqual(
    numbers.map((number) => valuesOf(got.payload, number)),
    [[256], [12], ["sales"], ["all"]],
  );
  const told = await one(operation.query, [item.enumeration(tag.QueryFunction, 13)], { as: "CN=a" });
  assert.deepEqual(
    findItem(told.payload, tag.DefaultsInformation),
    defaultsFor([symmetric, [...aes, contact("it"), group("all")]]),
  );
  assert.ok((await one(set.defaults, [])).success);
  const none = await one(operation.query, [item.enumeration(tag.QueryFunction, 13)], { as: "CN=a" });
  assert.deepEqual(findItem(none.payload, tag.DefaultsInformation), item.structure(tag.DefaultsInformation));
  assert.equal((await one(operation.create, create())).success, false);
});

test("a key pair takes the defaults of each of its keys, a client of 1.x those that its version knows", async () => {
  const { one } = aServer();
  const ec = [algorithm(6), length(256)];
  const level = item.enumeration(tag.ProtectionLevel, 1);
  const information = defaultsFor([privateKey, [...ec, mask(1), level]], [3, [...ec, mask(2)]]);
  assert.ok((await one(set.defaults, [information])).success);
  const pair = await one(0x02, [], { version: 14 });
  assert.ok(pair.success, pair.message);
  const id = item.text(tag.UniqueIdentifier, String(findItem(pair.payload, tag.PublicKeyUniqueIdentifier)?.value));
  const got = await one(operation.getAttributes, [id]);
  assert.deepEqual(
    [valuesOf(got.payload, tag.CryptographicUsageMask), valuesOf(got.payload, tag.ProtectionLevel)],
    [[2], []],
  );
});

test("an object that constraints concern must satisfy one of them, others are free", async () => {
  const { one } = aServer();
  const constraints = constraintsOf(
    { types: [symmetric], groups: ["payments"], attributes: [algorithm(3), length(192), mask(12)] },
    { types: [symmetric], groups: ["payments"], attributes: [algorithm(0x1c), mask(4)] },
  );
  assert.ok((await one(set.constraints, [constraints])).success);
  const cases: Readonly<Record<string, readonly [readonly Item[], boolean]>> = {
    "one that is as the first says": [[algorithm(3), length(192), mask(4), group("payments")], true],
    "one that is as the second says": [[algorithm(0x1c), length(256), mask(4), group("payments")], true],
    "a key that is too long": [[algorithm(3), length(256), mask(4), group("payments")], false],
    "a use that is not among those allowed": [[algorithm(3), length(128), mask(4 | 16), group("payments")], false],
    "another algorithm": [[algorithm(8), length(256), mask(0x80), group("payments")], false],
    "another group": [[algorithm(3), length(256), mask(4), group("other")], true],
    "no group": [[algorithm(3), length(256), mask(4)], true],
  };
  for (const [name, [children, allowed]] of Object.entries(cases)) {
    const result = await one(operation.create, create(...children), { as: "CN=a" });
    assert.equal(result.success, allowed, `${name}: ${result.message}`);
    if (!allowed) assert.equal(result.reason, 0x4b, name);
  }
  const told = await one(getConstraints, [], { as: "CN=a" });
  assert.deepEqual(findItem(told.payload, tag.Constraints), constraints);
  const old = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 4 };
  const asked = template({ ...old, "Object Group": "payments" } as Record<string, Json>);
  const refused = await one(operation.create, [type(symmetric), asked], { version: 14, as: "CN=a" });
  assert.deepEqual([refused.reason, /forbid/.test(refused.message ?? "")], [0x0c, true]);
});

test("without constraints none are told, and nothing said to Set Constraints ends those that were set", async () => {
  const { one } = aServer();
  const told = async () => (await one(getConstraints, [], { as: "CN=a" })).payload?.value;
  assert.deepEqual(await told(), []);
  await one(set.constraints, [constraintsOf({ types: [symmetric], attributes: [length(128)] })]);
  assert.equal((await one(operation.create, create(...aes))).success, false);
  assert.ok((await one(set.constraints, [])).success);
  assert.deepEqual(await told(), []);
  assert.ok((await one(operation.create, create(...aes))).success);
});

test("what is set holds on another node within a second, and within the batch that sets it", async () => {
  const { one, send, wait } = aServer();
  const bad = create(...aes);
  assert.ok((await one(operation.create, bad, { at: 1 })).success);
  await one(set.constraints, [constraintsOf({ types: [symmetric], attributes: [length(128)] })]);
  assert.equal((await one(operation.create, bad)).success, false);
  wait(1_000);
  assert.equal((await one(operation.create, bad, { at: 1 })).success, false);
  const none: Request = { operation: set.constraints, payload: payload(item.structure(tag.Constraints)) };
  const undo = [item.enumeration(tag.BatchErrorContinuationOption, 3)];
  const answer = await send([none, { operation: operation.create, payload: payload(...bad) }], { header: undo });
  assert.deepEqual(
    resultsOf(answer).map(({ success }) => success),
    [true, true],
  );
});

const refusals: Readonly<Record<string, readonly [number, readonly Item[], string, number]>> = {
  "defaults by somebody else": [set.defaults, [defaultsFor([symmetric, aes])], "CN=a", 0x0c],
  "constraints by somebody else": [set.constraints, [constraintsOf({ attributes: [length(1)] })], "CN=a", 0x0c],
  "a default that the server sets": [
    set.defaults,
    [defaultsFor([symmetric, [item.enumeration(tag.State, 2)]])],
    administrator,
    0x07,
  ],
  "a default that the type does not have": [
    set.defaults,
    [defaultsFor([secretData, [item.integer(tag.CertificateLength, 2)]])],
    administrator,
    0x07,
  ],
  "a default name, which only one object could have": [
    set.defaults,
    [
      defaultsFor([
        symmetric,
        [item.structure(tag.Name, item.text(tag.NameValue, "n"), item.enumeration(tag.NameType, 1))],
      ]),
    ],
    administrator,
    0x07,
  ],
  "a constraint of nothing": [set.constraints, [constraintsOf({ attributes: [] })], administrator, 0x07],
  "more constraints than the limit": [
    set.constraints,
    [constraintsOf(...Array.from({ length: 65 }, () => ({ attributes: [length(1)] })))],
    administrator,
    0x07,
  ],
};

for (const [name, [number, children, as, reason]] of Object.entries(refusals)) {
  test(`${name}: refused, and nothing is set`, async () => {
    const { one } = aServer();
    const result = await one(number, children, { as });
    assert.deepEqual([result.success, result.reason], [false, reason], result.message);
    assert.ok((await one(operation.create, create(...aes))).success);
  });
}

test("pending operations are listed to their owner alone, waited for, and then polled", async () => {
  const { send, one } = aServer();
  const mandatory = [item.enumeration(tag.AsynchronousIndicator, 1)];
  const numbers = [operation.query, operation.create];
  const asked: Request[] = [
    { operation: operation.query, payload: payload(item.enumeration(tag.QueryFunction, 1)) },
    { operation: operation.create, payload: payload(...create(...aes)) },
  ];
  const answer = await send(asked, { header: mandatory });
  const values = childrenOf(answer, tag.BatchItem).map(
    (each) => findItem(each, tag.AsynchronousCorrelationValue) as Item,
  );
  for (const value of values) assert.ok((await one(0x3a, [value])).success);
  const listed = async (children: readonly Item[], as = administrator) =>
    childrenOf((await one(0x39, children, { as })).payload, tag.AsynchronousRequest).map((each) => [
      findItem(each, tag.Operation)?.value,
      findItem(each, tag.ProcessingStage)?.value,
      findItem(each, tag.SubmissionDate)?.value,
    ]);
  const date = 1_800_000_000_000_000n;
  assert.deepEqual(
    await listed([]),
    numbers.map((number) => [number, 3, date]),
  );
  assert.deepEqual(await listed([item.structure(tag.AsynchronousCorrelationValues, values[1] as Item)]), [
    [operation.create, 3, date],
  ]);
  assert.deepEqual(await listed([item.structure(tag.Operations, item.enumeration(tag.Operation, operation.query))]), [
    [operation.query, 3, date],
  ]);
  assert.deepEqual(await listed([], "CN=a"), []);
  assert.equal((await one(0x3a, [values[0] as Item], { as: "CN=a" })).reason, 0x2b);
  assert.ok((await one(0x1a, [values[1] as Item])).success);
  assert.deepEqual(await listed([]), [[operation.query, 3, date]]);
});
