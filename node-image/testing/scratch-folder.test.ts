import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { scratchFolder } from "./scratch-folder.ts";

const parent = mkdtempSync(join(tmpdir(), "keyfleet-scratch-"));
after(() => rmSync(parent, { recursive: true }));

const killed = `
  const { scratchFolder } = await import(${JSON.stringify(join(import.meta.dirname, "scratch-folder.ts"))});
  console.log(scratchFolder(${JSON.stringify(parent)}, "kf-"));
  process.kill(process.pid, "SIGKILL");
`;

test("what a killed process left is removed by the next one, what a living one has is left alone", () => {
  const mine = scratchFolder(parent, "kf-");
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", killed], { encoding: "utf8" });
  const left = stdout.trim();
  assert.ok(existsSync(left), "it was left behind");
  const another = scratchFolder(parent, "kf-");
  assert.deepEqual([left, mine, another].map(existsSync), [false, true, true]);
});
