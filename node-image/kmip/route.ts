import type { Context } from "../operations/context.ts";
import type { Item } from "../ttlv/types.ts";
import type { Reading, Shape } from "./shape.ts";
import { tag } from "./tags.ts";

/** One operation: how its payloads are read and written, and what does it. */
export interface Route {
  /** KMIP Operation (9.1.3.2.27). */
  readonly operation: number;
  readonly name: string;
  readonly since: number;
  readonly run: (request: Item, context: Context, reading: Reading) => Promise<Answer>;
}

/** A response, written for the client's version only after the operation is done. */
export interface Answer {
  readonly write: (version: number) => Item;
  /** The identifier that later items of the batch mean when they name none. */
  readonly placeholder: string | undefined;
  /** Secret bytes to zero once the answer is on the wire. */
  readonly secrets: readonly Buffer[];
}

/** A row of a route group. */
export interface RouteRow<Request, Response extends object> {
  readonly operation: number;
  readonly name: string;
  /** Protocol version that brought the operation. */
  readonly since: number;
  readonly request: Pick<Shape<Request>, "read">;
  readonly run: (request: Request, context: Context) => Promise<Response>;
  readonly response: Pick<Shape<Response>, "write">;
  /** What the response holds that must be zeroed; `material.bytes` and `materials` are known without it. */
  readonly secrets?: (response: Response) => readonly Buffer[];
  /** The identifier for later items of the batch; `uniqueIdentifier` unless said. */
  readonly placeholder?: (response: Response) => string | undefined;
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
    run: async (item, context, reading) => {
      const done = await row.run(request.read(item, reading), context);
      return {
        write: (version) => response.write(tag.ResponsePayload, done, version),
        placeholder: placeholder(done),
        secrets: secrets(done),
      };
    },
  };
}

/** Locate gives the placeholder only when it found exactly one (4.9). */
function identifierOf(response: object): string | undefined {
  if ("uniqueIdentifier" in response) return response.uniqueIdentifier as string;
  const found = "uniqueIdentifiers" in response ? (response.uniqueIdentifiers as readonly string[]) : [];
  return found.length === 1 ? found[0] : undefined;
}

function secretsOf(response: object): readonly Buffer[] {
  return "material" in response ? [(response.material as { bytes: Buffer }).bytes] : [];
}
