/**
 * The main job, as a story on three real Kubernetes sites: install, found, join, lose two sites while keys are written,
 * miss nothing, and come back equal. Leaves the sites running.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../fleet/await.ts";
import { allNodes, endpoints, nodesAt, waitForAllServing, waitUntilEqual, writeServersCa } from "../fleet/fleet.ts";
import { installOperators, makeClientCertificates } from "../fleet/install.ts";
import { type Answer, ask, type Call, installClients, startWriter } from "../fleet/kmip-clients.ts";
import { cache, namespace, type Place, root } from "../fleet/places.ts";
import { sitesFromEnvironment } from "../sites/driver.ts";
import { explain, fail, step, summary } from "./screen.ts";

const place: Place = { sites: sitesFromEnvironment(), certificates: join(cache, "demo") };
const { sites } = place;
const [first = "dc1", ...others] = sites.names;
const last = sites.names.at(-1) ?? first;
const lost = sites.names.slice(0, -1);

async function demo(): Promise<void> {
  await step("KMIP clients and their certificates", async () => {
    await installClients();
    await makeClientCertificates(place);
  });
  await step(`sites ${sites.names.join(", ")} (real Kubernetes, one process tree each)`, async () => {
    await sites.down();
    await sites.up();
  });
  await step("operator in each site, by Helm, with kubeconfigs of its peers", () => installOperators(place));
  await step(`kubectl apply -f examples/kmscluster.yaml, in ${first} only`, applyDocument);
  await step("found, then join one by one", () => waitForAllServing(place, { deadlineMs: 300_000, tell: explain }));

  const nodes = await allNodes(place);
  const at = endpoints(nodes);
  const call: Call = { client: "PyKMIP", endpoints: [], ca: writeServersCa(place, nodes) };
  const before = await step("create keys on every node with PyKMIP and kmip-go", () => createEverywhere(call, at));
  const acknowledged = await step(`write at all sites; ${lost.join(" and ")} die in the middle`, () =>
    loseSites(call, at),
  );
  const survivors = nodes.filter((node) => node.spec.site === last);
  const all = [...before, ...acknowledged];
  await step(`read all ${all.length} acknowledged keys on ${last}`, async () => {
    for (const node of survivors) await readAll({ ...call, endpoints: [at.get(node.metadata.name) ?? ""] }, all);
  });
  const after = await step(`create on ${last} while it is alone`, () =>
    createOn(
      call,
      at,
      survivors.map((node) => node.metadata.name),
    ),
  );
  await step(`power comes back to ${lost.join(" and ")}`, async () => {
    await Promise.all(lost.map((site) => sites.start(site)));
    await waitForAllServing(place, { deadlineMs: 180_000, tell: explain });
  });
  const vector = await step("all nodes equal", () => waitUntilEqual(place, nodes, 60_000));
  await step("every key on a node of every site", async () => {
    for (const site of sites.names) {
      const [node] = await nodesAt(place, site);
      await readAll({ ...call, client: "kmip-go", endpoints: [at.get(node?.metadata.name ?? "") ?? ""] }, [
        ...all,
        ...after,
      ]);
    }
  });
  const operations = Object.values(vector).reduce((sum, count) => sum + count, 0);
  summary({
    keys: all.length + after.length,
    nodes: nodes.length,
    operations,
    lost,
    call,
    endpoint: at.get(`${last}-a`) ?? "",
    place,
  });
}

async function applyDocument(): Promise<void> {
  // The operators have just begun to serve their kinds; the document itself is the one in examples/, unchanged.
  const document = readFileSync(join(root, "examples/kmscluster.yaml"), "utf8");
  await sites.kubectl(first, ["apply", "-f", "-"], document);
  const copied = (site: string) => sites.kubectl(site, ["-n", namespace, "get", "kmscluster", "-o", "name"]);
  for (const site of others) {
    await until(
      () => copied(site),
      ({ stdout }) => stdout.trim() !== "",
      { what: `${site} has taken over the document`, deadlineMs: 30_000 },
    );
  }
}

async function createEverywhere(call: Call, at: ReadonlyMap<string, string>): Promise<Answer[]> {
  const keys: Answer[] = [];
  for (const client of ["PyKMIP", "kmip-go"] as const)
    keys.push(...(await createOn({ ...call, client }, at, [...at.keys()])));
  return keys;
}

async function createOn(call: Call, at: ReadonlyMap<string, string>, nodes: readonly string[]): Promise<Answer[]> {
  const keys: Answer[] = [];
  for (const node of nodes) {
    const name = `demo-${call.client}-${node}-${keys.length}-${performance.now().toFixed(0)}`;
    const answers = await ask(place, { ...call, endpoints: [at.get(node) ?? ""] }, ["--name", name, "create"]);
    for (const answer of answers)
      if (answer.error !== undefined) throw new Error(`${call.client} at ${node}: ${answer.error}`);
    keys.push(...answers);
  }
  return keys;
}

async function loseSites(call: Call, at: ReadonlyMap<string, string>): Promise<readonly Answer[]> {
  const writers = sites.names.map((site) => {
    // Each writer begins at its own site and goes on elsewhere when that is gone.
    const order = [...at].sort(
      ([a], [b]) => Number(b.startsWith(site)) - Number(a.startsWith(site)) || a.localeCompare(b),
    );
    const bounds = { name: `demo-under-fire-${site}`, count: 20_000, seconds: 60 };
    return startWriter(place, { ...call, endpoints: order.map(([, endpoint]) => endpoint) }, bounds);
  });
  const count = () => writers.reduce((sum, writer) => sum + writer.acknowledged.length, 0);
  const more = (number: number, what: string) =>
    until(
      async () => count(),
      (seen) => seen >= number,
      { what, deadlineMs: 30_000, everyMs: 100 },
    );
  await more(60, "60 keys acknowledged by all sites");
  await Promise.all(lost.map((site) => sites.kill(site)));
  const atLoss = count();
  explain(`${lost.join(" and ")} killed after ${atLoss} acknowledged keys`);
  await more(atLoss + 60, `60 more keys acknowledged by ${last} alone`);
  await Promise.all(writers.map((writer) => writer.stop()));
  const slowest = Math.max(...writers.flatMap((writer) => writer.acknowledged.map((answer) => answer.ms ?? 0)));
  const failures = writers.reduce((sum, writer) => sum + writer.failures.length, 0);
  explain(
    `${count()} keys acknowledged, ${failures} requests failed over to another node, slowest answer ${slowest} ms`,
  );
  return writers.flatMap((writer) => writer.acknowledged);
}

/** Reads the keys with one client and compares the digests that are known. */
async function readAll(call: Call, keys: readonly Answer[]): Promise<void> {
  const known = new Map(keys.map((key) => [key.id, key.digest]));
  const answers = await ask(place, call, ["read"], `${[...known.keys()].join("\n")}\n`);
  const wrong = answers.filter(({ id, digest }) => digest === undefined || (known.get(id) ?? digest) !== digest);
  if (wrong.length > 0 || answers.length !== known.size)
    throw new Error(
      `${answers.length} of ${known.size} keys answered at ${call.endpoints}, ${wrong.length} wrong: ${JSON.stringify(wrong.slice(0, 5))}`,
    );
}

await demo().catch((error: Error) => fail(error, place));
