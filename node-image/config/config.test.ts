import assert from "node:assert/strict";
import { pbkdf2 } from "node:crypto";
import { mkdtempSync, rmSync, unwatchFile, watchFile, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { stringify } from "yaml";
import { aNode } from "../testing/facts.ts";
import { readCommand } from "./command.ts";
import { readDocument, unsupportedSettings } from "./document.ts";
import { readStatusFile } from "./file-source.ts";
import { jsonLog } from "./json-log.ts";
import { readLocalFile } from "./local-node.ts";
import { openSource } from "./open-source.ts";
import { readSettings } from "./settings.ts";

const folder = mkdtempSync(join(tmpdir(), "kf-config-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** All that Node has for work beside the loop, unless it is told otherwise. */
const threads = 4;
const busyRounds = 100_000;

const quiet = () => undefined;
const bad = [
  ["is no mapping", "text", /the document must be a mapping/],
  ["is of another kind", { kind: "KmsCluster" }, /kind is KmsCluster, must be KmsNode/],
  ["has no cluster", { ...aNode(), spec: { site: "a", version: "1" } }, /spec.cluster must be a text/],
  [
    "asks for an unknown action",
    aNode({ membership: { action: "Dance" as "None" } }),
    /spec.membership.action must be one of None, Found/,
  ],
  ["has an unknown durability", aNode({ durability: "Hope" as "Local" }), /spec.durability must be one of EverySite/],
  [
    "has a member without identity",
    aNode({ members: [{ name: "x", site: "y" } as never] }),
    /spec.members\[0\].identity/,
  ],
  [
    "names one time server where a list belongs",
    aNode({ settings: { ntp: { servers: "ntp1" as never } } }),
    /spec.settings.ntp.servers must be a list/,
  ],
  [
    "has a time server without a name",
    aNode({ settings: { ntp: { servers: ["ntp1", 7 as never] } } }),
    /spec.settings.ntp.servers\[1\] must be a text/,
  ],
] as const;
for (const [sentence, document, message] of bad) {
  test(`a document is refused that ${sentence}`, () => assert.throws(() => readDocument(document), message));
}

test("what may be left out of a document is filled in", () => {
  const { spec } = readDocument({
    kind: "KmsNode",
    metadata: { name: "a" },
    spec: { cluster: "c", site: "s", version: "1" },
  });
  assert.deepEqual(
    [spec.membership.action, spec.members, spec.durability, spec.clients.caBundle, spec.settings, spec.featureLevel],
    ["None", [], "EverySite", "", {}, "1"],
  );
});

test("settings without code are named", () => {
  const settings = { ntp: { servers: ["a"] }, logs: { shipping: { url: "x" } }, interfaces: { rest: { port: 8443 } } };
  assert.deepEqual(unsupportedSettings(settings), ["logs.shipping"]);
});

test("the example of a standalone node is understood", () => {
  const { node, local } = readLocalFile(fileURLToPath(new URL("../examples/node.yaml", import.meta.url)));
  assert.equal(node.metadata.name, "dc1-a");
  assert.equal(local.runFolder, "/run/keyfleet");
  assert.equal(local.programs.postgres.environment.KEYFLEET_POSTGRES_BIN, "/usr/lib/postgresql/18/bin");
});

test("the document may be a file of its own, so that it can be replaced as a whole", () => {
  const [path, localPath] = [join(folder, "apart.yaml"), join(folder, "apart-local.yaml")];
  writeFileSync(path, JSON.stringify(aNode()));
  writeFileSync(localPath, JSON.stringify({ kind: "LocalNode", statusPort: 9444 }));
  const { node, local } = readLocalFile(path, localPath);
  assert.deepEqual([node.metadata.name, local.statusPort], [aNode().metadata.name, 9444]);
});

const commands = [
  [["verify"], { command: "verify", runFolder: "/run/keyfleet", port: 5432 }],
  [["verify", "--run", "/run/x", "--postgres-port", "5433"], { command: "verify", runFolder: "/run/x", port: 5433 }],
  [["request", "node.yaml"], { command: "request", file: "node.yaml" }],
  [["--help"], "help"],
] as const;
for (const [words, expected] of commands)
  test(`keyfleet-node understands ${words.join(" ")}`, () => assert.deepEqual(readCommand(words, {}), expected));

for (const words of [["request"], ["request", "a", "b"], ["destroy"], ["verify", "--postgres-port", "x"]])
  test(`keyfleet-node refuses ${words.join(" ")}`, () =>
    assert.throws(() => readCommand(words, {}), /unknown|not a port/));

test("a local document with an unknown field is refused", () => {
  const path = join(folder, "unknown.yaml");
  writeFileSync(path, `${JSON.stringify(aNode())}\n---\n{kind: LocalNode, dataFolda: /x}\n`);
  assert.throws(() => readLocalFile(path), /LocalNode has no field dataFolda/);
});

test("a file is followed, a bad edit keeps the last good document, and the status is written beside it", async () => {
  const path = join(folder, "node.yaml");
  writeFileSync(path, JSON.stringify(aNode()));
  const source = openSource({ source: `file:${path}`, node: "", namespace: "", cacheFile: "", log: quiet });
  after(() => source.close());
  assert.equal(source.current()?.spec.membership.action, "None");
  await source.report({ version: "0.1.0" });
  assert.deepEqual(readStatusFile(path), { version: "0.1.0" });

  writeFileSync(path, "kind: [");
  await until(() => source.problem() !== undefined);
  assert.equal(source.current()?.metadata.name, "dc1-a");
  const changed = new Promise<string>((resolve) => source.onChange((node) => resolve(node.spec.membership.action)));
  writeFileSync(path, JSON.stringify(aNode({ membership: { action: "Found" } })));
  assert.equal(await changed, "Found");
  assert.equal(source.problem(), undefined);
});

test("a file that is changed as soon as it was read is followed: nobody would tell of that change again", async () => {
  const path = join(folder, "soon.yaml");
  writeFileSync(path, stringify(aNode()));
  // A node that starts has much to do: no thread of Node's looks at a file before the change.
  const busy = Array.from({ length: threads }, () => promisify(pbkdf2)("", "", busyRounds, 32, "sha512"));
  after(() => Promise.all(busy));
  const source = openSource({ source: `file:${path}`, node: "", namespace: "", cacheFile: "", log: quiet });
  after(() => source.close());
  writeFileSync(path, stringify(aNode({ membership: { action: "Found" } })));
  await until(() => source.current()?.spec.membership.action === "Found");
});

test("a file that is still being written is not followed: half a document may be one too, of a smaller fleet", async () => {
  const path = join(folder, "halves.yaml");
  const text = stringify(aNode({ durability: "Local" }));
  writeFileSync(path, stringify(aNode()));
  const source = openSource({ source: `file:${path}`, node: "", namespace: "", cacheFile: "", log: quiet });
  after(() => source.close());
  const fleets: number[] = [];
  source.onChange(({ spec }) => fleets.push(spec.members.length));
  let seen = 0;
  // Between two changes that it is told of, the source has looked too: it does so as often.
  const told = () => {
    seen += 1;
  };
  watchFile(path, { interval: 500 }, told);
  await until(() => {
    writeFileSync(path, text.slice(0, text.lastIndexOf("- name:")));
    return seen >= 2;
  });
  unwatchFile(path, told);
  writeFileSync(path, text);
  await until(() => fleets.includes(2));
  assert.deepEqual(fleets, [2]);
});

test("flags win over the environment, and nonsense is refused in words", () => {
  const settings = readSettings(["--source", "kubernetes", "--node", "b"], {
    KEYFLEET_NODE: "a",
    KEYFLEET_NAMESPACE: "n",
  });
  assert.ok(settings !== "help");
  assert.deepEqual([settings.node, settings.namespace, settings.healthPort], ["b", "n", 8080]);
  assert.throws(
    () => readSettings(["--source", "file:node.yaml", "--health-port", "x"], {}),
    /--health-port x is not a port/,
  );
  assert.throws(() => readSettings([], {}), /--source is missing/);
  for (const source of ["s3", "file:", "node.yaml"])
    assert.throws(() => readSettings(["--source", source], {}), /write "kubernetes" or "file:PATH"/);
  assert.throws(
    () => readSettings(["--source", "kubernetes"], { KEYFLEET_NODE: "" }),
    /KEYFLEET_NODE, names the KmsNode/,
  );
});

test("a log line is one JSON object, below the level it is dropped", () => {
  const lines: string[] = [];
  const log = jsonLog(
    () => "info",
    (line) => lines.push(line),
  );
  log("debug", "no");
  log("warn", "two\nlines", { peer: "dc2-a" });
  const { time, ...rest } = JSON.parse(lines.join(""));
  assert.ok(Date.parse(time) > 0);
  assert.deepEqual(rest, { level: "warn", message: "two\nlines", peer: "dc2-a" });
  assert.equal(lines.join("").split("\n").length, 2);
});

test("a log line that would be too long is cut, says so, and is JSON all the same", () => {
  const long = 'é"\n'.repeat(20_000);
  const many = Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`field ${at}`, at]));
  const cases: Readonly<Record<string, Record<string, unknown>>> = {
    "one long text": { event: "request-failed", stack: long },
    "many long texts": Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`stack ${at}`, long])),
    "a long list of texts": { objects: Array.from({ length: 5_000 }, () => "00000000-0000-0000-0000-000000000000") },
    "texts deep inside": { cause: { cause: { cause: { stack: long } } } },
    "too many fields": many,
  };
  for (const [name, fields] of Object.entries(cases)) {
    const lines: string[] = [];
    jsonLog(
      () => "info",
      (line) => lines.push(line),
    )("error", "failed", fields);
    const [line = ""] = lines;
    assert.ok(Buffer.byteLength(line) <= 8 * 1024 + 1, name);
    const { message, level, cut, event } = JSON.parse(line);
    assert.deepEqual([message, level, cut, event], ["failed", "error", true, fields.event], name);
  }
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}
