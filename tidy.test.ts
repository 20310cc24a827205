import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import * as words from "./crds/reasons.ts";

/**
 * Who may import whom: each room and the rooms it may import, besides itself and node's own modules.
 * A test file may import its workspace's `testing` room too. Packages from the registry are listed by name.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  crds: ["crds/types", "yaml", "json-schema-to-typescript"],
  "crds/types": [],
  "crds/testing": ["yaml"],

  operator: ["crds", "operator/*", "@dot-i/k8s-operator", "@kubernetes/client-node", "prom-client"],
  "operator/observe": ["crds", "operator/ports"],
  "operator/desired": ["crds", "operator/ports"],
  "operator/plan": ["crds", "operator/ports", "operator/desired"],
  "operator/act": [
    "crds",
    "operator/ports",
    "@peculiar/x509",
    "@peculiar/asn1-x509",
    "@peculiar/asn1-schema",
    "reflect-metadata",
  ],
  "operator/status": ["crds", "operator/ports", "operator/plan"],
  "operator/external": ["crds", "operator/ports", "operator/desired", "operator/act", "yaml"],
  "operator/runtime": ["operator/ports", "express", "prom-client", "@dot-i/k8s-operator", "@kubernetes/client-node"],
  "operator/libraries": ["@kubernetes/client-node"],
  "operator/ports": ["crds", "@kubernetes/client-node", "yaml"],
  "operator/testing": ["crds", "operator/*", "@kubernetes/client-node", "@peculiar/x509", "reflect-metadata"],

  "node-image": ["crds", "node-image/*", "prom-client", "yaml"],
  "node-image/listen": ["node-image/kmip", "node-image/ttlv", "node-image/access"],
  "node-image/ttlv": [],
  "node-image/kmip": [
    "node-image/ttlv",
    "node-image/operations",
    "node-image/objects",
    "node-image/access",
    "node-image/cryptography",
  ],
  "node-image/operations": ["node-image/objects", "node-image/access", "node-image/keys", "node-image/cryptography"],
  "node-image/cryptography": ["node-image/objects"],
  "node-image/objects": [],
  "node-image/access": ["node-image/objects"],
  "node-image/store": ["node-image/objects", "node-image/keys", "pg"],
  "node-image/replication": ["crds", "node-image/store", "node-image/keys", "pg"],
  "node-image/simulation": [
    "node-image/replication",
    "node-image/store",
    "node-image/keys",
    "node-image/objects",
    "node-image/testing",
  ],
  "node-image/postgres": ["crds", "node-image/store"],
  "node-image/keys": ["node-image/hsm"],
  "node-image/hsm": ["node-image/hsm-wire"],
  "node-image/hsm-wire": [],
  "node-image/pkcs11": ["node-image/hsm-wire", "node-image/hsm", "pkcs11js"],
  "node-image/time": [],
  "node-image/config": ["crds", "yaml"],
  "node-image/membership": ["crds", "node-image/*", "@peculiar/x509", "reflect-metadata"],
  "node-image/health": ["crds", "express", "prom-client", "node-image/*"],
  "node-image/fuzzing": ["node-image/*"],
  "node-image/testing": [
    "crds",
    "node-image/*",
    "@peculiar/x509",
    "@peculiar/asn1-x509",
    "@peculiar/asn1-schema",
    "reflect-metadata",
    "pg",
    "yaml",
  ],

  helm: ["yaml", "crds/testing"],
  "test-e2e": ["crds", "test-e2e/*"],
  "test-e2e/sites": ["@kubernetes/client-node", "yaml"],
  "test-e2e/clients": ["node-image/testing", "node-image/kmip"],
  "test-e2e/fleet": ["crds", "test-e2e/sites", "yaml", "node-image/testing"],
  "test-e2e/demo": ["crds", "test-e2e/*", "yaml"],
  "test-e2e/history": [
    "test-e2e/sites",
    "node-image/testing",
    "node-image/config",
    "node-image/kmip",
    "node-image/objects",
    "pg",
  ],
  "test-e2e/long-stories": ["crds", "test-e2e/*"],
  "test-e2e/stories": ["crds", "test-e2e/*", "yaml", "node-image/testing"],
  bench: ["bench/*"],
  "bench/operator": ["bench", "operator/*"],
  "bench/kmip": ["bench", "node-image/*", "pg"],
  "bench/replication": ["bench", "node-image/*"],
  ".": [],
};

/** Limits in lines; a file beyond the first is too long to read at a sitting. */
const limits = { file: 400, testFile: 600 } as const;

const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts"], {
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "" && existsSync(file));
const text = (file: string) => readFileSync(file, "utf8");
const isTest = (file: string) => /\.(test|story)\.ts$/.test(file);

/** The room of a file: its folder, at most two deep. */
function room(file: string): string {
  return dirname(file).split("/").slice(0, 2).join("/");
}

/** What a file imports, as rooms and package names. */
function imports(file: string): string[] {
  const found = text(file).matchAll(
    /^(?:import|export)\b[^"';]*?\bfrom\s+["']([^"']+)["']|^import\s+["']([^"']+)["']|\bimport\(["']([^"']+)["']\)/gm,
  );
  return [...found].map((match) => target(file, match[1] ?? match[2] ?? match[3] ?? "")).filter((name) => name !== "");
}

function target(file: string, specifier: string): string {
  if (specifier.startsWith("node:")) return "";
  if (specifier.startsWith("@keyfleet/crds")) return "crds/types";
  if (specifier.startsWith(".")) return room(relative(".", join(dirname(file), specifier)));
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

/** Whether an import of `wanted` from `from` is in the table. */
function allowed(from: string, wanted: string, test: boolean): boolean {
  const top = from.split("/")[0] ?? "";
  const list = mayImport[from] ?? [];
  if (wanted === from || list.includes(wanted) || list.includes(`${wanted.split("/")[0]}/*`)) return true;
  if (list.includes("crds") && wanted.split("/")[0] === "crds") return true;
  return (
    test &&
    (wanted.startsWith(`${top}/`) ||
      wanted === top ||
      (mayImport[`${top}/testing`] ?? []).includes(wanted) ||
      wanted.startsWith("crds"))
  );
}

test("every room imports only what the table allows", () => {
  const wrong = files.flatMap((file) =>
    imports(file)
      .filter((wanted) => !allowed(room(file), wanted, isTest(file)))
      .map((wanted) => `${file} imports ${wanted}`),
  );
  assert.deepEqual(wrong, []);
});

test("every room with code is in the table", () => {
  const rooms = new Set(files.map(room).filter((name) => mayImport[name] === undefined));
  assert.deepEqual([...rooms], []);
});

test("operator and node meet only in the contract", () => {
  const wrong = files.filter(
    (file) => file.startsWith("operator/") && imports(file).some((name) => name.startsWith("node-image")),
  );
  assert.deepEqual(wrong, []);
});

test("only pkcs11 names the native library", () => {
  const wrong = files.filter((file) => imports(file).includes("pkcs11js") && room(file) !== "node-image/pkcs11");
  assert.deepEqual(wrong, []);
});

test("files are short enough to read", () => {
  const long = files
    .filter((file) => !file.startsWith("crds/types/"))
    .map((file) => [file, text(file).split("\n").length] as const)
    .filter(([file, lines]) => lines > (isTest(file) ? limits.testFile : limits.file))
    .map(([file, lines]) => `${file}: ${lines} lines`);
  assert.deepEqual(long, []);
});

test("rooms are one folder deep, without drawers for everything", () => {
  const deep = files.filter((file) => dirname(file).split("/").length > 2);
  const drawers = files.filter((file) => /(^|\/)(utils?|common|helpers|misc|lib)(\/|\.ts$)/.test(file));
  assert.deepEqual([...deep, ...drawers], []);
});

test("names are kebab-case and nothing is exported by default", () => {
  const names = files.filter((file) => !/^[a-z0-9-]+(\.[a-z0-9-]+)*\.ts$/.test(file.split("/").at(-1) ?? ""));
  const defaults = files.filter((file) => /^export default/m.test(text(file)));
  assert.deepEqual([...names, ...defaults], []);
});

test("no test is skipped, left for later or run alone", () => {
  const marks = /\b(?:test|it|describe)\.(?:skip|todo|only)\(|\{\s*(?:skip|todo|only)\s*:/;
  assert.deepEqual(
    files.filter((file) => isTest(file) && file !== "tidy.test.ts" && marks.test(text(file))),
    [],
  );
});

test("every dependency has its reason in docs/dependencies.md, pinned exactly", () => {
  const table = text("docs/dependencies.md");
  const missing: string[] = [];
  for (const folder of [".", "crds", "operator", "node-image", "test-e2e"]) {
    const manifest = JSON.parse(text(join(folder, "package.json")));
    for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      if (!name.startsWith("@keyfleet/") && !table.includes(`| ${name} | ${version} |`))
        missing.push(`${folder}: ${name} ${version}`);
    }
  }
  assert.deepEqual(missing, []);
});

const documents = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], {
  encoding: "utf8",
})
  .trim()
  .split("\n");

test("documents name only files that exist", () => {
  const broken = documents.flatMap((document) =>
    [...text(document).matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)]
      .map((match) => join(dirname(document), match[1] ?? ""))
      .filter((path) => !existsSync(path))
      .map((path) => `${document}: ${path}`),
  );
  assert.deepEqual(broken, []);
});

/** Folders from which documents name files, besides their own: the top, and the workspace or room that they are about. */
const roots = ["", "operator", "node-image", "test-e2e", "docs"];

test("paths in backticks in documents are files that exist", () => {
  const broken = documents.flatMap((document) =>
    [...text(document).matchAll(/`([a-z0-9-]+(?:\/[a-z0-9_.-]+)+\.(?:ts|sh|ya?ml|md|lua|go|py|json))`/g)]
      .map((match) => match[1] ?? "")
      .filter((path) => ![dirname(document), ...roots].some((root) => existsSync(join(root, path))))
      .map((path) => `${document}: ${path}`),
  );
  assert.deepEqual(broken, []);
});

test("links to a heading find it", () => {
  const broken = documents.flatMap((document) =>
    [...text(document).matchAll(/\]\(([^)#:]*)#([^)]+)\)/g)]
      .filter(
        ([, path = "", anchor = ""]) =>
          !anchorsOf(join(dirname(document), path || document.split("/").at(-1) || "")).includes(anchor),
      )
      .map(([link]) => `${document}: ${link}`),
  );
  assert.deepEqual(broken, []);
});

/** As GitHub makes them of headings. */
function anchorsOf(file: string): string[] {
  return [...text(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{Letter}\p{Number} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

test("a command that changes something says in which namespace, in documents and in remedies", () => {
  const sources = files.filter((file) => file.startsWith("operator/") && !isTest(file) && !file.includes("/testing/"));
  const vague = [...documents, ...sources].flatMap((file) =>
    [...text(file).matchAll(/\bkubectl (?:edit|delete|patch|annotate|create|scale|rollout)\b[^\n`]*/g)]
      .map(([command]) => command)
      .filter((command) => !/ (crd|priorityclass|namespace) /.test(command))
      .map((command) => `${file}: ${command}`),
  );
  assert.deepEqual(vague, []);
});

test("every metric is in docs/metrics.md, and every metric that a document names is one", () => {
  const named = (pattern: RegExp, from: string) => [...text(from).matchAll(pattern)].map((match) => match[1] ?? "");
  const own = named(/\bname: "(keyfleet_\w+)"/g, "operator/runtime/metrics.ts");
  const node = named(/\bname: "(keyfleet_\w+)"/g, "node-image/health/metrics.ts");
  const gauges = named(/\bgauge\(\s*"(\w+)"/g, "node-image/health/metrics.ts").map((name) => `keyfleet_${name}`);
  const made = [...own, ...node, ...gauges].sort();
  assert.ok(own.length > 5 && gauges.length > 20);
  assert.deepEqual(named(/^\| `(keyfleet_\w+)`/gm, "docs/metrics.md").sort(), made);
  const unknown = documents.flatMap((document) =>
    named(/\b(keyfleet_\w+)/g, document)
      .filter((name) => !made.includes(name))
      .map((name) => `${document}: ${name}`),
  );
  assert.deepEqual(unknown, []);
});

test("every condition, reason, gate and event of the catalogue is said by the operator or a node", () => {
  const code = files.filter(
    (file) => /^(operator|node-image)\//.test(file) && !isTest(file) && !file.includes("/testing/"),
  );
  const said = code.map(text).join("\n");
  const { clusterConditions, clusterReasons, nodeConditions, nodeReasons, gates, eventReasons } = words;
  const catalogue = [
    clusterConditions,
    clusterReasons,
    nodeConditions,
    gates,
    eventReasons,
    ...Object.values(nodeReasons),
  ];
  const unsaid = catalogue
    .flatMap(Object.keys)
    .filter((word) => !new RegExp(`"${word}"|^\\s+${word}(,|: )`, "m").test(said));
  assert.deepEqual(unsaid, []);
});

test("every make target, npm script and variable that a document names is there", () => {
  const { scripts } = JSON.parse(text("package.json"));
  const targets = [...text("Makefile").matchAll(/^([a-z-]+):/gm)].map((match) => match[1] ?? "");
  const everything = execFileSync("git", ["grep", "-hoE", "KEYFLEET_[A-Z_]+", "--", ":!*.md"], { encoding: "utf8" });
  const variables = new Set(everything.split("\n"));
  const unknown = documents.flatMap((document) => {
    const page = text(document);
    const named = (pattern: RegExp) => [...page.matchAll(pattern)].map((match) => match[1] ?? "");
    return [
      ...named(/(?:^|`)make ([a-z-]+)/gm).filter((name) => !targets.includes(name)),
      ...named(/\bnpm run (?:--silent )?([a-z-]+)/g).filter((name) => scripts[name] === undefined),
      ...named(/\b(KEYFLEET_[A-Z_]+)/g).filter((name) => !variables.has(name)),
    ].map((name) => `${document}: ${name}`);
  });
  assert.deepEqual(unknown, []);
});

test("both Containerfiles copy what is there, all workspaces for npm, and leave tests out", () => {
  const { workspaces } = JSON.parse(text("package.json"));
  for (const room of ["operator", "node-image"]) {
    const recipe = text(join(room, "Containerfile"));
    const copied = [...recipe.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, words = ""]) => words.split(" "));
    assert.deepEqual(
      copied.filter((path) => !existsSync(path)),
      [],
      room,
    );
    for (const workspace of workspaces)
      assert.ok(copied.includes(`${workspace}/package.json`), `${room}: ${workspace}`);
    const tests = copied.map((path) => join(path, "testing")).filter((path) => existsSync(path));
    for (const path of tests) assert.match(recipe, new RegExp(`rm -rf [a-z/ -]*${path}\\b`), room);
  }
});
