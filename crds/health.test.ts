import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { clusterConditions, clusterReasons, gates, suspendingGates } from "./reasons.ts";

// Argo CD runs the script with gopher-lua, which is Lua 5.1; so does this, with Debian's.
const script = new URL("../docs/argocd/health.lua", import.meta.url).pathname;

interface Health {
  readonly status: string;
  readonly message: string;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
}

/** What the script says of each of these objects, as Argo CD asks it: with the object as a global, for a table. */
function healthOf(objects: readonly object[]): readonly Health[] {
  const each = objects.map((one) => `obj = ${luaOf(one)} local h = script() print(h.status) print(h.message)`);
  const program = `local script = assert(loadfile(${JSON.stringify(script)}))\n${each.map((one) => `do ${one} end`).join("\n")}`;
  const { status, stdout, stderr, error } = spawnSync("lua5.1", ["-"], { input: program, encoding: "utf8" });
  assert.equal(status, 0, error === undefined ? stderr : `lua5.1 is missing, run ./setup.sh: ${error.message}`);
  const lines = stdout.split("\n");
  return objects.map((_, at) => ({ status: lines[2 * at] ?? "", message: lines[2 * at + 1] ?? "" }));
}

function luaOf(value: unknown): string {
  if (value === undefined || value === null) return "nil";
  if (Array.isArray(value)) return `{${value.map(luaOf).join(", ")}}`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, one]) => `[${JSON.stringify(name)}] = ${luaOf(one)}`)}}`;
}

/** A KmsCluster at rest, with other conditions and gates. */
function aCluster(change: Readonly<Record<string, string>> = {}, blockedBy: readonly object[] = [], reason = "NotYet") {
  const good = (type: string) => (type === "Upgrading" ? "False" : "True");
  const conditions: Condition[] = Object.keys(clusterConditions).map((type) => {
    const status = change[type] ?? good(type);
    return { type, status, reason: type in change ? reason : "AsWanted" };
  });
  const status = { observedGeneration: 2, message: "what kubectl shows", conditions, blockedBy };
  return { metadata: { name: "bank", generation: 2 }, status };
}

const blocked = (gate: string) => ({ gate, subject: "dc1-a", message: "is so", remedy: "do that" });
const works = { Quiesced: "False" };
const isDown = { Ready: "False", Quiesced: "False" };

const cases: readonly (readonly [sentence: string, cluster: object, status: string, message: RegExp])[] = [
  ["nothing was seen of it yet", { metadata: { generation: 1 } }, "Progressing", /not looked/],
  ["it has no condition yet", { metadata: { generation: 1 }, status: {} }, "Progressing", /not looked/],
  [
    "what is said is of the document before",
    { ...aCluster(), metadata: { generation: 3 } },
    "Progressing",
    /not looked at it yet/,
  ],
  ["all is done", aCluster(), "Healthy", /^what kubectl shows$/],
  ["it is at work, and every node serves", aCluster(works), "Progressing", /^what kubectl shows$/],
  ["a node does not serve yet", aCluster(isDown), "Progressing", /^what kubectl shows$/],
  ["a node does not serve, and not for a while", aCluster(isDown, [], "NodesNotServing"), "Degraded", /kubectl/],
  [
    "a person is waited for, and then a repair",
    aCluster(works, [blocked("approved"), blocked("hsmReady")]),
    "Degraded",
    /hsm|so/,
  ],
  ["it is at rest although a gate is closed", aCluster({}, [blocked("hsmReady")]), "Healthy", /kubectl/],
];

test("Argo CD shows a fleet as what it is", () => {
  const said = healthOf(cases.map(([, cluster]) => cluster));
  for (const [at, [sentence, , status, message]] of cases.entries()) {
    assert.equal(said[at]?.status, status, sentence);
    assert.match(said[at]?.message ?? "", message, sentence);
  }
});

test("of every gate: who waits for a person or a time is Suspended, every other one is Degraded and says what to do", () => {
  const names = Object.keys(gates);
  const said = healthOf(names.map((gate) => aCluster(works, [blocked(gate)])));
  for (const [at, gate] of names.entries()) {
    const waits = (suspendingGates as readonly string[]).includes(gate);
    assert.equal(said[at]?.status, waits ? "Suspended" : "Degraded", gate);
    if (!waits) assert.equal(said[at]?.message, "dc1-a: is so; do that", gate);
  }
});

test("every condition that is not as wanted, with every reason: Healthy as long as all nodes serve and nothing is left to do", () => {
  const reasons = Object.keys(clusterReasons);
  for (const type of Object.keys(clusterConditions)) {
    const objects = ["False", "Unknown"].flatMap((status) =>
      reasons.map((reason) => aCluster({ [type]: status }, [], reason)),
    );
    const said = healthOf(objects).map(({ status }) => status);
    const expected = objects.map((_, at) => {
      if (type !== "Ready") return type === "Quiesced" ? "Progressing" : "Healthy";
      return at < reasons.length && reasons[at] !== "NotYet" ? "Degraded" : "Progressing";
    });
    assert.deepEqual(said, expected, type);
  }
});
