import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { testAuthority } from "../testing/certificates.ts";
import { OwnCertificate } from "./own-certificate.ts";

const folder = mkdtempSync(join(tmpdir(), "keyfleet-own-"));
after(() => rmSync(folder, { recursive: true }));
const authority = await testAuthority("O=bank, CN=Bank CA");
const field = "interfaces.kmip.certificateSecretRef";
const now = Date.now();
const dayMs = 86_400_000;

async function put(subject: string, days = 1) {
  const { certificate, key } = await authority.issue(subject, { usage: "server", daysTo: days });
  writeFileSync(join(folder, "tls.crt"), certificate);
  writeFileSync(join(folder, "tls.key"), key);
  return certificate;
}

test("without a folder there is nothing to say", () => {
  assert.deepEqual(new OwnCertificate(undefined, field).look(now), { parts: undefined, problem: undefined });
});

test("a missing Secret is named by its field, and says what is used meanwhile", () => {
  const { parts, problem } = new OwnCertificate(join(folder, "nowhere"), field).look(now);
  assert.equal(parts, undefined);
  assert.equal(problem, `${field}: tls.crt is not there; the site's certificate is used meanwhile`);
});

test("a good pair is taken, a new one replaces it, a bad one leaves it in force and says why", async () => {
  const own = new OwnCertificate(folder, field);
  const first = await put("CN=kms.bank.example");
  assert.deepEqual([own.look(now).parts?.chainPem, own.look(now).problem], [first, undefined]);
  const second = await put("CN=kms2.bank.example");
  assert.equal(own.look(now).parts?.chainPem, second);
  writeFileSync(join(folder, "tls.key"), "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n");
  const bad = own.look(now);
  assert.equal(bad.parts?.chainPem, second);
  assert.equal(
    bad.problem,
    `${field}: tls.key cannot be read as a PEM private key without a passphrase; the one of before is used meanwhile`,
  );
});

const refused: readonly (readonly [string, () => Promise<void>, RegExp])[] = [
  [
    "that has ended",
    async () => {
      await put("CN=old", -0.5);
    },
    /ended at \d{4}-/,
  ],
  [
    "for another key",
    async () => {
      const certificate = await put("CN=a");
      await put("CN=b");
      writeFileSync(join(folder, "tls.crt"), certificate);
    },
    /not for the key in tls\.key/,
  ],
  ["that is none", async () => writeFileSync(join(folder, "tls.crt"), "hello"), /tls\.crt holds no certificate/],
  ["that is too large", async () => writeFileSync(join(folder, "tls.crt"), "x".repeat(300_000)), /larger than 262144/],
];
for (const [what, prepare, expected] of refused) {
  test(`a certificate ${what} is not used`, async () => {
    await prepare();
    const { parts, problem } = new OwnCertificate(folder, field).look(now);
    assert.equal(parts, undefined);
    assert.match(problem ?? "", expected);
  });
}

test("one that is not valid yet is taken as soon as it is: clocks differ, and nobody puts it there again", async () => {
  const own = new OwnCertificate(folder, field);
  const certificate = await put("CN=kms.bank.example");
  const early = own.look(now - 3 * dayMs);
  assert.equal(early.parts, undefined);
  assert.match(early.problem ?? "", /valid from .* only/);
  assert.deepEqual([own.look(now).parts?.chainPem, own.look(now).problem], [certificate, undefined]);
});

test("one in force that ends is told, and stays: a client may accept it, no client accepts nothing", async () => {
  const own = new OwnCertificate(folder, field);
  await put("CN=kms.bank.example", 1);
  assert.equal(own.look(now).problem, undefined);
  const later = own.look(now + 2 * dayMs);
  assert.match(later.problem ?? "", /it ended at .*put a new one into the Secret/);
  assert.ok(later.parts);
});
