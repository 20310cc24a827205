import assert from "node:assert/strict";
import { test } from "node:test";
import { extensionsFault } from "./certificate-request.ts";
import { der, derObjectIdentifier, derOctets, derSequence } from "./der.ts";

const extension = (oid: string, value: Buffer) => derSequence(derObjectIdentifier(oid), derOctets(value));
const name = extension("2.5.29.17", derSequence(der(0x82, Buffer.from("db1.bank.example"))));
const purposes = (...oids: string[]) => extension("2.5.29.37", derSequence(...oids.map(derObjectIdentifier)));
const serverAuth = "1.3.6.1.5.5.7.3.1";

const cases: readonly (readonly [what: string, extensions: readonly Buffer[], fault: RegExp | undefined])[] = [
  ["none", [], undefined],
  ["a name and a purpose", [name, purposes(serverAuth)], undefined],
  ["a name twice (RFC 5280, 4.2)", [name, name], /twice/],
  ["no purpose at all", [purposes()], /empty/],
  ["what is no structure", [extension("2.5.29.17", Buffer.from("db1"))], /not readable/],
  ["what ends early", [name.subarray(0, -1)], /not readable/],
  ["to answer for the issuer, among others", [purposes(serverAuth, "1.3.6.1.5.5.7.3.9")], /OCSP signing/],
];
for (const [what, extensions, fault] of cases) {
  test(`${fault === undefined ? "taken over" : "not taken over"} into a certificate: ${what}`, () => {
    const found = extensionsFault(extensions);
    if (fault === undefined) assert.equal(found, undefined);
    else assert.match(found ?? "", fault);
  });
}
