import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { rotatingFile } from "./rotating-file.ts";

function folder(t: { after(fn: () => void): void }): string {
  const path = mkdtempSync(join(tmpdir(), "kf-log-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("files stay within their bounds, the oldest lines go first, none is cut", (t) => {
  const place = folder(t);
  const write = rotatingFile(join(place, "node.log"), { maxBytes: 100, files: 3 });
  for (let line = 0; line < 200; line += 1) write(`line ${line}\n`);
  const names = readdirSync(place).sort();
  assert.deepEqual(names, ["node.log", "node.log.1", "node.log.2", "node.log.3"]);
  const texts = names.toReversed().map((name) => readFileSync(join(place, name), "utf8"));
  for (const text of texts) assert.ok(text.length <= 100);
  const lines = texts.join("").trim().split("\n");
  assert.equal(lines.at(-1), "line 199");
  assert.deepEqual(
    lines,
    Array.from({ length: lines.length }, (_, at) => `line ${200 - lines.length + at}`),
  );
});

test("a log goes on after a restart, and is nobody else's to read", (t) => {
  const path = join(folder(t), "deep", "node.log");
  rotatingFile(path)("one\n");
  rotatingFile(path)("two\n");
  assert.equal(readFileSync(path, "utf8"), "one\ntwo\n");
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("what cannot be written stops nobody, and is counted", (t) => {
  const path = join(folder(t), "node.log");
  mkdirSync(path);
  const write = rotatingFile(path);
  write("lost\n");
  write("lost\n");
  rmSync(path, { recursive: true });
  write("kept\n");
  const [note, kept] = readFileSync(path, "utf8").trim().split("\n");
  assert.equal(JSON.parse(note ?? "").dropped, 2);
  assert.equal(kept, "kept");
});
