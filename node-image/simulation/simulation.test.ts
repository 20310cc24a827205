import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { simulate } from "./simulate.ts";

// Broken once: a node that was set back wrote under sequences that others held, one that was removed acknowledged, a
// snapshot had no end or was not asked for again, or threw away what others had nowhere else.
const mended = [
  2123, 2346, 2367, 3358, 3757, 4032, 4183, 4273, 4422, 4473, 4534, 5096, 5359, 5401, 5597, 6287, 6462, 6509,
];
const seeds = [...Array.from({ length: 25 }, (_, index) => index + 1), ...mended];

test(`${seeds.length} schedules of troubles break no promise`, async () => {
  const broken: string[] = [];
  let acknowledged = 0;
  for (const seed of seeds) {
    const simulated = await simulate(seed);
    acknowledged += simulated.acknowledged;
    broken.push(...simulated.broken.map((promise) => `seed ${seed}: ${promise}`));
  }
  assert.deepEqual(broken, []);
  assert.ok(acknowledged > 50 * seeds.length, `${acknowledged} writes were acknowledged`);
});

test("the same seed is the same schedule", async () => {
  const [one, other] = [await simulate(7), await simulate(7)];
  assert.deepEqual(one, other);
  assert.notDeepEqual((await simulate(8)).deeds, one.deeds);
});

/** Bugs as somebody might make them, and the promise that each breaks. */
const planted: readonly (readonly [
  sentence: string,
  path: string,
  from: string,
  to: string,
  finds: RegExp,
  /** The first seed, or a story that schedules come to hardly ever. */
  where?: number | string,
])[] = [
  [
    "a gap in what a peer sends is not noticed",
    "/store/draft.ts",
    "if (operation.seq !== position + 1) break;",
    "",
    /hole in the log|different objects/,
  ],
  [
    "nothing is pulled by way of a third node",
    "/replication/gossip.ts",
    "if (mine >= theirs) return;",
    "return;",
    /not equal after healing|is lost/,
  ],
  [
    "a site counts as soon as one of its nodes is heard, wherever that is",
    "/replication/durability.ts",
    "const holds = (site: Site) => this.#sitePosition(site) >= head;",
    "const holds = (site: Site) => this.#sitePosition(site) > 0;",
    /in step, does not hold/,
  ],
  [
    "a site that came back counts before it has caught up, for what it lacks too",
    "/replication/durability.ts",
    'return this.mode === "EverySite" ? inStep.every(holds)',
    'return this.mode === "EverySite" ? inStep.some(holds) || inStep.length === 0',
    /in step, does not hold/,
  ],
  [
    "what is announced is acknowledged before it is durable",
    "/replication/peer.ts",
    "const last = operations.at(-1);",
    "const last = operations.at(-1); if (last !== undefined) this.#acknowledgements?.tell(origin, last.seq);",
    /in step, does not hold/,
  ],
  [
    "logs are pruned beyond what all members hold",
    "/replication/pruner.ts",
    "Math.min(seq, ...vectors.map((vector) => vector?.get(origin) ?? 0)),",
    "seq,",
    /no snapshot was taken/,
    "kept-logs.test.ts",
  ],
  [
    "who cannot follow the logs takes no snapshot",
    "/replication/snapshots.ts",
    "return nowMs() - this.#blockedSinceMs >= blockedMs;",
    "return false;",
    /not equal after healing|is lost/,
  ],
  [
    "a snapshot is only taken from who holds all that is here",
    "/replication/snapshots.ts",
    "return lacking.some((origin) => seq(origin) > (held.get(origin) ?? 0));",
    "return [...held].every(([origin, mine]) => seq(origin) >= mine);",
    /it holds what was pruned/,
    "kept-logs.test.ts",
  ],
  [
    "a snapshot throws away what its peer does not hold",
    "/simulation/simulated-intake.ts",
    "if (disk.aside !== undefined) disk.join(disk.aside);",
    "",
    /not equal after healing|is lost|different objects/,
    5367,
  ],
  [
    "a snapshot that nobody is left to finish with is waited for without end",
    "/replication/snapshots.ts",
    "if (nowMs() < this.#abandonAtMs) return;",
    "return;",
    /importing|identity/,
    "broken-off-snapshot.test.ts",
  ],
  [
    "the end of a departed log does not rise to what a returning member holds",
    "/store/fences.ts",
    "Math.max(said, this.#options.held(origin))",
    "said",
    /holds what was acknowledged/,
    "returning-site.test.ts",
  ],
  [
    "a node that was set back goes on with its log although a peer holds more of it",
    "/replication/own-log-at-peer.ts",
    'if (before <= mine && (await compareHere(store, incarnation, theirs)) !== "forked")',
    'if ((await compareHere(store, incarnation, theirs)) !== "forked")',
    /what it had lost has come back/,
    "set-back.test.ts",
  ],
  [
    "a node that starts goes on with its log before all members were asked",
    "/replication/own-log.ts",
    "if (this.#missing().length === 0) this.#options",
    "this.#options",
    /written as the second operation, hearing nobody/,
    "set-back.test.ts",
  ],
  [
    "a snapshot goes on without the log behind its rows",
    "/replication/snapshot.ts",
    'if (this.#position(origin) === mine) return "noLog";',
    'if (ingested.position === mine) return "noLog";',
    /it holds/,
    "broken-off-snapshot.test.ts",
  ],
  [
    "a node that starts goes on with its log although a key server may have more of it on its way to the disk",
    "/replication/own-log.ts",
    "!agreed.has(identity) || !acknowledged.has(identity)",
    "!agreed.has(identity)",
    /what was written as the second operation/,
    "set-back.test.ts",
  ],
  [
    "a node believes what a peer says of its log, without being shown any of it",
    "/replication/own-log-at-peer.ts",
    "if (isShown) {",
    "if (isShown || theirs > 0) {",
    /believe that their logs have forked/,
  ],
  [
    "a clock that is far ahead of all others is used",
    "/store/clock.ts",
    "if (wall > high + wrongMs) return high;",
    "",
    /not equal after healing|is lost/,
  ],
  [
    "a page of another place than was asked for is taken as it is",
    "/store/draft.ts",
    "if (operation.origin === origin && operation.seq <= position) continue;",
    "",
    /hole in the log|different|not equal after healing|believes to hold/,
  ],
  [
    "a node that was removed acknowledges to who has not heard of it",
    "/replication/replication.ts",
    "const wanted = this.#isOut() ? [] : members",
    "const wanted = members",
    /nobody counts on it/,
    "removed.test.ts",
  ],
];

for (const [sentence, path, from, to, finds, where = 1] of planted) {
  test(`a planted bug is found: ${sentence}`, async () => {
    const { code, output } = await runMutant([path, from, to], where);
    assert.equal(code, 1, output.slice(-2_000));
    assert.match(output, finds);
  });
}

async function runMutant(
  mutation: readonly string[],
  where: number | string,
): Promise<{ code: number | null; output: string }> {
  const [hooks, file] = ["mutate.ts", typeof where === "string" ? where : "main.ts"].map((name) =>
    join(import.meta.dirname, name),
  ) as [string, string];
  const seeds =
    typeof where === "string" ? [] : ["--length", "long", "--seed", String(where), "--seeds", "200", "--until-broken"];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, ["--import", hooks, file, ...seeds], {
    env: { ...env, KEYFLEET_MUTATION: JSON.stringify(mutation) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      output += chunk;
    });
  const [code] = await once(child, "close");
  return { code, output };
}
