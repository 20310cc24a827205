import { tag } from "../../node-image/kmip/tags.ts";
import { findItem } from "../../node-image/testing/items.ts";
import { connectKmip, type KmipClient } from "../../node-image/testing/kmip-client.ts";
import { decode } from "../../node-image/ttlv/decode.ts";
import { encode } from "../../node-image/ttlv/encode.ts";
import type { Load } from "./load.ts";
import { message, numberMark } from "./messages.ts";
import type { Target } from "./servers.ts";

/** What is measured: the requests, made for a server that was prepared for them. */
export interface Operation {
  readonly name: string;
  readonly mode: Load["mode"];
  prepare(client: KmipClient): Promise<readonly Buffer[]>;
}

/** Objects that the requests go round. */
const objectsCount = 500;

/** In the order of the table. */
export const operations: readonly Operation[] = [
  { name: "Get", mode: "requests", prepare: async (client) => (await readOnce(client)).map(message.get) },
  {
    name: "Locate by name",
    mode: "requests",
    prepare: async (client) => {
      await keys(client);
      return names().map(message.locate);
    },
  },
  { name: "Create durable", mode: "requests", prepare: async () => [message.create(`bench-${numberMark}`)] },
  { name: "handshake and Query", mode: "handshakes", prepare: async () => [message.query()] },
];

const nameOf = (number: number) => `bench-key-${number}`;
const names = () => Array.from({ length: objectsCount }, (_, number) => nameOf(number));
const made = new WeakMap<KmipClient, Promise<readonly string[]>>();

/** The same named keys for every operation on a server. */
function keys(client: KmipClient): Promise<readonly string[]> {
  const found = made.get(client) ?? makeKeys(client);
  made.set(client, found);
  return found;
}

/** The first Get of a key is a write as well: its attribute Fresh turns false. */
async function readOnce(client: KmipClient): Promise<readonly string[]> {
  const ids = await keys(client);
  await Promise.all(ids.map((id) => client.exchange(message.get(id))));
  return ids;
}

async function makeKeys(client: KmipClient): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const name of names()) {
    const answer = await client.exchange(message.create(name));
    ids.push(String(findItem(answer, tag.UniqueIdentifier)?.value));
  }
  return ids;
}

/** A prepared operation on a server: what the generator sends, and the first answer, byte for byte. */
export interface Prepared {
  readonly load: Pick<Load, "mode" | "requests" | "numberAt">;
  readonly answer: Buffer;
}

/** Makes what the operation needs and tries it once. Throws when the server refuses it. */
export async function prepare(operation: Operation, client: KmipClient): Promise<Prepared> {
  const requests = await operation.prepare(client);
  const [first] = requests;
  if (first === undefined) throw new Error(`${operation.name} has no request`);
  const at = first.indexOf(numberMark);
  const answer = encode(await client.exchange(Buffer.from(first)));
  if (findItem(decode(answer), tag.ResultStatus)?.value !== 0) throw new Error(`${operation.name} is refused`);
  const load = { mode: operation.mode, requests: requests.map((request) => request.toString("hex")) };
  return { load: at < 0 ? load : { ...load, numberAt: at }, answer };
}

/** Opens the connection by which a server is prepared. */
export function prepareClient(target: Target): Promise<KmipClient> {
  return connectKmip({ ...target.access, version: 12 });
}
