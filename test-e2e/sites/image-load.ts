/** Brings images from the layout in the cache into containerd; only blobs that are not there travel. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "./command.ts";
import { here, imageLayout, instance } from "./places.ts";
import { launch, removeTree, until } from "./process-tree.ts";
import { seedFolder } from "./requirements.ts";

interface Index {
  readonly manifests: readonly { readonly digest: string; readonly annotations: Record<string, string> }[];
}

/** Brings the built images into workers, given by folder. */
export async function loadImages(workers: readonly string[]): Promise<void> {
  await Promise.all(workers.map((worker) => load(join(worker, "run", "containerd.sock"))));
}

/** Makes the folder that a new worker's containerd begins with, when the lower layers are not those it was made of. */
export async function makeSeed(): Promise<void> {
  const folder = dirname(seedFolder());
  const key = lowerLayers();
  if (existsSync(join(folder, "key")) && readFileSync(join(folder, "key"), "utf8") === key) return;
  console.error("preparing the images' lower layers for the sites, once");
  const cgroup = `${instance}-seed`;
  await removeTree(cgroup);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  launch(
    cgroup,
    ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", join(here, "seed.sh"), "make", folder],
    join(folder, "log"),
  );
  try {
    const socket = join(folder, "containerd.sock");
    await until(() => existsSync(socket), `containerd to start; see ${join(folder, "log")}`);
    await load(socket);
  } finally {
    await removeTree(cgroup);
  }
  writeFileSync(join(folder, "key"), key);
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

/** Every layer but the last of each image: what seldom changes. */
function lowerLayers(): string {
  const layers = readIndex().manifests.flatMap((image) => manifestOf(image.digest).layers.slice(0, -1));
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
