import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ask,
  entryOf,
  firstEntry,
  give,
  retotal,
  rightsOf,
  spend,
  totalOf,
  type UsageEntry,
  type UsageLedger,
  usedOf,
} from "./usage-ledger.ts";

function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Nodes that each see the others' entries late, in steps, and over any path: an entry is replaced by a later one of its writer only. */
class Fleet {
  readonly nodes: readonly string[];
  readonly #versions = new Map<string, UsageEntry[]>();
  /** Reader → writer → how many of the writer's versions it has seen. */
  readonly #seen = new Map<string, Map<string, number>>();

  constructor(count: number, total: number) {
    this.nodes = Array.from({ length: count }, (_, at) => `n${at}`);
    for (const node of this.nodes) this.#versions.set(node, []);
    for (const node of this.nodes) this.#seen.set(node, new Map());
    this.write("n0", firstEntry(total));
  }

  view(node: string): UsageLedger {
    const seen = this.#seen.get(node) as Map<string, number>;
    return new Map(
      [...seen].map(([writer, at]) => [writer, (this.#versions.get(writer) as UsageEntry[])[at - 1] as UsageEntry]),
    );
  }

  write(node: string, entry: UsageEntry | undefined): boolean {
    if (entry === undefined || entry === entryOf(this.view(node), node)) return false;
    const versions = this.#versions.get(node) as UsageEntry[];
    versions.push(entry);
    (this.#seen.get(node) as Map<string, number>).set(node, versions.length);
    return true;
  }

  /** One node learns what another knows of a third (gossip). */
  deliver(from: string, to: string, writer: string): void {
    const known = this.#seen.get(from)?.get(writer) ?? 0;
    const have = this.#seen.get(to)?.get(writer) ?? 0;
    if (known > have) (this.#seen.get(to) as Map<string, number>).set(writer, known);
  }

  heal(): void {
    for (const writer of this.nodes) for (const to of this.nodes) this.deliver(writer, to, writer);
  }
}

const seeds = Array.from({ length: 200 }, (_, at) => at + 1);

for (const [nodes, total] of [
  [2, 7],
  [6, 100],
  [20, 1_000],
] as const) {
  test(`${nodes} nodes never use more than ${total}, and after healing no right is lost (seeds 1 to ${seeds.length})`, () => {
    for (const seed of seeds) play(seed, new Fleet(nodes, total), total);
  });
}

function play(seed: number, fleet: Fleet, first: number): void {
  const random = seeded(seed);
  const some = () => fleet.nodes[random(fleet.nodes.length)] as string;
  const used = new Map<string, number>();
  let total = first;
  const usedInAll = () => [...used.values()].reduce((all, each) => all + each, 0);
  for (let step = 0; step < 400; step += 1) {
    const node = some();
    const ledger = fleet.view(node);
    const units = 1 + random(5);
    switch (random(8)) {
      case 0:
      case 1:
        if (fleet.write(node, spend(ledger, node, units))) used.set(node, (used.get(node) ?? 0) + units);
        break;
      case 2:
        fleet.write(node, ask(ledger, node, units));
        break;
      case 3:
        fleet.write(node, give(ledger, node));
        break;
      case 4: {
        const wanted = Math.max(0, totalOf(ledger) + random(7) - 3);
        const change = wanted - totalOf(ledger);
        if (fleet.write(node, retotal(ledger, node, wanted))) total += change;
        break;
      }
      default:
        fleet.deliver(some(), some(), some());
    }
    assert.ok(usedInAll() <= total, `seed ${seed}, step ${step}: ${usedInAll()} of ${total} used`);
    for (const each of fleet.nodes)
      assert.ok(rightsOf(fleet.view(each), each) >= 0, `seed ${seed}, step ${step}: debt`);
  }
  fleet.heal();
  const ledger = fleet.view("n0");
  for (const node of fleet.nodes) assert.deepEqual(new Map([...fleet.view(node)].sort()), new Map([...ledger].sort()));
  const rights = fleet.nodes.reduce((all, node) => all + rightsOf(ledger, node), 0);
  assert.deepEqual([totalOf(ledger), usedOf(ledger)], [total, usedInAll()], `seed ${seed}`);
  assert.equal(rights + usedInAll(), total, `seed ${seed}: a right is lost or made`);
}

test("what is left anywhere can be had everywhere, by asking", () => {
  const fleet = new Fleet(3, 10);
  assert.equal(spend(fleet.view("n2"), "n2", 1), undefined, "a node without rights spends none");
  fleet.write("n2", ask(fleet.view("n2"), "n2", 10));
  fleet.heal();
  fleet.write("n0", give(fleet.view("n0"), "n0"));
  fleet.heal();
  assert.ok(fleet.write("n2", spend(fleet.view("n2"), "n2", 10)));
  assert.equal(spend(fleet.view("n0"), "n0", 1), undefined);
  assert.equal(give(fleet.view("n0"), "n0"), undefined, "nothing is given twice");
});
