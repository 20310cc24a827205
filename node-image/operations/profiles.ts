/** KMIP Profile Name (1.4, 9.1.3.2.42; 2.1, 11.41) of the profiles whose OASIS test cases this server passes. */
const since20 = {
  "Tape Library Server": 0x107,
  "Symmetric Key Lifecycle Server": 0x109,
  "Asymmetric Key Lifecycle Server": 0x10b,
  "Basic Cryptographic Server": 0x10d,
  "Advanced Cryptographic Server": 0x10f,
  "RNG Cryptographic Server": 0x111,
  "Symmetric Key Foundry Server": 0x115,
  "Opaque Managed Object Store Server": 0x117,
  "Storage Array with Self Encrypting Drive Server": 0x11d,
  "HTTPS Server": 0x11f,
  "JSON Server": 0x121,
  "XML Server": 0x123,
  "AES XTS Server": 0x125,
  "Quantum Safe Server": 0x127,
  "PKCS#11 Server": 0x129,
  "Baseline Server": 0x12b,
} as const;

const of14 = {
  "Baseline Server Basic": 121,
  "Baseline Server TLS v1.2": 122,
  "Tape Library Server": 128,
  "Symmetric Key Lifecycle Server": 130,
  "Asymmetric Key Lifecycle Server": 132,
  "Basic Cryptographic Server": 134,
  "Advanced Cryptographic Server": 136,
  "RNG Cryptographic Server": 138,
  "Symmetric Key Foundry Server": 142,
  "Opaque Managed Object Store Server": 144,
  "Suite B minLOS_128 Server": 146,
  "Suite B minLOS_192 Server": 148,
  "Storage Array with Self Encrypting Drive Server": 150,
  "HTTPS Server": 152,
  "JSON Server": 154,
  "XML Server": 156,
} as const;

const numbers14 = Object.values(of14);
/** The numbers that hold from a version on, the latest first: 1.4 numbers the profiles of 1.3 anew, 36 higher, and 2.0 again. */
const numbersSince: readonly (readonly [since: number, numbers: readonly number[]])[] = [
  [20, Object.values(since20)],
  [14, numbers14],
  [13, numbers14.map((number) => number - 36)],
  [10, numbers14],
];

/** The profiles to name to a client of a protocol version, by number. */
export function profilesOf(version: number): readonly number[] {
  return numbersSince.find(([since]) => since <= version)?.[1] ?? [];
}

/** Names for documents. */
export const profileNames: readonly string[] = [...new Set([...Object.keys(of14), ...Object.keys(since20)])];
