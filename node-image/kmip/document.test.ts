import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { documentFile, renewed } from "./document.ts";
import { versions } from "./router.ts";

const document = readFileSync(documentFile, "utf8");

test("docs/kmip.md tells of every operation, attribute and profile what the server does", () => {
  assert.equal(document, renewed(document), "run: node node-image/kmip/document.ts");
});

test("docs/kmip.md names every protocol version", () => {
  for (const version of versions) assert.ok(document.includes(`${Math.floor(version / 10)}.${version % 10}`));
});
