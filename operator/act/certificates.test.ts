import "reflect-metadata";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { webcrypto, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as x509 from "@peculiar/x509";
import type { KmsNode } from "../ports/types.ts";
import { aCondition } from "../testing/builders.ts";
import {
  CertificateRequestError,
  certificateNeed,
  nodeCertificateLifeMs,
  signNodeCertificate,
} from "./certificates.ts";
import { distinguishedName, isCaOfSite, keyAlgorithm, makeSiteCa, type SiteCa, signingAlgorithm } from "./site-ca.ts";

const nowMs = Date.now();
const dc1 = { cluster: "bank", site: "dc1" };
const dc2 = { cluster: "bank", site: "dc2" };
let folder: string;
let ca1: SiteCa;
let ca2: SiteCa;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "keyfleet-certificates-"));
  ca1 = await makeSiteCa(dc1, nowMs);
  ca2 = await makeSiteCa(dc2, nowMs);
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function aNodeWithRequest(
  spec: Partial<KmsNode["spec"]> = {},
  subject = "O=bank,OU=dc1,CN=dc1-a",
): Promise<KmsNode> {
  const keys = (await webcrypto.subtle.generateKey(keyAlgorithm, false, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ name: subject, keys, signingAlgorithm });
  return aNodeWith(request.toString("pem"), spec);
}

function aNodeWith(certificateRequest: string, spec: Partial<KmsNode["spec"]> = {}): KmsNode {
  return {
    apiVersion: "keyfleet.io/v1alpha1",
    kind: "KmsNode",
    metadata: { name: "dc1-a" },
    spec: {
      ...{
        cluster: "bank",
        site: "dc1",
        version: "0.1.0",
        featureLevel: "0.1.0",
        settings: {},
        durability: "EverySite",
      },
      ...{ membership: { action: "None" }, members: [], clients: { caBundle: "", administrators: [] } },
      ...{ address: "10.0.0.1", clientAddress: "kms.bank.example" },
      ...spec,
    },
    status: { certificateRequest },
  };
}

/** What OpenSSL says of a chain when it trusts the CAs of both sites, as every member does. */
function openssl(chain: string, ...flags: string[]): string {
  writeFileSync(join(folder, "trust.pem"), `${ca1.certificate}\n${ca2.certificate}\n`);
  writeFileSync(join(folder, "leaf.pem"), chain);
  const options = ["-x509_strict", "-CAfile", join(folder, "trust.pem"), ...flags, join(folder, "leaf.pem")];
  const result = spawnSync("openssl", ["verify", ...options], { encoding: "utf8" });
  assert.equal(result.error, undefined, "openssl must be installed for this test");
  return result.stdout + result.stderr;
}

test("OpenSSL accepts a node's certificate as server and as client, with its addresses", async () => {
  const chain = await signNodeCertificate(await aNodeWithRequest(), ca1, nowMs);
  assert.match(openssl(chain, "-purpose", "sslserver", "-verify_ip", "10.0.0.1"), /leaf\.pem: OK/);
  assert.match(openssl(chain, "-purpose", "sslclient"), /leaf\.pem: OK/);
  assert.match(openssl(chain, "-verify_hostname", "kms.bank.example"), /leaf\.pem: OK/);
  assert.match(openssl(chain, "-verify_ip", "10.0.0.9"), /IP address mismatch/);
});

test("OpenSSL accepts it by the right clock also when that of the operator was hours ahead while it made the CA", async () => {
  const owner = { cluster: "bank", site: "dc1" };
  const ahead = await makeSiteCa(owner, nowMs + 12 * 3600_000);
  const chain = await signNodeCertificate(await aNodeWithRequest(), ahead, nowMs);
  writeFileSync(join(folder, "ahead.pem"), ahead.certificate);
  const trust = ["-CAfile", join(folder, "ahead.pem"), "-attime", String(Math.floor(nowMs / 1000))];
  assert.match(openssl(chain, ...trust), /leaf\.pem: OK/);
});

test("the subject is the identity that PostgreSQL maps, in encoding order O, OU, CN", async () => {
  const chain = await signNodeCertificate(await aNodeWithRequest(), ca1, nowMs);
  writeFileSync(join(folder, "subject.pem"), chain);
  const shown = spawnSync("openssl", [
    "x509",
    "-noout",
    "-subject",
    "-nameopt",
    "RFC2253",
    "-in",
    join(folder, "subject.pem"),
  ]);
  assert.equal(shown.stdout.toString().trim(), "subject=CN=dc1-a,OU=dc1,O=bank");
});

test("a CA of dc1 cannot speak for dc2, even though its certificate is trusted", async () => {
  const forged = await aNodeWithRequest({ site: "dc2" }, "O=bank,OU=dc2,CN=dc1-a");
  assert.match(openssl(await signNodeCertificate(forged, ca1, nowMs)), /permitted subtree violation/);
  const foreign = await aNodeWithRequest({ cluster: "other" }, "O=other,OU=dc1,CN=dc1-a");
  assert.match(openssl(await signNodeCertificate(foreign, ca1, nowMs)), /permitted subtree violation/);
});

test("a site's CA cannot make another CA", async () => {
  const chain = await signNodeCertificate(await aNodeWithRequest(), ca1, nowMs);
  const leaf = new x509.X509Certificate(chain.split(/(?<=-----END CERTIFICATE-----)/)[0] ?? "");
  assert.equal(leaf.getExtension(x509.BasicConstraintsExtension)?.ca, false);
  assert.equal(new x509.X509Certificate(ca1.certificate).getExtension(x509.BasicConstraintsExtension)?.pathLength, 0);
});

test("only a CA that is bound to its site is taken as that site's", async () => {
  const keys = (await webcrypto.subtle.generateKey(keyAlgorithm, false, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const unbound = await x509.X509CertificateGenerator.createSelfSigned({
    name: distinguishedName(dc1, "keyfleet CA"),
    keys,
    signingAlgorithm,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  assert.equal(isCaOfSite(ca1.certificate, dc1), true);
  for (const [why, pem, owner] of [
    ["of another site", ca1.certificate, dc2],
    ["of another fleet", ca1.certificate, { cluster: "other", site: "dc1" }],
    ["without name constraint", unbound.toString("pem"), dc1],
    ["two in one", `${ca1.certificate}\n${ca2.certificate}`, dc1],
    ["garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", dc1],
    ["empty", "", dc1],
  ] as const)
    assert.equal(isCaOfSite(pem, owner), false, why);
});

test("refuses requests that are for another node, not signed by their key, or of another kind of key", async () => {
  const good = await aNodeWithRequest();
  const der = Buffer.from(new x509.Pkcs10CertificateRequest(good.status?.certificateRequest ?? "").rawData);
  der[der.length - 5] = (der.at(-5) ?? 0) ^ 1;
  const broken = new x509.Pkcs10CertificateRequest(der).toString("pem");
  const p384 = { name: "ECDSA", namedCurve: "P-384" };
  const keys = (await webcrypto.subtle.generateKey(p384, false, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const otherCurve = await x509.Pkcs10CertificateRequestGenerator.create({ name: "CN=x", keys, signingAlgorithm });
  for (const [node, message] of [
    [await aNodeWithRequest({}, "O=bank,OU=dc1,CN=dc1-b"), /is for .*dc1-b.*, not for .*dc1-a/],
    [aNodeWith(broken), /not signed by the key in it/],
    [aNodeWith(otherCurve.toString("pem")), /P-384, not P-256/],
    [aNodeWith("hello"), /not PKCS#10/],
  ] as const)
    await assert.rejects(signNodeCertificate(node, ca1, nowMs), (error: Error) => {
      assert.ok(error instanceof CertificateRequestError);
      assert.match(error.message, message);
      return true;
    });
});

const dayMs = 24 * 3600_000;
const clocks: readonly (readonly [
  sentence: string,
  says: string,
  timely: boolean,
  aheadDays: number,
  signs: boolean,
])[] = [
  ["in the middle of its life", "Valid", true, 10, false],
  ["in its last third, which the node says too", "ExpiringSoon", true, 25, true],
  ["years before it, by this clock alone", "Valid", true, -9_000, false],
  ["years before it, while the node waits to have it renewed", "ExpiringSoon", true, -9_000, false],
  [
    "two weeks before its end by the node's clock, by this one in the middle of its life",
    "ExpiringSoon",
    true,
    6,
    true,
  ],
  [
    "a day after it was signed, while the node waits to have it renewed: it would end no later",
    "ExpiringSoon",
    true,
    0.5,
    false,
  ],
  ["which the node does not take yet, by this clock neither", "OutOfTime", true, -4, true],
  ["which the node does not take yet, by this clock it might", "OutOfTime", true, 3, false],
  ["which the node does not take any more, by this clock neither", "OutOfTime", true, 40, true],
  ["in its last third, by this clock alone", "Valid", true, 25, false],
  ["after its end, by this clock alone", "Valid", true, 40, false],
  ["in its last third, and the node's clock was not measured", "Valid", false, 25, true],
  ["after its end, and the node cannot use it", "Invalid", true, 40, true],
];
for (const [sentence, reason, timely, aheadDays, signs] of clocks)
  test(`${signs ? "signs anew" : "does not sign"} what a node uses: ${sentence}`, async () => {
    const node = await aNodeWithRequest();
    const certificateChain = await signNodeCertificate(node, ca1, nowMs);
    const of = (type: string, status: "True" | "False", why: string) => aCondition(type, status, why);
    const conditions = [
      of("TimeSynchronised", timely ? "True" : "False", "x"),
      of("Certificates", reason === "Invalid" ? "False" : "True", reason),
    ];
    const certificateNotAfter = new X509Certificate(certificateChain).validToDate.toISOString();
    const status = { ...node.status, conditions, certificateNotAfter };
    const using = { ...node, spec: { ...node.spec, certificateChain }, status };
    assert.equal(certificateNeed(using, ca1.certificate, nowMs + aheadDays * dayMs) !== undefined, signs);
  });

test("does not sign again and again what a machine that has not got its newest document asks for", async () => {
  const node = await aNodeWithRequest();
  const certificateChain = await signNodeCertificate(node, ca1, nowMs);
  const conditions = [aCondition("TimeSynchronised", "True", "x"), aCondition("Certificates", "True", "ExpiringSoon")];
  const certificateNotAfter = new Date(nowMs + 9 * dayMs).toISOString();
  const status = { ...node.status, conditions, certificateNotAfter };
  const using = { ...node, spec: { ...node.spec, certificateChain }, status };
  const needs = [5, 25].map((days) => certificateNeed(using, ca1.certificate, nowMs + days * dayMs));
  assert.deepEqual(needs, [undefined, "a third of its life is left"]);
});

test("a certificate that a clock signed which is half a day ahead is good at once", async () => {
  const chain = await signNodeCertificate(await aNodeWithRequest(), ca1, nowMs + dayMs / 2);
  assert.match(openssl(chain), /leaf\.pem: OK/);
});

test("says when a certificate is needed, and is content with the one just signed", async () => {
  const node = await aNodeWithRequest();
  const certificateChain = await signNodeCertificate(node, ca1, nowMs);
  const signed = { ...node, spec: { ...node.spec, certificateChain } };
  const need = (change: Partial<KmsNode["spec"]>, atMs = nowMs, ca = ca1.certificate) =>
    certificateNeed({ ...signed, spec: { ...signed.spec, ...change } }, ca, atMs);
  assert.equal(need({}), undefined);
  assert.equal(need({}, nowMs + nodeCertificateLifeMs * 0.6), undefined);
  assert.match(need({}, nowMs + nodeCertificateLifeMs * 0.7) ?? "", /a third/);
  assert.equal(need({}, nowMs - 60_000), undefined, "clocks differ a little");
  assert.match(need({}, nowMs - 25 * 3600_000) ?? "", /not valid yet/);
  assert.match(need({ address: "10.0.0.2" }) ?? "", /addresses changed/);
  assert.match(need({}, nowMs, ca2.certificate) ?? "", /CA of the site changed/);
  assert.match(need({ certificateChain: "x" }) ?? "", /cannot be read/);
  assert.match(certificateNeed(node, ca1.certificate, nowMs) ?? "", /none yet/);
  const other = await aNodeWithRequest({ certificateChain });
  assert.match(certificateNeed(other, ca1.certificate, nowMs) ?? "", /new key/);
  const { address: _, ...withoutAddress } = node.spec;
  assert.equal(
    certificateNeed({ ...node, spec: withoutAddress }, ca1.certificate, nowMs),
    undefined,
    "waits for the address",
  );
});
