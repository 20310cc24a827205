/** Brings images from the layout in the cache into containerd; only blobs that are not there travel. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";
import { cache, here, imageLayout, instance } from "./places.ts";
import { launch, removeTree, until } from "./process-tree.ts";

interface Index {
  readonly manifests: readonly { readonly digest: string; readonly annotations: Record<string, string> }[];
}

/** Cgroup of the containerd that a seed is made with. */
export const seedCgroup = `${instance}-seed`;

/** Brings the built images into workers, given by folder. */
export async function loadImages(workers: readonly string[]): Promise<void> {
  await Promise.all(workers.map((worker) => load(join(worker, "run", "containerd.sock"))));
}

/**
 * Makes the folder that a new worker's containerd begins with, by hard links, when the images' lower layers are not those
 * that it was made of.
 */
export async function makeSeed(): Promise<void> {
  const key = lowerLayers();
  const folder = join(cache, "seed", key);
  const current = join(cache, "seed", "current");
  if (!existsSync(folder)) {
    console.error("preparing the images' lower layers for the sites, once");
    const part = join(cache, "seed", `part-${instance}`);
    await removeTree(seedCgroup);
    rmSync(part, { recursive: true, force: true });
    await fillSeed(part);
    renameSync(part, folder);
  }
  rmSync(`${current}.${instance}`, { force: true });
  symlinkSync(key, `${current}.${instance}`);
  renameSync(`${current}.${instance}`, current);
  removeOthers(key);
}

async function fillSeed(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"];
  launch(seedCgroup, [...unshare, "bash", join(here, "seed.sh"), "make", folder], join(folder, "log"));
  try {
    const socket = join(folder, "containerd.sock");
    await until(() => existsSync(socket), `containerd to start; see ${join(folder, "log")}`);
    await load(socket);
  } finally {
    await removeTree(seedCgroup);
  }
}

function removeOthers(key: string): void {
  const old = readdirSync(join(cache, "seed")).filter((name) => /^[0-9a-f]{64}$/.test(name) && name !== key);
  for (const name of old) rmSync(join(cache, "seed", name), { recursive: true, force: true });
}

async function load(socket: string): Promise<void> {
  const ctr = ["ctr", "-a", socket, "-n", "k8s.io"];
  const index = readIndex();
  const images = (await run([...ctr, "images", "ls"])).stdout;
  const there = (image: Index["manifests"][number]) =>
    images.split("\n").some((line) => line.startsWith(`${name(image)} `) && line.includes(image.digest));
  if (index.manifests.every(there)) return;
  const present = new Set((await run([...ctr, "content", "ls", "-q"])).stdout.split("\n"));
  const missing = [...new Set(index.manifests.flatMap((image) => blobsOf(image.digest)))].filter(
    (digest) => !present.has(digest),
  );
  const files = ["oci-layout", "index.json", ...missing.map((digest) => join("blobs", "sha256", hex(digest)))];
  const script = 'set -o pipefail; tar -cf - -C "$1" -T - | ctr -a "$2" -n k8s.io images import - ';
  await run(["bash", "-c", script, "load", imageLayout, socket], { input: files.join("\n") });
}

/** Every layer that is not the last of an image: what seldom changes. */
function lowerLayers(): string {
  const images = readIndex().manifests.map((image) => manifestOf(image.digest).layers);
  const last = new Set(images.map((layers) => layers.at(-1)?.digest));
  const layers = images.flat().filter(({ digest }) => !last.has(digest));
  return createHash("sha256")
    .update(layers.map((layer) => layer.digest).join(" "))
    .digest("hex");
}

function blobsOf(digest: string): string[] {
  const manifest = manifestOf(digest);
  return [digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)];
}

function manifestOf(digest: string): { config: { digest: string }; layers: { digest: string }[] } {
  return JSON.parse(readFileSync(join(imageLayout, "blobs", "sha256", hex(digest)), "utf8"));
}

function readIndex(): Index {
  return JSON.parse(readFileSync(join(imageLayout, "index.json"), "utf8"));
}

function name(image: Index["manifests"][number]): string {
  return image.annotations["io.containerd.image.name"] ?? "";
}

function hex(digest: string): string {
  return digest.slice("sha256:".length);
}
