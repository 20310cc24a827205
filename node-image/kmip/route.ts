import type { Context } from "../operations/context.ts";
import type { Item } from "../ttlv/types.ts";
import type { ResponseItem } from "./messages.ts";
import type { Reading, Shape } from "./shape.ts";
import { tag } from "./tags.ts";

/** One operation: how its payloads are read and written, and what does it. */
export interface Route {
  /** KMIP Operation (9.1.3.2.27). */
  readonly operation: number;
  readonly name: string;
  readonly since: number;
  /** Whether it may take so long that a client may ask for its result later. */
  readonly slow: boolean;
  readonly run: (request: Item, context: Context, reading: Reading) => Promise<Answer>;
}

/** A response, written for the client's version only after the operation is done. */
export interface Answer {
  readonly write: (version: number) => Item;
  /** The identifier that later items of the batch mean when they name none. */
  readonly placeholder: string | undefined;
  /** All identifiers that the response names, in order. */
  readonly identifiers: readonly string[];
  /** Secret bytes to zero once the answer is on the wire. */
  readonly secrets: readonly Buffer[];
  /** Takes the place of the whole answer item: a poll is answered as the operation that was polled. */
  readonly instead?: ResponseItem;
}

/** A row of a route group. */
export interface RouteRow<Request, Response extends object> {
  readonly operation: number;
  readonly name: string;
  /** Protocol version that brought the operation. */
  readonly since: number;
  /** Whether it may take so long that a client may ask for its result later. */
  readonly slow?: boolean;
  readonly request: Pick<Shape<Request>, "read">;
  readonly run: (request: Request, context: Context) => Promise<Response>;
  readonly response: Pick<Shape<Response>, "write">;
  /** What the response holds that must be zeroed; `material.bytes` and `materials` are known without it. */
  readonly secrets?: (response: Response) => readonly Buffer[];
  /** The identifier for later items of the batch; `uniqueIdentifier` unless said. */
  readonly placeholder?: (response: Response, identifiers: readonly string[]) => string | undefined;
}

/** Makes the route of one operation. */
export function route<Request, Response extends object>(row: RouteRow<Request, Response>): Route {
  const { operation, name, since, request, response } = row;
  const secrets = row.secrets ?? secretsOf;
  const placeholder = row.placeholder ?? identifierOf;
  return {
    operation,
    name,
    since,
    slow: row.slow ?? false,
    run: async (item, context, reading) => {
      const done = await row.run(request.read(item, reading), context);
      const identifiers = identifiersOf(done);
      return {
        write: (version) => response.write(tag.ResponsePayload, done, version),
        placeholder: placeholder(done, identifiers),
        identifiers,
        secrets: secrets(done),
      };
    },
  };
}

/** Locate gives the placeholder only when it found exactly one (4.9); of a key pair it is the private key (4.2). */
function identifierOf(response: object, found: readonly string[]): string | undefined {
  return found.length === 1 || "privateKeyUniqueIdentifier" in response ? found[0] : undefined;
}

function identifiersOf(response: object): readonly string[] {
  const { uniqueIdentifiers, uniqueIdentifier, privateKeyUniqueIdentifier, publicKeyUniqueIdentifier } =
    response as Readonly<Record<string, unknown>>;
  const named = [uniqueIdentifier, privateKeyUniqueIdentifier, publicKeyUniqueIdentifier];
  return [...named, ...((uniqueIdentifiers as unknown[] | undefined) ?? [])].filter((id) => typeof id === "string");
}

function secretsOf(response: object): readonly Buffer[] {
  return "material" in response ? [(response.material as { bytes: Buffer }).bytes] : [];
}
