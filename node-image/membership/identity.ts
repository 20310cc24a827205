import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { replaceFile } from "../config/durable-file.ts";

/** Who this node is on every link: its own key, and the request that its site's CA signs. */
export interface Identity {
  /** Stays in this process and in PostgreSQL's configuration on the memory-backed run folder. */
  readonly privateKey: KeyObject;
  readonly privateKeyPem: string;
  /** PEM (PKCS#10); the same bytes at every start, so that an unchanged node posts an unchanged request. */
  readonly certificateRequest: string;
  /** Path of the file on the volume for the last good certificate that answers it. */
  readonly certificateFile: string;
}

export interface Subject {
  readonly cluster: string;
  readonly site: string;
  readonly node: string;
}

/** Reads the node's key and request from its volume, or makes them there (key 0600); throws where the volume does not allow it. */
export async function openIdentity(folder: string, subject: Subject): Promise<Identity> {
  const keyFile = join(folder, "identity.key");
  const ofSubject = join(folder, `identity.${subject.cluster}.${subject.site}.${subject.node}`);
  const requestFile = `${ofSubject}.csr`;
  if (!existsSync(keyFile)) replaceFile(keyFile, newKey());
  chmodSync(keyFile, 0o600);
  const privateKeyPem = readFileSync(keyFile, "utf8");
  const privateKey = createPrivateKey(privateKeyPem);
  if (!existsSync(requestFile)) replaceFile(requestFile, await makeRequest(privateKey, subject), 0o644);
  const certificateRequest = readFileSync(requestFile, "utf8");
  return Object.freeze({ privateKey, privateKeyPem, certificateRequest, certificateFile: `${ofSubject}.pem` });
}

function newKey(): Buffer {
  const { privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return Buffer.from(privateKey);
}

/** A PKCS#10 request (RFC 2986) for O=cluster, OU=site, CN=node; names beside the subject are the operator's to add. */
async function makeRequest(privateKey: KeyObject, subject: Subject): Promise<string> {
  // Loaded here only: a node makes one request in its life, and the library costs memory as long as the process lives.
  await import("reflect-metadata");
  const { Pkcs10CertificateRequestGenerator } = await import("@peculiar/x509");
  const { createPublicKey } = await import("node:crypto");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = {
    privateKey: privateKey.toCryptoKey(algorithm, false, ["sign"]),
    publicKey: createPublicKey(privateKey.export({ type: "pkcs8", format: "pem" })).toCryptoKey(algorithm, true, [
      "verify",
    ]),
  };
  const name = [{ O: [subject.cluster] }, { OU: [subject.site] }, { CN: [subject.node] }];
  const request = await Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm: algorithm });
  return `${request.toString("pem")}\n`;
}

/** The name that this node's certificate must have, RFC 2253 order. */
export function identityOfNode(node: KmsNode): string {
  return `CN=${node.metadata.name},OU=${node.spec.site},O=${node.spec.cluster}`;
}
