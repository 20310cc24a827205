import assert from "node:assert/strict";
import { test } from "node:test";
import { callerOf } from "../access/identity.ts";
import { fact, type Store } from "../objects/types.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { aCreate } from "../testing/mesh.ts";
import { keptBytes } from "./kept-bytes.ts";
import { stageOver } from "./stage.ts";

/** A stage over a store whose material is told apart from what it was when the stage began. */
function aStage() {
  const memory = memoryStore();
  const material = { now: "before" };
  const objects: Store["objects"] = async (ids) =>
    (await memory.objects(ids)).map((object) => ({ ...object, sealed: Buffer.from(material.now) }));
  const store: Store = { ...memory, objects, object: async (id) => (await objects([id]))[0] };
  const caller = callerOf("CN=app", "CN=clients");
  const { effects } = stageOver({ store, usage: {} as never, whenTrue: () => undefined, caller, staged: keptBytes() });
  const sealed = async (id: string) => (await effects.store.object(id))?.sealed?.toString();
  return { memory, material, staged: effects.store, sealed };
}

test("of what a batch changes the material stays in the store, and is read when it is used", async () => {
  const { memory, material, staged, sealed } = aStage();
  const create = aCreate();
  await memory.write([create]);
  const change = (facts: number) =>
    staged.write([{ kind: "change", id: create.id, facts, attributes: { "x-a": [1] } }]);
  await change(0);
  await change(0);
  material.now = "after";
  assert.equal(await sealed(create.id), "after");
  assert.deepEqual((await staged.object(create.id))?.attributes.get("x-a"), [1]);
  await change(fact.destroyed);
  assert.equal(await sealed(create.id), undefined);
});

test("what a batch makes is whole before it is in the store, whatever else the batch changes of it", async () => {
  const { staged } = aStage();
  const create = aCreate();
  await staged.write([create]);
  await staged.write([{ kind: "change", id: create.id, facts: 1, attributes: {} }]);
  const [object] = await staged.objects([create.id]);
  assert.deepEqual([object?.facts, object?.sealed], [1, create.kind === "create" ? create.sealed : undefined]);
});
