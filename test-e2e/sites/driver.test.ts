import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { clusterSites } from "./cluster-sites.ts";
import { run } from "./command.ts";
import { readRecipe } from "./containerfile.ts";
import { localSites } from "./local-sites.ts";
import { checkout } from "./places.ts";

const existing = clusterSites(["berlin", "paris"]);
const local = localSites(1);

const refusals: readonly { it: string; call: () => unknown; says: RegExp }[] = [
  {
    it: "killing an existing cluster",
    call: () => existing.kill("berlin"),
    says: /not possible with existing clusters/,
  },
  { it: "cutting existing clusters", call: () => existing.cut("berlin", "paris"), says: /not possible with existing/ },
  {
    it: "a link of existing clusters, cut one way",
    call: () => existing.cutOneWay("berlin", "paris"),
    says: /not possible/,
  },
  { it: "isolating an existing cluster", call: () => existing.isolate("berlin"), says: /not possible with existing/ },
  { it: "a lying clock for existing clusters", call: () => existing.skewTime(3), says: /not possible with existing/ },
  {
    it: "a context that SITES does not list",
    call: () => existing.kubeconfig("rome"),
    says: /SITES lists berlin, paris/,
  },
  { it: "a site that does not exist", call: () => local.kubeconfig("dc9"), says: /the sites are dc1, dc2, dc3/ },
  { it: "cutting a site from itself", call: () => local.cut("dc1", "dc1"), says: /two different sites/ },
  { it: "the same one way", call: () => local.cutOneWay("dc1", "dc1"), says: /two different sites/ },
  { it: "a worker that does not exist", call: () => local.kill("dc1/9"), says: /has no worker "9"/ },
  { it: "no workers", call: () => localSites(0), says: /WORKERS must be 1 to 4/ },
  { it: "half a worker", call: () => localSites(1.5), says: /WORKERS must be 1 to 4/ },
];

for (const { it, call, says } of refusals) {
  test(`${it} is refused with a sentence`, async () => {
    await assert.rejects(async () => call(), says);
  });
}

test("a failed command says what it wrote to stderr", async () => {
  await assert.rejects(run(["sh", "-c", "echo lost >&2; exit 3"]), /exit code 3: lost/);
});

test("a command that may fail answers with its exit code and output", async () => {
  assert.deepEqual(await run(["sh", "-c", "cat; exit 3"], { input: "in", mayFail: true }), {
    stdout: "in",
    stderr: "",
    code: 3,
  });
});

test("a command is ended at its deadline", async () => {
  await assert.rejects(run(["sleep", "60"], { timeoutMs: 50 }), /ended after 50 ms/);
});

for (const room of ["node-image", "operator"]) {
  test(`the Containerfile of ${room} names sources that exist, and no root user`, () => {
    const recipe = readRecipe(join(checkout, room, "Containerfile"));
    assert.deepEqual(recipe.sources, ["package.json", "LICENSE", "crds", room]);
    assert.deepEqual(
      recipe.sources.filter((source) => !existsSync(join(checkout, source))),
      [],
    );
    assert.equal(recipe.user, "10001:10001");
    assert.ok(recipe.environment.includes("NODE_ENV=production"));
  });

  test(`every stage of the Containerfile of ${room} copies what is there: a package.json of each workspace, scripts that run`, () => {
    const text = readFileSync(join(checkout, room, "Containerfile"), "utf8");
    const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = ""]) => names.split(" "));
    assert.deepEqual(
      copied.filter((name) => !existsSync(join(checkout, name))),
      [],
    );
    const { workspaces } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as { workspaces: string[] };
    for (const name of ["package-lock.json", ...workspaces.map((each) => `${each}/package.json`)])
      assert.ok(copied.includes(name), `npm ci in stage modules needs ${name}`);
    const run = ["test-e2e/sites/prune-modules.sh", `${room}/compile.sh`];
    for (const name of run) {
      assert.match(text, new RegExp(`\\b${name.split("/").at(-1)}`));
      assert.ok(statSync(join(checkout, name)).mode & 0o100, `${name} is a program`);
    }
  });
}
