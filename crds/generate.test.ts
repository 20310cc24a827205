import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { test } from "node:test";
import { parse } from "yaml";
import { generatedTypes } from "./generate.ts";
import { generatedDocuments } from "./generate-documents.ts";

const folder = (path: string) => new URL(path, import.meta.url);
const manifests = ["kmsclusters.yaml", "kmsnodes.yaml"] as const;

test("the committed types say what the manifests say", async () => {
  const generated = await generatedTypes();
  assert.deepEqual((await readdir(folder("types/"))).sort(), [...generated.keys()].sort());
  for (const [name, text] of generated) {
    const committed = await readFile(folder(`types/${name}`), "utf8");
    assert.equal(committed, text, `crds/types/${name} is out of date; run: npm run types`);
  }
});

test("the page of conditions and Argo CD's health script say what the catalogue says", async () => {
  for (const [path, text] of generatedDocuments())
    assert.equal(await readFile(folder(`../${path}`), "utf8"), text, `${path} is out of date; run: npm run types`);
});

for (const file of manifests) {
  test(`${file} stays far below the size at which kubectl apply fails`, async () => {
    const document = parse(await readFile(folder(`manifests/${file}`), "utf8"));
    assert.ok(JSON.stringify(document).length < 150_000);
    assert.ok((await stat(folder(`manifests/${file}`))).size < 150_000);
  });

  test(`${file} describes every field, bounds every text and list, and is closed`, async () => {
    const document = parse(await readFile(folder(`manifests/${file}`), "utf8"));
    const { spec, status } = document.spec.versions[0].schema.openAPIV3Schema.properties;
    assert.deepEqual([...complaints(spec, "spec"), ...complaints(status, "status")], []);
  });
}

interface Schema {
  type?: string;
  description?: string;
  title?: string;
  enum?: unknown[];
  format?: string;
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
  [keyword: string]: unknown;
}

function complaints(schema: Schema, path: string): string[] {
  const found: string[] = [];
  if (!schema.description) found.push(`${path} has no description`);
  if (schema.type === "string" && !schema.enum && schema.format !== "date-time" && schema.maxLength === undefined)
    found.push(`${path} has no maxLength`);
  if (schema.type === "array" && schema.maxItems === undefined) found.push(`${path} has no maxItems`);
  if (schema.additionalProperties && schema.maxProperties === undefined) found.push(`${path} has no maxProperties`);
  if ("x-kubernetes-preserve-unknown-fields" in schema) found.push(`${path} is open`);
  const inside = Object.entries(schema.properties ?? {});
  for (const [name, property] of inside) found.push(...complaints(property, `${path}.${name}`));
  if (schema.items) found.push(...complaints({ description: "-", ...schema.items }, `${path}[]`));
  return found;
}
