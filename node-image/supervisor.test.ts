import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { type TestContext, test } from "node:test";
import { type Program, Supervised } from "./supervisor.ts";

/** A program under supervision whose output is heard; timers are the test's. */
function supervised(context: TestContext, script: string) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const heard = new EventEmitter();
  const lines: string[] = [];
  const write = (line: string) => {
    lines.push(line);
    heard.emit("line", line);
  };
  const program = (environment: Program["environment"]): Program => ({
    name: "hsm",
    command: ["/bin/sh", "-c", script],
    environment,
    endSignal: "SIGTERM",
  });
  const subject = new Supervised(program({ LIFE: "first" }), write);
  const reached = async (pattern: RegExp) => {
    while (!lines.some((line) => pattern.test(line))) await once(heard, "line", { signal: AbortSignal.timeout(5_000) });
  };
  context.after(() => {
    void subject.end();
    for (const line of lines) endLeftOver(/started, pid (\d+)/.exec(line)?.[1]);
  });
  return { subject, program, reached };
}

test("a program that does not end when its settings change is killed, and started with the new ones", async (context) => {
  const { subject, program, reached } = supervised(context, 'trap "" TERM; echo "lives in $LIFE"; exec sleep 600');
  await reached(/lives in first/);
  subject.update(program({ LIFE: "second" }));
  context.mock.timers.tick(15_000);
  await reached(/ended \(SIGKILL\); starts again in 500 ms/);
  context.mock.timers.tick(500);
  await reached(/lives in second/);
  const ended = subject.end();
  context.mock.timers.tick(15_000);
  await ended;
});

test("what cannot be started is tried again, ends when it is told to, and starts when it can be", async (context) => {
  const { subject, program, reached } = supervised(context, 'echo "lives in $LIFE"; exec sleep 600');
  await reached(/lives in first/);
  // Longer than any argument that Linux takes.
  subject.update(program({ LIFE: "x".repeat(200_000) }));
  await reached(/starts again in 500 ms/);
  context.mock.timers.tick(500);
  await reached(/ended \(spawn E2BIG\); starts again in 1000 ms/);
  context.mock.timers.tick(1_000);
  await reached(/ended \(spawn E2BIG\); starts again in 2000 ms/);
  subject.update(program({ LIFE: "second" }));
  context.mock.timers.tick(2_000);
  await reached(/lives in second/);
  await subject.end();
});

/** Uses up the files that this process may open, gives them back when the first start has failed, and ends when the program lives. */
const starved = `
  import { closeSync, openSync } from "node:fs";
  import { Supervised } from ${JSON.stringify(new URL("./supervisor.ts", import.meta.url).href)};
  const open = [];
  const program = { name: "hsm", command: ["/bin/echo", "lives"], environment: {}, endSignal: "SIGTERM" };
  const heard = (line) => {
    process.stdout.write(line + "\\n");
    if (line.includes("starts again")) for (const file of open.splice(0)) closeSync(file);
    if (line.includes("lives")) void subject.end().then(() => process.exit(0));
  };
  try { for (;;) open.push(openSync("/dev/null")); } catch {}
  const subject = new Supervised(program, heard);
`;

test("what could not be started for want of files is tried again", () => {
  const limited = ["-c", 'ulimit -n 64; exec "$0" "$@"', process.execPath, "--input-type=module", "-e", starved];
  const { stdout, stderr } = spawnSync("/bin/sh", limited, { encoding: "utf8", timeout: 60_000 });
  assert.match(stdout, /ended \(spawn \/bin\/sh EMFILE\); starts again in 500 ms\n.*started, pid/, stderr);
});

/** What a failed test leaves behind. */
function endLeftOver(pid: string | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(Number(pid), "SIGKILL");
  } catch {
    // It has ended, as it should.
  }
}
