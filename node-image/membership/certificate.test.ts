import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { clientAuthority, siteAuthority } from "../testing/authority.ts";
import { certificateFacts, identityOf } from "./certificate.ts";
import { openIdentity } from "./identity.ts";

const folder = mkdtempSync(join(tmpdir(), "kf-identity-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const site = await siteAuthority("bank", "dc1");
const otherSite = await siteAuthority("bank", "dc2");
const own = await openIdentity(folder, { cluster: "bank", site: "dc1", node: "dc1-a" });
const identity = "CN=dc1-a,OU=dc1,O=bank";
const dayMs = 86_400_000;
const chain = await site.sign(own.certificateRequest, ["192.0.2.1"], 9 * dayMs);
const foreignKey = createPrivateKey((await (await clientAuthority()).issue([{ CN: ["x"] }])).keyPem);
const trustBundle = otherSite.certificatePem + site.certificatePem;
const good = { certificateChain: chain, trustBundle, identity };

const cases = [
  [
    "is asked for while there is none",
    { ...good, certificateChain: undefined },
    0,
    "Requested",
    /waits for the site's CA/,
  ],
  ["is good", good, 0, "Valid", /valid until/],
  ["is to be renewed in the last third of its life", good, 7 * dayMs, "ExpiringSoon", /renewal is due/],
  ["is bad after its end", good, 10 * dayMs, "OutOfTime", /expired at .* the operator must renew/],
  ["is bad before its time", good, -dayMs, "OutOfTime", /check the clocks/],
  [
    "is bad when no known CA signed it",
    { ...good, trustBundle: otherSite.certificatePem },
    0,
    "Invalid",
    /no CA of spec.trustBundle/,
  ],
  [
    "is bad when it names another node",
    { ...good, identity: "CN=dc1-b,OU=dc1,O=bank" },
    0,
    "Invalid",
    /names CN=dc1-a/,
  ],
  ["is bad when it is no certificate", { ...good, certificateChain: "garbage" }, 0, "Invalid", /holds no certificate/],
] as const;
for (const [sentence, spec, laterMs, state, message] of cases) {
  test(`a certificate ${sentence}`, () => {
    const { certificateChain, ...rest } = spec;
    const facts = certificateFacts(
      certificateChain === undefined ? rest : { ...rest, certificateChain },
      own.privateKey,
      Date.now() + laterMs,
    );
    assert.equal(facts.state, state);
    assert.match(facts.message, message);
  });
}

test("a certificate is bad when it is for another key", () => {
  assert.match(certificateFacts(good, foreignKey, Date.now()).message, /another key/);
});

test("the node's key stays on its volume, for nobody else to read, and its request stays the same", async () => {
  const again = await openIdentity(folder, { cluster: "bank", site: "dc1", node: "dc1-a" });
  assert.equal(again.certificateRequest, own.certificateRequest);
  assert.equal(statSync(join(folder, "identity.key")).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder).sort(), ["identity.bank.dc1.dc1-a.csr", "identity.key"]);
});

test("the certificate carries the node's key and the name that peers map", () => {
  const leaf = new X509Certificate(chain);
  assert.equal(identityOf(leaf), identity);
  assert.ok(leaf.publicKey.equals(createPublicKey(own.privateKeyPem)));
  assert.equal(leaf.subjectAltName, "IP Address:192.0.2.1");
});
