import assert from "node:assert/strict";
import { test } from "node:test";
import { outcomeText, runPool, sumOf } from "./pool.ts";
import { runFuzzer, summaryText } from "./runner.ts";
import { Finding, stream, targets } from "./targets.ts";

const seed = Number(process.env.KEYFLEET_SEED ?? Date.now() % 2 ** 31);
/** Enough to reach the code that the seeds reach, from many sides, in a few seconds; `npm run fuzz` goes on from there. */
const inputs: Readonly<Record<string, number>> = { ttlv: 4000, reader: 4000, json: 2000, xml: 2000, session: 600 };

for (const name of Object.keys(targets)) {
  test(`${name}: no mutated input makes it crash, hang, grow or break its rule`, async (context) => {
    context.diagnostic(`KEYFLEET_SEED=${seed}`);
    const report = await runFuzzer({ target: name, inputs: inputs[name] ?? 1000, seed });
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

test("the fuzzer finds what is wrong: a target that breaks its rule is told with its input", async () => {
  const { fuzz } = await import("./fuzzer.ts");
  const { seededRandom } = await import("./random.ts");
  const run = (input: Buffer) => {
    if (input.includes(0xff)) throw new Finding("holds a byte that it must not");
  };
  const target = { name: "broken", share: 1, form: stream, files: /^$/, run };
  const found = await fuzz({ target, seeds: [Buffer.alloc(16)], inputs: 2000, random: seededRandom(1) });
  assert.equal(found.findings.length, 1);
  assert.ok(Buffer.from(found.findings[0]?.input ?? "", "hex").includes(0xff));
});
