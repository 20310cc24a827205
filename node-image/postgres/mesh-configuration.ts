import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { chownSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { close, connectHere } from "../store/connection.ts";
import type { MeshConfiguration, ServerCertificate } from "./types.ts";

const activationDeadlineMs = 5_000;
// What Kubernetes names may be made of; nothing that means something in pg_ident.conf.
const identityForm = /^CN=[A-Za-z0-9._-]+,OU=[A-Za-z0-9._-]+,O=[A-Za-z0-9._ -]+$/;

/**
 * Lets exactly the members in at the mesh port with these certificates; idempotent. Rejects when certificate and key do not
 * belong together or PostgreSQL does not take the configuration. Sessions of those who are no longer members end.
 */
export async function applyMeshConfiguration(configuration: MeshConfiguration): Promise<{ readonly changed: boolean }> {
  const { directory, tls, members } = configuration;
  checkPair(tls);
  const identities = admitted(members);
  const name = `tls-${createHash("sha256").update(JSON.stringify(tls)).digest("hex").slice(0, 16)}`;
  const before = currentIdentities(directory);
  const files: readonly (readonly [string, string])[] = [
    [`${name}.crt`, tls.certificateChainPem],
    [`${name}.key`, tls.privateKeyPem],
    [`${name}.ca`, tls.trustBundlePem],
    ["pg_ident.mesh", identLines(identities)],
    ["pg_hba.mesh", "hostssl keyfleet mesh all cert clientname=DN map=mesh\nhost all all all reject\n"],
    ["tls.conf", tlsSettings(join(directory, name))],
  ];
  // Files that an earlier call wrote and could not activate: who was removed then is not known any more.
  const written = files.filter(([file]) => existsSync(join(directory, file)));
  const pending = written.length > 0 && !(await isLoaded(configuration, lastWritten(directory, written)));
  // The names of certificate files come from their content and tls.conf is last: there is no moment with half a pair.
  const changed = files.map(([file, text]) => writeIfDifferent(directory, file, text)).includes(true);
  const removed = before.some((identity) => !identities.includes(identity));
  if (changed || pending) await activate(configuration, removed || pending);
  removeOld(directory, name);
  return { changed };
}

function checkPair(tls: ServerCertificate): void {
  const certificate = new X509Certificate(tls.certificateChainPem);
  if (!certificate.checkPrivateKey(createPrivateKey(tls.privateKeyPem)))
    throw new Error("the mesh certificate does not belong to this node's private key; request a new certificate");
}

function admitted(members: MeshConfiguration["members"]): readonly string[] {
  const gone = ["Fenced", "Departed"];
  const identities = members.filter(({ standing }) => !gone.includes(standing)).map(({ identity }) => identity);
  const odd = identities.find((identity) => !identityForm.test(identity));
  if (odd !== undefined)
    throw new Error(`member identity ${JSON.stringify(odd)} is not of the form CN=node,OU=site,O=cluster`);
  return identities.sort();
}

function identLines(identities: readonly string[]): string {
  return identities.map((identity) => `mesh "${identity}" mesh\n`).join("");
}

function currentIdentities(directory: string): readonly string[] {
  return [...readOrEmpty(directory, "pg_ident.mesh").matchAll(/^mesh "([^"]+)" mesh$/gm)].map(
    ([, identity]) => identity ?? "",
  );
}

/** TLS 1.3 alone, hybrid key exchange first; X25519 for peers on an older OpenSSL. */
function tlsSettings(path: string): string {
  return [
    "ssl = on",
    `ssl_cert_file = '${path}.crt'`,
    `ssl_key_file = '${path}.key'`,
    `ssl_ca_file = '${path}.ca'`,
    "ssl_min_protocol_version = 'TLSv1.3'",
    "ssl_groups = 'X25519MLKEM768:X25519'",
    "",
  ].join("\n");
}

function writeIfDifferent(directory: string, name: string, text: string): boolean {
  if (readOrEmpty(directory, name) === text) return false;
  const path = join(directory, name);
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  // PostgreSQL takes a key of its own user only; a key server that runs as root must hand it over.
  const { uid, gid } = statSync(directory);
  if (process.getuid?.() === 0) chownSync(`${path}.new`, uid, gid);
  renameSync(`${path}.new`, path);
  return true;
}

function lastWritten(directory: string, files: readonly (readonly [string, string])[]): string {
  const timesMs = files.map(([file]) => statSync(join(directory, file)).mtimeMs);
  return new Date(Math.max(...timesMs)).toISOString();
}

function readOrEmpty(directory: string, name: string): string {
  try {
    return readFileSync(join(directory, name), "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return "";
    throw error;
  }
}

function removeOld(directory: string, name: string): void {
  for (const file of readdirSync(directory))
    if (file.startsWith("tls-") && !file.startsWith(name)) rmSync(join(directory, file), { force: true });
}

/** Reloads and waits until new connections are under the new rules; only then may sessions be ended for good. */
async function activate(configuration: MeshConfiguration, endSessions: boolean): Promise<void> {
  const [sent] = await query(configuration, "select clock_timestamp()::text as at, pg_reload_conf()");
  const deadline = Date.now() + activationDeadlineMs;
  while (!(await isLoaded(configuration, sent?.at))) {
    if (Date.now() > deadline) throw new Error("PostgreSQL does not reload its configuration");
    await delay(20);
  }
  const [problem] = await query(configuration, problems);
  if (problem !== undefined) throw new Error(`PostgreSQL refuses the mesh configuration: ${problem.error}`);
  if (endSessions)
    await query(configuration, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'mesh'");
}

const problems = `select error from pg_hba_file_rules where error is not null
  union all select error from pg_ident_file_mappings where error is not null
  union all select error from pg_file_settings where error is not null limit 1`;

async function isLoaded(configuration: MeshConfiguration, since: unknown): Promise<boolean> {
  const [row] = await query(configuration, "select pg_conf_load_time() >= $1::timestamptz as loaded", [since]);
  return row?.loaded === true;
}

/** Each query on a connection of its own: what it sees is what a new connection gets. */
async function query(
  configuration: MeshConfiguration,
  text: string,
  values: unknown[] = [],
): Promise<readonly Record<string, unknown>[]> {
  const { socketDirectory, port } = configuration;
  const client = await connectHere({ socketDirectory, port, database: "postgres" }, () => undefined);
  try {
    return (await client.query(text, values)).rows;
  } finally {
    close(client);
  }
}
