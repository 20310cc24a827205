import { deriveKey } from "../operations/derive-key.ts";
import { decrypt, encrypt } from "../operations/encrypt.ts";
import { hash, mac, macVerify } from "../operations/mac.ts";
import { rngRetrieve, rngSeed } from "../operations/random.ts";
import { sign, signatureVerify } from "../operations/sign.ts";
import * as payload from "./payloads-cryptography.ts";
import { type Route, route } from "./route.ts";

const dataOf = ({ data }: { readonly data?: Buffer }) => (data === undefined ? [] : [data]);

/** Cryptographic operations with managed keys. */
export const cryptographyRoutes: readonly Route[] = [
  route({
    operation: 0x05,
    name: "Derive Key",
    since: 10,
    setsPlaceholder: true,
    ...payload.deriveKey,
    run: deriveKey,
  }),
  route({ operation: 0x1f, name: "Encrypt", since: 12, ...payload.encrypt, run: encrypt }),
  route({ operation: 0x20, name: "Decrypt", since: 12, ...payload.decrypt, run: decrypt, secrets: dataOf }),
  route({ operation: 0x21, name: "Sign", since: 12, ...payload.sign, run: sign }),
  route({ operation: 0x22, name: "Signature Verify", since: 12, ...payload.signatureVerify, run: signatureVerify }),
  route({ operation: 0x23, name: "MAC", since: 12, ...payload.mac, run: mac }),
  route({ operation: 0x24, name: "MAC Verify", since: 12, ...payload.macVerify, run: macVerify }),
  route({
    operation: 0x25,
    name: "RNG Retrieve",
    since: 12,
    ...payload.rngRetrieve,
    run: rngRetrieve,
    secrets: dataOf,
  }),
  route({ operation: 0x26, name: "RNG Seed", since: 12, ...payload.rngSeed, run: rngSeed }),
  route({ operation: 0x27, name: "Hash", since: 12, ...payload.hash, run: hash }),
];
