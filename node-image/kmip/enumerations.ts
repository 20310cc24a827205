/** Names of values, and where later protocol versions begin. */
export interface Enumeration {
  readonly names: ReadonlyMap<number, string>;
  /** [first value, version that brought it and those after it], rising. */
  readonly since: readonly (readonly [number, number])[];
}

/** Whether the table has the value (in a protocol version, if one is given); vendor extensions (8XXXXXXX) are not known. */
export function knows(table: Enumeration, value: number, version: number = Number.POSITIVE_INFINITY): boolean {
  return table.names.has(value) && sinceOf(table, value) <= version;
}

/** The protocol version that brought the value. */
export function sinceOf(table: Enumeration, value: number): number {
  return table.since.findLast(([first]) => value >= first)?.[1] ?? 10;
}

/** Adds a value that stands apart from the run of the others. */
function plus(table: Enumeration, value: number, name: string): Enumeration {
  return { ...table, names: new Map([...table.names, [value, name]]) };
}

function values(first: number, names: readonly string[], since: Readonly<Record<number, number>> = {}): Enumeration {
  return {
    names: new Map(names.map((name, at) => [first + at, name])),
    since: Object.entries(since).map(([value, version]) => [Number(value), version] as const),
  };
}

/** The enumerations that are spoken here, by the names of KMIP 1.4, 9.1.3.2. */
export const enumerations = {
  keyCompressionType: values(1, ["EC Public Key Type Uncompressed", "EC Public Key Type X9.62 Compressed Prime", "EC Public Key Type X9.62 Compressed Char2", "EC Public Key Type X9.62 Hybrid"]),
  keyFormatType: values(1, ["Raw", "Opaque", "PKCS#1", "PKCS#8", "X.509", "ECPrivateKey", "Transparent Symmetric Key", "Transparent DSA Private Key", "Transparent DSA Public Key", "Transparent RSA Private Key", "Transparent RSA Public Key", "Transparent DH Private Key", "Transparent DH Public Key", "Transparent ECDSA Private Key", "Transparent ECDSA Public Key", "Transparent ECDH Private Key", "Transparent ECDH Public Key", "Transparent ECMQV Private Key", "Transparent ECMQV Public Key", "Transparent EC Private Key", "Transparent EC Public Key", "PKCS#12"], {0x14: 13, 0x16: 14}),
  wrappingMethod: values(1, ["Encrypt", "MAC/sign", "Encrypt then MAC/sign", "MAC/sign then encrypt", "TR-31"]),
  certificateType: values(1, ["X.509", "PGP"]),
  nameType: values(1, ["Uninterpreted Text String", "URI"]),
  objectType: values(1, ["Certificate", "Symmetric Key", "Public Key", "Private Key", "Split Key", "Template", "Secret Data", "Opaque Object", "PGP Key"], {0x9: 12}),
  cryptographicAlgorithm: values(1, ["DES", "3DES", "AES", "RSA", "DSA", "ECDSA", "HMAC-SHA1", "HMAC-SHA224", "HMAC-SHA256", "HMAC-SHA384", "HMAC-SHA512", "HMAC-MD5", "DH", "ECDH", "ECMQV", "Blowfish", "Camellia", "CAST5", "IDEA", "MARS", "RC2", "RC4", "RC5", "SKIPJACK", "Twofish", "EC", "One Time Pad", "ChaCha20", "Poly1305", "ChaCha20Poly1305", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512", "HMAC-SHA3-224", "HMAC-SHA3-256", "HMAC-SHA3-384", "HMAC-SHA3-512", "SHAKE-128", "SHAKE-256"], {0x1a: 12, 0x1b: 13, 0x1c: 14}),
  blockCipherMode: values(1, ["CBC", "ECB", "PCBC", "CFB", "OFB", "CTR", "CMAC", "CCM", "GCM", "CBC-MAC", "XTS", "AESKeyWrapPadding", "NISTKeyWrap", "X9.102 AESKW", "X9.102 TDKW", "X9.102 AKW1", "X9.102 AKW2", "AEAD"], {0x12: 14}),
  paddingMethod: values(1, ["None", "OAEP", "PKCS5", "SSL3", "Zeros", "ANSI X9.23", "ISO 10126", "PKCS1 v1.5", "X9.31", "PSS"]),
  hashingAlgorithm: values(1, ["MD2", "MD4", "MD5", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512", "RIPEMD-160", "Tiger", "Whirlpool", "SHA-512/224", "SHA-512/256", "SHA-3-224", "SHA-3-256", "SHA-3-384", "SHA-3-512"], {0xc: 12, 0xe: 14}),
  keyRoleType: values(1, ["BDK", "CVK", "DEK", "MKAC", "MKSMC", "MKSMI", "MKDAC", "MKDN", "MKCP", "MKOTH", "KEK", "MAC16609", "MAC97971", "MAC97972", "MAC97973", "MAC97974", "MAC97975", "ZPK", "PVKIBM", "PVKPVV", "PVKOTH", "DUKPT", "IV", "TRKBK"], {0x16: 14}),
  state: values(1, ["Pre-Active", "Active", "Deactivated", "Compromised", "Destroyed", "Destroyed Compromised"]),
  revocationReasonCode: values(1, ["Unspecified", "Key Compromise", "CA Compromise", "Affiliation Changed", "Superseded", "Cessation of Operation", "Privilege Withdrawn"]),
  linkType: values(0x101, ["Certificate Link", "Public Key Link", "Private Key Link", "Derivation Base Object Link", "Derived Key Link", "Replacement Object Link", "Replaced Object Link", "Parent Link", "Child Link", "Previous Link", "Next Link", "PKCS#12 Certificate Link", "PKCS#12 Password Link"], {0x108: 12, 0x10c: 14}),
  queryFunction: values(1, ["Query Operations", "Query Objects", "Query Server Information", "Query Application Namespaces", "Query Extension List", "Query Extension Map", "Query Attestation Types", "Query RNGs", "Query Validations", "Query Profiles", "Query Capabilities", "Query Client Registration Methods"], {0x5: 11, 0x7: 12, 0x8: 13}),
  operation: values(1, ["Create", "Create Key Pair", "Register", "Re-key", "Derive Key", "Certify", "Re-certify", "Locate", "Check", "Get", "Get Attributes", "Get Attribute List", "Add Attribute", "Modify Attribute", "Delete Attribute", "Obtain Lease", "Get Usage Allocation", "Activate", "Revoke", "Destroy", "Archive", "Recover", "Validate", "Query", "Cancel", "Poll", "Notify", "Put", "Re-key Key Pair", "Discover Versions", "Encrypt", "Decrypt", "Sign", "Signature Verify", "MAC", "MAC Verify", "RNG Retrieve", "RNG Seed", "Hash", "Create Split Key", "Join Split Key", "Import", "Export"], {0x1d: 11, 0x1f: 12, 0x2a: 14}),
  resultStatus: values(0, ["Success", "Operation Failed", "Operation Pending", "Operation Undone"]),
  resultReason: plus(values(1, ["Item Not Found", "Response Too Large", "Authentication Not Successful", "Invalid Message", "Operation Not Supported", "Missing Data", "Invalid Field", "Feature Not Supported", "Operation Canceled By Requester", "Cryptographic Failure", "Illegal Operation", "Permission Denied", "Object archived", "Index Out of Bounds", "Application Namespace Not Supported", "Key Format Type Not Supported", "Key Compression Type Not Supported", "Encoding Option Error", "Key Value Not Present", "Attestation Required", "Attestation Failed", "Sensitive", "Not Extractable", "Object Already Exists"], {0x12: 11, 0x13: 12, 0x16: 14, 0x100: 10}), 0x100, "General Failure"),
  batchErrorContinuation: values(1, ["Continue", "Stop", "Undo"]),
  encodingOption: values(1, ["No Encoding", "TTLV Encoding"], {0x1: 11}),
  objectGroupMember: values(1, ["Group Member Fresh", "Group Member Default"], {0x1: 11}),
  alternativeNameType: values(1, ["Uninterpreted Text String", "URI", "Object Serial Number", "Email Address", "DNS Name", "X.500 Distinguished Name", "IP Address"], {0x1: 12}),
  rngAlgorithm: values(1, ["Unspecified", "FIPS 186-2", "DRBG", "NRBG", "ANSI X9.31", "ANSI X9.62"], {0x1: 13}),
  secretDataType: values(1, ["Password", "Seed"]),
  opaqueDataType: values(1, []),
  credentialType: values(1, ["Username and Password", "Device", "Attestation"], {0x2: 11, 0x3: 12}),
  maskGenerator: values(1, ["MGF1"], {0x1: 14}),
  digitalSignatureAlgorithm: values(
    1,
    [
      "MD2 with RSA Encryption",
      "MD5 with RSA Encryption",
      "SHA-1 with RSA Encryption",
      "SHA-224 with RSA Encryption",
      "SHA-256 with RSA Encryption",
      "SHA-384 with RSA Encryption",
      "SHA-512 with RSA Encryption",
      "RSASSA-PSS",
      "DSA with SHA-1",
      "DSA with SHA224",
      "DSA with SHA256",
      "ECDSA with SHA-1",
      "ECDSA with SHA224",
      "ECDSA with SHA256",
      "ECDSA with SHA384",
      "ECDSA with SHA512",
      "SHA3-256 with RSA Encryption",
      "SHA3-384 with RSA Encryption",
      "SHA3-512 with RSA Encryption",
    ],
    { 1: 11, 0x11: 14 },
  ),
} as const;
