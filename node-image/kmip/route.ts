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
  /** Whether it names an object for later items of the batch, or leaves none named; all others change nothing of that (4). */
  readonly setsPlaceholder?: boolean;
  readonly run: (request: Item, context: Context, reading: Reading) => Promise<Answer>;
}

/** A response, written for the client's version only after the operation is done. */
export interface Answer {
  readonly write: (version: number) => Item;
  /** The object that it is about, if one: what later items of the batch mean that name none, if the operation sets that. */
  readonly placeholder: string | undefined;
  /** All identifiers that the response names, in order. */
  readonly identifiers: readonly string[];
  /** Secret bytes to zero once the answer is on the wire. */
  readonly secrets: readonly Buffer[];
  /** Takes the place of the whole answer item: a poll is answered as the operation that was polled. */
  readonly instead?: { readonly response: ResponseItem; readonly outcome: string };
  /** Judges anew whether the answer may be given, when that is done later. Rejects with Refusal. */
  readonly judge?: (context: Context) => Promise<void>;
  /** Takes the answer back, where it could not be given and must not be lost; without it its secrets are zeroed. */
  readonly giveBack?: () => void;
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
  readonly setsPlaceholder?: true;
  /** Refuses a response that was made earlier and must not be given now, beyond what concerns all that name its objects. */
  readonly judge?: (response: Response, request: Request, context: Context) => Promise<void>;
  /** The object that the answer is about; the one that it names unless said. */
  readonly placeholder?: (response: Response, request: Request) => string | undefined;
}

/** Makes the route of one operation. */
export function route<Request, Response extends object>(row: RouteRow<Request, Response>): Route {
  const { operation, name, since, request, response, judge } = row;
  const secrets = row.secrets ?? secretsOf;
  return {
    operation,
    name,
    since,
    slow: row.slow ?? false,
    setsPlaceholder: row.setsPlaceholder ?? false,
    run: async (item, context, reading) => {
      const asked = request.read(item, reading);
      const done = await row.run(asked, context);
      const identifiers = identifiersOf(done);
      return {
        write: (version) => response.write(tag.ResponsePayload, done, version),
        placeholder: row.placeholder === undefined ? theOnly(identifiers) : row.placeholder(done, asked),
        identifiers,
        secrets: secrets(done),
        ...(judge === undefined ? {} : { judge: (later) => judge(done, asked, later) }),
      };
    },
  };
}

function theOnly(identifiers: readonly string[]): string | undefined {
  return identifiers.length === 1 ? identifiers[0] : undefined;
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
