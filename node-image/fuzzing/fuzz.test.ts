import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { json } from "../kmip/vocabulary.ts";
import { item, payload, template } from "../testing/items.ts";
import { operation, requestMessage } from "../testing/kmip-client.ts";
import type { Item } from "../ttlv/types.ts";
import type { Coverage, Look } from "./coverage.ts";
import { Finding } from "./finding.ts";
import { stream } from "./form.ts";
import { type FuzzOptions, fuzz } from "./fuzzer.ts";
import { identifierAt } from "./identifiers.ts";
import { keepSlowest, readKept } from "./kept-input.ts";
import { outcomeText, runPool, sumOf } from "./pool.ts";
import { postedSession } from "./posted-session.ts";
import { seededRandom } from "./random.ts";
import { progressText, runFuzzer, summaryText } from "./runner.ts";
import { owner } from "./session.ts";
import { sharedProgress } from "./shared-progress.ts";
import { targets } from "./targets.ts";
import { twoCallers } from "./two-callers.ts";

const seed = Number(process.env.KEYFLEET_SEED ?? Date.now() % 2 ** 31);
/**
 * Enough to reach the code that the seeds reach, from many sides, in a few seconds, a third to a half of it run again to tell what
 * reached it; `npm run fuzz` goes on from there.
 */
const inputs: Readonly<Record<string, number>> = { ttlv: 5000, reader: 4500, json: 3000, xml: 3000 };
/** Sessions, which are slow. */
const inputsOtherwise = 900;

for (const name of Object.keys(targets)) {
  test(`${name}: no mutated input makes it crash, hang, grow or break its rule`, async (context) => {
    context.diagnostic(`KEYFLEET_SEED=${seed}`);
    const report = await runFuzzer({ target: name, inputs: inputs[name] ?? inputsOtherwise, seed });
    context.diagnostic(summaryText(report));
    assert.deepEqual(report.findings, []);
    // The run means something only when the inputs got somewhere.
    assert.ok(report.coverage.covered / report.coverage.bytes > 0.2, "the inputs reach too little of the code");
  });
}

test("targets run two at once in processes of their own; one that ends without a report is a finding", async (context) => {
  context.diagnostic(`KEYFLEET_SEED=${seed}`);
  const told: string[] = [];
  const runs = ["ttlv", "reader"].map((target) => ({ target, inputs: 300, seed }));
  const outcomes = await runPool(runs, 2, ({ target }) => void told.push(target));
  assert.deepEqual(told.toSorted(), ["reader", "ttlv"]);
  assert.equal(sumOf(outcomes, 1).text, "600 inputs in 1 s, 0 findings");
  // A module that does nothing stands for a target whose process crashed.
  const lost = await runPool(runs.slice(1), 1, () => undefined, new URL("identifiers.ts", import.meta.url));
  assert.match(lost.map(outcomeText).join(), /^reader: 1 finding\n\nits process ended with 0 and no report$/);
  assert.equal(sumOf(lost, 1).findings, 1);
});

/** 2000 inputs on a target of the test's own. */
const tried = (run: (input: Buffer) => void, more: Partial<FuzzOptions> = {}) => {
  const target = { name: "own", share: 1, form: stream, files: /^$/, run };
  return fuzz({ target, seeds: [Buffer.alloc(16)], inputs: 2000, random: seededRandom(seed), ...more });
};

test("the fuzzer finds what is wrong: a target that breaks its rule is told with its input", async () => {
  const found = await tried((input) => {
    if (input.includes(0xff)) throw new Finding("holds a byte that it must not");
  });
  assert.equal(found.findings.length, 1);
  assert.ok(Buffer.from(found.findings[0]?.input ?? "", "hex").includes(0xff));
});

/** One that the server takes for the owner, whatever its name here. */
const impostor = { ...owner };
const aes = template({ "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 });
const message = (asked: number, ...children: Item[]) =>
  requestMessage([{ operation: asked, payload: payload(...children) }], { version: 14 });
/** A key is made and then asked for. */
const session = (asked: number) =>
  stream.write([
    message(operation.create, item.enumeration(tag.ObjectType, 2), aes),
    message(asked, item.text(tag.UniqueIdentifier, identifierAt(0))),
  ]);
const posts = (type: string) => () => postedSession(Buffer.from("{}"), type, json);

type Fault = readonly [sentence: string, run: () => Promise<void>, told: RegExp];
const faults: readonly Fault[] = [
  [
    "a stranger is given a key of the owner's",
    () => twoCallers(session(operation.get), impostor),
    /key bytes of the owner's/,
  ],
  [
    "a stranger learns of an object of the owner's",
    () => twoCallers(session(operation.getAttributes), impostor),
    /whether the owner has/,
  ],
  ["a body is taken for another encoding", posts("text/xml"), /took the body for another encoding/],
  ["a body is not answered", posts("text/plain"), /answered with 415/],
];

for (const [sentence, run, told] of faults) {
  test(`the fuzzer finds what is wrong: ${sentence}`, async () => {
    await assert.rejects(run(), (error) => error instanceof Finding && told.test(error.message));
  });
}

/** Code reached, as the test says which input reaches what: `reached` is asked after each input, and names what that one reached. */
function coverageOf(reached: (input: Buffer) => readonly string[]) {
  const known = new Set<string>();
  let since = new Set<string>();
  const look = (): Look => {
    const seen = since;
    since = new Set();
    const unknown = () => [...seen].filter((each) => !known.has(each));
    return {
      isNew: () => unknown().length > 0,
      keep: () => {
        const news = unknown();
        for (const each of news) known.add(each);
        return news.length;
      },
    };
  };
  const coverage: Coverage = {
    look,
    total: () => ({ covered: known.size, bytes: 0, files: 0 }),
    stop: () => undefined,
  };
  const run = (input: Buffer) => {
    for (const each of reached(input)) since.add(each);
  };
  return { coverage, run };
}

/** The 300th input that is run, in the second generation, and whichever equals it. */
function rare() {
  let count = 0;
  let one: Buffer | undefined;
  return (input: Buffer) => {
    count += 1;
    if (count === 300) one = input;
    return one?.equals(input) ? ["rare"] : [];
  };
}

function once() {
  let count = 0;
  return () => {
    count += 1;
    return count === 300 ? ["once"] : [];
  };
}

type Search = readonly [sentence: string, reached: (input: Buffer) => readonly string[], corpus: number, again: number];
const searches: readonly Search[] = [
  ["nothing is new: nothing is run again", () => [], 1, 0],
  // A generation has 200 inputs at first: a hundred, fifty, and so on find one of them.
  ["one input reaches new code: fewer are run again than its generation has", rare(), 2, 199],
  ["code is reached once and never again: it is searched for once", once(), 2, 199],
];

for (const [sentence, reached, corpus, again] of searches) {
  test(`${sentence}, and all that is run is counted`, async (context) => {
    context.diagnostic(`KEYFLEET_SEED=${seed}`);
    const { coverage, run } = coverageOf(reached);
    const ran: Buffer[] = [];
    const summary = await tried(run, { coverage, about: (input) => void ran.push(input) });
    assert.deepEqual([summary.inputs, ran.length], [2000, 2000]);
    assert.ok(summary.again <= again, `${summary.again} were run again`);
    assert.equal(summary.corpus, corpus);
  });
}

test("the slowest input is the one with the most processor time, however long another waited, and is kept whole", async (context) => {
  context.diagnostic(`KEYFLEET_SEED=${seed}`);
  const [busy, waiting] = [Buffer.alloc(3000, 1), Buffer.alloc(3000, 2)];
  const time = { cpuMs: 0, elapsedMs: 0 };
  const run = (input: Buffer) => {
    time.cpuMs += input.equals(busy) ? 50 : 1;
    time.elapsedMs += input.equals(waiting) ? 40_000 : 60;
  };
  const summary = await tried(run, { seeds: [waiting, busy], inputs: 2, clock: () => ({ ...time }) });
  assert.deepEqual(summary.slowest, { cpuMs: 50, elapsedMs: 60, input: busy.toString("hex") });
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-fuzz-test-"));
  try {
    const digits = readKept(keepSlowest(summary, folder));
    assert.equal(digits, busy.toString("hex"));
    const again = await runFuzzer({ target: "ttlv", inputs: 3, seed, only: digits });
    assert.deepEqual([again.inputs, again.slowest.input], [3, digits]);
    assert.throws(() => readKept(import.meta.filename), /is no input/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("how far a run is: inputs done of those asked for, how many a second, and findings", () => {
  const shared = sharedProgress();
  const watched = sharedProgress(shared.memory);
  for (let count = 0; count < 1500; count += 1) shared.begin(Buffer.from([count & 0xff]));
  shared.foundOne();
  const text = progressText({ target: "ttlv", inputs: 1_000_000 }, watched, 30);
  assert.equal(text, "ttlv: 1,500 of 1,000,000 inputs, 50 a second, 1 findings");
  assert.deepEqual(watched.input, Buffer.from([1499 & 0xff]));
});
