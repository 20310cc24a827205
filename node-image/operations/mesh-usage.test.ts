import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { attributeItem, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { type MeshFleet, type MeshNode, meshFleet, until } from "../testing/mesh.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";

/** Three nodes at three sites that replicate as they do in service: what one is short of comes from another within its wait. */
const keyring = testKeyring();
let fleet: MeshFleet;
let nodes: readonly MeshNode[];
let handlers: readonly ReturnType<typeof kmipHandler>[];

before(async () => {
  fleet = await meshFleet(["dc1", "dc2", "dc3"], keyring);
  nodes = await Promise.all([fleet.start("dc1-a", "dc1"), fleet.start("dc2-a", "dc2"), fleet.start("dc3-a", "dc3")]);
  const members = nodes.map(({ member }) => member);
  const exchanges = await Promise.all(nodes.map((node) => node.join(members)));
  handlers = nodes.map(({ store }) => kmipHandler({ store, keyring, log: () => undefined }));
  await until(
    "all are connected",
    () => exchanges.every((each) => each.status().peers.every(({ connected }) => connected)),
    10_000,
  );
});
after(() => fleet?.stop());

async function call(at: number, who: string, number: number, ...children: Item[]): Promise<Item | string> {
  const caller = { identity: `CN=${who},issuer(CN=ca)`, subject: `CN=${who}` };
  const message = requestMessage([{ operation: number, payload: payload(...children) }], { version: 14 });
  const [result] = resultsOf(decode(await (handlers[at] as ReturnType<typeof kmipHandler>)(encode(message), caller)));
  return result?.success === true && result.payload !== undefined ? result.payload : (result?.message ?? "no answer");
}

const id = (value: string) => item.text(tag.UniqueIdentifier, value);

async function create(at: number, limit: number): Promise<string> {
  const attributes = {
    "Cryptographic Algorithm": 3,
    "Cryptographic Length": 256,
    "Cryptographic Usage Mask": 12,
    "Activation Date": 1,
    "Usage Limits": { usageLimitsTotal: limit, usageLimitsUnit: 2 },
  };
  const made = await call(at, "app", operation.create, item.enumeration(tag.ObjectType, 2), template(attributes));
  return String(findItem(made as Item, tag.UniqueIdentifier)?.value);
}

test("a limit of 60 is used up by three nodes at once, exactly", async () => {
  const key = await create(0, 60);
  const known = async () =>
    (await Promise.all(nodes.map(({ store }) => store.object(key)))).every((each) => each !== undefined);
  await until("all know the key", known);
  const allocate = (at: number) => call(at, "app", 0x11, id(key), item.longInteger(tag.UsageLimitsCount, 1n));
  let used = 0;
  // Each lane of each node goes on until it is told that nothing is left.
  const lane = async (at: number) => {
    for (;;) {
      const answer = await allocate(at);
      if (typeof answer !== "string") used += 1;
      else if (/do not allow this any more/.test(answer)) return;
      else assert.match(answer, /held by other nodes/);
    }
  };
  await Promise.all([0, 1, 2].flatMap((at) => [lane(at), lane(at)]));
  assert.equal(used, 60);
});

test("a grant that is made on one node acts on the others, and so does its end", async () => {
  const key = await create(1, 1);
  const grant = "x-keyfleet-grant-user:CN=reader,issuer(CN=ca)";
  const reads = async (at: number) => typeof (await call(at, "reader", operation.get, id(key))) !== "string";
  await call(1, "app", operation.addAttribute, id(key), attributeItem(grant, { type: 7, value: "Get" }));
  await until("all know the grant", async () => (await reads(0)) && (await reads(1)) && (await reads(2)));
  await call(2, "app", operation.deleteAttribute, id(key), item.text(tag.AttributeName, grant));
  await until("all know that it is withdrawn", async () => !((await reads(0)) || (await reads(1)) || (await reads(2))));
});
