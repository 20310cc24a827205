import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "keyfleet-commands-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const notYaml = file("not.yaml", "kind: [");
const noNode = file("none.yaml", "kind: LocalNode\n");
const half = file("half.yaml", "kind: KmsNode\nmetadata: {name: a}\n");

const cases: readonly (readonly [sentence: string, words: readonly string[], told: RegExp])[] = [
  ["no source", ["key-server.ts"], /--source is missing/],
  ["a source that is none", ["key-server.ts", "--source", "s3"], /write "kubernetes" or "file:PATH"/],
  ["no node in a pod", ["key-server.ts", "--source", "kubernetes"], /KEYFLEET_NODE, names the KmsNode/],
  ["an unknown option", ["key-server.ts", "--bogus"], /Unknown option '--bogus'/],
  ["an unknown option", ["standalone.ts", "--bogus"], /Unknown option '--bogus'.*see --help/s],
  ["no file", ["standalone.ts"], /^$/],
  ["three files", ["standalone.ts", "a", "b", "c"], /^$/],
  ["a file that is not there", ["standalone.ts", "absent.yaml"], /absent\.yaml: ENOENT.*see --help/],
  ["a file that is no YAML", ["standalone.ts", notYaml], /not\.yaml: /],
  ["a file without a KmsNode", ["standalone.ts", noNode], /none\.yaml: .*KmsNode/],
  ["half a KmsNode", ["standalone.ts", half], /half\.yaml: spec must be a mapping/],
  ["an unknown command", ["keyfleet-node.ts", "polish"], /unknown command "polish"; try --help/],
];

function started(words: readonly string[]) {
  const [program = "", ...rest] = words;
  const child = spawn(process.execPath, [join(import.meta.dirname, program), ...rest], {
    env: { PATH: process.env.PATH },
    stdio: ["ignore", "ignore", "pipe"],
  });
  return Promise.all([once(child, "exit"), child.stderr.toArray()]);
}

// All at once: each takes half a second to load what it is made of.
const running = cases.map(([sentence, words, told]) => ({ sentence, words, told, ended: started(words) }));

for (const { sentence, words, told, ended } of running)
  test(`${words[0]} with ${sentence} ends with 2 and a sentence, not with a trace`, async () => {
    const [[code], errors] = await ended;
    const said = errors.join("");
    assert.match(said, told);
    assert.doesNotMatch(said, /\n\s+at /);
    assert.equal(code, 2);
  });

test("a node on its own machine goes on when its local file has become unusable, and says so", async (context) => {
  const off = { run: false };
  const local = {
    kind: "LocalNode",
    ...{ dataFolder: join(folder, "data"), runFolder: join(folder, "run") },
    programs: { postgres: off, time: off, hsm: off, keyServer: off },
  };
  const node = (version: string) => ({
    kind: "KmsNode",
    metadata: { name: "a" },
    spec: { cluster: "bank", site: "dc1", version },
  });
  const files = [file("own.yaml", JSON.stringify(node("0.1.0"))), file("local.yaml", JSON.stringify(local))];
  const child = spawn(process.execPath, [join(import.meta.dirname, "standalone.ts"), ...files], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  context.after(() => child.kill("SIGKILL"));
  const said: string[] = [];
  child.stdout.on("data", (text: Buffer) => said.push(text.toString()));
  const isThere = () => existsSync(join(folder, "run/hsm"));
  await until(isThere, () => {});
  file("local.yaml", JSON.stringify({ ...local, speed: "more" }));
  let version = 1;
  await until(
    () => said.join("").includes("LocalNode has no field speed") || child.exitCode !== null,
    () => file("own.yaml", JSON.stringify(node(`0.1.${++version}`))),
  );
  assert.equal(child.exitCode, null, said.join(""));
  assert.match(said.join(""), /"cannot use the new document".*local\.yaml: LocalNode has no field speed/);
});

/** Acts every two seconds only, because a file that is written again and again is not taken for one that is whole. */
async function until(condition: () => boolean, act: () => unknown): Promise<void> {
  for (let tries = 0; !condition() && tries < 60; tries++) {
    if (tries % 8 === 0) act();
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
