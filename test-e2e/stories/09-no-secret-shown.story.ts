import "./instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ask } from "../fleet/kmip-clients.ts";
import { namespace } from "../fleet/places.ts";
import { containerLogs, disksOf, foundIn, publicObjects, type Secret } from "../fleet/traces.ts";
import { aRunningFleet, type Fleet, place } from "./world.ts";

/** Words of a program that met what it was not made for. */
const accidents = /unhandled|uncaught|TypeError|ReferenceError|RangeError|AssertionError|FATAL ERROR|panic:|PANIC:/;

let fleet: Fleet;
const keys: Secret[] = [];
before(async () => {
  fleet = await aRunningFleet();
  for (const [node, endpoint] of fleet.endpoints) {
    const call = { ...fleet.call, client: "PyKMIP" as const, endpoints: [endpoint] };
    const [made] = await ask(place, call, ["--name", `secret-${node}-${Date.now()}`, "create"]);
    const [answer] = await ask(place, call, ["--id", made?.id ?? "", "material"]);
    assert.match(answer?.hex ?? JSON.stringify(answer), /^[0-9a-f]{64}$/);
    keys.push({ name: `the key made on ${node}`, bytes: Buffer.from(answer?.hex ?? "", "hex") });
  }
});

test("the search finds a secret in every writing", () => {
  const [key] = keys;
  assert.ok(key);
  for (const writing of ["latin1", "hex", "base64", "base64url"] as const) {
    const text: Buffer = Buffer.from(`before ${key.bytes.toString(writing)} after`, "latin1");
    assert.equal(foundIn("a text", text, keys).length, 1, writing);
  }
  assert.equal(foundIn("a text", Buffer.from(key.bytes.toString("hex").toUpperCase()), keys).length, 1);
});

test("no log shows a key or a PIN", async () => {
  const secrets = [...keys, ...(await pins())];
  const logs = place.sites.names.flatMap((site) => [...containerLogs(place, site)]);
  assert.ok(logs.length > 20, `${logs.length} logs`);
  assert.deepEqual(
    logs.flatMap(([path, text]) => foundIn(path, text, secrets)),
    [],
  );
});

test("no Kubernetes object but the Secrets themselves shows a key or a PIN", async () => {
  const secrets = [...keys, ...(await pins())];
  for (const site of place.sites.names)
    assert.deepEqual(foundIn(`objects of ${site}`, await publicObjects(place, site), secrets), []);
});

test("no disk of any site holds the bytes of a key", () => {
  let bytes = 0;
  const found = place.sites.names.flatMap((site) =>
    [...disksOf(place, site)].flatMap(([path, content]) => {
      bytes += content.length;
      return keys.filter((key) => content.includes(key.bytes)).map((key) => `${key.name} in ${path}`);
    }),
  );
  assert.ok(bytes > 100_000_000, `${bytes} bytes were searched`);
  assert.deepEqual(found, []);
});

test("no log tells of an accident", (t) => {
  const lines = place.sites.names.flatMap((site) =>
    [...containerLogs(place, site)].flatMap(([path, text]) =>
      text
        .toString()
        .split("\n")
        .map((line) => ({ path, line })),
    ),
  );
  const errors = lines.filter(({ line }) => line.includes('"level":"error"'));
  t.diagnostic(`${lines.length} lines, ${errors.length} of level error`);
  const words = new Map(errors.map(({ line }) => [/"message":"([^"]*)"/.exec(line)?.[1] ?? line, line]));
  for (const [message, example] of words) t.diagnostic(`${message}: ${example.slice(0, 300)}`);
  assert.deepEqual(
    lines.filter(({ line }) => accidents.test(line)).map(({ path, line }) => `${path}: ${line.slice(0, 300)}`),
    [],
  );
});

/** The PIN of each site. */
async function pins(): Promise<Secret[]> {
  return Promise.all(
    place.sites.names.map(async (site) => {
      const words = ["-n", namespace, "get", "secret", `${site}-hsm-pin`, "-o", "jsonpath={.data.pin}"];
      const bytes = Buffer.from((await place.sites.kubectl(site, words)).stdout, "base64");
      assert.ok(bytes.length > 0, `${site} has a PIN`);
      return { name: `the PIN of ${site}`, bytes };
    }),
  );
}
