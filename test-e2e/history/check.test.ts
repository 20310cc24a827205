import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "./check.ts";
import { type Call, finalReader, type History, Recorder, type Step, type Verb } from "./record.ts";
import { lastWarnings, story } from "./story.ts";
import { survives } from "./survival.ts";

const object = "6f1c0000-0000-0000-0000-000000000001";

/** Calls one after the other, 10 ms each, as "node verb [what was read or how it failed]"; end and end2: read there at the end. */
function calls(...lines: readonly string[]): Call[] {
  return lines.map((line, index) => {
    const [node = "", verb = "", ...words] = line.split(" ");
    const end = { end: "dc3-a", end2: "dc2-a" }[node];
    const read = Object.fromEntries(words.map((word) => word.split("=")));
    const { state, units, ...rest } = read;
    return {
      client: end === undefined ? `${node}/1` : finalReader,
      node: end ?? node,
      verb: verb as Verb,
      object,
      sentMs: 100 * index,
      answeredMs: 100 * index + 10,
      outcome: "ok",
      ...(state === undefined ? {} : { state: Number(state) }),
      ...(units === undefined ? {} : { units: Number(units) }),
      ...rest,
    };
  });
}

function history(made: readonly Call[], parts: Partial<History> = {}): History {
  return { calls: made, deeds: [], steps: [], lost: new Map(), lives: [], warnings: new Map(), ...parts };
}

const cases: readonly (readonly [sentence: string, rule: string | undefined, ...lines: string[]])[] = [
  [
    "a key that is read alike everywhere",
    undefined,
    "dc1-a create note=n1",
    "dc1-a get key=a",
    "end state state=1 note=n1",
    "end get key=a",
  ],
  ["another value of a key", "a key's value never changes", "dc1-a create", "dc1-a get key=a", "dc2-a get key=b"],
  [
    "an acknowledged key that is gone",
    "an acknowledged write is never lost",
    "dc1-a create",
    "end state outcome=refused problem=notFound",
  ],
  [
    "a key whose creation was not acknowledged may be gone",
    undefined,
    "dc1-a create outcome=unknown",
    "end state outcome=refused problem=notFound",
  ],
  [
    "an acknowledged activation that is gone",
    "an acknowledged write is never lost",
    "dc1-a create",
    "dc1-a activate",
    "end state state=1",
  ],
  [
    "an acknowledged compromise that is gone",
    "an acknowledged write is never lost",
    "dc1-a create",
    "dc1-a compromise",
    "dc2-a destroy",
    "end state state=5",
  ],
  [
    "an acknowledged note that is gone",
    "an acknowledged write is never lost",
    "dc1-a create note=n1",
    "dc1-a writeNote note=n2",
    "end state state=1 note=n1",
  ],
  [
    "another node's note may win",
    undefined,
    "dc1-a create note=n1",
    "dc2-a writeNote note=n3",
    "dc1-a writeNote note=n2",
    "end state state=1 note=n3",
  ],
  [
    "a note that its node had seen when it took another is there again",
    "an acknowledged write is never lost",
    "dc1-a create note=n1",
    "dc2-a state state=1 note=n1",
    "dc2-a writeNote note=n2",
    "end state state=1 note=n1",
  ],
  [
    "an acknowledged key of which only the state is left",
    "an acknowledged write is never lost",
    "dc1-a create",
    "end state state=1",
    "end get outcome=unknown problem=damaged",
  ],
  [
    "an acknowledged key that nobody read at the end",
    "an acknowledged write is never lost",
    "dc1-a create",
    "end state state=1 object=another",
  ],
  [
    "nodes that tell of two states at the end",
    "at the end all nodes show the same",
    "dc1-a create note=n1",
    "dc1-a activate outcome=unknown",
    "end state state=1 note=n1",
    "end2 state state=2 note=n1",
  ],
  [
    "nodes that tell of two notes at the end",
    "at the end all nodes show the same",
    "dc1-a create note=n1",
    "dc2-a writeNote note=n2 outcome=unknown",
    "end state state=1 note=n1",
    "end2 state state=1 note=n2",
  ],
  [
    "an object that one node knows at the end and another does not",
    "at the end all nodes show the same",
    "dc1-a create note=n1",
    "end state state=1 note=n1",
    "end2 state outcome=refused problem=notFound",
  ],
  [
    "a key of two units that three nodes have used",
    "no unit is used twice",
    "dc1-a create units=2",
    "dc1-a use",
    "dc2-a use",
    "dc3-a use",
  ],
  [
    "a key of two units of which the last use was not answered",
    undefined,
    "dc1-a create units=2",
    "dc1-a use",
    "dc2-a use",
    "dc3-a use outcome=unknown",
  ],
  [
    "a destroyed key that its node still uses",
    "destroyed stays destroyed",
    "dc1-a create units=2",
    "dc1-a destroy",
    "dc1-a use",
  ],
  [
    "a destroyed key that its node still serves",
    "destroyed stays destroyed",
    "dc1-a create",
    "dc1-a destroy",
    "dc1-a get key=a",
  ],
  [
    "a destroyed key that a node serves that has shown it as destroyed",
    "destroyed stays destroyed",
    "dc1-a destroy",
    "dc2-a state state=5",
    "dc2-a get key=a",
  ],
  [
    "a destroyed key that a node serves that has not heard of it",
    undefined,
    "dc1-a create",
    "dc1-a destroy",
    "dc2-a get key=a",
  ],
  [
    "a compromised key that its node still serves",
    "a compromised key is not served",
    "dc1-a create",
    "dc1-a compromise",
    "dc1-a get key=a",
  ],
  [
    "a compromised key that a node serves that has shown it as compromised",
    "a compromised key is not served",
    "dc1-a activate",
    "dc1-a compromise",
    "dc2-a state state=4",
    "dc2-a get key=a",
  ],
  [
    "a compromised key that a node serves that has not heard of it",
    undefined,
    "dc1-a create",
    "dc1-a compromise",
    "dc2-a get key=a",
  ],
  [
    "a key that is served before it is compromised, and refused from then on",
    undefined,
    "dc1-a create",
    "dc1-a get key=a",
    "dc1-a compromise",
    "dc1-a get outcome=refused problem=compromised",
  ],
  [
    "a key whose compromise was not acknowledged may be served on",
    undefined,
    "dc1-a create",
    "dc1-a compromise outcome=unknown",
    "dc1-a get key=a",
  ],
  [
    "a key that is deactivated without being compromised is served on",
    undefined,
    "dc1-a activate",
    "dc1-a deactivate",
    "dc1-a get key=a",
  ],
  [
    "a state that goes back",
    "bad news is never taken back",
    "dc1-a activate",
    "dc1-a compromise",
    "dc2-a state state=4",
    "dc2-a state state=2",
  ],
  [
    "a compromise that is forgotten over a destruction",
    "bad news is never taken back",
    "dc1-a compromise",
    "dc2-a destroy",
    "dc1-a state state=5",
  ],
  [
    "an object that vanishes on a node",
    "what a node has shown it goes on to show",
    "dc1-a get key=a",
    "dc1-a get outcome=refused problem=notFound",
  ],
  [
    "a note that comes back",
    "reads of one node go forward",
    "dc1-a create note=n1",
    "dc1-a writeNote note=n2",
    "dc2-a state state=1 note=n1",
    "dc2-a state state=1 note=n2",
    "dc2-a state state=1 note=n1",
  ],
  [
    "a note that comes back although its node has taken another",
    "reads of one node go forward",
    "dc1-a create note=n1",
    "dc1-a writeNote note=n2",
    "dc1-a state state=1 note=n1",
  ],
  [
    "a note that comes back although its node had shown it before it took another",
    "reads of one node go forward",
    "dc1-a create note=n1",
    "dc2-a state state=1 note=n1",
    "dc2-a writeNote note=n2",
    "dc2-a state state=1 note=n1",
  ],
  [
    "a note of another node that comes in after this one's own",
    undefined,
    "dc1-a create note=n1",
    "dc1-a writeNote note=n2",
    "dc2-a writeNote note=n3",
    "dc1-a state state=1 note=n3",
  ],
  [
    "a note whose replacement was not acknowledged may be there still",
    undefined,
    "dc1-a create note=n1",
    "dc1-a writeNote note=n2 outcome=unknown",
    "dc1-a state state=1 note=n1",
  ],
  [
    "a destruction that nobody asked for",
    "nothing comes from nowhere",
    "dc1-a create note=n1",
    "dc1-a state state=5 note=n1",
  ],
  ["a note that nobody wrote", "nothing comes from nowhere", "dc1-a create note=n1", "dc1-a state state=1 note=n9"],
];

for (const [sentence, rule, ...lines] of cases) {
  test(`${rule === undefined ? "fine" : "found"}: ${sentence}`, () => {
    const found = check(history(calls(...lines)));
    assert.deepEqual(
      found.map((violation) => violation.rule),
      rule === undefined ? [] : [rule],
    );
    const told = lines.filter((line) => !line.includes("object="));
    if (rule !== undefined) assert.ok(story(history(calls(...lines)), object).length >= told.length);
  });
}

const step = (atMs: number, site: string | undefined, inStep: boolean): Step => ({
  atMs,
  node: "dc1-a",
  inStep,
  ...(site === undefined ? {} : { site }),
});

const losses: readonly (readonly [
  sentence: string,
  survives: boolean,
  lost: readonly string[],
  steps: readonly Step[],
])[] = [
  ["nothing was destroyed", true, [], []],
  ["its node was destroyed, both other sites were in step", true, ["dc1-a"], []],
  ["two sites were destroyed, the third was in step", true, ["dc1-a", "dc2-a"], []],
  ["two sites were destroyed, the third was out of step before", false, ["dc1-a", "dc2-a"], [step(-50, "dc3", false)]],
  [
    "two sites were destroyed, the third was in step again before",
    true,
    ["dc1-a", "dc2-a"],
    [step(-50, "dc3", false), step(-20, "dc3", true)],
  ],
  ["the third site fell out of step while the answer was awaited", false, ["dc1-a", "dc2-a"], [step(5, "dc3", false)]],
  [
    "the key server was started anew while the answer was awaited",
    false,
    ["dc1-a", "dc2-a"],
    [step(5, undefined, true)],
  ],
  ["a node of each site was destroyed", false, ["dc1-a", "dc2-b", "dc3-b"], []],
];

for (const [sentence, kept, lost, steps] of losses) {
  test(`a write ${kept ? "must survive" : "may be lost"}: ${sentence}`, () => {
    const [write] = calls("dc1-a create note=n1");
    assert.ok(write !== undefined);
    assert.equal(survives(write, { lost: new Map(lost.map((node) => [node, 1_000])), steps }), kept);
  });
}

test("what is told of a broken promise has the last warnings of every node, and no others of its lines", () => {
  const recorder = new Recorder();
  const hear = (node: string, level: string, message: string) =>
    recorder.heard(node, `[keyServer] ${JSON.stringify({ level, message })}`);
  hear("dc2-a", "error", "refuses");
  for (let index = 0; index < 25; index += 1) hear("dc1-a", "warn", `${index}.`);
  hear("dc1-a", "info", "serves");
  const told = lastWarnings(recorder).map((line) => /"message":"(.*)"/.exec(line)?.[1] ?? line);
  const last = Array.from({ length: 20 }, (_, index) => `${index + 5}.`);
  assert.deepEqual(told, ["last warnings of dc1-a:", ...last, "last warnings of dc2-a:", "refuses"]);
});
