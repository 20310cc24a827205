import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseSources, readTime, type TimeReading } from "./read-time.ts";
import { parseTimeServer, timeConfiguration, writeTimeConfiguration } from "./time-configuration.ts";

test("an address is a host with or without a port", () => {
  const good: [string, string, number | undefined][] = [
    ["ntp1.bank.example", "ntp1.bank.example", undefined],
    ["ntp1.bank.example:1123", "ntp1.bank.example", 1123],
    ["10.1.2.3", "10.1.2.3", undefined],
    ["10.1.2.3:11123", "10.1.2.3", 11123],
    ["fd00::1", "fd00::1", undefined],
    ["[fd00::1]:11123", "fd00::1", 11123],
  ];
  for (const [address, host, port] of good) {
    assert.deepEqual(parseTimeServer(address), { address, host, ...(port === undefined ? {} : { port }) });
  }
});

test("an address that could say something else to chronyd is refused with advice", () => {
  const bad = [
    "",
    "a b",
    "ntp\nmakestep 1 1",
    "ntp1 iburst",
    "-x",
    "ntp:0",
    "ntp:70000",
    "ntp:x",
    "#",
    "[fd00::1",
    "a".repeat(300),
  ];
  for (const address of bad)
    assert.throws(() => parseTimeServer(address), /settings\.ntp\.servers/, JSON.stringify(address));
  assert.throws(() => timeConfiguration("/run/keyfleet", Array(17).fill("ntp")), /at most 16/);
});

test("what chronyc says becomes each server's offset and the worst of them", () => {
  const cases: [string, string, TimeReading][] = [
    [
      "two that answer",
      "^,?,ntp1,3,4,17,1,0.000002209,0.000002209,0.000004034\n^,?,ntp2,2,4,1,0,-3.000026703,-3.000026703,0.000033120\n",
      {
        synchronised: true,
        worstOffsetMs: 3000.027,
        servers: [
          { address: "ntp1", reachable: true, stratum: 3, offsetMs: 0.002 },
          { address: "ntp2:123", reachable: true, stratum: 2, offsetMs: -3000.027 },
        ],
      },
    ],
    [
      "one that never answered and one that has stopped answering",
      "^,?,ntp1,0,4,0,4294967295,0.000000000,0.000000000,0.000000000\n^,?,ntp2,2,6,370,300,0.5,0.5,0.1\n",
      {
        synchronised: false,
        servers: [
          { address: "ntp1", reachable: false },
          { address: "ntp2:123", reachable: false },
        ],
      },
    ],
    [
      "no answer at all",
      "",
      {
        synchronised: false,
        servers: [
          { address: "ntp1", reachable: false },
          { address: "ntp2:123", reachable: false },
        ],
      },
    ],
    [
      "lines of another kind",
      "506 Cannot talk to daemon\n,,ntp1\n^,?,ntp2,x,y,z,1,2\n",
      {
        synchronised: false,
        servers: [
          { address: "ntp1", reachable: false },
          { address: "ntp2:123", reachable: false },
        ],
      },
    ],
  ];
  for (const [what, csv, wanted] of cases) assert.deepEqual(parseSources(csv, ["ntp1", "ntp2:123"]), wanted, what);
});

test("a real chronyd measures an honest server and a lying one, and follows new settings", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-time-"));
  const started: ChildProcess[] = [];
  context.after(() => endAll(started, folder));
  started.push(timeServer(folder, "127.0.0.11", undefined), timeServer(folder, "127.0.0.12", "+3s"));
  const servers = ["127.0.0.11:11123", "127.0.0.12:11123"];
  started.push(
    spawn(fileURLToPath(new URL("./start.sh", import.meta.url)), {
      env: { ...process.env, KEYFLEET_RUN: folder },
      stdio: "ignore",
    }),
  );
  assert.equal((await readTime(folder, servers)).synchronised, false);
  writeTimeConfiguration(folder, servers);
  const both = await readingWith(folder, servers, (reading) => reading.servers.every((server) => server.reachable));
  const [honest, liar] = both.servers;
  assert.ok(Math.abs(honest?.offsetMs ?? 9999) < 250, `honest server: ${honest?.offsetMs} ms`);
  assert.ok(Math.abs((liar?.offsetMs ?? 0) + 3000) < 250, `lying server: ${liar?.offsetMs} ms`);
  assert.equal(both.worstOffsetMs, Math.abs(liar?.offsetMs ?? 0));
  writeTimeConfiguration(folder, servers.slice(0, 1));
  const one = await readingWith(
    folder,
    servers,
    (reading) => reading.synchronised && reading.servers[1]?.reachable === false,
  );
  assert.ok((one.worstOffsetMs ?? 9999) < 250);
});

/** A chronyd that serves this machine's time, shifted for the liar. */
function timeServer(folder: string, address: string, shift: string | undefined): ChildProcess {
  const faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
  assert.ok(existsSync(faketime), `${faketime} is missing: apt-get install libfaketime`);
  const path = join(folder, `${address}.conf`);
  const lines = [
    "port 11123",
    `bindaddress ${address}`,
    "local stratum 3",
    "allow 127.0.0.0/8",
    "cmdport 0",
    "bindcmdaddress /",
  ];
  writeFileSync(path, [...lines, `pidfile ${join(folder, `${address}.pid`)}`, ""].join("\n"));
  const shifted = shift === undefined ? {} : { LD_PRELOAD: faketime, FAKETIME: shift };
  const user = process.getuid?.() === 0 ? ["-u", "root"] : [];
  return spawn("chronyd", ["-d", "-x", "-U", ...user, "-f", path], {
    env: { ...process.env, ...shifted },
    stdio: "ignore",
  });
}

async function readingWith(
  folder: string,
  servers: string[],
  wanted: (reading: TimeReading) => boolean,
): Promise<TimeReading> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const reading = await readTime(folder, servers);
    if (wanted(reading)) return reading;
    if (Date.now() > deadline) throw new Error(`after 10 s chronyd still says ${JSON.stringify(reading)}`);
    await pause(50);
  }
}

async function endAll(processes: readonly ChildProcess[], folder: string): Promise<void> {
  const running = processes.filter((child) => child.exitCode === null && child.signalCode === null);
  const gone = running.map((child) => new Promise((resolve) => child.once("exit", resolve)));
  for (const child of running) child.kill();
  await Promise.all(gone);
  rmSync(folder, { recursive: true, force: true });
}
