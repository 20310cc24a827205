import type { ManagedObject } from "../objects/types.ts";
import { heldStatements, isSuspended, type Rows } from "./entitlement.ts";
import type { Caller } from "./identity.ts";
import { administratorRights, auditorRights } from "./rights.ts";

/** Owner of the records of users and groups; no certificate can make it, since every caller's identity names an issuer. */
export const recordOwner = "keyfleet:access";

/** Who the caller is in the fleet. */
export interface Standing {
  /** "user:" and "group:" and their names: whom grants name. */
  readonly principals: readonly string[];
  readonly administrator: boolean;
  readonly auditor: boolean;
  readonly suspended: boolean;
}

/** What the standing follows from. */
export interface StandingSources {
  readonly caller: Caller;
  readonly user: Rows;
  /** Rows of the groups that the user is in. */
  readonly groups: readonly Rows[];
  /** Subjects, or identities where several authorities could certify one subject, that the fleet's document names as administrators. */
  readonly firstAdministrators: readonly string[];
  /** Seconds since 1970. */
  readonly now: number;
}

/** Names of the groups that the user's record says. */
export function groupsOf(user: Rows, now: number): string[] {
  return [...heldStatements(user, now).keys()].flatMap((each) => (each.startsWith("group ") ? [each.slice(6)] : []));
}

/** The caller's standing, from its record and those of its groups. */
export function standingOf({ caller, user, groups, firstAdministrators, now }: StandingSources): Standing {
  const held = new Set([user, ...groups].flatMap((rows) => [...heldStatements(rows, now).keys()]));
  const first = firstAdministrators.includes(caller.subject) || firstAdministrators.includes(caller.identity);
  return {
    principals: [`user:${caller.identity}`, ...groupsOf(user, now).map((name) => `group:${name}`)],
    administrator: first || held.has("role administrator"),
    auditor: held.has("role auditor"),
    // Whom the fleet's document names is taken out there: nobody can lock the last door from inside.
    suspended: !first && isSuspended(user),
  };
}

/** What the caller may do with an object: `hidden` must look as if there were none. */
export type Verdict = "allowed" | "denied" | "hidden";

/** What is judged. */
export interface Question {
  readonly standing: Standing;
  readonly caller: Caller;
  readonly object: Pick<ManagedObject, "owner" | "attributes">;
  /** Rows of the owner's record: grants on all that the owner has. */
  readonly ownerRecord: Rows;
  readonly right: string;
  readonly now: number;
}

/** Decides. The order is the law: suspension, ownership, roles and grants; whoever has no right at all sees nothing. */
export function judge({ standing, caller, object, ownerRecord, right, now }: Question): Verdict {
  if (standing.suspended) return "hidden";
  if (object.owner === caller.identity) return "allowed";
  if (object.owner === recordOwner) return standing.administrator || standing.auditor ? "denied" : "hidden";
  const roleRights = rightsOfRole(standing);
  if (roleRights.has(right)) return "allowed";
  const given = grantedRights([object.attributes, ownerRecord], standing.principals, now);
  // An auditor looks at everything and therefore never gets anything else of what is not the auditor's own.
  if (given.has(right) && !standing.auditor) return "allowed";
  return given.size > 0 || roleRights.size > 0 ? "denied" : "hidden";
}

function rightsOfRole({ administrator, auditor }: Standing): ReadonlySet<string> {
  if (administrator) return administratorRights;
  return auditor ? auditorRights : none;
}

const none: ReadonlySet<string> = new Set();

/** Rights that any of the principals was granted in any of the row sets. */
export function grantedRights(
  rowSets: readonly Rows[],
  principals: readonly string[],
  now: number,
): ReadonlySet<string> {
  const found = new Set<string>();
  for (const rows of rowSets) {
    for (const statement of heldStatements(rows, now).keys()) {
      const space = statement.indexOf(" ");
      if (principals.includes(statement.slice(space + 1))) found.add(statement.slice(0, space));
    }
  }
  return found;
}
