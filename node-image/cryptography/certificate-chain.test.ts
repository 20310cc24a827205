import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { validityIndicator } from "../objects/enumerations.ts";
import { chainValidity } from "./certificate-chain.ts";
import { DerError, der, derSequence } from "./der.ts";
import { constraintsHold } from "./name-constraints.ts";

const folder = mkdtempSync(join(tmpdir(), "keyfleet-chains-"));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string) => join(folder, name);

/** How a certificate is made by the openssl command. */
interface Wanted {
  readonly subject?: string;
  /** Lines of an extension section. */
  readonly says?: readonly string[];
  readonly digest?: string;
  readonly rsaBits?: number;
}

const ca = ["basicConstraints=critical,CA:true", "keyUsage=critical,keyCertSign", "subjectKeyIdentifier=hash"];
const leaf = ["basicConstraints=critical,CA:false", "subjectKeyIdentifier=hash"];

function issue(name: string, wanted: Wanted, issuer: string): void {
  const { subject = `/O=bank/CN=${name}`, says = [], digest = "sha256", rsaBits } = wanted;
  const { privateKey } =
    rsaBits === undefined
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : generateKeyPairSync("rsa", { modulusLength: rsaBits });
  writeFileSync(file(`${name}.key`), privateKey.export({ format: "pem", type: "pkcs8" }));
  writeFileSync(file("extensions"), ["authorityKeyIdentifier=keyid", ...says].join("\n"));
  openssl("req", "-new", "-key", file(`${name}.key`), "-subj", subject, "-out", file("request"));
  const by =
    issuer === name
      ? ["-signkey", file(`${name}.key`)]
      : ["-CA", file(`${issuer}.pem`), "-CAkey", file(`${issuer}.key`), "-CAcreateserial"];
  const asked = ["-req", "-in", file("request"), "-days", "30", `-${digest}`, "-extfile", file("extensions")];
  openssl("x509", ...asked, ...by, "-out", file(`${name}.pem`));
}

function openssl(...words: string[]): void {
  execFileSync("openssl", words, { stdio: "pipe" });
}

/** What the openssl command says of the chain. */
function theirs(): boolean {
  const words = ["verify", "-CAfile", file("root.pem"), "-untrusted", file("middle.pem"), file("leaf.pem")];
  return spawnSync("openssl", words).status === 0;
}

function ours(): number {
  const chain = ["middle", "root", "leaf"].map((name) => new X509Certificate(readFileSync(file(`${name}.pem`))).raw);
  return chainValidity(chain, new Date());
}

const within = (constraint: string) => ({ says: [...ca, `nameConstraints=critical,${constraint}`] });
const named = (...names: string[]) => ({ says: [...leaf, `subjectAltName=${names.join(",")}`] });
const bank = ["permitted;dirName:bank", "[bank]", "O=bank"].join("\n");
const notBank = ["excluded;dirName:bank", "[bank]", "O=Bank "].join("\n");

const chains: readonly (readonly [what: string, middle: Wanted, leaf: Wanted, holds: boolean, root?: Wanted])[] = [
  ["an ordinary chain", {}, {}, true],
  ["an issuer that is no CA", { says: leaf }, {}, false],
  [
    "an issuer that signs no certificates",
    { says: ["basicConstraints=critical,CA:true", "keyUsage=critical,cRLSign", "subjectKeyIdentifier=hash"] },
    {},
    false,
  ],
  [
    "a CA below one that lets none be below it",
    {},
    {},
    false,
    { says: ["basicConstraints=critical,CA:true,pathlen:0", "subjectKeyIdentifier=hash"] },
  ],
  [
    "a CA below one that lets one be below it",
    {},
    {},
    true,
    { says: ["basicConstraints=critical,CA:true,pathlen:1", "subjectKeyIdentifier=hash"] },
  ],
  ["a critical extension that nobody knows", {}, { says: [...leaf, "1.2.3.4=critical,ASN1:NULL"] }, false],
  ["an extension that nobody knows and nobody must", {}, { says: [...leaf, "1.2.3.4=ASN1:NULL"] }, true],
  ["a host within its domain", within("permitted;DNS:bank.example"), named("DNS:db1.BANK.example"), true],
  ["a host outside its domain", within("permitted;DNS:bank.example"), named("DNS:evilbank.example"), false],
  ["one host of two outside", within("permitted;DNS:bank.example"), named("DNS:bank.example", "DNS:a.other"), false],
  ["a host that is excluded", within("excluded;DNS:bank.example"), named("DNS:x.Bank.Example"), false],
  ["an address within its net", within("permitted;IP:10.0.0.0/255.0.0.0"), named("IP:10.1.2.3"), true],
  ["an address outside its net", within("permitted;IP:10.0.0.0/255.0.0.0"), named("IP:11.1.2.3"), false],
  ["a long address beside a short net", within("permitted;IP:10.0.0.0/255.0.0.0"), named("IP:fd00::1"), false],
  ["a mail address of its host", within("permitted;email:bank.example"), named("email:Ann@bank.example"), true],
  ["a mail address of another host", within("permitted;email:bank.example"), named("email:ann@x.bank.example"), false],
  [
    "a mail address of another host, in the subject",
    within("permitted;email:bank.example"),
    { subject: "/O=bank/emailAddress=ann@other.example" },
    false,
  ],
  [
    "an address of a page below its domain",
    within("permitted;URI:.bank.example"),
    named("URI:https://a.bank.example/x"),
    true,
  ],
  [
    "an address of a page elsewhere",
    within("permitted;URI:.bank.example"),
    named("URI:https://bank.example.evil/"),
    false,
  ],
  ["a subject of its organisation", within(bank), { subject: "/O=BANK/CN=leaf" }, true],
  ["a subject of another organisation", within(bank), { subject: "/O=other/CN=leaf" }, false],
  ["a subject of an excluded organisation", within(notBank), { subject: "/O=bank/CN=leaf" }, false],
  ["RSA keys of 2,048 bits", { rsaBits: 2048 }, {}, true],
];

for (const [what, middle, last, holds, root = {}] of chains) {
  test(`${holds ? "valid" : "invalid"}, as the openssl command says too: ${what}`, () => {
    issue("root", { says: ca, ...root }, "root");
    issue("middle", { says: ca, ...middle }, "root");
    issue("leaf", { says: leaf, ...last }, "middle");
    assert.equal(theirs(), holds);
    assert.equal(ours(), holds ? validityIndicator.valid : validityIndicator.invalid);
  });
}

const weak: readonly (readonly [what: string, middle: Wanted, leaf: Wanted, root?: Wanted])[] = [
  ["a certificate that is signed with SHA-1", {}, { digest: "sha1" }],
  ["an issuer that is signed with SHA-1", { digest: "sha1" }, {}],
  ["an issuer with an RSA key of 768 bits", { rsaBits: 768 }, {}],
];
for (const [what, middle, last] of weak) {
  test(`invalid, since others can make the same: ${what}`, () => {
    issue("root", { says: ca }, "root");
    issue("middle", { says: ca, ...middle }, "root");
    issue("leaf", { says: leaf, ...last }, "middle");
    assert.equal(ours(), validityIndicator.invalid);
  });
}

test("nobody waits for long for another's names and constraints: of too many nothing is said to hold", () => {
  const host = der(0x82, Buffer.from("a"));
  const names = Array.from({ length: 1_000 }, () => ({ tag: 0x82, content: Buffer.from("a") }));
  const constraints = (count: number) =>
    derSequence(der(0xa0, ...Array.from({ length: count }, () => derSequence(host))));
  assert.ok(constraintsHold(constraints(100), names));
  assert.throws(() => constraintsHold(constraints(1_000), names), DerError);
});

test("how a root signs itself says nothing", () => {
  issue("root", { says: ca, digest: "sha1" }, "root");
  issue("middle", { says: ca }, "root");
  issue("leaf", { says: leaf }, "middle");
  assert.equal(ours(), validityIndicator.valid);
});
