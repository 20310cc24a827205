/**
 * Unpacks what is ours (opt, usr/local) of an image that images.sh wrote, and compares its configuration with the one on
 * standard input, from `buildah inspect --type image`. Usage: unpack-image.ts NAME FOLDER < inspected.json
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { imageLayout } from "./places.ts";

interface Descriptor {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

const [name, folder] = process.argv.slice(2);
if (!name || !folder) {
  console.error("usage: unpack-image.ts NAME FOLDER < inspected.json");
  process.exit(2);
}

const blob = (digest: string) => join(imageLayout, "blobs", "sha256", digest.slice("sha256:".length));
const json = (file: string) => JSON.parse(readFileSync(file, "utf8"));
const entry = json(join(imageLayout, "index.json")).manifests.find(({ annotations }: Descriptor) =>
  annotations?.["org.opencontainers.image.ref.name"]?.startsWith(`localhost/${name}:`),
);
if (entry === undefined) throw new Error(`images.sh has written no image ${name}; run it first`);
const manifest = json(blob(entry.digest));

for (const layer of manifest.layers as readonly Descriptor[]) {
  const held = execFileSync("tar", ["-tf", blob(layer.digest)], { encoding: "utf8", maxBuffer: 1 << 28 }).split("\n");
  const ours = ["opt", "usr/local", "./opt", "./usr/local"].filter((path) => held.some((one) => one.startsWith(path)));
  if (ours.length > 0) execFileSync("tar", ["-xf", blob(layer.digest), "-C", folder, ...ours]);
}

const wanted = facts(json(blob(manifest.config.digest)).config);
const built = facts(JSON.parse(readFileSync(0, "utf8")).OCIv1.config);
if (!isDeepStrictEqual(built, wanted)) {
  throw new Error(`${name}: built ${JSON.stringify(built)}, images.sh wrote ${JSON.stringify(wanted)}`);
}

function facts(config: { readonly Env: readonly string[]; readonly User: string; readonly WorkingDir: string }) {
  return { environment: [...config.Env].sort(), user: config.User, workingDirectory: config.WorkingDir };
}
