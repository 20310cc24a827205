import { randomBytes } from "node:crypto";
import { tag } from "../../node-image/kmip/tags.ts";
import { bytesOf, createPair } from "../../node-image/testing/cryptography-requests.ts";
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

/** Objects that the requests go round, and those of operations that cost more to prepare. */
const objectsCount = 200;
const cipherKeysCount = 16;
const dataBytes = 1024;
const ivBytes = 16;

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
  {
    name: "Encrypt 1 KiB",
    mode: "requests",
    prepare: async (client) =>
      (await cipherKeys(client)).map((id) => message.encrypt(id, randomBytes(dataBytes), randomBytes(ivBytes))),
  },
  {
    name: "Decrypt 1 KiB",
    mode: "requests",
    prepare: async (client) => Promise.all((await cipherKeys(client)).map((id) => decryption(client, id))),
  },
  {
    name: "Sign P-256",
    mode: "requests",
    prepare: async (client) => {
      const p256 = { "Cryptographic Algorithm": 6, "Cryptographic Length": 256 };
      const { privateKey } = await createPair(client, p256, [usage.sign, usage.verify]);
      return [message.sign(privateKey, randomBytes(dataBytes))];
    },
  },
  { name: "Create durable", mode: "requests", prepare: async () => [message.create(`bench-${numberMark}`)] },
  { name: "handshake and Query", mode: "handshakes", prepare: async () => [message.query()] },
];

const usage = { sign: 1, verify: 2 } as const;
const nameOf = (number: number) => `bench-key-${number}`;
const names = () => Array.from({ length: objectsCount }, (_, number) => nameOf(number));
const made = new WeakMap<KmipClient, Promise<readonly string[]>>();

/** The same named keys for every operation on a server. */
function keys(client: KmipClient): Promise<readonly string[]> {
  const found = made.get(client) ?? createEach(client, names().map(message.create));
  made.set(client, found);
  return found;
}

/** The first Get of a key is a write as well: its attribute Fresh turns false. */
async function readOnce(client: KmipClient): Promise<readonly string[]> {
  const ids = await keys(client);
  for (const id of ids) await client.exchange(message.get(id));
  return ids;
}

/** Active keys for Encrypt and Decrypt. */
async function cipherKeys(client: KmipClient): Promise<readonly string[]> {
  const numbers = Array.from({ length: cipherKeysCount }, (_, number) => number);
  const ids = await createEach(
    client,
    numbers.map(() => message.create(`bench-cipher-${nextCipher++}`)),
  );
  for (const id of ids) await client.exchange(message.activate(id));
  return ids;
}

let nextCipher = 0;

async function decryption(client: KmipClient, id: string): Promise<Buffer> {
  const iv = randomBytes(ivBytes);
  const answer = await client.exchange(message.encrypt(id, randomBytes(dataBytes), iv));
  return message.decrypt(id, bytesOf(answer, tag.Data), iv);
}

async function createEach(client: KmipClient, requests: readonly Buffer[]): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const request of requests) {
    const answer = await client.exchange(request);
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
  const decoded = decode(answer);
  if (findItem(decoded, tag.ResultStatus)?.value !== 0)
    throw new Error(`${operation.name} is refused: ${findItem(decoded, tag.ResultMessage)?.value}`);
  const load = { mode: operation.mode, requests: requests.map((request) => request.toString("hex")) };
  return { load: at < 0 ? load : { ...load, numberAt: at }, answer };
}

/** Opens the connection by which a server is prepared. */
export function prepareClient(target: Target): Promise<KmipClient> {
  return connectKmip({ ...target.access, version: 12 });
}
