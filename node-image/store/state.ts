import type { Json } from "../objects/types.ts";
import { compareStamps, type Register, type Stamp, type State } from "./law.ts";

/** Version of the text below; what is not known is not read. */
const version = 1;

/**
 * A state as text, the same for equal states: {"v":1,"facts":…,"born":[stamp,owner,objectType,sealedDigest]|null,
 * "stamps":[[hlc,origin]…],"attributes":{name:[stamp,value]…}}, where stamps are sorted and named by their index.
 */
export function encodeState(state: State): string {
  const { born, facts, attributes } = state;
  const stamps = sortedStamps(state);
  const place = placesOf(stamps);
  const head = born === undefined ? null : [place(born.stamp), born.owner, born.objectType, born.sealedDigest];
  const entries = [...attributes]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, { stamp, value }]) => `${JSON.stringify(name)}:[${place(stamp)},${JSON.stringify(value)}]`);
  const list = JSON.stringify(stamps.map(({ hlc, origin }) => [hlc, origin]));
  return `{"v":${version},"facts":${facts},"born":${JSON.stringify(head)},"stamps":${list},"attributes":{${entries.join()}}}`;
}

/** Reads what `encodeState` wrote and a MAC vouches for; undefined when newer software wrote it. */
export function decodeState(text: string): State | undefined {
  const { v, facts, born, stamps, attributes } = JSON.parse(text) as Encoded;
  if (v !== version) return undefined;
  const stampAt = (index: number): Stamp => {
    const [hlc, origin] = stamps[index] as [string, string];
    return { hlc, origin };
  };
  const registers = Object.entries(attributes).map(([name, [index, value]]): [string, Register] => [
    name,
    { stamp: stampAt(index), value },
  ]);
  return { facts, born: born === null ? undefined : bornOf(born, stampAt), attributes: new Map(registers) };
}

interface Encoded {
  readonly v: number;
  readonly facts: number;
  readonly born: readonly [number, string, number, string] | null;
  readonly stamps: readonly (readonly [string, string])[];
  readonly attributes: Readonly<Record<string, readonly [number, readonly Json[] | null]>>;
}

function bornOf(born: NonNullable<Encoded["born"]>, stampAt: (index: number) => Stamp): State["born"] {
  const [index, owner, objectType, sealedDigest] = born;
  return { stamp: stampAt(index), owner, objectType, sealedDigest };
}

function sortedStamps({ born, attributes }: State): Stamp[] {
  const found = new Map<string, Stamp>();
  let last: Stamp | undefined;
  const add = (stamp: Stamp) => {
    // Most attributes come from one operation and share its stamp.
    if (stamp !== last) found.set(keyOf(stamp), stamp);
    last = stamp;
  };
  for (const { stamp } of attributes.values()) add(stamp);
  if (born !== undefined) add(born.stamp);
  return [...found.values()].sort(compareStamps);
}

/** The index of a stamp among those that there are. */
function placesOf(stamps: readonly Stamp[]): (stamp: Stamp) => number {
  if (stamps.length === 1) return () => 0;
  const places = new Map(stamps.map((stamp, index) => [keyOf(stamp), index]));
  return (stamp) => places.get(keyOf(stamp)) as number;
}

function keyOf(stamp: Stamp): string {
  return stamp.hlc + stamp.origin;
}
