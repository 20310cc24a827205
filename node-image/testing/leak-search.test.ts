import assert from "node:assert/strict";
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
