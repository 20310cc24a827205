import { recordId } from "../access/entitlement.ts";
import { rightOf } from "../access/rights.ts";
import { recordOwner } from "../access/standing.ts";
import { objectType } from "../objects/enumerations.ts";
import { seconds } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Context } from "./context.ts";
import type { DelegatedRight } from "./delegation.ts";
import { callerStanding } from "./find.ts";

/** KMIP Login (2.1, 6.1): seconds that the ticket is to last. */
export interface LoginRequest {
  readonly leaseTime?: number;
  readonly requestCount?: number;
  readonly usageLimits?: unknown;
}

/** KMIP Delegated Login; operations by their KMIP names. */
export interface DelegatedLoginRequest extends LoginRequest {
  readonly rights: readonly DelegatedRight[];
}

/** A ticket as messages carry it. */
export interface TicketResponse {
  readonly ticket: { readonly type: number; readonly value: Buffer };
}

/** How long a ticket lasts, in seconds. */
const leaseSeconds = { unlessSaid: 3_600, most: 86_400 } as const;
const rightsMax = 32;
const objectsMax = 64;
const loginTicket = 1;

/** What a ticket holds, under the fleet's MAC: every node can read it, nobody else can make one, and nothing of it is kept. */
interface TicketBody {
  readonly v: 1;
  readonly id: string;
  readonly identity: string;
  /** Seconds since 1970. */
  readonly until: number;
  /** Present in delegated tickets. */
  readonly rights?: readonly DelegatedRight[];
}

/** A ticket for the caller itself: it is worth nothing in other hands, since the client certificate must be the same. */
export async function login(request: LoginRequest, context: Context): Promise<TicketResponse> {
  await callerStanding(context);
  return issue(request, undefined, context);
}

/** A ticket by which another certified client does some of what the caller may do with its own objects. */
export async function delegatedLogin(request: DelegatedLoginRequest, context: Context): Promise<TicketResponse> {
  await callerStanding(context);
  const { rights } = request;
  const objects = rights.flatMap((right) => right.objects ?? []);
  if (rights.length === 0 || rights.length > rightsMax || objects.length > objectsMax) {
    throw new Refusal("InvalidField", `A ticket has 1 to ${rightsMax} rights, and names at most ${objectsMax} objects`);
  }
  if (rights.some(({ operations }) => operations.length === 0)) {
    throw new Refusal("InvalidField", "Each right must name its operations");
  }
  return issue(
    request,
    rights.map((right) => ({ ...right, operations: right.operations.map(rightOf) })),
    context,
  );
}

/** The ticket is over, on every node that hears of it. Whoever shows a ticket may end it. */
export async function logout(request: { readonly ticket: Buffer }, context: Context): Promise<Record<string, never>> {
  const { id } = await validTicket(request.ticket, context);
  const attributes = { ".kind": ["ticket"] };
  const made = { owner: recordOwner, objectType: objectType.opaqueObject, facts: 0, sealed: Buffer.alloc(0) } as const;
  await context.store.write([{ kind: "create", id: recordId("ticket", id), ...made, attributes }]);
  return {};
}

/** The context in which a request with a ticket is done. Rejects with Refusal when the ticket does not allow it. */
export async function withTicket(value: Buffer, context: Context): Promise<Context> {
  const { identity, rights } = await validTicket(value, context);
  // The bearer must be somebody in good standing, too.
  await callerStanding(context);
  if (rights === undefined) {
    if (identity !== context.caller.identity) throw invalidTicket();
    return context;
  }
  const right = rightOf(context.operation);
  if (right !== "Logout" && !rights.some(({ operations }) => operations.includes(right))) {
    throw new Refusal("PermissionDenied", `The ticket does not allow ${context.operation}`);
  }
  return { ...context, caller: { identity, subject: context.caller.subject }, delegation: { rights } };
}

function issue(request: LoginRequest, rights: readonly DelegatedRight[] | undefined, context: Context): TicketResponse {
  if (context.delegation !== undefined) throw new Refusal("PermissionDenied", "A ticket is not made by a ticket");
  if (request.requestCount !== undefined || request.usageLimits !== undefined) {
    throw new Refusal(
      "FeatureNotSupported",
      "Tickets are limited by Lease Time only: leave Request Count and Usage Limits out",
    );
  }
  const { leaseTime = leaseSeconds.unlessSaid } = request;
  const body: TicketBody = {
    v: 1,
    id: context.newId(),
    identity: context.caller.identity,
    until: seconds(context.now()) + Math.max(1, Math.min(leaseTime, leaseSeconds.most)),
    ...(rights === undefined ? {} : { rights }),
  };
  const text = Buffer.from(JSON.stringify(body));
  const mac = context.keyring.mac(authenticated(text));
  const length = Buffer.from([mac.length]);
  return { ticket: { type: loginTicket, value: Buffer.concat([length, mac, text]) } };
}

async function validTicket(value: Buffer, context: Context): Promise<TicketBody> {
  const body = read(value, context);
  if (body === undefined || body.until <= seconds(context.now())) throw invalidTicket();
  if ((await context.store.object(recordId("ticket", body.id))) !== undefined) throw invalidTicket();
  return body;
}

function read(value: Buffer, { keyring }: Context): TicketBody | undefined {
  const length = value[0] ?? 0;
  const [mac, text] = [value.subarray(1, 1 + length), value.subarray(1 + length)];
  try {
    if (!keyring.verifies(authenticated(text), mac)) return undefined;
  } catch {
    return undefined; // A MAC of a wrong length, or under a key version that is not here.
  }
  const body = JSON.parse(text.toString()) as TicketBody;
  return body.v === 1 ? body : undefined;
}

/** What no other MAC of the fleet is made of. */
function authenticated(text: Buffer): Buffer {
  return Buffer.concat([Buffer.from("KFT1"), text]);
}

/** One answer for tickets that are forged, over, ended or another's. */
function invalidTicket(): Refusal {
  return new Refusal(
    "AuthenticationNotSuccessful",
    "The ticket is not, or no longer, valid for you: log in again",
    "InvalidTicket",
  );
}
