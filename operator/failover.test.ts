import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type ApiServer, startApiServer } from "@keyfleet/crds/testing/api-server.ts";

// Two real processes and a real API server; how long it takes is printed, the stories on real sites hold it to a bound.
const deadlineMs = 60_000;

interface Operator {
  readonly identity: string;
  readonly child: ChildProcess;
  port: string | undefined;
}

let server: ApiServer;
let folder: string;
const operators: Operator[] = [];

before(async () => {
  server = await startApiServer();
  await server.installCrds();
  folder = await mkdtemp(join(tmpdir(), "keyfleet-failover-"));
  await writeFile(join(folder, "kubeconfig"), server.kubeconfig, { mode: 0o600 });
});

after(async () => {
  for (const { child } of operators) child.kill("SIGKILL");
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test("a leader that is paused is followed, and stands by when it runs again", async (t) => {
  const first = start("first");
  await until("first leads", async () => (await roleOf(first)) === "leads");
  const second = start("second");
  await until("second stands by", async () => (await roleOf(second)) === "stands by; first leads");
  const beganMs = performance.now();
  first.child.kill("SIGSTOP");
  await until("second leads", async () => (await roleOf(second)) === "leads");
  t.diagnostic(`paused: the other leads after ${Math.round(performance.now() - beganMs)} ms`);
  first.child.kill("SIGCONT");
  await until("first stands by", async () => (await roleOf(first)) === "stands by; second leads");
});

test("a leader that is killed is followed", async (t) => {
  const [first, second] = operators as [Operator, Operator];
  const beganMs = performance.now();
  second.child.kill("SIGKILL");
  await until("first leads", async () => (await roleOf(first)) === "leads");
  t.diagnostic(`kill -9: the other leads after ${Math.round(performance.now() - beganMs)} ms`);
});

test("a leader that is told to end frees its Lease before it does", async (t) => {
  const [first] = operators as [Operator];
  const beganMs = performance.now();
  first.child.kill("SIGTERM");
  const [code] = await once(first.child, "exit");
  t.diagnostic(`SIGTERM: ended after ${Math.round(performance.now() - beganMs)} ms`);
  const path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/keyfleet-operator";
  const { spec } = (await server.request("GET", path)).body;
  assert.deepEqual([code, spec.holderIdentity], [0, undefined]);
});

function start(identity: string): Operator {
  const flags = ["--site", "dc1", "--namespace", "default", "--health-port", "0", "--identity", identity];
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, KUBECONFIG: join(folder, "kubeconfig") },
  });
  const operator: Operator = { identity, child, port: undefined };
  child.stdout.on("data", (data: Buffer) => {
    operator.port ??= /"healthPort":(\d+)/.exec(data.toString())?.[1];
  });
  operators.push(operator);
  return operator;
}

async function roleOf({ port }: Operator): Promise<string> {
  if (port === undefined) return "starts";
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2_000) });
  return await answer.text();
}

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await look().catch(() => false))) {
    assert.ok(performance.now() < endMs, `${what}: not within ${deadlineMs} ms`);
    await delay(100);
  }
}
