import { connect, type TLSSocket } from "node:tls";
import { attribute } from "../kmip/attributes.ts";
import { tag } from "../kmip/tags.ts";
import type { Json } from "../objects/types.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { frame } from "../ttlv/frame.ts";
import type { Item } from "../ttlv/types.ts";
import type { Identity } from "./certificates.ts";
import { childrenOf, findItem, item, payload, template } from "./items.ts";
import { noteMessage } from "./leak-search.ts";

/** KMIP Operation values (9.1.3.2.27) that tests use. */
export const operation = {
  create: 0x01,
  register: 0x03,
  locate: 0x08,
  get: 0x0a,
  getAttributes: 0x0b,
  getAttributeList: 0x0c,
  addAttribute: 0x0d,
  modifyAttribute: 0x0e,
  deleteAttribute: 0x0f,
  activate: 0x12,
  revoke: 0x13,
  destroy: 0x14,
  query: 0x18,
  discoverVersions: 0x1e,
} as const;

/** Where and as whom to connect. */
export interface ClientParts {
  readonly host?: string;
  readonly port: number;
  /** PEM of the authority that certified the server. */
  readonly authority: string;
  readonly identity: Identity | undefined;
  /** Protocol version as major × 10 + minor; 1.4 unless said. */
  readonly version?: number;
  readonly timeoutMs?: number;
}

/** One request of a batch. */
export interface Request {
  readonly operation: number;
  readonly payload: Item;
}

/** One answer of a batch; `reason` is the KMIP Result Reason. */
export interface Result {
  readonly success: boolean;
  readonly operation: number | undefined;
  readonly reason: number | undefined;
  readonly message: string | undefined;
  readonly payload: Item | undefined;
}

/** The server said no. */
export class KmipFailure extends Error {
  readonly reason: number | undefined;

  constructor(result: Result) {
    super(result.message ?? "failed without a message");
    this.name = "KmipFailure";
    this.reason = result.reason;
  }
}

/** A small KMIP client that keeps one connection. Calls are answered in order; a closed connection rejects them. */
export interface KmipClient {
  readonly socket: TLSSocket;
  /** Sends bytes as they are and gives the next message. */
  exchange(bytes: Buffer): Promise<Item>;
  batch(requests: readonly Request[], header?: readonly Item[]): Promise<readonly Result[]>;
  /** One operation; rejects with KmipFailure. */
  call(operation: number, ...children: (Item | undefined)[]): Promise<Item>;
  /** Makes an AES key; its identifier. */
  create(attributes?: Readonly<Record<string, Json>>): Promise<string>;
  /** The key bytes. */
  get(id: string): Promise<Buffer>;
  /** First instances of the attributes; all when no names are given. */
  attributes(id: string, ...names: string[]): Promise<Readonly<Record<string, Json>>>;
  locate(attributes?: Readonly<Record<string, Json>>): Promise<readonly string[]>;
  activate(id: string): Promise<void>;
  revoke(id: string, reason?: number): Promise<void>;
  destroy(id: string): Promise<void>;
  close(): void;
}

/** Connects; rejects when the server closes during the handshake. */
export async function connectKmip(parts: ClientParts): Promise<KmipClient> {
  const socket = await connectTls(parts);
  const send = exchanger(socket, parts.timeoutMs ?? 10_000);
  const exchange = async (bytes: Buffer) => {
    const answer = await send(bytes);
    noteMessage(answer);
    return answer;
  };
  const batch = async (requests: readonly Request[], header: readonly Item[] = []) =>
    resultsOf(await exchange(encode(requestMessage(requests, { version: parts.version ?? 14, header }))));
  const call = async (number: number, ...children: (Item | undefined)[]) => {
    const [result] = await batch([{ operation: number, payload: payload(...children) }]);
    if (result?.success !== true || result.payload === undefined) throw new KmipFailure(result ?? noResult);
    return result.payload;
  };
  return { socket, exchange, batch, call, ...operations(call), close: () => socket.destroy() };
}

const noResult: Result = {
  success: false,
  operation: undefined,
  reason: undefined,
  message: "no answer",
  payload: undefined,
};

function operations(call: KmipClient["call"]) {
  const identifier = (id: string) => item.text(tag.UniqueIdentifier, id);
  const idOf = (response: Item) => String(findItem(response, tag.UniqueIdentifier)?.value);
  return {
    create: async (attributes: Readonly<Record<string, Json>> = {}) =>
      idOf(
        await call(
          operation.create,
          item.enumeration(tag.ObjectType, 2),
          template({
            "Cryptographic Algorithm": 3,
            "Cryptographic Length": 256,
            "Cryptographic Usage Mask": 12,
            ...attributes,
          }),
        ),
      ),
    get: async (id: string) => findItem(await call(operation.get, identifier(id)), tag.KeyMaterial)?.value as Buffer,
    attributes: async (id: string, ...names: string[]) => {
      const asked = names.map((name) => item.text(tag.AttributeName, name));
      const response = await call(operation.getAttributes, identifier(id), ...asked);
      const found = childrenOf(response, tag.Attribute).map((each) =>
        attribute.read(each, { version: 14, placeholders: { last: undefined } }),
      );
      return Object.fromEntries(found.map(({ name, value }) => [name, value]).toReversed());
    },
    locate: async (attributes: Readonly<Record<string, Json>> = {}) => {
      const response = await call(operation.locate, ...childrenOf(template(attributes), tag.Attribute));
      return childrenOf(response, tag.UniqueIdentifier).map(({ value }) => String(value));
    },
    activate: async (id: string) => void (await call(operation.activate, identifier(id))),
    revoke: async (id: string, reason = 1) =>
      void (await call(
        operation.revoke,
        identifier(id),
        item.structure(tag.RevocationReason, item.enumeration(tag.RevocationReasonCode, reason)),
      )),
    destroy: async (id: string) => void (await call(operation.destroy, identifier(id))),
  };
}

/** A request message of these items; several get identifiers 0, 1, 2, …. `header` holds optional fields, before Batch Count. */
export function requestMessage(
  requests: readonly Request[],
  { version, header = [] }: { readonly version: number; readonly header?: readonly Item[] },
): Item {
  const protocol = item.structure(
    tag.ProtocolVersion,
    item.integer(tag.ProtocolVersionMajor, Math.floor(version / 10)),
    item.integer(tag.ProtocolVersionMinor, version % 10),
  );
  const count = item.integer(tag.BatchCount, requests.length);
  const items = requests.map((request, at) =>
    item.structure(
      tag.BatchItem,
      item.enumeration(tag.Operation, request.operation),
      ...(requests.length > 1 ? [item.bytes(tag.UniqueBatchItemID, Buffer.from([at]))] : []),
      request.payload,
    ),
  );
  const message = item.structure(
    tag.RequestMessage,
    item.structure(tag.RequestHeader, protocol, ...header, count),
    ...items,
  );
  noteMessage(message);
  return message;
}

/** The answers of a response message. */
export function resultsOf(message: Item): readonly Result[] {
  noteMessage(message);
  return childrenOf(message, tag.BatchItem).map((each) => {
    const child = (number: number) => childrenOf(each, number)[0];
    return {
      success: child(tag.ResultStatus)?.value === 0,
      operation: child(tag.Operation)?.value as number | undefined,
      reason: child(tag.ResultReason)?.value as number | undefined,
      message: child(tag.ResultMessage)?.value as string | undefined,
      payload: child(tag.ResponsePayload),
    };
  });
}

function connectTls({ host = "127.0.0.1", port, authority, identity, timeoutMs }: ClientParts): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const own = identity === undefined ? {} : { cert: identity.certificate, key: identity.key };
    const socket = connect({ host, port, ca: authority, ...own }, () => {
      clearTimeout(timer);
      resolve(socket);
    });
    const timer = setTimeout(() => socket.destroy(new Error("no connection in time")), timeoutMs ?? 10_000);
    socket.once("close", () => clearTimeout(timer));
    socket.once("error", reject);
  });
}

function exchanger(socket: TLSSocket, timeoutMs: number): (bytes: Buffer) => Promise<Item> {
  const waiting: { resolve: (item: Item) => void; reject: (error: Error) => void }[] = [];
  let received: Buffer = Buffer.alloc(0);
  const fail = (error: Error) => {
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
    for (let framing = frame(received); framing.kind === "message"; framing = frame(received)) {
      waiting.shift()?.resolve(decode(received.subarray(0, framing.bytes)));
      received = received.subarray(framing.bytes);
    }
  });
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("the server closed the connection")));
  return (bytes) => {
    const { promise, resolve, reject } = Promise.withResolvers<Item>();
    if (socket.destroyed) reject(new Error("the server closed the connection"));
    waiting.push({ resolve, reject });
    const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    socket.write(bytes);
    return promise.finally(() => clearTimeout(timer));
  };
}
