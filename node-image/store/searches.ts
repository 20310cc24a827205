import { fact, type Json, type ObjectFilter } from "../objects/types.ts";
import { GrantReader } from "./grant-reader.ts";
import { NameReader } from "./name-reader.ts";
import { confirmed, type Descriptions, locateObjects, type Query } from "./read.ts";

/** Searches for objects; the ones that nearly every request makes, by name and by grant, cost little. */
export class Searches {
  readonly grants = new GrantReader();
  readonly #query: Query;
  readonly #descriptions: Descriptions;
  readonly #names: NameReader;

  /** `prepared` is for the one query of names. */
  constructor(parts: {
    readonly query: Query;
    readonly prepared: Query;
    readonly descriptions: Descriptions;
  }) {
    this.#query = parts.query;
    this.#descriptions = parts.descriptions;
    this.#names = new NameReader(parts.prepared);
  }

  /** See `Store.locate`. */
  async locate(filter: ObjectFilter, most?: number): Promise<readonly string[]> {
    const named = namedIn(filter);
    if (named !== undefined) {
      const ids = await this.#names.holders(named.owner, named.name);
      if (ids !== "tooMany") return confirmed(ids, filter, this.#descriptions);
    }
    const search = () => locateObjects(this.#query, filter, this.#descriptions, most);
    const granted = grantedIn(filter);
    return granted === undefined ? search() : this.grants.find(granted, search);
  }
}

/** The name, if the filter is that an owner's object has it and is not destroyed, and nothing else. */
function namedIn(filter: ObjectFilter): { readonly owner: string; readonly name: Json } | undefined {
  const { owner, also, granted, objectType, withoutFacts, attributes = {} } = filter;
  const [[attribute, name] = ["", null], ...others] = Object.entries(attributes);
  const more = also !== undefined && also.owners.length + also.ids.length > 0;
  if (owner === undefined || more || granted !== undefined || objectType !== undefined || others.length > 0)
    return undefined;
  return attribute === "Name" && withoutFacts === fact.destroyed ? { owner, name } : undefined;
}

/** The statements, if the filter is that an object has one of them, and nothing else. */
function grantedIn({
  owner,
  granted,
  objectType,
  withoutFacts,
  attributes,
}: ObjectFilter): readonly string[] | undefined {
  const more = [owner, objectType, withoutFacts, attributes].some((each) => each !== undefined);
  return more ? undefined : granted;
}
