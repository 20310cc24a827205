import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeCertificate, readCertificate } from "../cryptography/certificate.ts";
import { distinguishedName } from "../cryptography/distinguished-name.ts";
import { tag } from "../kmip/tags.ts";
import { linkType, usage } from "../objects/enumerations.ts";
import type { Json } from "../objects/types.ts";
import {
  active,
  block,
  bytesOf,
  createPair,
  numberOf,
  cryptographicOperation as operation,
  part,
  registerKey,
  textOf,
} from "../testing/cryptography-requests.ts";
import { fails } from "../testing/fails.ts";
import { attributeItem, childrenOf, item, template } from "../testing/items.ts";
import type { KmipClient } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";

const day = 86_400;
let clock = Math.floor(Date.now() / 1000);
const start = clock;
let site: KmipSite;
const folder = mkdtempSync(join(tmpdir(), "keyfleet-certificates-"));
before(async () => {
  site = await kmipSite({ now: () => new Date(clock * 1000) });
});
after(async () => {
  rmSync(folder, { recursive: true });
  await site.close();
});

const text = (value: string): Json => ({ type: 7, value });
const p256 = { "Cryptographic Algorithm": 6, "Cryptographic Length": 256 };
const signing = [usage.certificateSign | usage.crlSign, usage.verify] as const;
/** Each test has a caller of its own, so that nobody's CA is another's. */
let callers = 0;
const caller = () => site.connect(`O=bank, CN=caller ${callers++}`, { version: 14 });

async function certificateOf(app: KmipClient, id: string): Promise<X509Certificate> {
  return new X509Certificate(bytesOf(await app.call(operation.get, part.id(id)), tag.CertificateValue));
}

const parentLink = 0x108;

/** The object's links as text. */
async function linksOf(app: KmipClient, id: string): Promise<string[]> {
  const answer = await app.call(operation.getAttributes, part.id(id), item.text(tag.AttributeName, "Link"));
  return childrenOf(answer, tag.Attribute).map((each) => {
    return `${numberOf(each, tag.LinkType)} ${textOf(each, tag.LinkedObjectIdentifier)}`;
  });
}

async function certify(app: KmipClient, attributes: Readonly<Record<string, Json>>, ...more: Item[]): Promise<string> {
  return textOf(await app.call(operation.certify, ...more, template(attributes)), tag.UniqueIdentifier);
}

async function root(app: KmipClient, kind: Readonly<Record<string, Json>> = p256): Promise<string> {
  const pair = await createPair(app, kind, signing);
  return certify(app, { "x-subject": text("O=bank,CN=root") }, part.id(pair.publicKey));
}

const ecKey = (curve: string) => ["-newkey", "ec", "-pkeyopt", `ec_paramgen_curve:${curve}`] as const;

/** A request made by the openssl command. */
function request(subject: string, ...options: string[]): Buffer {
  return requestBy([...ecKey("P-256"), ...options], subject);
}

function requestBy(options: readonly string[], subject: string): Buffer {
  const [key, csr] = [join(folder, "key.pem"), join(folder, "request.der")];
  const more = ["-nodes", "-keyout", key, "-subj", subject, "-outform", "DER", "-out", csr, ...options];
  execFileSync("openssl", ["req", "-new", ...more], { stdio: "pipe" });
  return readFileSync(csr);
}

const pkcs10 = (bytes: Buffer, type = 2) => [
  item.enumeration(tag.CertificateRequestType, type),
  item.bytes(tag.CertificateRequest, bytes),
];

test("a root signs itself, and signs what a request asks for; the openssl command verifies both", async () => {
  const app = await caller();
  const authority = await root(app);
  const csr = request("/O=bank/CN=db1", "-addext", "subjectAltName=DNS:db1.bank.example");
  const id = await certify(app, {}, ...pkcs10(csr));
  const [ca, leaf] = [await certificateOf(app, authority), await certificateOf(app, id)];
  assert.deepEqual([ca.ca, leaf.ca], [true, false]);
  assert.equal(leaf.subjectAltName, "DNS:db1.bank.example");
  assert.equal(leaf.subject, "O=bank\nCN=db1");
  assert.ok(leaf.checkIssued(ca) && leaf.verify(ca.publicKey) && ca.verify(ca.publicKey));
  writeFileSync(join(folder, "ca.pem"), ca.toString());
  writeFileSync(join(folder, "leaf.pem"), leaf.toString());
  const options = ["verify", "-x509_strict", "-CAfile", join(folder, "ca.pem"), join(folder, "leaf.pem")];
  assert.match(execFileSync("openssl", options, { encoding: "utf8" }), /leaf\.pem: OK/);
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${csr.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  await certify(app, {}, ...pkcs10(Buffer.from(pem), 3));
});

for (const [name, kind] of [
  ["RSA-2048", { "Cryptographic Algorithm": 4, "Cryptographic Length": 2048 }],
  ["P-384", { "Cryptographic Algorithm": 6, "Cryptographic Length": 384 }],
] as const) {
  test(`a CA with a key of ${name} certifies a managed public key; both are linked`, async () => {
    const app = await caller();
    const authority = await root(app, kind);
    const pair = await createPair(app, p256, [usage.sign, usage.verify]);
    const id = await certify(
      app,
      { "x-subject": text("O=bank,CN=app"), Name: { nameValue: "app", nameType: 1 } },
      part.id(pair.publicKey),
    );
    const [ca, leaf] = [await certificateOf(app, authority), await certificateOf(app, id)];
    assert.ok(leaf.verify(ca.publicKey));
    assert.deepEqual(await app.locate({ Name: { nameValue: "app", nameType: 1 } }), [id]);
    assert.ok((await linksOf(app, pair.publicKey)).includes(`${linkType.certificate} ${id}`));
    const links = [`${linkType.publicKey} ${pair.publicKey}`, `${parentLink} ${authority}`];
    assert.deepEqual(await linksOf(app, id), links);
  });
}

test("ML-DSA signs certificates that Node's OpenSSL verifies", async () => {
  const latest = await site.connect(`O=bank, CN=caller ${callers}`, { version: 21 });
  const app = await caller();
  const pair = await createPair(latest, { "Cryptographic Algorithm": 0x3d }, signing, { version: 21 });
  const id = await certify(app, { "x-subject": text("O=bank,CN=quantum root") }, part.id(pair.publicKey));
  const certificate = await certificateOf(app, id);
  assert.equal(certificate.publicKey.asymmetricKeyType, "ml-dsa-65");
  assert.ok(certificate.verify(certificate.publicKey));
});

test("Re-certify renews with the same issuer and moves the name; an issuer's end is the certificate's end", async () => {
  const app = await caller();
  const authority = await root(app);
  const name = { Name: { nameValue: "web", nameType: 1 } };
  const old = await certify(app, name, ...pkcs10(request("/CN=web")));
  clock = start + 300 * day;
  const id = textOf(await app.call(operation.reCertify, part.id(old)), tag.UniqueIdentifier);
  const [ca, before, renewed] = await Promise.all([authority, old, id].map((each) => certificateOf(app, each)));
  clock = start;
  assert.ok(ca !== undefined && before !== undefined && renewed !== undefined);
  assert.ok(renewed.verify(ca.publicKey) && renewed.publicKey.equals(before.publicKey));
  assert.notEqual(renewed.serialNumber, before.serialNumber);
  assert.equal(renewed.subject, before.subject);
  assert.ok(renewed.validFromDate > before.validFromDate);
  assert.deepEqual(renewed.validToDate, ca.validToDate);
  assert.deepEqual(await app.locate(name), [id]);
  assert.deepEqual(await linksOf(app, old), [`${parentLink} ${authority}`, `${linkType.replacement} ${id}`]);
  await fails(app.call(operation.reCertify, part.id(old)), 12, /replacement already/);
});

test("who may have certificates made by a CA gets no CA of his own by renewing one that he made himself", async () => {
  const [owner, friend] = [await caller(), await caller()];
  const friendName = `CN=caller ${callers - 1},O=bank,issuer(CN=clients,O=bank)`;
  const pair = await createPair(owner, p256, signing);
  const authority = await certify(owner, { "x-subject": text("O=bank,CN=root") }, part.id(pair.publicKey));
  for (const each of [authority, pair.publicKey, pair.privateKey]) {
    const grant = attributeItem(`x-keyfleet-grant-user:${friendName}`, text("Certify"));
    await owner.call(0x0d, part.id(each), grant);
  }
  const issuer = { "x-issuer": text(authority) };
  const leaf = await certify(friend, issuer, ...pkcs10(request("/CN=web")));
  assert.equal((await certificateOf(friend, leaf)).ca, false);
  const own = await root(friend);
  assert.equal((await certificateOf(friend, own)).ca, true);
  const link = { linkType: parentLink, linkedObjectIdentifier: authority };
  await friend.call(0x0d, part.id(own), attributeItem("Link", link));
  await fails(friend.call(operation.reCertify, part.id(own)), 12, /did not sign it/);
  const renewed = textOf(await friend.call(operation.reCertify, part.id(leaf)), tag.UniqueIdentifier);
  assert.equal((await certificateOf(friend, renewed)).ca, false);
});

test("a root is renewed by itself, and stays a CA", async () => {
  const app = await caller();
  const id = textOf(await app.call(operation.reCertify, part.id(await root(app))), tag.UniqueIdentifier);
  const renewed = await certificateOf(app, id);
  assert.deepEqual([renewed.ca, renewed.verify(renewed.publicKey)], [true, true]);
});

const compromise = 2;
for (const [what, revoked, reason] of [
  ["a certificate that was revoked because its key is compromised", "certificate", compromise],
  ["a certificate of a public key that is compromised", "publicKey", compromise],
] as const) {
  test(`refused, also where the fleet's owner lets old data be read: the renewal of ${what}`, async (t) => {
    const lenient = await kmipSite({ cryptography: { servesCompromised: true } });
    t.after(() => lenient.close());
    const app = await lenient.connect("O=bank, CN=app");
    await root(app);
    const { publicKey } = await createPair(app, p256, [usage.sign, usage.verify]);
    const certificate = await certify(app, { "x-subject": text("CN=web") }, part.id(publicKey));
    await app.revoke({ certificate, publicKey }[revoked], reason);
    await fails(app.call(operation.reCertify, part.id(certificate)), 12, /compromised/);
  });
}

test("refused: a certificate of a public key that is compromised; one that only ended is renewed", async () => {
  const app = await caller();
  await root(app);
  const { publicKey } = await createPair(app, p256, [usage.sign, usage.verify]);
  const certificate = await certify(app, { "x-subject": text("CN=web"), "Activation Date": start }, part.id(publicKey));
  await app.revoke(certificate, 5);
  await app.call(operation.reCertify, part.id(certificate));
  await app.revoke(publicKey, compromise);
  await fails(certify(app, { "x-subject": text("CN=web") }, part.id(publicKey)), 12, /compromised/);
});

test("Validate tells good chains from bad, ended, revoked and rootless ones", async () => {
  const app = await caller();
  const authority = await root(app);
  const leaf = await certify(app, { "Cryptographic Usage Mask": usage.verify }, ...pkcs10(request("/CN=web")));
  const other = await caller();
  const stranger = await root(other);
  const der = async (client: KmipClient, id: string) => (await certificateOf(client, id)).raw;
  const given = (bytes: Buffer) =>
    item.structure(tag.Certificate, item.enumeration(tag.CertificateType, 1), item.bytes(tag.CertificateValue, bytes));
  const verdict = async (...children: Item[]) =>
    numberOf(await app.call(operation.validate, ...children), tag.ValidityIndicator);
  const broken = Buffer.from(await der(app, leaf));
  broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
  const late = item.dateTime(tag.ValidityDate, start + 4_000 * day);
  assert.equal(await verdict(part.id(leaf), part.id(authority)), 1);
  assert.equal(await verdict(given(await der(app, leaf)), part.id(authority)), 1);
  assert.equal(await verdict(part.id(leaf)), 3, "no root");
  assert.equal(await verdict(part.id(leaf), part.id(authority), late), 2, "too late");
  assert.equal(await verdict(given(broken), part.id(authority)), 2, "a wrong signature");
  assert.equal(await verdict(part.id(leaf), given(await der(other, stranger))), 2, "another root of the same name");
  await app.revoke(leaf, 2);
  assert.equal(await verdict(part.id(leaf), part.id(authority)), 2, "revoked");
});

test("refused: no issuer, two issuers, a stranger's issuer, a forged request, another's key, nobody's name", async () => {
  const [app, other] = [await caller(), await caller()];
  const csr = request("/CN=web");
  await fails(certify(app, {}, ...pkcs10(csr)), 6, /0 certificates of CAs/);
  const authority = await root(app);
  const second = await root(app);
  await fails(certify(app, {}, ...pkcs10(csr)), 6, /2 certificates of CAs/);
  await certify(app, { "x-issuer": text(second) }, ...pkcs10(csr));
  await fails(certify(other, { "x-issuer": text(authority) }, ...pkcs10(csr)), 1, /no object/);
  const forged = Buffer.from(csr);
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
  await fails(certify(app, { "x-issuer": text(second) }, ...pkcs10(forged)), 7, /signature/);
  const early = certify(app, { "x-issuer": text(second), "Activation Date": -700_000_000 }, ...pkcs10(csr));
  await fails(early, 7, /1950 to 9999/);
  const own = await createPair(app, p256, signing);
  const many = { "x-subject": text("CN=a,".repeat(50_000)) };
  await fails(certify(app, many, part.id(own.publicKey)), 7, /at most 4096 characters/);
  const late = { "x-subject": text("CN=late"), "Activation Date": 300_000_000_000 };
  await fails(certify(app, late, part.id(own.publicKey)), 7, /1950 to 9999/);
  const pair = await createPair(app, p256, [usage.sign, usage.verify]);
  await fails(certify(app, { "x-issuer": text(second) }, part.id(pair.publicKey), ...pkcs10(csr)), 7, /another key/);
  await fails(certify(app, { "x-issuer": text(second) }, part.id(pair.publicKey)), 6, /whom to certify/);
  await app.revoke(authority, 3);
  await fails(certify(app, { "x-issuer": text(authority) }, ...pkcs10(csr)), 12, /revoked/);
  await certify(app, {}, ...pkcs10(csr));
});

for (const [what, options, message] of [
  [
    "who wants to answer for the issuer",
    [...ecKey("P-256"), "-addext", "extendedKeyUsage=serverAuth,OCSPSigning"],
    /answers for its issuer/,
  ],
  ["RSA keys of 1,024 bits", ["-newkey", "rsa:1024"], /2048 bits or more/],
  ["a curve that is too weak", [...ecKey("prime192v1")], /curve is not offered/],
  [
    "a curve that is told by its numbers",
    [...ecKey("P-256"), "-pkeyopt", "ec_param_enc:explicit"],
    /curve is not offered/,
  ],
] as const) {
  test(`refused: a certificate request of ${what}`, async () => {
    const app = await caller();
    await root(app);
    const csr = requestBy(options, "/CN=web");
    await fails(certify(app, {}, ...pkcs10(csr)), 7, message);
  });
}

for (const [what, subject] of [
  ["a line of its own, where names are told line by line", "CN=db1\nO=other"],
  ["a country of other letters", "C=\u00d6,CN=web"],
  ["a mail address of other letters", "Email=\u00f6@bank.example"],
] as const) {
  test(`refused: a subject with a character that its part cannot have: ${what}`, async () => {
    const app = await caller();
    const { publicKey } = await createPair(app, p256, signing);
    await fails(certify(app, { "x-subject": text(subject) }, part.id(publicKey)), 7, /characters that it cannot have/);
  });
}

test("a subject in any language is written as it is", async () => {
  const app = await caller();
  const { publicKey } = await createPair(app, p256, signing);
  const id = await certify(app, { "x-subject": text("C=DE,O=B\u00f6rse,CN=\u682a\u5f0f") }, part.id(publicKey));
  assert.equal((await certificateOf(app, id)).subject, "C=DE\nO=B\u00f6rse\nCN=\u682a\u5f0f");
});

test("what names the subject alone is critical, as strict clients want it", async () => {
  const app = await caller();
  const authority = await root(app);
  const csr = request("/", "-addext", "subjectAltName=DNS:db1.bank.example");
  const [ca, leaf] = [authority, await certify(app, {}, ...pkcs10(csr))];
  writeFileSync(join(folder, "ca.pem"), (await certificateOf(app, ca)).toString());
  writeFileSync(join(folder, "leaf.pem"), (await certificateOf(app, leaf)).toString());
  const options = ["verify", "-x509_strict", "-CAfile", join(folder, "ca.pem"), join(folder, "leaf.pem")];
  assert.match(execFileSync("openssl", options, { encoding: "utf8" }), /leaf\.pem: OK/);
});

test("a CA signs what its certificate lets it sign, and who is no CA may sign no certificates", async () => {
  const app = await caller();
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const dates = { notBefore: new Date(start * 1000), notAfter: new Date((start + day) * 1000) };
  const subject = distinguishedName([{ part: "CN", value: "ca" }]);
  const contents = { subject, publicKey, ...dates, isAuthority: true, keyUsage: 1, extensions: [] };
  const own = { certificate: undefined, privateKey };
  const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
  const key = await registerKey(app, 4, block(4, pkcs8), active(usage.certificateSign));
  const bytes = await makeCertificate(contents, own);
  const parts = [item.enumeration(tag.CertificateType, 1), item.bytes(tag.CertificateValue, bytes)];
  const asked = [item.enumeration(tag.ObjectType, 1), template({}), item.structure(tag.Certificate, ...parts)];
  const id = textOf(await app.call(operation.register, ...asked), tag.UniqueIdentifier);
  const link = { linkType: linkType.privateKey, linkedObjectIdentifier: key };
  await app.call(0x0d, part.id(id), attributeItem("Link", link));
  await fails(certify(app, { "x-issuer": text(id) }, ...pkcs10(request("/CN=web"))), 7, /not one of a CA/);
  const plain = await makeCertificate({ ...contents, isAuthority: false, keyUsage: 0x61 }, own);
  assert.equal(readCertificate(plain).keyUsage, 1);
});

for (const [what, characters, message] of [
  ["larger than any is", 131_072, /at most 131072 bytes/],
  ["whose names are longer than all attributes of an object may be", 40_000, /at most 65536 characters/],
] as const) {
  test(`refused: a certificate ${what}`, async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const subject = distinguishedName([{ part: "CN", value: "a".repeat(characters) }]);
    const dates = { notBefore: new Date(start * 1000), notAfter: new Date((start + day) * 1000) };
    const contents = { subject, publicKey, ...dates, isAuthority: false, keyUsage: 1, extensions: [] };
    const bytes = await makeCertificate(contents, { certificate: undefined, privateKey });
    const parts = [item.enumeration(tag.CertificateType, 1), item.bytes(tag.CertificateValue, bytes)];
    const asked = [item.enumeration(tag.ObjectType, 1), template({}), item.structure(tag.Certificate, ...parts)];
    await fails((await caller()).call(operation.register, ...asked), 7, message);
  });
}
