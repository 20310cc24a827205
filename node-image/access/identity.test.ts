import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { testAuthority } from "../testing/certificates.ts";
import { callerOf } from "./identity.ts";

/** The caller of a certificate with this subject. */
async function callerNamed(subject: string, authority = "O=bank, CN=clients") {
  const { certificate } = await (await testAuthority(authority)).issue(subject);
  const { subject: name, issuer } = new X509Certificate(certificate);
  return callerOf(name ?? "", issuer ?? "");
}

test("a caller is its subject, most particular part first, and its issuer", async () => {
  const caller = await callerNamed("O=bank, OU=apps, CN=db1");
  assert.deepEqual(caller, {
    identity: "CN=db1,OU=apps,O=bank,issuer(CN=clients,O=bank)",
    subject: "CN=db1,OU=apps,O=bank",
  });
});

const pairs = [
  ["a comma in a value", "O=bank, CN=a\\,OU=apps", "O=bank, OU=apps, CN=a"],
  ["parts in another order", "OU=x, O=bank, OU=y", "OU=x, OU=y, O=bank"],
  ["a plus in a value", "O=bank, CN=a\\+b", "O=bank, CN=a+CN=b"],
  ["a line end in a value", "O=bank, CN=a\\0ACN=b", "O=bank, CN=a, CN=b"],
] as const;

for (const [what, one, other] of pairs) {
  test(`${what} does not make two callers one`, async () => {
    assert.notEqual((await callerNamed(one)).identity, (await callerNamed(other)).identity);
  });
}

test("two authorities may certify one subject: two callers", async () => {
  const [one, other] = [await callerNamed("CN=a", "CN=first"), await callerNamed("CN=a", "CN=second")];
  assert.notEqual(one.identity, other.identity);
  assert.equal(one.subject, other.subject);
});

test("no line end of a name reaches a log line", async () => {
  assert.doesNotMatch((await callerNamed("O=bank, CN=a\\0Ab")).subject, /\n/);
});
