import assert from "node:assert/strict";
import { test } from "node:test";
import { anObject, FakeCluster } from "../testing/fake-cluster.ts";
import { writeSpecCopy } from "./spec-copy.ts";
import type { KmsCluster } from "./types.ts";

const annotations = { version: "v", generation: "g", deleted: "d" };
const specOf = (version: string): KmsCluster["spec"] => ({ version, sites: [] });
const marks = (api: FakeCluster) => api.peek("KmsCluster", "bank")?.metadata.annotations;

function aSite(version?: string) {
  const api = new FakeCluster();
  const local =
    version === undefined
      ? undefined
      : api.put(anObject("KmsCluster", "bank", { spec: specOf(version), status: { nodes: "6/6" } }));
  return { api, local: local as unknown as KmsCluster | undefined };
}

test("a missing copy is made with its version", async () => {
  const { api, local } = aSite();
  await writeSpecCopy(api, { name: "bank", local, version: "3@dc2", spec: specOf("1"), annotations });
  assert.deepEqual([api.peek("KmsCluster", "bank")?.spec, marks(api)], [specOf("1"), { v: "3@dc2", g: "1" }]);
});

test("a stamp changes nothing but the annotations", async () => {
  const { api, local } = aSite("1");
  await writeSpecCopy(api, { name: "bank", local, version: "1@dc1", annotations });
  const after = api.peek("KmsCluster", "bank");
  assert.deepEqual([after?.spec, after?.status, marks(api)], [specOf("1"), { nodes: "6/6" }, { v: "1@dc1", g: "1" }]);
});

test("another specification raises the generation, and is stamped with the one that it gets", async () => {
  const { api, local } = aSite("1");
  await writeSpecCopy(api, { name: "bank", local, version: "2@dc2", spec: specOf("2"), annotations });
  const after = api.peek("KmsCluster", "bank");
  assert.deepEqual([after?.spec, String(after?.metadata.generation)], [specOf("2"), marks(api)?.g]);
});

test("an edit that came in between is never overwritten", async () => {
  const { api, local } = aSite("1");
  api.put(anObject("KmsCluster", "bank", { spec: specOf("edited") }));
  assert.equal(
    await writeSpecCopy(api, { name: "bank", local, version: "2@dc2", spec: specOf("2"), annotations }),
    undefined,
  );
  assert.deepEqual(api.peek("KmsCluster", "bank")?.spec, specOf("edited"));
});

/** As `dc1: a, b; dc2: c (External)`. */
function sitesOf(text: string): KmsCluster["spec"]["sites"] {
  return text.split("; ").map((site) => {
    const [name = "", nodes = ""] = site.split(": ");
    return { name, environment: "OnPremises", nodes: nodes.split(", ").filter(Boolean).map(nodeOf) };
  });
}

function nodeOf(text: string) {
  const [name = "", external] = text.split(" ");
  return external === undefined ? { name } : { name, management: "External" as const };
}

const sums: readonly [string, from: string, to: string, written: readonly string[]][] = [
  ["nodes come and go", "dc1: a, b", "dc1: a, c", ["dc1: a, c"]],
  ["an empty site goes", "dc1: a; dc2: ", "dc1: a", ["dc1: a"]],
  ["a site goes that has nodes here", "dc1: a; dc2: b", "dc1: a", ["dc1: a; dc2: ", "dc1: a"]],
  ["a node is in another site", "dc1: a, b; dc2: c", "dc1: a; dc2: b", ["dc1: a; dc2: ", "dc1: a; dc2: b"]],
  ["a node has become an appliance", "dc1: a, b", "dc1: a, b (External)", ["dc1: a", "dc1: a, b (External)"]],
];
for (const [what, from, to, written] of sums)
  test(`what the API server takes one edit after the other is written so: ${what}`, async () => {
    const api = new FakeCluster();
    const metadata = { annotations: { v: "1@dc1", g: "1" } };
    const spec = { version: "1", sites: sitesOf(from) };
    const local = api.put(anObject("KmsCluster", "bank", { metadata, spec })) as unknown as KmsCluster;
    const update = api.update.bind(api);
    const seen: object[] = [];
    api.update = (object) => {
      seen.push([object.metadata.annotations?.v, (object.spec as KmsCluster["spec"]).sites]);
      return update(object);
    };
    await writeSpecCopy(api, {
      name: "bank",
      local,
      version: "3@dc2",
      spec: { version: "2", sites: sitesOf(to) },
      annotations,
    });
    const stamps = written.length === 1 ? ["3@dc2"] : ["1@dc1", "3@dc2"];
    assert.deepEqual(
      seen,
      written.map((sites, at) => [stamps[at], sitesOf(sites)]),
    );
    assert.equal(marks(api)?.g, String(api.peek("KmsCluster", "bank")?.metadata.generation));
  });

test("what an older CRD drops is stamped as it is, so that the next edit here still counts", async () => {
  const { api, local } = aSite("1");
  const update = api.update.bind(api);
  api.update = (object) => update({ ...object, spec: specOf("1") });
  await writeSpecCopy(api, { name: "bank", local, version: "2@dc2", spec: specOf("2"), annotations });
  assert.equal(marks(api)?.g, String(api.peek("KmsCluster", "bank")?.metadata.generation));
});
