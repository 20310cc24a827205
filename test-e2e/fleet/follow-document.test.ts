import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";

const script = join(import.meta.dirname, "../../examples/external/follow-document.sh");

/** The script once, with a kubectl that does this; what it said and what the machine has then. */
function followed(context: TestContext, kubectl: string, before?: string) {
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-follow-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const [program, file] = [join(folder, "kubectl"), join(folder, "node.yaml")];
  writeFileSync(program, `#!/bin/sh\n${kubectl}\n`, { mode: 0o755 });
  if (before !== undefined) writeFileSync(file, before);
  const env = { ...process.env, KUBECTL: program, ONCE: "1" };
  const { status, stdout, stderr } = spawnSync(script, ["dc1-k470", "keyfleet", file], { encoding: "utf8", env });
  return { status, said: stdout + stderr, has: existsSync(file) ? readFileSync(file, "utf8") : undefined };
}

const cases: readonly (readonly [string, string, string | undefined, number, RegExp, string | undefined])[] = [
  ["a first document is put in place", "echo 'kind: KmsNode'", undefined, 0, /is new/, "kind: KmsNode\n"],
  ["another document replaces the one that is there", "echo two", "one\n", 0, /is new/, "two\n"],
  ["the same document is left alone", "echo one", "one\n", 0, /^$/, "one\n"],
  ["a node that has no document yet takes none away", ":", "one\n", 0, /^$/, "one\n"],
  [
    "a kubeconfig that may not read the node is told, and the machine keeps what it has",
    "echo half; echo 'Error: forbidden' >&2; exit 1",
    "one\n",
    1,
    /^follow-document: Error: forbidden$/m,
    "one\n",
  ],
];

for (const [sentence, kubectl, before, status, said, has] of cases)
  test(`following the document of a node outside: ${sentence}`, (context) => {
    const found = followed(context, kubectl, before);
    assert.match(found.said, said);
    assert.deepEqual([found.status, found.has], [status, has]);
  });

test("following the document of a node outside: without a node, a namespace and a file it says how it is called", () => {
  const { status, stderr } = spawnSync(script, ["dc1-k470"], { encoding: "utf8" });
  assert.deepEqual([status, stderr], [2, "usage: follow-document.sh NODE NAMESPACE FILE\n"]);
});
