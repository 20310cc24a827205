import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { Fleet } from "./testing/fleet.ts";
import type { FleetNode } from "./testing/fleet-node.ts";
import { noteSecret } from "./testing/leak-search.ts";

/** One node as processes: key server, sidecar with SoftHSM, PostgreSQL 18, chrony. The long story has three (test-e2e/stories). */
let fleet: Fleet;
let node: FleetNode;
let key = "";
const logFileBytes = 20_000;
before(async () => {
  fleet = await Fleet.start();
  const logs = { environment: { KEYFLEET_LOG_FILE_BYTES: String(logFileBytes) } };
  node = await fleet.add("dc1-a", { logFolder: "/var/lib/keyfleet/logs", programs: { keyServer: logs } });
});
after(() => fleet.stop());

test("a node that nobody has told anything reports all it has and serves nobody", async () => {
  const { conditions } = await node.reached("its parts", (status) => status.joinPublicKey !== undefined && status);
  assert.equal(conditions?.length, 7);
  await node.reachedCondition("Serving", "False", "AwaitingMembership");
  const ready = await fetch(`${node.healthUrl}/readyz`);
  assert.deepEqual([ready.status, await ready.text()], [503, "ready; waits to be told to found or to join\n"]);
  await assert.rejects(fleet.connect("dc1-a"));
});

test("it founds a fleet of its own and serves KMIP", async () => {
  await fleet.found("dc1-a");
  const client = await fleet.connect("dc1-a");
  key = await client.create();
  assert.equal((await client.get(key)).length, 32);
  client.close();
  const served = node.status?.interfaces?.map(({ name, port }) => `${name} ${port}`);
  assert.deepEqual(served, ["kmip 5696", "rest 8443", "status 8444"]);
});

test("it writes an activity log and turns its files over, with every operation in it and no key byte", async () => {
  node.edit({ settings: { ...node.spec.settings, logs: { kmipActivity: true } } });
  const client = await fleet.connect("dc1-a");
  const bytes = await client.get(key);
  const folder = join(node.folder, "data/logs");
  const files = () => readdirSync(folder).filter((name) => name.startsWith("kmip-activity.log"));
  // The settings apply when the node has read its file again.
  for (let round = 0; round < 400 && !existsSync(join(folder, "kmip-activity.log")); round += 1) {
    await client.get(key);
    await setTimeout(50);
  }
  for (let round = 0; round < 500 && files().length < 4; round += 1) await client.get(key);
  client.close();
  const texts = files().map((name) => readFileSync(join(folder, name), "utf8"));
  assert.equal(texts.length, 4);
  for (const text of texts) assert.ok(text.length <= logFileBytes);
  const lines = texts.flatMap((text) => text.trim().split("\n")).map((line) => JSON.parse(line));
  for (const { message, log, operation, version, objects, result } of lines)
    assert.deepEqual(
      [message, log, operation, version, objects, result],
      ["kmip", "kmip-activity", "Get", "1.4", [key], "success"],
    );
  const whole = [...texts, ...readdirSync(folder).map((name) => readFileSync(join(folder, name), "latin1"))].join("\n");
  for (const form of [bytes.toString("hex"), bytes.toString("base64"), JSON.stringify([...bytes])])
    assert.ok(!whole.toLowerCase().includes(form.toLowerCase()));
});

test("it stops at once when its HSM is gone, and serves again when it is back", async () => {
  const { hsm } = node.spec.settings;
  const client = await fleet.connect("dc1-a");
  const cut = new Promise((resolve) => client.socket.once("close", resolve));
  node.edit({ settings: { ...node.spec.settings, hsm: { ...hsm, library: "/usr/lib/no-such-hsm.so" } } });
  await cut;
  await node.reachedCondition("Serving", "False", "RootOfTrustUnavailable");
  await assert.rejects(fleet.connect("dc1-a"));
  node.edit({ settings: { ...node.spec.settings, hsm: hsm ?? {} } });
  await node.reachedCondition("Serving", "True");
  const again = await fleet.connect("dc1-a");
  assert.equal((await again.get(key)).length, 32);
  again.close();
});

test("verify checks its whole store with its HSM, and tells of a row that was changed", async () => {
  // The audit soon after the start, if it came upon the change, would end service for 20 s.
  await node.reachedCondition("StoreIntact", "True", "Intact");
  const verify = ["/opt/keyfleet/node_modules/.bin/node", "/opt/keyfleet/node-image/keyfleet-node.ts", "verify"];
  const intact = await node.run(verify);
  assert.equal(intact.code, 0, intact.lines.join("\n"));
  assert.match(intact.lines.join(), /^1 objects and \d+ operations checked: the store is as it was written/);
  const psql = [
    "/usr/lib/postgresql/18/bin/psql",
    "-h",
    "/run/keyfleet/postgres",
    "-U",
    "keyfleet",
    "-d",
    "keyfleet",
    "-c",
  ];
  const change = (facts: string) => [...psql, `update keyfleet.objects set state = replace(state, ${facts})`];
  assert.equal((await node.run(change(`'"facts":0', '"facts":4'`))).code, 0);
  const damaged = await node.run(verify);
  assert.deepEqual([damaged.code, /^wrong: object/.test(damaged.lines.join())], [1, true], damaged.lines.join("\n"));
  assert.equal((await node.run(change(`'"facts":4', '"facts":0'`))).code, 0);
});

test("it says which settings it has no code for", async () => {
  node.edit({ settings: { ...node.spec.settings, proxy: { https: "http://proxy" } } });
  const condition = await node.reachedCondition("SettingsApplied", "False", "NotSupported");
  assert.match(condition.message, /no proxy; take it out/);
});

test("the operator of its site reads its status over TLS, the one of another site does not", async () => {
  const { code, body } = await fleet.askStatus("dc1-a", "dc1");
  assert.equal(code, 200);
  const { kind, metadata, status } = body as KmsNode;
  assert.deepEqual([kind, metadata.name, status?.incarnation], ["KmsNode", "dc1-a", node.status?.incarnation]);
  await assert.rejects(fleet.askStatus("dc1-a", "dc2"));
});

test("its metrics name versions, sequence, clock, and operations", async () => {
  const text = await (await fetch(`${node.healthUrl}/metrics`)).text();
  assert.match(text, /^keyfleet_serving 1$/m);
  assert.match(text, /^keyfleet_build_info\{version="\d+\.\d+\.\d+",node="v24/m);
  assert.match(text, /^keyfleet_kmip_operations_total\{operation="Create",result="success"\} 1$/m);
  assert.match(text, /^keyfleet_clock_offset_milliseconds\{server="127\./m);
  assert.match(text, /^keyfleet_hsm_ready 1$/m);
});

test("a certificate that a clock signed which is days ahead takes nothing from it: clients go on, across a restart too", async () => {
  const before = await fleet.connect("dc1-a");
  await fleet.certifyAhead(node, 4 * 86_400_000);
  const { message } = await node.reachedCondition("Certificates", "True", "OutOfTime");
  assert.match(message, /^valid until .*; it is the one of before, because the certificate is valid from/);
  assert.equal((await before.get(key)).length, 32, "a connection that was open");
  before.close();
  const began = node.status?.startedAt;
  assert.equal(node.kill("keyServer"), 1);
  await node.reached("another start", ({ startedAt }) => startedAt !== began);
  await node.reachedCondition("Serving", "True");
  await node.reachedCondition("Certificates", "True", "OutOfTime");
  const after = await fleet.connect("dc1-a");
  assert.equal((await after.get(key)).length, 32);
  after.close();
  await fleet.certify(node);
  await node.reachedCondition("Certificates", "True", "Valid");
});

test("a port that was changed waits for the next start of the node, and the node says so until then", async () => {
  const { proxy: _none, ...settings } = node.spec.settings;
  node.edit({ settings });
  await node.reachedCondition("SettingsApplied", "True", "Applied");
  node.edit({ settings: { ...settings, interfaces: { rest: { port: 9443 } } } });
  const { message } = await node.reachedCondition("SettingsApplied", "False", "RestartNeeded");
  assert.match(message, /^interfaces\.rest\.port: in force after a restart; start the node again/);
  assert.ok(node.status?.interfaces?.some(({ name, port }) => name === "rest" && port === 8443));
  assert.equal(node.kill("keyServer"), 1);
  await node.reached("the new port", (status) => status.interfaces?.some(({ port }) => port === 9443));
  await node.reachedCondition("SettingsApplied", "True", "Applied");
});

test("a node that waits to join says whether it reaches the members' ports", async () => {
  const waiting = await fleet.add("dc2-a", { programs: { hsm: { run: false } } });
  const link = (connected: boolean) =>
    waiting.reached(`connected: ${connected}`, ({ peers }) =>
      peers?.some((peer) => peer.name === "dc1-a" && peer.connected === connected),
    );
  await link(true);
  waiting.edit({ members: fleet.members.map((member) => ({ ...member, meshPort: 1 })) });
  await link(false);
});

test("settings of a sidecar that somebody else runs wait until he has started it with them", async () => {
  const node = fleet.node("dc2-a");
  const { settings } = node.spec;
  await node.reachedCondition("SettingsApplied", "True", "Applied");
  node.edit({ settings: { ...settings, hsm: { ...settings.hsm, keyLabel: "another" } } });
  const { message } = await node.reachedCondition("SettingsApplied", "False", "RestartNeeded");
  assert.match(message, /^hsm: in force after a restart/);
  node.edit({ settings });
  await node.reachedCondition("SettingsApplied", "True", "Applied");
});

test("a fleet whose node writes a key, into its output or its log files, does not stop without saying so", async () => {
  const leaking = await Fleet.start();
  const leaky = await leaking.add("dc1-a");
  const [spoken, filed] = [randomBytes(32), randomBytes(32)];
  noteSecret("the spoken key", spoken);
  noteSecret("the filed key", filed);
  await leaky.run(["/bin/sh", "-c", `echo ${spoken.toString("hex")}`]);
  mkdirSync(join(leaky.folder, "data/logs"), { recursive: true });
  writeFileSync(join(leaky.folder, "data/logs/debug.log"), `{"key":"${filed.toString("base64")}"}`);
  await assert.rejects(leaking.stop(), /the spoken key in the output of dc1-a; the filed key in .*debug\.log$/);
});
