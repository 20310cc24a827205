import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { attributeItem, childrenOf, findItem, item } from "../testing/items.ts";
import { type KmipClient, KmipFailure, operation } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";

const epoch = Date.UTC(2026, 0, 1) / 1000;
const subjectOf = (name: string) => `O=bank, OU=apps, CN=${name}`;
const identityOf = (name: string) => `CN=${name},OU=apps,O=bank,issuer(CN=clients,O=bank)`;
const user = (name: string) => `keyfleet:user:${identityOf(name)}`;
const grantTo = (name: string) => `x-keyfleet-grant-user:${identityOf(name)}`;
const reason = { notFound: 1, invalidField: 7, illegal: 11, denied: 12 } as const;

let site: KmipSite;
let clock = epoch;
const clients = new Map<string, KmipClient>();
let key: string;

before(async () => {
  site = await kmipSite({
    now: () => new Date(clock * 1000),
    firstAdministrators: () => ["CN=admin,OU=apps,O=bank", "CN=admin2,OU=apps,O=bank"],
  });
});
after(() => site.close());
beforeEach(async () => {
  clock += 10;
  key = await (await as("owner")).create();
});

async function as(name: string): Promise<KmipClient> {
  const found = clients.get(name) ?? (await site.connect(subjectOf(name)));
  clients.set(name, found);
  return found;
}

const id = (value: string) => item.text(tag.UniqueIdentifier, value);

async function add(who: string, where: string, name: string, text: string): Promise<void> {
  await (await as(who)).call(operation.addAttribute, id(where), attributeItem(name, { type: 7, value: text }));
}

async function modify(who: string, where: string, name: string, text: string): Promise<void> {
  await (await as(who)).call(operation.modifyAttribute, id(where), attributeItem(name, { type: 7, value: text }));
}

async function remove(who: string, where: string, name: string): Promise<void> {
  await (await as(who)).call(operation.deleteAttribute, id(where), item.text(tag.AttributeName, name));
}

/** Result Reason and message of a refusal. */
async function refusal(promise: Promise<unknown>): Promise<{ reason: number | undefined; message: string }> {
  const error = await promise.then(
    () => assert.fail("it was allowed"),
    (failure: unknown) => failure,
  );
  assert.ok(error instanceof KmipFailure, String(error));
  return { reason: error.reason, message: error.message };
}

async function refused(promise: Promise<unknown>, expected: number, message?: RegExp): Promise<void> {
  const found = await refusal(promise);
  assert.equal(found.reason, expected, found.message);
  if (message !== undefined) assert.match(found.message, message);
}

const gcm = item.structure(tag.CryptographicParameters, item.enumeration(tag.BlockCipherMode, 2));
const absent = "00000000-0000-4000-8000-000000000000";
const operations: readonly (readonly [string, number, ...ReturnType<typeof item.text>[]])[] = [
  ["Get", operation.get],
  ["Get Attributes", operation.getAttributes],
  ["Get Attribute List", operation.getAttributeList],
  ["Add Attribute", operation.addAttribute, attributeItem("x-a", { type: 7, value: "a" })],
  ["Modify Attribute", operation.modifyAttribute, attributeItem("x-a", { type: 7, value: "a" })],
  ["Delete Attribute", operation.deleteAttribute, item.text(tag.AttributeName, "x-a")],
  ["Add Attribute of a grant", operation.addAttribute, attributeItem(grantTo("stranger"), { type: 7, value: "Get" })],
  ["Delete Attribute of a grant", operation.deleteAttribute, item.text(tag.AttributeName, grantTo("stranger"))],
  ["Activate", operation.activate],
  ["Destroy", operation.destroy],
  ["Check", 0x09],
  ["Obtain Lease", 0x10],
  ["Get Usage Allocation", 0x11, item.longInteger(tag.UsageLimitsCount, 1n)],
  ["Archive", 0x15],
  ["Recover", 0x16],
];

for (const [name, number, ...rest] of operations) {
  test(`${name}: another's object looks to a stranger as if there were none`, async () => {
    const stranger = await as("stranger");
    const [foreign, nothing] = [
      await refusal(stranger.call(number, id(key), ...rest)),
      await refusal(stranger.call(number, id(absent), ...rest)),
    ];
    assert.equal(foreign.reason, reason.notFound);
    assert.deepEqual({ ...foreign, message: foreign.message.replace(key, absent) }, nothing);
  });
}

test("a stranger does the same reads for another's object as for none", async (t) => {
  const { memoryStore } = await import("../testing/memory-store.ts");
  const store = memoryStore();
  const reads: number[] = [];
  const objects = (ids: readonly string[]) => {
    reads.push(ids.length);
    return store.objects(ids);
  };
  const counting = { ...store, objects };
  const own = await kmipSite({ store: counting });
  t.after(() => own.close());
  const [owner, stranger] = [await own.connect(subjectOf("owner")), await own.connect(subjectOf("stranger"))];
  const foreign = await owner.create();
  const readsOf = async (wanted: string) => {
    reads.length = 0;
    await refused(stranger.get(wanted), reason.notFound);
    return [...reads];
  };
  assert.deepEqual(await readsOf(foreign), await readsOf(absent));
});

test("a grant lets do what it names and nothing else; who was granted something is told no, not nothing", async () => {
  await add("owner", key, grantTo("reader"), "Get Locate");
  const reader = await as("reader");
  assert.equal((await reader.get(key)).length, 32);
  assert.deepEqual(await reader.locate(), [key]);
  await refused(reader.destroy(key), reason.denied, /right Destroy/);
  await refused(reader.attributes(key), reason.denied, /right GetAttributes/);
  await refused((await as("stranger")).get(key), reason.notFound);
  await modify("owner", key, grantTo("reader"), "GetAttributes");
  await refused(reader.get(key), reason.denied);
  assert.deepEqual(await reader.locate(), []);
  assert.equal(grantTo("reader") in (await reader.attributes(key)), false, "grants are not shown to those granted");
  await remove("owner", key, grantTo("reader"));
  await refused(reader.get(key), reason.notFound);
});

test("Get does not imply use, nor use Get", async () => {
  await add("owner", key, grantTo("cipher"), "Encrypt");
  const cipher = await as("cipher");
  await refused(cipher.get(key), reason.denied);
  await refused((await as("owner")).call(0x1f, id(key), gcm, item.bytes(tag.Data, Buffer.alloc(16))), reason.denied);
  await (await as("owner")).activate(key);
  await cipher.call(0x1f, id(key), gcm, item.bytes(tag.Data, Buffer.alloc(16)));
  await refused(
    cipher.call(0x20, id(key), gcm, item.bytes(tag.Data, Buffer.alloc(16))),
    reason.denied,
    /right Decrypt/,
  );
});

for (const [date, right] of [
  ["Activation Date", "Activate"],
  ["Deactivation Date", "Revoke"],
] as const) {
  test(`to change attributes is not to ${right}: ${date} needs that right too`, async () => {
    if (right === "Revoke") await (await as("owner")).activate(key);
    const set = async (who: string) =>
      (await as(who)).call(operation.addAttribute, id(key), attributeItem(date, clock));
    await add("owner", key, grantTo("editor"), "AddAttribute ModifyAttribute GetAttributes");
    await refused(set("editor"), reason.denied, new RegExp(`right ${right}`));
    assert.equal((await (await as("editor")).attributes(key, "State")).State, right === "Activate" ? 1 : 2);
    await modify("owner", key, grantTo("editor"), `AddAttribute GetAttributes ${right}`);
    await set("editor");
    assert.equal((await (await as("editor")).attributes(key, "State")).State, right === "Activate" ? 2 : 3);
  });
}

for (const [name, keeping] of [
  ["Sensitive", true],
  ["Extractable", false],
] as const) {
  test(`who may change attributes and Get may set ${name}, and does not get a key so that it keeps inside`, async () => {
    await add("owner", key, grantTo("reader"), "Get ModifyAttribute");
    const set = async (who: string, value: boolean) =>
      (await as(who)).call(operation.modifyAttribute, id(key), attributeItem(name, value));
    await set("reader", keeping);
    await refused(set("reader", !keeping), reason.denied, /owner alone/);
    await assert.rejects(async () => (await as("reader")).get(key));
    await set("owner", !keeping);
    await (await as("reader")).get(key);
  });
}

test("a grant ends when it says so", async () => {
  await add("owner", key, grantTo("guest"), `Get until ${new Date((clock + 60) * 1000).toISOString().slice(0, 19)}Z`);
  const guest = await as("guest");
  await guest.get(key);
  clock += 60;
  await refused(guest.get(key), reason.notFound);
  clock -= 1;
  await guest.get(key);
});

test("grants are shown to the owner as they were written", async () => {
  await add("owner", key, grantTo("reader"), "Locate, Get until 2026-06-01T00:00:00Z");
  const shown = await (await as("owner")).attributes(key, grantTo("reader"));
  assert.deepEqual(shown, { [grantTo("reader")]: { type: 7, value: "Get Locate until 2026-06-01T00:00:00Z" } });
});

test("what is granted on an owner's record holds for all that the owner has and will have", async () => {
  await add("owner", user("owner"), grantTo("backup"), "Get Locate");
  const backup = await as("backup");
  await backup.get(key);
  const later = await (await as("owner")).create();
  assert.ok((await backup.locate()).includes(later));
  await remove("owner", user("owner"), grantTo("backup"));
  await refused(backup.get(key), reason.notFound);
});

test("members of a group have what the group was granted, as long as they are members", async () => {
  await add("owner", key, "x-keyfleet-grant-group:payments", "Get Locate");
  const member = await as("member");
  await refused(member.get(key), reason.notFound);
  await add("admin", user("member"), "x-keyfleet-group-payments", "yes");
  await member.get(key);
  assert.ok((await member.locate()).includes(key));
  await remove("admin", user("member"), "x-keyfleet-group-payments");
  await refused(member.get(key), reason.notFound);
});

test("an administrator sees every object's facts and ends its life, and never sees its key", async () => {
  const admin = await as("admin");
  assert.equal((await admin.attributes(key, "State")).State, 1);
  assert.ok((await admin.locate()).includes(key));
  await refused(admin.get(key), reason.denied);
  await refused(admin.destroy(key), reason.denied);
  await refused(
    admin.call(operation.addAttribute, id(key), attributeItem("x-a", { type: 7, value: "a" })),
    reason.denied,
  );
  await (await as("owner")).activate(key);
  await admin.revoke(key, 2);
});

const selfHelp: readonly (readonly [string, string, string, string, number])[] = [
  ["an administrator grants himself a key", "admin", "KEY", grantTo("admin"), reason.denied],
  ["an administrator grants himself all of an owner's keys", "admin", user("owner"), grantTo("admin"), reason.denied],
  ["an administrator joins a group", "admin", user("admin"), "x-keyfleet-group-payments", reason.denied],
  ["an administrator makes himself auditor", "admin", user("admin"), "x-keyfleet-role-auditor", reason.denied],
  ["a user makes himself administrator", "owner", user("owner"), "x-keyfleet-role-administrator", reason.notFound],
  ["a user makes another administrator", "owner", user("reader"), "x-keyfleet-role-administrator", reason.notFound],
  ["a user joins a group", "owner", user("owner"), "x-keyfleet-group-payments", reason.notFound],
  ["a user suspends another", "owner", user("reader"), "x-keyfleet-suspended", reason.notFound],
  ["an auditor makes himself administrator", "audit", user("audit"), "x-keyfleet-role-administrator", reason.notFound],
  ["an auditor grants himself a key", "audit", "KEY", grantTo("audit"), reason.notFound],
  ["one who may change attributes grants himself more", "editor", "KEY", grantTo("editor"), reason.notFound],
];

for (const [sentence, who, where, name, expected] of selfHelp) {
  test(`refused: ${sentence}`, async () => {
    await add("admin", user("audit"), "x-keyfleet-role-auditor", "yes").catch(() => undefined);
    await add("owner", key, grantTo("editor"), "AddAttribute ModifyAttribute DeleteAttribute");
    const text = name.includes("grant") ? "Get" : "yes";
    await refused(add(who, where === "KEY" ? key : where, name, text), expected);
  });
}

test("an administrator of a group cannot grant to that group", async () => {
  await add("admin2", user("admin"), "x-keyfleet-group-security", "yes");
  await refused(add("admin", key, "x-keyfleet-grant-group:security", "Get"), reason.denied, /another administrator/);
  await refused(add("admin", "keyfleet:group:security", "x-keyfleet-role-auditor", "yes"), reason.denied);
  await add("admin2", key, "x-keyfleet-grant-group:security", "Get");
  await (await as("admin")).get(key);
  await remove("admin", user("admin"), "x-keyfleet-group-security");
  await refused((await as("admin")).get(key), reason.denied);
});

test("administration is a grant like others: given by one, used, withdrawn", async () => {
  await add("admin", user("deputy"), "x-keyfleet-role-administrator", "yes");
  await add("deputy", user("someone"), "x-keyfleet-group-payments", "yes");
  await remove("admin", user("deputy"), "x-keyfleet-role-administrator");
  await refused(add("deputy", user("someone"), "x-keyfleet-group-other", "yes"), reason.notFound);
});

test("an auditor sees all facts and all records, and never a key, not even one that was granted", async () => {
  await add("admin", user("audit"), "x-keyfleet-role-auditor", "yes").catch(() => undefined);
  await add("owner", key, grantTo("audit"), "Get Encrypt Destroy");
  const audit = await as("audit");
  assert.ok((await audit.locate()).includes(key));
  const seen = await audit.attributes(key);
  assert.equal(seen.State, 1);
  assert.ok(grantTo("audit") in seen);
  await refused(audit.get(key), reason.denied);
  await refused(audit.destroy(key), reason.denied);
  await refused(audit.call(0x1f, id(key), gcm, item.bytes(tag.Data, Buffer.alloc(16))), reason.denied);
  assert.ok((await audit.locate({ "x-keyfleet-kind": { type: 7, value: "user" } })).includes(user("audit")));
  assert.deepEqual(await (await as("owner")).locate({ "x-keyfleet-kind": { type: 7, value: "user" } }), []);
});

test("users are listed in pages, as objects are", async () => {
  for (const name of ["page 1", "page 2", "page 3"]) await add("admin", user(name), "x-keyfleet-group-pages", "yes");
  const asked = attributeItem("x-keyfleet-kind", { type: 7, value: "user" });
  const admin = await as("admin");
  const page = async (...fields: Item[]) => {
    const answer = await admin.call(operation.locate, ...fields, asked);
    return childrenOf(answer, tag.UniqueIdentifier).map(({ value }) => String(value));
  };
  const all = await page();
  const [from, most] = [item.integer(tag.OffsetItems, 1), item.integer(tag.MaximumItems, 2)];
  assert.deepEqual(await page(most, from), all.slice(1, 3));
});

test("what is guessable is no auditor's: the digest of a short secret is told to its owner only", async () => {
  await add("admin", user("audit"), "x-keyfleet-role-auditor", "yes").catch(() => undefined);
  const secret = item.structure(
    tag.SecretData,
    item.enumeration(tag.SecretDataType, 1),
    item.structure(
      tag.KeyBlock,
      item.enumeration(tag.KeyFormatType, 2),
      item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, Buffer.from("1234"))),
    ),
  );
  const owner = await as("owner");
  const made = await owner.call(
    operation.register,
    item.enumeration(tag.ObjectType, 7),
    item.structure(tag.TemplateAttribute),
    secret,
  );
  const pin = String(findItem(made, tag.UniqueIdentifier)?.value);
  assert.ok("Digest" in (await owner.attributes(pin)));
  assert.equal("Digest" in (await (await as("audit")).attributes(pin)), false);
  assert.deepEqual(await (await as("audit")).attributes(pin, "Digest"), {});
});

test("a suspended user does nothing, with its own objects either; first administrators are not suspended", async () => {
  const temp = await as("temp");
  const own = await temp.create();
  await add("admin", user("temp"), "x-keyfleet-suspended", "yes");
  for (const attempt of [temp.get(own), temp.get(absent), temp.create(), temp.locate()]) {
    await refused(attempt, reason.denied, /suspended/);
  }
  await remove("admin", user("temp"), "x-keyfleet-suspended");
  await temp.get(own);
  await add("admin", user("admin2"), "x-keyfleet-suspended", "yes");
  await (await as("admin2")).locate();
});

test("a first administrator who is named with its authority is one, and nobody else of that name", async () => {
  const named = "CN=chief,issuer(CN=clients,O=bank)";
  const other = await kmipSite({ firstAdministrators: () => [named] });
  const stranger = await kmipSite({ firstAdministrators: () => [named.replace("clients", "others")] });
  const makesRole = async (where: KmipSite) => {
    const chief = await where.connect("CN=chief");
    const yes = attributeItem("x-keyfleet-role-auditor", { type: 7, value: "yes" });
    await chief.call(operation.addAttribute, id(user("audit")), yes);
  };
  try {
    await makesRole(other);
    await refused(makesRole(stranger), reason.notFound);
  } finally {
    await Promise.all([other.close(), stranger.close()]);
  }
});

test("records cannot be taken for objects", async () => {
  const { recordId } = await import("../access/entitlement.ts");
  await add("admin", user("reader"), "x-keyfleet-group-payments", "yes");
  const record = recordId("user", identityOf("reader"));
  for (const who of ["owner", "reader"]) await refused((await as(who)).get(record), reason.notFound);
  await refused((await as("admin")).get(record), reason.denied);
  await refused((await as("admin")).destroy(user("reader")), reason.notFound);
  await refused((await as("owner")).attributes(user("reader")), reason.notFound);
  const own = await (await as("reader")).attributes(user("reader"));
  assert.deepEqual(own["x-keyfleet-group-payments"], { type: 7, value: "yes" });
});

test("the rights on an object take a bounded room, whatever the names are; what takes them away always finds it", async () => {
  const owner = await as("owner");
  const object = await owner.create();
  const names = Array.from({ length: 60 }, (_, at) => grantTo(`${"n".repeat(800)}${at}`));
  const all = "Get Encrypt Decrypt Sign MAC Locate GetAttributes Check";
  let granted = 0;
  for (; granted < names.length; granted++) {
    const done = await add("owner", object, names[granted] as string, all).then(
      () => true,
      (error: Error) => assert.match(error.message, /Rights were changed here too often/),
    );
    if (done !== true) break;
  }
  assert.ok(granted > 20 && granted < 50, `${granted} were granted`);
  await owner.call(operation.deleteAttribute, id(object), item.text(tag.AttributeName, names[0] as string));
});

const nonsense: readonly (readonly [string, string, string, RegExp])[] = [
  ["a right that is none", grantTo("reader"), "Fly", /Not a right: Fly/],
  ["no right", grantTo("reader"), "", /at least one right/],
  ["an end that is no time", grantTo("reader"), "Get until tomorrow", /a time like/],
  ["a principal that is none", "x-keyfleet-grant-robot:x", "Get", /"user:" and an identity/],
  ["a role on an object", "x-keyfleet-role-administrator", "yes", /belongs to a user/],
];
for (const [sentence, name, text, message] of nonsense) {
  test(`refused: ${sentence}`, () => refused(add("owner", key, name, text), reason.invalidField, message));
}

test("grants cannot come in by Create, nor by other attributes' doors", async () => {
  const owner = await as("owner");
  await refused(owner.create({ [grantTo("reader")]: { type: 7, value: "Get" } }), reason.invalidField);
  await refused(owner.create({ ".grant Get user:x 1": "Get" }), reason.invalidField);
});

test("every right is an operation that is served, or one of the two of wrapping keys; only what makes objects, or takes none, has none", async () => {
  const { rights, rightOf } = await import("../access/rights.ts");
  const { router } = await import("../kmip/router.ts");
  const served = [...router.values()].map(({ name }) => rightOf(name));
  const extra = new Set(["WrapKey", "UnwrapKey"]);
  assert.deepEqual(
    [...rights.keys()].filter((right) => !served.includes(right) && !extra.has(right)),
    [],
  );
  const making = "Create CreateKeyPair Register Import Query DiscoverVersions RNGRetrieve RNGSeed Hash Login Logout";
  const others = "Rekey RekeyKeyPair Recertify DelegatedLogin Cancel Poll Log SetEndpointRole PKCS#11 Interop Ping";
  const fleet = "SetDefaults SetConstraints GetConstraints QueryAsynchronousRequests Process";
  const without = new Set(`${making} ${others} ${fleet}`.split(" "));
  assert.deepEqual(
    served.filter((right) => !rights.has(right) && !without.has(right)),
    [],
  );
});
