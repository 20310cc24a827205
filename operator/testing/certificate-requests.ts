import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import type { KmsCluster } from "../ports/types.ts";

/** A certificate request for each node, by name, made by OpenSSL: by somebody else than the code that signs it. */
export function requestsFor(cluster: KmsCluster): Map<string, string> {
  const fleet = cluster.metadata.name;
  const nodes = cluster.spec.sites.flatMap((site) => site.nodes.map(({ name }) => ({ name, site: site.name })));
  return new Map(nodes.map(({ name, site }) => [name, requestFor(`/O=${fleet}/OU=${site}/CN=${name}`)]));
}

function requestFor(subject: string): string {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
  const made = spawnSync("openssl", ["req", "-new", ...key, "-subj", subject], { encoding: "utf8" });
  assert.equal(made.status, 0, `openssl must be installed for this test: ${made.error?.message ?? made.stderr}`);
  return made.stdout;
}
