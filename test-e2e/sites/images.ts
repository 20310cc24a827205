/**
 * Builds both images, and the node's next version for stories of upgrades, as one OCI layout in the cache: `index.json`, `blobs/sha256/*`. Layers are plain tar files, lowest
 * first: Debian packages, node, production modules, source. Each is kept by the hash of what went in, so that after a
 * change of source only the last one, under a megabyte, is made again. The Containerfiles say what the source is.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ImageRecipe, readRecipe } from "./containerfile.ts";
import { nextVersion, writeNextVersion } from "./next-version.ts";
import { checkout, here, imageLayout } from "./places.ts";

interface Blob {
  readonly digest: string;
  readonly size: number;
}

const workspaces = ["crds", "operator", "node-image", "test-e2e"] as const;
const images = [
  { name: "keyfleet-node", room: "node-image", rootfs: "node" },
  { name: "keyfleet-operator", room: "operator", rootfs: "operator" },
] as const;
const version: string = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")).version;
const blobs = join(imageLayout, "blobs", "sha256");
const layerIndex = join(imageLayout, "layers.json");
const tarOptions = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=posix"];
const tarNames = "--pax-option=delete=atime,delete=ctime";
const begin = Date.now();

function main(): void {
  if (process.argv.includes("--help")) {
    console.log("usage: images.sh [--archive FILE]   build both images; write them as one OCI archive too");
    return;
  }
  mkdirSync(blobs, { recursive: true });
  const manifests = [buildPause(), ...images.flatMap((image) => build(image))];
  const index = { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests };
  writeFileSync(join(imageLayout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(imageLayout, "index.json.part"), JSON.stringify(index));
  renameSync(join(imageLayout, "index.json.part"), join(imageLayout, "index.json"));
  removeUnused(manifests.map((manifest) => manifest.digest));
  const archive = process.argv.indexOf("--archive");
  const file = process.argv[archive + 1];
  if (archive >= 0 && file) execFileSync("tar", ["-cf", file, "-C", imageLayout, "oci-layout", "index.json", "blobs"]);
}

function build(image: (typeof images)[number]) {
  const recipe = readRecipe(join(checkout, image.room, "Containerfile"));
  const lower = [baseLayer(image.rootfs), nodeLayer(), moduleLayer(image.room)];
  const layers = [...lower, sourceLayer(image, recipe, lower.at(-1))];
  const reference = `localhost/${image.name}:${version}`;
  const megabytes = Math.round(layers.reduce((sum, layer) => sum + layer.size, 0) / 1e6);
  say(`${reference} ${megabytes} MB, source layer ${Math.round((layers.at(-1)?.size ?? 0) / 1e3)} kB`);
  const built = [addImage(reference, recipe, layers)];
  return image.room === "node-image" ? [...built, buildNext(image.name, recipe, layers)] : built;
}

function buildNext(name: string, recipe: ImageRecipe, layers: readonly Blob[]) {
  const layer = inTemporaryFolder((folder) => {
    const target = join(folder, "opt/keyfleet");
    writeNextVersion(target, version);
    tar(join(folder, "layer.tar"), folder, ["opt"]);
    return addBlob(readFileSync(join(folder, "layer.tar")));
  });
  return addImage(`localhost/${name}:${nextVersion(version)}`, recipe, [...layers, layer]);
}

/** The image of the containers that hold a pod's namespaces; the program in it is process 1 of the sites too. */
function buildPause() {
  const layer = keptLayer(`pause 1 ${hash(readFileSync(join(here, "pause.c")))}`, (file) =>
    inTemporaryFolder((folder) => {
      execFileSync("cc", ["-static", "-Os", "-s", "-o", join(folder, "pause"), join(here, "pause.c")]);
      cpSync(join(folder, "pause"), join(imageLayout, "pause"));
      tar(file, folder, ["pause"]);
    }),
  );
  const recipe = { sources: [], environment: [], user: "65535:65535", workingDirectory: "/", command: ["/pause"] };
  return addImage("localhost/keyfleet-pause:1", recipe, [layer]);
}

function addImage(reference: string, recipe: ImageRecipe, layers: readonly Blob[]) {
  const config = addBlob(Buffer.from(JSON.stringify(imageConfig(recipe, layers))));
  const manifest = addBlob(Buffer.from(JSON.stringify(imageManifest(config, layers))));
  const annotations = { "io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference };
  return { mediaType: "application/vnd.oci.image.manifest.v1+json", ...manifest, annotations };
}

function imageConfig(recipe: ImageRecipe, layers: readonly Blob[]) {
  return {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: { Env: recipe.environment, User: recipe.user, WorkingDir: recipe.workingDirectory, Cmd: recipe.command },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.digest) },
  };
}

function imageManifest(config: Blob, layers: readonly Blob[]) {
  return {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
    layers: layers.map((layer) => ({ mediaType: "application/vnd.oci.image.layer.v1.tar", ...layer })),
  };
}

function baseLayer(name: string): Blob {
  const folder = rootfsOf(name);
  return keptLayer(`base ${name} ${readFileSync(`${folder}.key`, "utf8").trim()}`, (file) => {
    const owners = ["--sort=name", "--mtime=@0", "--numeric-owner", "--format=posix", tarNames];
    execFileSync("tar", ["-cf", file, ...owners, "--exclude=./dev/*", "-C", folder, "."]);
  });
}

function nodeLayer(): Blob {
  return keptLayer(`node ${process.version} ${process.arch}`, (file) =>
    inTemporaryFolder((folder) => {
      mkdirSync(join(folder, "usr/local/bin"), { recursive: true });
      const target = join(folder, "usr/local/bin/node");
      cpSync(process.execPath, target, { dereference: true });
      // Without symbols it is 17 MB smaller; where the tool is missing it just stays larger.
      if (existsSync("/usr/bin/strip")) execFileSync("strip", [target]);
      tar(file, folder, ["usr"]);
    }),
  );
}

function moduleLayer(room: string): Blob {
  const manifests = ["package-lock.json", "package.json", ...workspaces.map((name) => `${name}/package.json`)];
  const inputs = [...manifests, "test-e2e/sites/prune-modules.sh"].map((file) => readFileSync(join(checkout, file)));
  return keptLayer(`modules ${room} ${process.version} ${hash(...inputs)}`, (file) =>
    inTemporaryFolder((folder) => {
      const target = join(folder, "opt/keyfleet");
      for (const name of workspaces) mkdirSync(join(target, name), { recursive: true });
      for (const name of manifests) cpSync(join(checkout, name), join(target, name));
      installModules(target, room);
      tar(file, folder, ["opt/keyfleet/node_modules"]);
    }),
  );
}

function installModules(target: string, room: string): void {
  say(`installing the production modules of ${room}`);
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const options = { cwd: target, stdio: ["ignore", "inherit", "inherit"] as const };
  execFileSync("npm", ["ci", "--omit=dev", ...quiet, "-w", `@keyfleet/${room}`], { ...options, stdio: "inherit" });
  if (existsSync(join(target, "node_modules/pkcs11js"))) {
    const addon = "node_modules/pkcs11js/build/Release/pkcs11.node";
    mkdirSync(join(target, "node_modules/pkcs11js/build/Release"), { recursive: true });
    cpSync(join(checkout, addon), join(target, addon));
  }
  execFileSync(join(checkout, "test-e2e/sites/prune-modules.sh"), [join(target, "node_modules")], { stdio: "inherit" });
}

/** The source, and of an image whose recipe names a NODE_COMPILE_CACHE what node makes of it. */
function sourceLayer(image: (typeof images)[number], recipe: ImageRecipe, modules: Blob | undefined): Blob {
  return inTemporaryFolder((folder) => {
    const file = join(folder, "layer.tar");
    const left = ["*.test.ts", "testing", "node_modules"].map((name) => `--exclude=${name}`);
    tar(file, checkout, [...left, "--transform=s,^,opt/keyfleet/,", ...recipe.sources]);
    const compiled = recipe.environment.find((each) => each.startsWith("NODE_COMPILE_CACHE="))?.split("=")[1];
    if (compiled === undefined || modules === undefined) return addBlob(readFileSync(file));
    return keptLayer(`source ${image.room} ${modules.digest} ${hash(readFileSync(file))}`, (target) => {
      const root = join(folder, "root");
      mkdirSync(root);
      for (const each of [file, join(blobs, modules.digest.slice("sha256:".length))])
        execFileSync("tar", ["-xf", each, "-C", root]);
      execFileSync(join(here, "compile.sh"), [image.room, rootfsOf(image.rootfs), root, compiled], {
        stdio: "inherit",
      });
      rmSync(join(root, "opt/keyfleet/node_modules"), { recursive: true });
      execFileSync("tar", [
        "-cf",
        target,
        "--sort=name",
        "--mtime=@0",
        "--numeric-owner",
        "--format=posix",
        tarNames,
        "-C",
        root,
        "opt",
      ]);
    });
  });
}

function rootfsOf(name: string): string {
  const output = execFileSync(join(import.meta.dirname, "rootfs.sh"), [name], { stdio: ["ignore", "pipe", "inherit"] });
  return output.toString().trim();
}

function tar(file: string, folder: string, what: readonly string[]): void {
  execFileSync("tar", ["-cf", file, ...tarOptions, tarNames, "--mode=u+rwX,go+rX,go-w", "-C", folder, ...what]);
}

/** The layer of that key: from the cache, or made by `make`, which writes a tar file. */
function keptLayer(key: string, make: (file: string) => void): Blob {
  const kept: Record<string, Blob> = existsSync(layerIndex) ? JSON.parse(readFileSync(layerIndex, "utf8")) : {};
  const found = kept[key];
  if (found && existsSync(join(blobs, found.digest.slice("sha256:".length)))) return found;
  say(`making layer: ${key.split(" ").slice(0, 2).join(" ")}`);
  const file = join(blobs, ".part");
  make(file);
  const blob = addBlob(readFileSync(file));
  rmSync(file);
  const kind = key.split(" ").slice(0, 2).join(" ");
  const others = Object.entries(kept).filter(([name]) => !name.startsWith(`${kind} `) && !name.startsWith("node "));
  const nodes = Object.entries(kept).filter(([name]) => name.startsWith("node ") && !kind.startsWith("node "));
  writeFileSync(layerIndex, JSON.stringify({ ...Object.fromEntries([...others, ...nodes]), [key]: blob }, null, 2));
  return blob;
}

function addBlob(content: Buffer): Blob {
  const digest = hash(content);
  const file = join(blobs, digest);
  if (!existsSync(file)) {
    writeFileSync(`${file}.part`, content);
    renameSync(`${file}.part`, file);
  }
  return { digest: `sha256:${digest}`, size: content.length };
}

/** Deletes every blob that no image of the index names. */
function removeUnused(manifests: readonly string[]): void {
  const used = new Set(manifests.map((digest) => digest.slice("sha256:".length)));
  for (const digest of [...used]) {
    const manifest = JSON.parse(readFileSync(join(blobs, digest), "utf8"));
    for (const blob of [manifest.config, ...manifest.layers]) used.add(blob.digest.slice("sha256:".length));
  }
  for (const file of readdirSync(blobs)) if (!used.has(file)) rmSync(join(blobs, file));
}

function inTemporaryFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-image-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function hash(...parts: readonly Buffer[]): string {
  const sum = createHash("sha256");
  for (const part of parts) sum.update(part);
  return sum.digest("hex");
}

function say(text: string): void {
  console.error(`[images ${((Date.now() - begin) / 1000).toFixed(1).padStart(6)} s] ${text}`);
}

main();
