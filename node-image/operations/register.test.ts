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
