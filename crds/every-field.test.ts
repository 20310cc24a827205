import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";
import { type Gate, gates } from "./reasons.ts";
import { type ApiServer, startApiServer } from "./testing/api-server.ts";

/** A part of the schema, as far as this test looks at it. */
interface Schema {
  readonly title?: string;
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly "x-kubernetes-validations"?: readonly { readonly rule: string }[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
}

const clusters = "/apis/keyfleet.io/v1alpha1/namespaces/default/kmsclusters?fieldValidation=Strict&dryRun=All";
let api: ApiServer;
before(async () => {
  api = await startApiServer();
  await api.installCrds();
});
after(() => api?.stop());

/** Every field that people write, with its path; the settings once, though they stand at fleet, site and node. */
function fieldsOf(schema: Schema, path: string): (readonly [string, Schema])[] {
  if (schema.title === "NodeSettings" && path !== "spec.defaults") return [];
  if (schema.properties !== undefined)
    return Object.entries(schema.properties).flatMap(([name, under]) => fieldsOf(under, `${path}.${name}`));
  if (schema.items !== undefined) return fieldsOf(schema.items, `${path}[0]`);
  if (schema.additionalProperties !== undefined) return fieldsOf(schema.additionalProperties, `${path}.some`);
  return [[path, schema]];
}

function badValue(schema: Schema): unknown {
  if (schema.enum !== undefined) return "Nonsense";
  if (schema.type === "boolean") return "perhaps";
  if (schema.maximum !== undefined) return schema.maximum + 1;
  if (schema.minimum !== undefined) return schema.minimum - 1;
  if (schema.pattern !== undefined || schema["x-kubernetes-validations"] !== undefined) return "no\ngood";
  return schema.maxLength === undefined ? 7 : "x".repeat(schema.maxLength + 1);
}

/** A document with that value at that place; what is above it is made. */
function withValue(path: string, value: unknown): object {
  const sites = [{ name: "dc1", environment: "Cloud", nodes: [{ name: "dc1-a" }] }];
  // A rule is asked only when nothing that is required is missing.
  const spec = { version: "0.1.0", sites, upgrade: { windows: [{ cron: "0 2 * * 6", duration: "4h" }] } };
  const document = { apiVersion: "keyfleet.io/v1alpha1", kind: "KmsCluster", metadata: { name: "bank" }, spec };
  const steps = path.replaceAll("[0]", ".0").split(".");
  let at = document as unknown as Record<string, unknown>;
  for (const [index, step] of steps.slice(0, -1).entries()) {
    at[step] ??= /^\d+$/.test(steps[index + 1] ?? "") ? [] : {};
    at = at[step] as Record<string, unknown>;
  }
  at[steps.at(-1) ?? ""] = value;
  return document;
}

const manifest = parse(readFileSync(join(import.meta.dirname, "manifests/kmsclusters.yaml"), "utf8"), {
  maxAliasCount: 1_000,
});
const spec: Schema = manifest.spec.versions[0].schema.openAPIV3Schema.properties.spec;
const fields = fieldsOf(spec, "spec");

for (const [path, schema] of fields)
  test(`a value that ${path} cannot have is refused at the door, by the name of the field`, async () => {
    const { status, body } = await api.request("POST", clusters, withValue(path, badValue(schema)));
    assert.ok(status === 422 || status === 400, `status ${status}`);
    assert.ok(String(body.message).includes(path), String(body.message).slice(0, 600));
  });

/** What only time can tell of a value of the right form, by field: the gates of status.blockedBy that name it and its remedy. */
const toldLater: readonly (readonly [RegExp, readonly Gate[]])[] = [
  [/^spec\.version$/, ["imagePresent", "versionStep"]],
  [/^spec\.defaults\.ntp\./, ["clockWithinBound"]],
  [/^spec\.defaults\.hsm\.pinSecretRef\./, ["referencesPresent"]],
  [/^spec\.defaults\.hsm\./, ["hsmReady"]],
  [/^spec\.defaults\.interfaces\.\w+\.certificateSecretRef\./, ["referencesPresent", "settingsTried"]],
  [/^spec\.defaults\.interfaces\.\w+\.port$/, ["addressKnown", "meshReachable"]],
  [/^spec\.defaults\.storage\.retainAfterRemoval$/, ["keyDestroyed"]],
  [/^spec\.defaults\.storage\./, ["storageBound", "storageUnchanged"]],
  [/^spec\.defaults\.(resources|placement)\./, ["nodeStarted"]],
  [/^spec\.defaults\.exposure\./, ["addressKnown"]],
  [/^spec\.sites\[0\]\.name$/, ["siteKnown"]],
  [/^spec\.sites\[0\]\.nodes\[0\]\.(address|statusPort)$/, ["nodeStarted"]],
  [/^spec\.upgrade\.windows/, ["windowOpen"]],
  [/^spec\.upgrade\.(strategy|soakSeconds)$/, ["soaked", "capacityKept"]],
  [/^spec\.upgrade\.(approval|requests)/, ["approved", "lastTouchedRecovered"]],
  [/^spec\.upgrade\.backupMaxAgeHours$/, ["freshBackup"]],
  [/^spec\.clients\.caBundleRefs/, ["referencesPresent"]],
  [/^spec\.recovery\.lostSites/, ["siteCounts"]],
  [/^spec\.pause$/, ["notPaused"]],
  [/^spec\.deletion\.confirm$/, ["deletionConfirmed"]],
];

/** Every value of the right form does what it says: nothing can turn out to be wrong later. */
const cannotFail =
  /^spec\.(defaults\.logs\.(level|kmipActivity)|durability|clients\.(administrators\[0\]|legacyCiphers|serveCompromised)|sites\[0\]\.environment|sites\[0\]\.nodes\[0\]\.(name|management))$/;

/** Refused whatever their value is. */
const notSupported =
  /^spec\.defaults\.(licence|proxy|backup)\.|^spec\.defaults\.logs\.shipping\.|^spec\.defaults\.interfaces\.mesh\.certificateSecretRef\./;

test("of every field it is known what tells people about a value that turns out not to work", () => {
  const untold = fields
    .map(([path]) => path)
    .filter((path) => !notSupported.test(path) && !cannotFail.test(path))
    .filter((path) => !toldLater.some(([fits]) => fits.test(path)));
  assert.deepEqual(untold, []);
  for (const [fits, names] of toldLater) {
    assert.ok(
      fields.some(([path]) => fits.test(path)),
      `${fits} is no field`,
    );
    for (const name of names) assert.ok(Object.hasOwn(gates, name), name);
  }
});
