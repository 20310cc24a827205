import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { join as path } from "node:path";
import { test } from "node:test";
import { testKeyring } from "../testing/keyring.ts";
import { type Field, type Merged, mergedFields, type Said } from "../testing/merged-fields.ts";
import { seeded, shuffled } from "../testing/random.ts";
import { effectOf } from "./change.ts";
import { join, nothing, type State } from "./law.ts";
import { Merge } from "./merge.ts";
import { encodeChange, understands } from "./operation.ts";
import { encodeState } from "./state.ts";
import type { Operation } from "./types.ts";

const rounds = 150;
const steps = 24;
const nodes = ["n0", "n1", "n2"] as const;
const origins = ["ff", "5f", "0a"].map((end) => `00000000-0000-4000-8000-0000000000${end}`);
const keyring = testKeyring();
const firstSeed = randomInt(2 ** 31 - rounds);
console.log(`merged fields: seeds ${firstSeed} to ${firstSeed + rounds - 1}`);

/** What a node has heard, and what that came to. */
interface Replica {
  readonly node: string;
  readonly heard: Set<Said>;
  readonly objects: Map<string, State>;
  clock: number;
}

/** Nodes that make changes and hear of each other late and in any order; the log of all. */
function play(field: Field, seed: number): readonly Said[] {
  const random = seeded(seed);
  const log: Said[] = [];
  const replicas = nodes.map((node): Replica => ({ node, heard: new Set(), objects: new Map(), clock: 0 }));
  // Machines' clocks are wrong, so that who wrote first is not who was first.
  const off = nodes.map(() => random(40));
  for (let step = 0; step < steps; step += 1) {
    const at = random(nodes.length);
    const replica = replicas[at] as Replica;
    const { node, objects } = replica;
    const change = field.change({ node, objects, random, nowMs: 1_000 + step + (off[at] as number), tag: `t${step}` });
    if (change !== undefined) {
      replica.clock += 1 + random(2);
      const stamp = { hlc: `${replica.clock}`, origin: origins[at] as string };
      log.push({ stamp, change, heard: new Set(replica.heard) });
      hear(replica, log.at(-1) as Said);
    }
    const said = log[random(log.length)];
    if (said !== undefined) hear(replicas[random(nodes.length)] as Replica, said);
  }
  return log;
}

function hear(replica: Replica, said: Said): void {
  const { object } = operationOf(said);
  const { state } = effectOf(operationOf(said));
  replica.heard.add(said);
  replica.objects.set(object, join(replica.objects.get(object) ?? nothing, state));
  replica.clock = Math.max(replica.clock, Number(said.stamp.hlc));
}

/** As the log has it; `kind` is another one where this software is to know nothing of it. */
function operationOf({ stamp, change }: Said, kind: string = change.kind): Operation {
  const payload = encodeChange(change);
  const { hlc, origin } = stamp;
  return { origin, seq: 1, hlc: BigInt(hlc), kind, object: change.id, payload, mac: Buffer.alloc(0) };
}

/** What the store's own merge makes of operations in this order; what it does not know it keeps, and merges after the upgrade. */
function merged(log: readonly Said[], { newer }: Field): ReadonlyMap<string, Merged> {
  const merge = new Merge(new Map());
  const kept: Said[] = [];
  for (const said of log) {
    const isNew = newer === true && said.change.kind === "change" && Number(said.stamp.hlc) % 2 === 0;
    const operation = operationOf(said, isNew ? "later" : undefined);
    assert.equal(understands(operation), !isNew);
    if (understands(operation)) merge.add(operation);
    else kept.push(said);
  }
  for (const said of kept) merge.add(operationOf(said));
  const rows = merge.changed(keyring);
  return new Map(
    rows.map(({ row, state, material }) => [row.id, { state, material: material === "keep" ? null : material }]),
  );
}

function text(objects: ReadonlyMap<string, Merged>): string {
  const rows = [...objects].map(([id, { state, material }]) => [id, encodeState(state), material?.toString("hex")]);
  return JSON.stringify(rows.sort());
}

/** Each part merged by itself, and the parts in both ways. */
function inParts(log: readonly Said[], random: (below: number) => number): readonly [string, string] {
  const parts: [Said[], Said[], Said[]] = [[], [], []];
  for (const said of log) parts[random(3)]?.push(said);
  const ids = [...new Set(log.map(({ change }) => change.id))];
  const stateIn = (part: readonly Said[], id: string) =>
    part
      .filter(({ change }) => change.id === id)
      .reduce((state, said) => join(state, effectOf(operationOf(said)).state), nothing);
  const of = (id: string) => parts.map((part) => stateIn(part, id)) as [State, State, State];
  const left = ids.map(of).map(([a, b, c]) => encodeState(join(join(a, b), c)));
  const right = ids.map(of).map(([a, b, c]) => encodeState(join(a, join(b, c))));
  return [left.join(), right.join()];
}

/** Changes of which neither maker had heard the other's. */
function meetings(log: readonly Said[]): number {
  const apart = (one: Said, other: Said) => one !== other && !one.heard.has(other) && !other.heard.has(one);
  return log.filter((one) => log.some((other) => apart(one, other))).length;
}

for (const [name, field] of Object.entries(mergedFields)) {
  test(`${name}: in any order, repeated, and in parts it merges to what its law says`, () => {
    let met = 0;
    const outcomes = new Set<string>();
    for (let seed = firstSeed; seed < firstSeed + rounds; seed += 1) {
      const log = play(field, seed);
      const random = seeded(seed + 1);
      const once = merged(log, field);
      const expected = field.law(log);
      met += meetings(log);
      outcomes.add(JSON.stringify(expected));
      for (let again = 0; again < 3; again += 1)
        assert.equal(text(merged(shuffled([...log], random), field)), text(once), `seed ${seed}: commutative`);
      const repeated = shuffled([...log, ...log.slice(0, 9)], random);
      assert.equal(text(merged(repeated, field)), text(once), `seed ${seed}: idempotent`);
      const [left, right] = inParts(log, random);
      assert.equal(left, right, `seed ${seed}: associative`);
      assert.deepEqual(field.read(once), expected, `seed ${seed}: by its law`);
    }
    assert.ok(met > rounds, `${met} changes were made at once with others`);
    assert.ok(outcomes.size > 1, "the seeds come to different ends");
  });
}

test("every field of the table in docs/replication.md has a generator, and no generator is without its field", () => {
  const document = readFileSync(path(import.meta.dirname, "../../docs/replication.md"), "utf8");
  const [, table] = document.split("## Fields and laws");
  const rows = (table as string).split("## ")[0]?.matchAll(/^\| ([^|]+?) \|/gm) ?? [];
  const fields = [...rows].map(([, field]) => field as string).filter((field) => !["field", "---"].includes(field));
  assert.deepEqual(fields, Object.keys(mergedFields));
});
