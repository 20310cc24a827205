import { generateKeyPairSync } from "node:crypto";
import { after, before, test } from "node:test";
import { cryptographicAlgorithm as algorithm, keyFormatType as format, usage } from "../objects/enumerations.ts";
import { active, block, registerKey } from "../testing/cryptography-requests.ts";
import { fails } from "../testing/fails.ts";
import type { KmipClient } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";

let site: KmipSite;
let app: KmipClient;
before(async () => {
  site = await kmipSite();
  app = await site.connect("O=bank, CN=app");
});
after(() => site.close());

const invalidField = 7;
/** By Cryptographic Length is judged what a key may be used for, and whether it is long enough. */
const cases: readonly (readonly [what: string, algorithm: number, bytes: number, bits: number, taken: boolean])[] = [
  ["an AES key of 16 bytes that says 128 bits", algorithm.aes, 16, 128, true],
  ["an AES key of 16 bytes that says 256 bits", algorithm.aes, 16, 256, false],
  ["an HMAC key of 1 byte that says 256 bits", algorithm.hmacSha256, 1, 256, false],
  ["a ChaCha20 key of 32 bytes that says 512 bits", algorithm.chaCha20, 32, 512, false],
  ["a 3DES key of 24 bytes that leaves the parity bits out", algorithm.tripleDes, 24, 168, true],
];
for (const [what, kind, bytes, bits, taken] of cases) {
  test(`${taken ? "registered" : "not registered"}: ${what}`, async () => {
    const key = block(format.raw, Buffer.alloc(bytes, 7), kind, bits);
    const made = registerKey(app, 2, key, active(usage.encrypt));
    await (taken ? made : fails(made, invalidField, /the key has/));
  });
}

const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "der", type: "spki" });
const pairs: readonly (readonly [what: string, algorithm: number, bits: number, taken: boolean])[] = [
  ["what it is", algorithm.rsa, 1024, true],
  ["4,096 bits", algorithm.rsa, 4096, false],
  ["to be on a curve", algorithm.ecdsa, 1024, false],
];
for (const [what, kind, bits, taken] of pairs) {
  test(`${taken ? "registered" : "not registered"}: an RSA key of 1,024 bits that says ${what}, in its Key Block or beside it`, async () => {
    const told = { "Cryptographic Algorithm": kind, "Cryptographic Length": bits };
    for (const made of [
      registerKey(app, 3, block(format.x509, weak, kind, bits), active(usage.verify)),
      registerKey(app, 3, block(format.x509, weak), active(usage.verify, told)),
    ])
      await (taken ? made : fails(made, invalidField, /than is told/));
  });
}
