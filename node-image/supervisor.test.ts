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

/** What a failed test leaves behind. */
function endLeftOver(pid: string | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(Number(pid), "SIGKILL");
  } catch {
    // It has ended, as it should.
  }
}
