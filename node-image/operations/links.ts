import { lastChange } from "../objects/attributes.ts";
import { linkType } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json, ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";
import type { AlsoChanged } from "./new-object.ts";

/** Value of the Link attribute (KMIP 1.4, 3.35). */
export interface Link {
  readonly linkType: number;
  readonly linkedObjectIdentifier: string;
}

/** Links that an object may have: with more, an object from which much is derived would grow without end. */
const linksMax = 100;

/** The change that gives an object one more link, beyond the limit in place of the oldest of its type. Throws Refusal. */
export function linked(object: ManagedObject, link: Link, context: Context): AlsoChanged {
  return relinked(object, links(object), link, context);
}

/** The change that puts a link in place of all others of its type. */
export function linkedInstead(object: ManagedObject, link: Link, context: Context): AlsoChanged {
  return relinked(
    object,
    links(object).filter(({ linkType }) => linkType !== link.linkType),
    link,
    context,
  );
}

/** The change of an object that has a successor: a link to it, and its names go there (KMIP 1.4, Table 173). */
export function replacing(old: ManagedObject, successor: string, context: Context): AlsoChanged {
  const change = linked(old, { linkType: linkType.replacement, linkedObjectIdentifier: successor }, context);
  const names = (old.attributes.get("Name") ?? []).filter((name) => name !== null);
  if (names.length === 0) return change;
  return { ...change, attributes: { ...change.attributes, Name: null }, givesAway: names };
}

function relinked(object: ManagedObject, before: readonly Link[], link: Link, context: Context): AlsoChanged {
  let kept = [...before];
  if (kept.length >= linksMax) {
    const oldest = kept.findIndex(({ linkType }) => linkType === link.linkType);
    if (oldest < 0) {
      const text = `The object has ${linksMax} links: delete some first`;
      throw new Refusal("IllegalOperation", text, "ServerLimitExceeded");
    }
    kept = kept.toSpliced(oldest, 1);
  }
  const attributes = { Link: [...kept, link] as unknown as Json[], ...lastChange(context.now()) };
  return { kind: "change", id: object.id, facts: 0, attributes };
}

/** The object's links. */
export function links(object: Pick<ManagedObject, "attributes">): readonly Link[] {
  return (object.attributes.get("Link") ?? []).filter((value) => value !== null) as unknown as Link[];
}

/** The identifier that the object's newest link of a type leads to. */
export function linkedTo(object: Pick<ManagedObject, "attributes">, linkType: number): string | undefined {
  return links(object).findLast((link) => link.linkType === linkType)?.linkedObjectIdentifier;
}

/** Does the work while no other change of these objects is under way in this process; always in one order, so that none wait in a circle. */
export function serially<Result>(
  ids: readonly string[],
  context: Context,
  work: () => Promise<Result>,
): Promise<Result> {
  const [id, ...others] = [...new Set(ids)].sort();
  if (id === undefined) return work();
  return context.serial(id, () => serially(others, context, work), context.caller.identity);
}
