import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../sites/command.ts";
import { namespace, type Place, root } from "./places.ts";

/** Client certificates in place.certificates: app1, app2, foreign, expired. */
export async function makeClientCertificates(place: Place): Promise<void> {
  await run([join(root, "test-e2e/fleet/client-certificates.sh"), place.certificates]);
}

/** All that a fleet needs in every site but its document: namespace, PIN, clients' CA, operator, peers' kubeconfigs. */
export async function installOperators(place: Place): Promise<void> {
  const { names } = place.sites;
  await Promise.all(names.map((site) => prepareSite(place, site)));
  await Promise.all(names.map((site) => helmInstall(place, site)));
  await Promise.all(names.map((site) => introducePeer(place, site)));
}

async function prepareSite(place: Place, site: string): Promise<void> {
  const { sites } = place;
  const authority = readFileSync(join(place.certificates, "ca.crt"), "utf8");
  await sites.kubectl(site, ["apply", "-f", "-"], manifest("Namespace", namespace, {}));
  await sites.kubectl(
    site,
    ["apply", "-f", "-"],
    manifest("ConfigMap", "bank-clients", { data: { "ca.crt": authority } }),
  );
  const secret = `${site}-hsm-pin`;
  const { stdout } = await sites.kubectl(site, [
    "-n",
    namespace,
    "get",
    "secret",
    secret,
    "--ignore-not-found",
    "-o",
    "name",
  ]);
  // A PIN that a token was made with must stay: it is made once and never replaced.
  if (stdout.trim() === "")
    await sites.kubectl(site, ["create", "-f", "-"], pinSecret(secret, randomBytes(12).toString("hex")));
}

/** The Secret with a user PIN that settings.hsm.pinSecretRef names. */
export function pinSecret(name: string, pin: string): string {
  return manifest("Secret", name, { stringData: { pin } });
}

function manifest(kind: string, name: string, more: Readonly<Record<string, unknown>>): string {
  const metadata = kind === "Namespace" ? { name } : { name, namespace };
  return JSON.stringify({ apiVersion: "v1", kind, metadata, ...more });
}

async function helmInstall(place: Place, site: string): Promise<void> {
  const { sites } = place;
  const settings = ["--set", `site=${site}`];
  const command = [
    "helm",
    "upgrade",
    "--install",
    "keyfleet",
    join(root, "helm"),
    "--namespace",
    namespace,
    ...settings,
  ];
  await sites.exec([...command, "--wait", "--timeout", "3m"], { env: { KUBECONFIG: sites.kubeconfig(site) } });
}

/** Gives every other site a short-lived way to read this one. */
export async function introducePeer(
  place: Place,
  site: string,
  { duration = "720h", proxy }: { readonly duration?: string; readonly proxy?: string } = {},
): Promise<void> {
  const { sites } = place;
  const command = [join(root, "helm/peer-secret.sh"), "--site", site, "--namespace", namespace, "--duration", duration];
  if (proxy !== undefined) command.push("--proxy", proxy);
  const { stdout } = await sites.exec(command, { env: { KUBECONFIG: sites.kubeconfig(site) } });
  const others = sites.names.filter((other) => other !== site);
  await Promise.all(others.map((other) => sites.kubectl(other, ["apply", "-f", "-"], stdout)));
}
