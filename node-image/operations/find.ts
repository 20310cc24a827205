import { type Rows, recordId } from "../access/entitlement.ts";
import type { Caller } from "../access/identity.ts";
import { rightOf } from "../access/rights.ts";
import { groupsOf, judge, recordOwner, type Standing, standingOf } from "../access/standing.ts";
import { seconds } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { delegates } from "./delegation.ts";

/**
 * The object, if the caller may do the operation with it (or what `right` says, where an operation uses a second object).
 * One path and one message for what is absent and what is another's, so that neither can be told apart.
 */
export async function find(id: string, context: Context, right = rightOf(context.operation)): Promise<ManagedObject> {
  const { caller } = context;
  const userId = userIdOf(caller);
  const known = uuid.test(id) && id !== userId;
  const found = await context.store.objects(known ? [id, userId] : [userId]);
  let user = noRows;
  let object: ManagedObject | undefined;
  for (const each of found) {
    if (each.id === userId) user = each.attributes;
    else if (each.id === id) object = each;
  }
  if (context.delegation !== undefined && (object?.owner !== caller.identity || !delegates(context, right, id))) {
    throw notFound(id);
  }
  if (object?.owner === caller.identity) {
    // Nobody is suspended without a record that says so.
    if (user.size > 0) refuseSuspended(standingOf({ ...sources(context), user, groups: [] }));
    return online(context.served.seen(object), right);
  }
  return online(context.served.seen(await foreign({ id, object, user, right }, context)), right);
}

/** What is archived must be recovered before anything else is done with it (4.22). */
function online(object: ManagedObject, right: string): ManagedObject {
  if (object.attributes.has("Archive Date") && right !== "Recover") {
    throw new Refusal("ObjectArchived", "The object is archived: use Recover first");
  }
  return object;
}

interface Foreign {
  readonly id: string;
  readonly object: ManagedObject | undefined;
  readonly user: Rows;
  readonly right: string;
}

/** What is not the caller's own: absent or another's, the same reads are done for both. */
async function foreign({ id, object, user, right }: Foreign, context: Context): Promise<ManagedObject> {
  const now = seconds(context.now());
  const ownerId = recordId("user", object?.owner ?? "");
  const groupIds = groupsOf(user, now).map((name) => recordId("group", name));
  const records = await context.store.objects([...groupIds, ownerId]);
  const rows = (wanted: string) => records.find((each) => each.id === wanted)?.attributes ?? noRows;
  const standing = standingOf({ ...sources(context), user, groups: groupIds.map(rows) });
  refuseSuspended(standing);
  const question = { standing, caller: context.caller, ownerRecord: rows(ownerId), right, now };
  const verdict = object === undefined ? "hidden" : judge({ ...question, object });
  if (object !== undefined && verdict === "allowed") return object;
  if (verdict === "denied")
    throw new Refusal("PermissionDenied", `You may not do this with the object: ask its owner for the right ${right}`);
  throw notFound(id);
}

/** The object for a change of its grants: its owner's, or any for an administrator; for all others there is none. */
export async function findForGrants(id: string, context: Context): Promise<ManagedObject> {
  const { administrator } = await callerStanding(context);
  const object = uuid.test(id) ? await context.store.object(id) : undefined;
  const own = object?.owner === context.caller.identity;
  if (object === undefined || object.owner === recordOwner || !(own || administrator)) throw notFound(id);
  return object;
}

/** What is said of an object that is absent, or is nobody's business of the caller. */
export function notFound(id: string): Refusal {
  return new Refusal("ItemNotFound", `There is no object with Unique Identifier "${printable(id)}"`);
}

/** The caller's standing in the fleet; refuses who is suspended. */
export async function callerStanding(context: Context): Promise<Standing> {
  const [record] = await context.store.objects([userIdOf(context.caller)]);
  const user = record?.attributes ?? noRows;
  const groupIds = groupsOf(user, seconds(context.now())).map((name) => recordId("group", name));
  const groups = groupIds.length === 0 ? [] : await context.store.objects(groupIds);
  const standing = standingOf({ ...sources(context), user, groups: groups.map(({ attributes }) => attributes) });
  refuseSuspended(standing);
  return context.delegation === undefined
    ? standing
    : { ...standing, principals: [], administrator: false, auditor: false };
}

function sources(context: Context) {
  const { caller, firstAdministrators, delegation } = context;
  // Whoever acts for another has neither's roles.
  if (delegation !== undefined) return { caller, firstAdministrators: [], now: seconds(context.now()) };
  return { caller, firstAdministrators: firstAdministrators(), now: seconds(context.now()) };
}

function refuseSuspended({ suspended }: Standing): void {
  if (suspended) throw new Refusal("PermissionDenied", "Your access is suspended: ask an administrator of the fleet");
}

const userIds = new WeakMap<Caller, string>();

/** The identifier of the caller's own record: a hash, made once a connection. */
function userIdOf(caller: Caller): string {
  const known = userIds.get(caller);
  if (known !== undefined) return known;
  const made = recordId("user", caller.identity);
  userIds.set(caller, made);
  return made;
}

const noRows: Rows = new Map();
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Finds the object and lets one change of it at a time through. */
export function change<Result>(
  id: string,
  context: Context,
  work: (object: ManagedObject) => Promise<Result>,
): Promise<Result> {
  return context.serial(id, async () => work(await find(id, context)), context.caller.identity);
}

/** Client text fit to be repeated in an answer. */
function printable(text: string): string {
  return text.slice(0, 64).replace(/[^\x20-\x7e]/g, "?");
}
