import { Refusal } from "../objects/refusal.ts";
import type { Context } from "./context.ts";
import { callerStanding } from "./find.ts";

/** KMIP Interop (2.1, 6.1.24): marks begin and end of a conformance test. */
export interface InteropRequest {
  readonly interopFunction: number;
  readonly interopIdentifier?: string;
}

/** KMIP Log (2.1, 6.1.28). */
export interface LogRequest {
  readonly message: string;
}

/** KMIP Set Endpoint Role (2.1, 6.1.57): KMIP Endpoint Role. */
export interface EndpointRole {
  readonly role: number;
}

const interopReset = 3;
const serverRole = 2;
/** Characters of a client's text that go into the log. */
const textMax = 1024;

/** Nothing is kept about a test; a client cannot reset a server that others use. */
export async function interop(request: InteropRequest, context: Context): Promise<object> {
  if (request.interopFunction === interopReset)
    throw new Refusal(
      "PermissionDenied",
      "This server is shared: it cannot be reset. Destroy your own objects instead",
    );
  const identifier = request.interopIdentifier ?? "";
  clientText(context, "interop", { function: request.interopFunction, identifier: identifier.slice(0, textMax) });
  return {};
}

/** Writes a client's words into the node's log, marked as such. */
export async function log(request: LogRequest, context: Context): Promise<object> {
  await callerStanding(context);
  if (request.message.length > textMax)
    throw new Refusal("InvalidField", `A Log Message has at most ${textMax} characters`, "InvalidAttributeValue");
  clientText(context, "client-log", { text: request.message });
  return {};
}

function clientText(context: Context, event: string, fields: Readonly<Record<string, string | number>>): void {
  context.whenTrue(() => context.log({ level: "info", event, caller: context.caller.subject, ...fields }));
}

/** The server is there. */
export async function ping(): Promise<object> {
  return {};
}

/** This end is the server and stays it: it has nothing to ask a client. */
export async function setEndpointRole({ role }: EndpointRole): Promise<EndpointRole> {
  if (role !== serverRole)
    throw new Refusal("FeatureNotSupported", "This end stays the server: it sends no requests of its own");
  return { role };
}
