import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "keyfleet-reader-"));
after(() => rmSync(folder, { recursive: true }));

/** Reads through a proxy that says only later that it is there, and waits for nothing else. */
const program = `
  const { apiReader } = await import(${JSON.stringify(join(import.meta.dirname, "api-reader.ts"))});
  const late = ["sh", "-c", "sleep 0.3; echo starting to serve"];
  const reader = apiReader(() => late, () => ${JSON.stringify(folder)});
  await reader.read("dc1", "/api").catch((error) => console.log(error.code));
`;

test("a program that waits for the first answer of a site alone waits to its end", () => {
  const { status, stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    encoding: "utf8",
    timeout: 60_000,
  });
  // Nobody listens at the socket of this proxy: that is the answer.
  assert.deepEqual({ status, stdout }, { status: 0, stdout: "ENOENT\n" });
});
