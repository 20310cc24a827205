import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { siteAuthority } from "../testing/authority.ts";
import { scratchFolder } from "../testing/scratch-folder.ts";
import type { CertificateSpec } from "./certificate.ts";
import { openIdentity } from "./identity.ts";
import { NodeCertificate } from "./node-certificate.ts";

const folder = scratchFolder(tmpdir(), "kf-node-certificate-");
after(() => rmSync(folder, { recursive: true, force: true }));

const dayMs = 86_400_000;
const [site, another] = [await siteAuthority("bank", "dc1"), await siteAuthority("bank", "dc1")];
const own = await openIdentity(folder, { cluster: "bank", site: "dc1", node: "dc1-a" });
const sign = (authority: typeof site, lifeDays: number, aheadDays = 0) =>
  authority.sign(own.certificateRequest, ["192.0.2.1"], lifeDays * dayMs, aheadDays * dayMs);
const good = await sign(site, 9);
const early = await sign(site, 30, 4);
const ended = await sign(site, 3, -4);
const untrusted = await sign(another, 30);
const rest = { trustBundle: site.certificatePem, identity: "CN=dc1-a,OU=dc1,O=bank" };
const having = (certificateChain: string): CertificateSpec => ({ ...rest, certificateChain });

const logged: string[] = [];
const log = (level: string, message: string, fields: Readonly<Record<string, unknown>> = {}) =>
  void logged.push(`${level} ${message} ${fields.problem}`);

/** The certificate as a process sees it that begins now; without `fresh` on the volume of the one before. */
function started(fresh = false) {
  if (fresh) rmSync(own.certificateFile, { recursive: true, force: true });
  logged.length = 0;
  const certificate = new NodeCertificate(own.certificateFile, log);
  return (spec: CertificateSpec, laterDays = 0) => certificate.look(spec, own, Date.now() + laterDays * dayMs);
}

/** What the document has next, how the node finds it, what it says, and what is told of that of the document. */
const offers: readonly (readonly [sentence: string, offer: CertificateSpec, refused: string, message: RegExp])[] = [
  ["is not valid yet", having(early), "OutOfTime", /valid until .*; it is the one of before, because .* is valid from/],
  ["has ended", having(ended), "OutOfTime", /the one of before, because the certificate expired/],
  ["is of a CA that nobody trusts", having(untrusted), "Invalid", /because no CA of spec\.trustBundle has signed/],
  ["is no certificate", having("garbage"), "Invalid", /because spec\.certificateChain holds no certificate/],
  ["is not there, as the KmsNode was made anew", rest, "Requested", /because the request is in the status/],
];
for (const [sentence, offer, refused, message] of offers)
  for (const restarts of [false, true])
    test(`a certificate that ${sentence} leaves the one of before in use${restarts ? ", across a restart" : ""}`, () => {
      const before = started(true);
      assert.equal(before(having(good)).chainPem, good);
      const look = restarts ? started() : before;
      const { chainPem, facts } = look(offer);
      assert.equal(chainPem, good);
      assert.deepEqual([facts.state, facts.refused], ["Valid", refused]);
      assert.match(facts.message, message);
      look(offer);
      assert.equal(logged.length, 1, "told once");
      assert.match(logged[0] ?? "", /^warn the certificate of before goes on being used/);
    });

test("one that is not valid yet is taken when it is, and by then the one of before may have ended", () => {
  const look = started(true);
  look(having(good));
  assert.equal(look(having(early)).chainPem, good);
  assert.equal(look(having(early), 5).chainPem, early);
  assert.equal(started()(having("garbage"), 12).chainPem, early, "and kept from then on");
});

test("the one of before is used no longer than it is good: neither after its end, nor when its CA is trusted no more", () => {
  const look = started(true);
  look(having(good));
  const distrusted = { ...having(early), trustBundle: another.certificatePem };
  for (const found of [look({ ...rest, certificateChain: "garbage" }, 9.1), look(distrusted)])
    assert.deepEqual([found.chainPem, found.facts.refused], [undefined, undefined]);
  assert.equal(look({ ...rest, certificateChain: "garbage" }, 9.1).facts.state, "Invalid");
});

test("without one of before nothing is used, whatever lies on the volume", () => {
  for (const lies of ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", untrusted]) {
    started(true);
    writeFileSync(own.certificateFile, lies);
    assert.equal(started()(having(early)).chainPem, undefined, lies);
  }
});

test("a volume that does not keep it hinders nothing, and is told", () => {
  const look = started(true);
  mkdirSync(own.certificateFile);
  assert.equal(look(having(good)).chainPem, good);
  assert.match(logged.join(), /is not kept for the next start/);
  assert.equal(look(having(early)).chainPem, good);
});
