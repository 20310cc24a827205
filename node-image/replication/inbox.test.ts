import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { toWire } from "../store/wire.ts";
import { Inbox } from "./inbox.ts";

const origin = randomUUID();

function anOperation(seq: number, { of = origin, bytes = 10 } = {}): string {
  const payload = Buffer.alloc(bytes);
  return toWire({ origin: of, seq, hlc: 1n, kind: "change", object: randomUUID(), payload, mac: Buffer.alloc(32) });
}

function anInbox(...came: readonly string[]): Inbox {
  const inbox = new Inbox(() => () => undefined);
  for (const payload of came) inbox.heard(payload);
  return inbox;
}

const many = (count: number, bytes = 10) => Array.from({ length: count }, (_, at) => anOperation(at + 1, { bytes }));

const cases: readonly (readonly [string, readonly string[], { readonly ask: boolean; readonly sequences: number }])[] =
  [
    ["operations are taken as they came", many(3), { ask: false, sequences: 3 }],
    ["what says nothing makes the peer be asked", ["", anOperation(1)], { ask: true, sequences: 0 }],
    ["what is no operation makes the peer be asked", ["[1, 2]"], { ask: true, sequences: 0 }],
    ["two thousand wait at most", many(2_000), { ask: false, sequences: 2_000 }],
    ["beyond that the peer is asked, and nothing is kept", many(2_001), { ask: true, sequences: 0 }],
    ["8 MiB wait at most", many(1_300, 5_000), { ask: true, sequences: 0 }],
    ["operations of other logs are left out", [anOperation(1, { of: randomUUID() })], { ask: false, sequences: 0 }],
  ];

for (const [sentence, came, { ask, sequences }] of cases) {
  test(`of an inbox: ${sentence}`, () => {
    const inbox = anInbox(...came);
    const taken = inbox.take(origin);
    assert.deepEqual([taken.ask, taken.operations.length], [ask, sequences]);
    assert.ok(inbox.news, "a link that rests hears of it");
    inbox.heard(anOperation(7));
    assert.equal(inbox.take(origin).operations[0]?.seq, 7, "and goes on with what comes next");
  });
}
