import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../objects/types.ts";
import { testKeyring } from "../testing/keyring.ts";
import { OwnName } from "./own-name.ts";

const keyring = testKeyring();
const [own, other] = ["a0000000-0000-4000-8000-000000000001", "a0000000-0000-4000-8000-000000000002"];
const identity = "CN=dc1-a,OU=dc1,O=bank";

/** A node to which the log `own` was given, whose database says afterwards what it is made to say. */
async function aNode(change: (said: Json | undefined) => Json | undefined): Promise<OwnName> {
  let said: Json | undefined;
  const settings = {
    setting: async () => said,
    setSetting: async (_: string, value: Json) => {
      said = value;
    },
  };
  const name = new OwnName({ settings, keyring: () => keyring });
  await name.prove(identity, own);
  said = change(said);
  return name;
}

const asItWas = (said: Json | undefined) => said;
const cases: readonly (readonly [
  sentence: string,
  change: (said: Json | undefined) => Json | undefined,
  asked: readonly [identity: string, incarnation: string],
  isProved: boolean,
])[] = [
  ["a name that was given to this node is its own", asItWas, [identity, own], true],
  ["another name is not", asItWas, [identity, other], false],
  ["the same name in the database of another node is not that one's", asItWas, ["CN=dc2-a,OU=dc2,O=bank", own], false],
  ["what is torn proves nothing", (said) => String(said).slice(0, 20), [identity, own], false],
  ["what was never written, or is another thing, proves nothing", () => 7, [identity, own], false],
  ["what was taken away proves nothing", () => undefined, [identity, own], false],
];
for (const [sentence, change, asked, isProved] of cases)
  test(sentence, async () => {
    assert.equal(await (await aNode(change)).isProved(...asked), isProved);
  });
