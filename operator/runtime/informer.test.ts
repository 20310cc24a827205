import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { pause } from "../ports/clock.ts";
import { ApiError, type WatchEvent } from "../ports/kubernetes-api.ts";
import type { KmsNode, KubernetesObject } from "../ports/types.ts";
import { FakeClock, settle } from "../testing/fake-clock.ts";
import { anObject, FakeCluster } from "../testing/fake-cluster.ts";
import { quietLog } from "../testing/quiet-log.ts";
import { Informer } from "./informer.ts";

function followed(labelSelector?: string) {
  const api = new FakeCluster();
  const clock = new FakeClock();
  const told: string[] = [];
  const requests: string[] = [];
  api.beforeRequest = (request) => void requests.push(request);
  const informer = new Informer({
    api,
    kind: "KmsNode",
    ...(labelSelector !== undefined && { labelSelector }),
    onChange: ({ metadata }) => told.push(metadata.name),
    clock,
    log: quietLog(),
  });
  const names = () => informer.items().map(({ metadata }) => metadata.name);
  return { api, clock, told, requests, informer, names };
}

test("shows what is there, what comes and what goes", async () => {
  const { api, informer, told, names } = followed();
  api.put(anObject("KmsNode", "dc1-a"));
  informer.start();
  await settle();
  assert.deepEqual([informer.fresh, names()], [true, ["dc1-a"]]);
  api.put(anObject("KmsNode", "dc1-b"));
  api.drop("KmsNode", "dc1-a");
  await settle();
  assert.deepEqual([names(), told], [["dc1-b"], ["dc1-a", "dc1-b", "dc1-a"]]);
  informer.stop();
});

test("goes on after a break from where it was, and keeps the last good state meanwhile", async () => {
  const { api, clock, informer, names, requests } = followed();
  api.put(anObject("KmsNode", "dc1-a"));
  informer.start();
  await settle();
  api.cut();
  await clock.advance(20_000);
  assert.deepEqual(names(), ["dc1-a"]);
  api.put(anObject("KmsNode", "dc1-b"));
  api.heal();
  await clock.advance(16_000);
  assert.deepEqual(names(), ["dc1-a", "dc1-b"]);
  assert.equal(requests.filter((request) => request === "list KmsNode").length, 1);
  informer.stop();
});

test("an object that is gone again does not come back with the late answer to the write that made it", async () => {
  const { api, informer, names } = followed();
  informer.start();
  await settle();
  const written = api.put(anObject("KmsNode", "dc1-a"));
  api.drop("KmsNode", "dc1-a");
  await settle();
  informer.wrote(written);
  assert.deepEqual(names(), []);
  informer.wrote(api.put(anObject("KmsNode", "dc1-b")));
  assert.deepEqual(names(), ["dc1-b"]);
  informer.stop();
});

test("asks a silent server less and less often", async () => {
  const { api, clock, informer, requests } = followed();
  api.cut();
  informer.start();
  await clock.advance(120_000);
  assert.ok(requests.length <= 15, `${requests.length} requests in two minutes`);
  informer.stop();
});

for (const code of ["gone", "failed", "forbidden", "garbled", "ended"] as const)
  test(`asks a server that lets it list and answers each watch with "${code}" less and less often, and follows it once it may`, async () => {
    const { api, clock, informer, names, requests } = followed();
    let isWell = false;
    api.beforeRequest = (request) => {
      requests.push(request);
      // On a clock that stands still a loop without a pause would never end.
      if (requests.length > 500) return new Promise(() => {});
      if (!isWell && code !== "ended" && request.startsWith("watch")) throw new ApiError(code, "not now");
    };
    const { watch } = api;
    api.watch = async (kind, query) => {
      if (code !== "ended" || isWell) return await watch.call(api, kind, query);
      requests.push("watch");
      query.onOpen?.();
    };
    informer.start();
    await clock.advance(120_000);
    assert.ok(requests.length <= 30, `${requests.length} requests in two minutes`);
    isWell = true;
    await clock.advance(16_000);
    api.put(anObject("KmsNode", "dc1-a"));
    await settle();
    assert.deepEqual([informer.fresh, names()], [true, ["dc1-a"]]);
    informer.stop();
  });

test("what a server lets nobody watch is seen within a minute all the same", async () => {
  const { api, clock, informer, names } = followed();
  api.beforeRequest = (request) => {
    if (request.startsWith("watch")) throw new ApiError("failed", "no streams through this proxy");
  };
  informer.start();
  await clock.advance(60_000);
  for (const name of ["dc1-a", "dc1-b"]) {
    api.put(anObject("KmsNode", name));
    await clock.advance(60_000);
    assert.ok(names().includes(name), `${name} is seen`);
  }
  informer.stop();
});

test("what cannot be listed anew after half an hour is watched on", async () => {
  const { api, clock, informer, names } = followed();
  informer.start();
  await clock.advance(1_000);
  api.beforeRequest = (request) => {
    if (request.startsWith("list")) throw new ApiError("busy", "too many lists");
  };
  await clock.advance(31 * 60_000);
  api.cut();
  api.heal();
  await clock.advance(5_000);
  api.put(anObject("KmsNode", "dc1-a"));
  await settle();
  assert.deepEqual(names(), ["dc1-a"]);
  informer.stop();
});

test("a server that takes its time to refuse a watch has not allowed it meanwhile", async () => {
  const { api, clock, informer, requests } = followed();
  api.beforeRequest = async (request) => {
    requests.push(request);
    if (request === "list KmsNode") return;
    await pause(clock, 2_000, new AbortController().signal);
    throw new ApiError("forbidden", "no such role");
  };
  informer.start();
  const fresh = new Set<boolean>();
  for (let second = 0; second < 120; second++) {
    await clock.advance(1_000);
    if (second > 2) fresh.add(informer.fresh);
  }
  assert.deepEqual([...fresh], [false]);
  assert.ok(requests.length <= 30, `${requests.length} requests in two minutes`);
  informer.stop();
});

test("an event that comes late by a watch from before a restart does not hinder the list", async () => {
  const api = new FakeCluster();
  let tell: (event: WatchEvent) => void = () => {};
  const watch: typeof api.watch = (kind, query) => {
    tell = query.onEvent;
    return api.watch(kind, query);
  };
  api.put(anObject("KmsNode", "dc1-a"));
  const heard = new Proxy(api, { get: (target, name) => (name === "watch" ? watch : bound(target, name)) });
  const informer = new Informer({
    ...{ api: heard, kind: "KmsNode", onChange: () => {}, clock: new FakeClock(), log: quietLog() },
  });
  informer.start();
  await settle();
  const [object] = api.all("KmsNode");
  informer.restart();
  tell({ type: "MODIFIED", object: object as KubernetesObject });
  await settle();
  assert.equal(informer.fresh, true);
  informer.stop();
});

test("lists anew after gone (410), and notices what went meanwhile", async () => {
  const { api, clock, informer, names, told } = followed();
  api.put(anObject("KmsNode", "dc1-a"));
  informer.start();
  await settle();
  api.beforeRequest = (request) => {
    if (request.startsWith("list")) api.drop("KmsNode", "dc1-a");
  };
  api.compact();
  await clock.advance(1_000);
  assert.deepEqual([names(), told], [[], ["dc1-a", "dc1-a"]]);
  informer.stop();
});

test("is not fresh between a restart and the next whole list", async () => {
  const { informer } = followed();
  informer.start();
  await settle();
  informer.restart();
  assert.equal(informer.fresh, false);
  await settle();
  assert.equal(informer.fresh, true);
  informer.stop();
});

test("an older version never replaces a newer one that this process wrote", async () => {
  const { api, informer } = followed();
  const old = api.put(anObject("KmsNode", "dc1-a", { spec: { version: "1" } }));
  informer.start();
  await settle();
  const newer = { ...old, spec: { version: "2" }, metadata: { ...old.metadata, resourceVersion: "500" } };
  informer.wrote(newer);
  informer.wrote(old);
  assert.deepEqual(informer.get("dc1-a")?.spec, { version: "2" });
  informer.stop();
});

test("a list shows what is there after a backup was put back, though it is older than what was seen", async () => {
  const { api, clock, informer, told } = followed();
  api.put(anObject("KmsNode", "dc1-a", { spec: { version: "1" } }));
  api.put(anObject("KmsNode", "dc1-b"));
  const backup = api.backup();
  api.put(anObject("KmsNode", "dc1-a", { spec: { version: "2" } }));
  informer.start();
  await settle();
  api.restore(backup);
  told.length = 0;
  informer.restart();
  await clock.advance(1_000);
  assert.deepEqual([informer.get("dc1-a")?.spec, told], [{ version: "1" }, ["dc1-a"]], "only what differs is told");
  informer.stop();
});

test("a list that was asked for before a write of this process takes nothing of that back", async () => {
  const { api, informer, names } = followed();
  api.put(anObject("KmsNode", "dc1-a", { spec: { version: "1" } }));
  const listed = await api.list("KmsNode");
  let answer = () => {};
  informer.start();
  await settle();
  // Nothing but the list tells what is there.
  api.watch = () => new Promise(() => {});
  api.list = () => new Promise((resolve) => (answer = () => resolve(listed)));
  informer.restart();
  await settle();
  informer.wrote(api.put(anObject("KmsNode", "dc1-a", { spec: { version: "2" } })));
  informer.wrote(api.put(anObject("KmsNode", "dc1-b")));
  answer();
  await settle();
  assert.deepEqual([names(), informer.get("dc1-a")?.spec], [["dc1-a", "dc1-b"], { version: "2" }]);
  informer.stop();
});

test("what this process took for deleted and is still there is not shown as going after the next list", async () => {
  const { api, clock, informer } = followed();
  const node = api.put(anObject("KmsNode", "dc1-a"));
  informer.start();
  await settle();
  informer.removed(node);
  informer.restart();
  await clock.advance(1_000);
  assert.equal(informer.get("dc1-a")?.metadata.deletionTimestamp, undefined);
  informer.stop();
});

test("an object that was made anew under the same name replaces the old one", async () => {
  const { api, informer } = followed();
  const first = api.put(anObject("KmsNode", "dc1-a"));
  informer.start();
  await settle();
  api.drop("KmsNode", "dc1-a");
  api.put(anObject("KmsNode", "dc1-a"));
  await settle();
  assert.notEqual(informer.get("dc1-a")?.metadata.uid, first.metadata.uid);
  informer.stop();
});

test("what this process deleted is shown as going at once", async () => {
  const { api, informer } = followed();
  const node = api.put(anObject("KmsNode", "dc1-a"));
  informer.start();
  await settle();
  informer.removed(node);
  assert.ok(informer.get("dc1-a")?.metadata.deletionTimestamp);
  informer.stop();
});

test("what objects of a fleet have in common is in memory once, whichever comes between them", async () => {
  const { api, informer } = followed();
  const put = (node: string, members: readonly string[]) => {
    const cluster = node.slice(0, 4);
    const metadata = { labels: { "keyfleet.io/cluster": cluster } };
    api.put(anObject("KmsNode", node, { metadata, spec: { cluster, members: members.map((name) => ({ name })) } }));
  };
  const membersOf = (node: string) => (informer.get(node) as unknown as KmsNode).spec.members;
  informer.start();
  await settle();
  for (const node of ["bank-a", "test-a", "bank-b", "test-b"]) put(node, [node.slice(0, 4)]);
  await settle();
  assert.equal(membersOf("bank-a"), membersOf("bank-b"));
  assert.deepEqual(membersOf("test-a"), [{ name: "test" }]);
  for (const node of ["bank-a", "test-a", "bank-b"]) put(node, [node.slice(0, 4), "new"]);
  await settle();
  informer.stop();
  assert.deepEqual(membersOf("bank-a"), [{ name: "bank" }, { name: "new" }]);
  assert.equal(membersOf("bank-a"), membersOf("bank-b"));
  assert.deepEqual(membersOf("test-b"), [{ name: "test" }]);
});

test("the answer of a list is let go when it is stored, with all of it that is not kept", async () => {
  const api = new FakeCluster();
  api.put(anObject("Secret", "bank-ca", { data: { "ca.key": "secret" } }));
  const answers: WeakRef<object>[] = [];
  const list: typeof api.list = async (...query) => {
    const answer = structuredClone(await api.list(...query));
    answers.push(new WeakRef(answer.items[0] as object));
    return answer;
  };
  const watching = new Proxy(api, { get: (target, name) => (name === "list" ? list : bound(target, name)) });
  const clock = new FakeClock();
  const keep = ({ apiVersion, kind, metadata }: KubernetesObject) => ({ apiVersion, kind, metadata });
  const informer = new Informer({ api: watching, kind: "Secret", keep, onChange: () => {}, clock, log: quietLog() });
  informer.start();
  await settle();
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  assert.deepEqual([informer.fresh, answers.length, answers[0]?.deref()], [true, 1, undefined]);
  informer.stop();
});

function bound(target: FakeCluster, name: string | symbol): unknown {
  const value = Reflect.get(target, name, target);
  return typeof value === "function" ? value.bind(target) : value;
}
