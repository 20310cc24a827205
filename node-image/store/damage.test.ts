import assert from "node:assert/strict";
import { test } from "node:test";
import { Damage } from "./damage.ts";

const away = new Error("PostgreSQL does not answer");
const withCode = (code: string) => Object.assign(new Error("invalid page with data"), { code });

/** What each question to PostgreSQL comes to, one a minute; the log after them. */
const cases: readonly (readonly [sentence: string, answers: readonly (boolean | Error)[], told: readonly string[]])[] =
  [
    ["nobody met any", [false, false, false], []],
    ["others met some", [false, true, true], ["pagesDamaged checksum"]],
    ["others met some while PostgreSQL did not answer", [away, true], ["pagesDamaged checksum"]],
  ];

for (const [sentence, answers, told] of cases) {
  test(`damaged pages are told of once: ${sentence}`, async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const { damage, events } = subject([...answers]);
    for (const _ of answers) {
      t.mock.timers.tick(60_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    damage.stop();
    assert.deepEqual(events, told);
    assert.equal(damage.pages, told.length > 0);
  });
}

const failures: readonly (readonly [code: string, isDamage: boolean])[] = [
  ["XX001", true],
  ["XX002", true],
  ["XX000", false],
  ["57P01", false],
  ["23505", false],
];

for (const [code, isDamage] of failures) {
  test(`a failure ${code} of PostgreSQL ${isDamage ? "tells of a damaged page, without what it says" : "does not"}`, () => {
    const { damage, events } = subject([]);
    damage.failed(withCode(code));
    damage.failed(withCode(code));
    damage.stop();
    assert.deepEqual(events, isDamage ? [`pagesDamaged ${code}`] : []);
  });
}

function subject(answers: (boolean | Error)[]) {
  const events: string[] = [];
  const damage = new Damage(
    ({ event, problem }) => void events.push(`${event} ${problem}`),
    async () => {
      const answer = answers.shift() ?? false;
      if (answer instanceof Error) throw answer;
      return [{ damaged: answer }];
    },
  );
  return { damage, events };
}
