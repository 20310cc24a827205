import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const program = join(import.meta.dirname, "../main.ts");
/** Tells of every file that is loaded. */
const teller = `import { registerHooks } from "node:module";
import { writeSync } from "node:fs";
registerHooks({ load: (url, context, next) => (writeSync(2, url + "\\n"), next(url, context)) });`;

test("the operator loads of its libraries the kubeconfig and no model, no call and no HTTP client of theirs", () => {
  const words = ["--import", `data:text/javascript,${encodeURIComponent(teller)}`, program, "--help"];
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const loaded = stderr.split("\n");
  const has = (part: string) => loaded.some((url) => url.includes(part));
  assert.deepEqual([has("/k8s-operator/dist/operator.js"), has("/client-node/dist/config.js")], [true, true]);
  const spared = [
    "/dist/gen/models/",
    "/dist/gen/apis/",
    "/dist/gen/types/",
    "/client-node/dist/index.js",
    "/undici/",
    "/gaxios/",
    "/node_modules/async/",
  ];
  assert.deepEqual(spared.filter(has), []);
});
