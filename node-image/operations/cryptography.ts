import { type NonceSource, nonceSource } from "../cryptography/nonces.ts";
import { type RandomSource, randomSource } from "../cryptography/random.ts";
import { type KeyCache, keyCache } from "./key-cache.ts";
import { type StreamTable, streamTable } from "./streams.ts";
import { generationLimits, type Turns, turns } from "./turns.ts";

/** What cryptographic operations keep between requests, in this process only. */
export interface Cryptography {
  readonly nonces: NonceSource;
  readonly random: RandomSource;
  readonly streams: StreamTable;
  readonly keys: KeyCache;
  /** Key pairs take their turns. */
  readonly generation: Turns;
  /** Split keys are joined in turns. */
  readonly joins: Turns;
  readonly policy: CryptographyPolicy;
}

/** What the fleet's owner decides. */
export interface CryptographyPolicy {
  /** Whether 3DES keys are made and used, and SKIPJACK and IDEA keys made: for clients that know nothing better. */
  readonly legacyCiphers: boolean;
  /** Whether compromised objects are still handed out, and used to read what they protected. */
  readonly servesCompromised: boolean;
  /** What becomes of seeds that clients send: mixed in up to so many bytes each, none of them, or an error. */
  readonly seed: number | "refused";
}

/** Safe for everyone: no 3DES, nothing that is compromised, seeds welcome. */
export const defaultPolicy: CryptographyPolicy = { legacyCiphers: false, servesCompromised: false, seed: 1_048_576 };

/** Fresh state. */
export function cryptographyState(
  now: () => Date,
  policy: Partial<CryptographyPolicy> = {},
  keys: KeyCache = keyCache(now),
): Cryptography {
  return {
    nonces: nonceSource(),
    random: randomSource(),
    streams: streamTable(now),
    keys,
    generation: turns(generationLimits),
    joins: turns(generationLimits, "split keys are being joined"),
    policy: livePolicy(policy),
  };
}

/** What is given may change while requests come in. */
function livePolicy(given: Partial<CryptographyPolicy>): CryptographyPolicy {
  return {
    get legacyCiphers() {
      return given.legacyCiphers ?? defaultPolicy.legacyCiphers;
    },
    get servesCompromised() {
      return given.servesCompromised ?? defaultPolicy.servesCompromised;
    },
    get seed() {
      return given.seed ?? defaultPolicy.seed;
    },
  };
}
