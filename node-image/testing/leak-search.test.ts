import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { block, registerKey } from "./cryptography-requests.ts";
import { item } from "./items.ts";
import { kmipSite } from "./kmip-site.ts";
import { leaksIn, noteMessage, noteSecret, Output, refuseLeaks } from "./leak-search.ts";

/** The search at the end of every test that starts nodes: it finds what it is for, and tells names alone. */
const bytes = Buffer.from("3c8f02e97ab1d45566778899aabbccdd", "hex");
const secrets = new Map([[bytes.toString("hex"), "the key"]]);
const after = (count: number, encoding: "base64" | "base64url") =>
  Buffer.concat([Buffer.alloc(count, 7), bytes, Buffer.alloc(1, 9)]).toString(encoding);

const writings: readonly (readonly [string, string])[] = [
  ["hexadecimal", bytes.toString("hex")],
  ["hexadecimal in capitals", bytes.toString("hex").toUpperCase()],
  ...[0, 1, 2, 3].flatMap((count): (readonly [string, string])[] => [
    [`base64 after ${count} bytes`, after(count, "base64")],
    [`base64url after ${count} bytes`, after(count, "base64url")],
  ]),
  ["bytes", bytes.toString("latin1")],
  ["bytes as a reader of UTF-8 shows them", bytes.toString("utf8")],
  ["a JSON text of its bytes", JSON.stringify(bytes.toString("latin1"))],
  ["a JSON list of its bytes", JSON.stringify(bytes)],
];
for (const [what, writing] of writings) {
  test(`a key written as ${what} is found, and not where a character is another`, () => {
    assert.deepEqual(leaksIn([["the log", `before ${writing} after`]], secrets), ["the key in the log"]);
    const at = writing.indexOf(writing.slice(Math.floor(writing.length / 2)));
    assert.deepEqual(leaksIn([["the log", `${writing.slice(0, at)}~${writing.slice(at + 1)}`]], secrets), []);
  });
}

type Plant = readonly [what: string, line: (key: Buffer) => string];
const plants: readonly Plant[] = [
  ["hexadecimal", (key) => `opened ${key.toString("hex")}`],
  ["base64 inside something longer", (key) => Buffer.concat([Buffer.from("x"), key]).toString("base64")],
];
for (const [what, line] of plants) {
  test(`a site whose server logs a key that a client got as ${what} does not close, and names the object`, async () => {
    const site = await kmipSite();
    const client = await site.connect("O=bank, CN=app");
    const id = await client.create();
    const key = await client.get(id);
    (site.log as Record<string, unknown>[]).push({ event: "planted", line: line(key) });
    await assert.rejects(site.close(), ({ message }: Error) => {
      assert.match(message, new RegExp(`the object ${id} in the log`));
      assert.ok(!message.includes(key.toString("hex")) && !message.includes(key.toString("base64")));
      return true;
    });
  });
}

test("a key that a client registers and never fetches is searched for too", async () => {
  const site = await kmipSite();
  const key = Buffer.from("00112233445566778899aabbccddeeff", "hex");
  await registerKey(await site.connect("O=bank, CN=app"), 2, block(1, key, 3, 128), {});
  (site.log as Record<string, unknown>[]).push({ event: "planted", line: key.toString("hex") });
  await assert.rejects(site.close(), /a request of operation 3 in the log/);
});

test("a key in what an answer says is found, and one that a node wrote before anybody knew it", () => {
  const output = new Output("the output of dc1-a");
  output.add(`PIN ${bytes.toString("hex")}`);
  noteSecret("the PIN of dc1-a", bytes);
  assert.throws(() => refuseLeaks([], output.leaks()), /the PIN of dc1-a in the output of dc1-a/);
  const refused = item.structure(tag.BatchItem, item.text(tag.ResultMessage, `bad key ${bytes.toString("hex")}`));
  noteMessage(item.structure(tag.ResponseMessage, refused));
  assert.throws(() => refuseLeaks([]), /the PIN of dc1-a in answers to clients/);
});

test("of more output than is kept, what gives way is searched before", () => {
  const output = new Output("the output of dc1-b");
  const late = Buffer.from("f0e1d2c3b4a5968778695a4b3c2d1e0f", "hex");
  noteSecret("a key", late);
  output.add(late.toString("hex"));
  for (let count = 0; count < 40; count += 1) output.add("x".repeat(1_000_000));
  assert.deepEqual(output.leaks(), ["a key in the output of dc1-b"]);
});

/** Searches by itself, for all that keys protect besides. */
const ownSearch = "kmip/no-leak.test.ts";

test("every test that asks a handler without a network between has its logs searched", () => {
  const folder = join(import.meta.dirname, "..");
  const made = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts") && file !== ownSearch)
    .filter((file) =>
      /kmipHandler\b.*(from |import\()"[^"]*\/handler\.ts"/.test(readFileSync(join(folder, file), "utf8")),
    );
  assert.deepEqual(made, [], "take kmipHandler of testing/kmip-handler.ts");
});

test("the tests of a file fail at its end when a handler that they asked logs a key that went through it", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-leak-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const from = (file: string) => JSON.stringify(join(import.meta.dirname, file));
  const file = join(folder, "planted.test.ts");
  const key = "00112233445566778899aabbccddeeff";
  writeFileSync(
    file,
    `import { test } from "node:test";
    import { tag } from ${from("../kmip/tags.ts")};
    import { encode } from ${from("../ttlv/encode.ts")};
    import { block } from ${from("cryptography-requests.ts")};
    import { item, payload, template } from ${from("items.ts")};
    import { testKeyring } from ${from("keyring.ts")};
    import { requestMessage } from ${from("kmip-client.ts")};
    import { kmipHandler } from ${from("kmip-handler.ts")};
    import { memoryStore } from ${from("memory-store.ts")};
    const write = () => Promise.reject(new Error(process.env.PLANT));
    const parts = { store: { ...memoryStore(), write }, keyring: testKeyring(), log: () => undefined };
    const key = block(1, Buffer.from("${key}", "hex"), 3, 128);
    const asked = [item.enumeration(tag.ObjectType, 2), template({}), item.structure(tag.SymmetricKey, key)];
    const message = encode(requestMessage([{ operation: 3, payload: payload(...asked) }], { version: 14 }));
    test("asks", () => kmipHandler(parts)(message, { identity: "CN=a", subject: "CN=a" }));`,
  );
  const run = (plant: string) => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const options = { env: { ...env, PLANT: plant }, encoding: "utf8", timeout: 60_000 } as const;
    const { status, stdout } = spawnSync(process.execPath, ["--test", file], options);
    return { status, stdout };
  };
  assert.equal(run("the disk is full").status, 0);
  const { status, stdout } = run(`cannot write ${key}`);
  assert.equal(status, 1);
  assert.match(stdout, /secrets were written: the object of a request of operation 3 in the log/);
});
