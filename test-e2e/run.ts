import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cache } from "./sites/places.ts";

/** One phase of `make test`: a title and the command; phases of node's test runner are counted. */
interface Phase {
  readonly title: string;
  readonly command: readonly string[];
  readonly counted: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  /** What ends all that the phase started, whatever became of it. */
  readonly cleanUp?: readonly string[];
}

/** Tests that run whole servers, API servers, tokens, foreign clients or many random inputs: too long for the loop of a programmer. */
const longTests = [
  "crds/every-field.test.ts",
  "helm/release.test.ts",
  "helm/rights.test.ts",
  "node-image/command-lines.test.ts",
  "node-image/fleet.test.ts",
  "node-image/fuzzing/fuzz.test.ts",
  "node-image/hsm-sidecar.test.ts",
  "node-image/kmip/no-leak.test.ts",
  "node-image/operations/mesh-usage.test.ts",
  "node-image/postgres/faults.test.ts",
  "node-image/postgres/mesh-configuration.test.ts",
  "node-image/replication/forks.test.ts",
  "node-image/replication/hostile-peer.test.ts",
  "node-image/replication/mesh.test.ts",
  "node-image/replication/snapshot.test.ts",
  "node-image/replication/snapshot-lies.test.ts",
  "node-image/simulation/simulation.test.ts",
  "operator/desired/api-server.test.ts",
  "operator/desired/node-rights.test.ts",
  "operator/failover.test.ts",
  "operator/fleet-comes-up.test.ts",
  "operator/operator.test.ts",
  "operator/simulation.test.ts",
  "test-e2e/clients/kmip-go.test.ts",
  "test-e2e/clients/pykmip.test.ts",
  "test-e2e/clients/vendors.test.ts",
];

const quickTests = globSync(["*.test.ts", "{crds,operator,node-image,helm,bench,test-e2e}/**/*.test.ts"]).filter(
  (path) => !path.includes("node_modules") && !longTests.includes(path),
);

const phases: Readonly<Record<string, Phase>> = {
  check: { title: "types, lint and format", command: ["npm", "run", "--silent", "check"], counted: false },
  unit: {
    title: "the fast loop: tests of parts",
    command: ["node", "--test", "--test-concurrency=4", ...quickTests],
    counted: true,
    // Each file is a process of its own: half of what a short one takes is to strip and compile what all of them load.
    environment: { NODE_COMPILE_CACHE: join(cache, "compiled-tests") },
  },
  system: {
    title: "whole servers, API servers, tokens, foreign clients, random inputs; without Kubernetes sites",
    command: ["node", "--test", "--test-concurrency=2", ...longTests],
    counted: true,
  },
  history: {
    title: "a fleet of processes under a seeded nemesis, checked by what its clients saw",
    command: ["node", "test-e2e/history/main.ts", "--seeds", "4", "--seconds", "12"],
    counted: false,
  },
  simulate: {
    title: "300 schedules of the operators' simulator",
    command: ["node", "operator/simulate.ts", "--seeds", "300"],
    counted: false,
  },
  oasis: {
    title: "OASIS test cases over the wire",
    command: ["npm", "run", "--silent", "oasis", "--", "../shared/kmip-oasis"],
    counted: false,
  },
  stories: storiesIn("test-e2e/stories", "stories on three Kubernetes sites"),
  long: storiesIn("test-e2e/long-stories", "stories that take a fleet of few nodes through a long change"),
};

/** One at a time: the stories share the sites, and two of them cannot both take a data centre down. */
function storiesIn(room: string, title: string): Phase {
  return {
    title,
    command: ["node", "--test", "--test-concurrency=1", `${room}/*.story.ts`],
    counted: true,
    // The stories' sites are their own: a demo that somebody has up is left alone.
    cleanUp: ["env", "KEYFLEET_SITES_INSTANCE=stories", "test-e2e/sites/sites", "down"],
  };
}

const folder = mkdtempSync(join(tmpdir(), "keyfleet-test-"));
const totals = { passed: 0, failed: 0 };

/** Runs a phase with its output on this terminal and adds up what node's test runner counted. */
function run(name: string, phase: Phase): void {
  const begin = process.hrtime.bigint();
  console.log(`\n== ${name}: ${phase.title}`);
  const report = join(folder, name);
  const reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout", "--test-reporter=tap"];
  const [program, ...rest] = phase.command;
  const args = phase.counted ? [...reporters, `--test-reporter-destination=${report}`, ...rest] : rest;
  const env = { ...process.env, ...phase.environment };
  const { status } = spawnSync(program ?? "", args, { stdio: "inherit", env });
  const [cleaner, ...words] = phase.cleanUp ?? [];
  if (cleaner !== undefined) spawnSync(cleaner, words, { stdio: "inherit" });
  count(status, phase.counted ? readFileSync(report, { encoding: "utf8", flag: "a+" }) : "");
  const seconds = Number((process.hrtime.bigint() - begin) / 1_000_000n) / 1000;
  console.log(`== ${name}: ${status === 0 ? "passed" : "FAILED"} in ${seconds.toFixed(1)} s`);
}

/** A phase that fails without a failed test (a crash, a lint finding) counts as one failure, so that it is never lost. */
function count(status: number | null, report: string): void {
  const read = (word: string) => Number(new RegExp(`^# ${word} (\\d+)$`, "m").exec(report)?.[1] ?? 0);
  const failed = read("fail") + read("cancelled") + read("skipped") + read("todo");
  totals.passed += report === "" && status === 0 ? 1 : read("pass");
  totals.failed += failed === 0 && status !== 0 ? 1 : failed;
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => phases[name] === undefined);
if (asked.length === 0 || unknown.length > 0) {
  console.error(`usage: node test-e2e/run.ts PHASE...   phases: ${Object.keys(phases).join(", ")}`);
  process.exit(2);
}
for (const name of asked) {
  const phase = phases[name];
  if (phase !== undefined) run(name, phase);
}
rmSync(folder, { recursive: true, force: true });
console.log(`\n${totals.passed} passed, ${totals.failed} failed`);
process.exit(totals.failed === 0 && totals.passed > 0 ? 0 : 1);
