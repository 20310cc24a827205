import { joinAndClear, ownCopy } from "../cryptography/bytes.ts";
import { startEncryption } from "../cryptography/encryption.ts";
import type { CryptographicParameters } from "../cryptography/parameters.ts";
import { transparentFormats } from "../cryptography/transparent.ts";
import { type AttributeInstance, visibleAttributes } from "../objects/attributes.ts";
import { cryptographicAlgorithm, blockCipherMode as mode, paddingMethod, usage } from "../objects/enumerations.ts";
import type { KeyWrapping, Material, WrappingKeyInformation } from "../objects/material.ts";
import { Refusal } from "../objects/refusal.ts";
import type { ManagedObject } from "../objects/types.ts";
import { type UsableKey, wrappingKeyFor } from "./checked-key.ts";
import type { Context } from "./context.ts";
import { find } from "./find.ts";
import { consume } from "./usage-limits.ts";

/** KMIP Key Wrapping Specification (1.4, 2.1.6). */
export interface WrappingSpecification {
  readonly wrappingMethod: number;
  readonly encryptionKey?: WrappingKeyInformation;
  readonly macSignatureKey?: WrappingKeyInformation;
  /** Attributes to be wrapped together with the key. */
  readonly attributeNames: readonly string[];
  readonly encodingOption?: number;
}

/** What the door knows of the encoding of a Key Value. */
export interface KeyValueCodec {
  /** The caller zeroes it. */
  encode(material: Material, attributes: readonly AttributeInstance[], version: number): Buffer;
  /** What the Digest of a Key Material is made of (3.17): a structure's TTLV encoding, else the bytes. The caller zeroes it. */
  digested(material: Material, version: number): Buffer;
  /** The bytes that are kept of the Key Material. Throws if the bytes are no Key Value. */
  decode(encoded: Buffer, keyFormatType: number, version: number): Buffer;
}

const encryptMethod = 1;
const encoding = { none: 1, ttlv: 2 } as const;

/** Wraps an object's material under a key of the same server; the clear bytes are zeroed. Rejects with Refusal. */
export async function wrapMaterial(
  { object, material }: { readonly object: ManagedObject; readonly material: Material },
  specification: WrappingSpecification,
  context: Context,
): Promise<Material> {
  const clear = await clearBytes(object, material, specification, context);
  try {
    const { encryptionKey, key, parameters } = await wrappingKey(specification, "wrap", context);
    const wrapped = run(clear, { key, parameters, direction: "encrypt" }, context);
    await consume(key.object, { bytes: clear.length }, context);
    const wrapping: KeyWrapping = {
      wrappingMethod: specification.wrappingMethod,
      encryptionKey,
      ...(specification.encodingOption === undefined ? {} : { encodingOption: specification.encodingOption }),
    };
    return { ...material, bytes: wrapped, wrapping };
  } finally {
    clear.fill(0);
    material.bytes.fill(0);
  }
}

/** Opens material that was registered wrapped, if its wrapping key is here and the caller may unwrap with it. Rejects with Refusal. */
export async function unwrapMaterial(material: Material, context: Context): Promise<Material> {
  const { wrapping, ...rest } = material;
  if (wrapping === undefined) return material;
  const { key, parameters } = await wrappingKey(wrapping, "unwrap", context);
  const clear = run(material.bytes, { key, parameters, direction: "decrypt" }, context);
  if (wrapping.encodingOption === encoding.none) return { ...rest, bytes: clear };
  try {
    return { ...rest, bytes: ownCopy(context.keyValues.decode(clear, rest.format, context.version)) };
  } catch {
    throw new Refusal(
      "EncodingOptionError",
      "The unwrapped bytes are no Key Value in TTLV: was it wrapped without encoding?",
    );
  } finally {
    clear.fill(0);
  }
}

async function clearBytes(
  object: ManagedObject,
  material: Material,
  { attributeNames, encodingOption = encoding.ttlv }: WrappingSpecification,
  context: Context,
): Promise<Buffer> {
  if (material.wrapping !== undefined) {
    throw new Refusal(
      "IllegalOperation",
      "The object is wrapped already: ask for it without Key Wrapping Specification",
      "KeyWrapTypeNotSupported",
    );
  }
  if (encodingOption === encoding.none) {
    if (attributeNames.length > 0)
      throw new Refusal("EncodingOptionError", "Attributes are wrapped with the key in TTLV Encoding only");
    // Its numbers are a structure, and no bytes that could be wrapped as they are (9.1.3.2.32).
    if (transparentFormats[material.format] !== undefined)
      throw new Refusal("EncodingOptionError", "A transparent key pair is wrapped in TTLV Encoding only");
    return ownCopy(material.bytes);
  }
  // By Export they are told anyway; no right includes another.
  if (attributeNames.length > 0 && context.operation !== "Export") await find(object.id, context, "GetAttributes");
  const visible = visibleAttributes(object, context.now(), context.version);
  const attributes = attributeNames.flatMap((name) =>
    (visible.get(name) ?? []).flatMap((value, index) => (value === null ? [] : [{ name, index, value }])),
  );
  return context.keyValues.encode(material, attributes, context.version);
}

/** The key that wraps or unwraps, after all checks of it. Rejects with Refusal. */
export async function wrappingKey(
  specification: Pick<WrappingSpecification, "wrappingMethod" | "encryptionKey" | "macSignatureKey">,
  direction: "wrap" | "unwrap",
  context: Context,
): Promise<{ encryptionKey: WrappingKeyInformation; key: UsableKey; parameters: CryptographicParameters }> {
  const { wrappingMethod, encryptionKey, macSignatureKey } = specification;
  if (wrappingMethod !== encryptMethod || macSignatureKey !== undefined || encryptionKey === undefined) {
    throw new Refusal("FeatureNotSupported", "Keys are wrapped by Wrapping Method Encrypt, with an Encryption Key");
  }
  const use =
    direction === "wrap"
      ? ({ usage: usage.wrapKey, purpose: "protect", right: "WrapKey" } as const)
      : ({ usage: usage.unwrapKey, purpose: "process", right: "UnwrapKey" } as const);
  const given = encryptionKey.cryptographicParameters as CryptographicParameters | undefined;
  const key = await wrappingKeyFor(encryptionKey.uniqueIdentifier, { ...use, given }, context);
  return { encryptionKey, key, parameters: wrapParameters(key) };
}

/**
 * AES wraps by NIST key wrap if nothing else is said (RFC 3394), RSA by OAEP. Ciphers that do not protect a key's integrity are not
 * taken, nor RSA without padding: whoever may unwrap so could sign with the private key.
 */
function wrapParameters({ key, algorithm, parameters }: UsableKey): CryptographicParameters {
  if (key.type !== "secret") return withPadding(parameters);
  const blockCipherMode = parameters.blockCipherMode ?? mode.nistKeyWrap;
  if (algorithm !== cryptographicAlgorithm.aes) {
    throw new Refusal("PermissionDenied", "A wrapping key is an AES or RSA key");
  }
  if (blockCipherMode !== mode.nistKeyWrap && blockCipherMode !== mode.aesKeyWrapPadding) {
    throw new Refusal(
      "FeatureNotSupported",
      "AES wraps keys by NIST Key Wrap or AES Key Wrap Padding",
      "UnsupportedCryptographicParameters",
    );
  }
  return { ...parameters, blockCipherMode };
}

function withPadding(parameters: CryptographicParameters): CryptographicParameters {
  const padded = { paddingMethod: paddingMethod.oaep, ...parameters };
  if (padded.paddingMethod !== paddingMethod.none) return padded;
  const text = "RSA wraps keys by OAEP or PKCS#1 v1.5, not without padding";
  throw new Refusal("FeatureNotSupported", text, "UnsupportedCryptographicParameters");
}

interface Run {
  readonly key: UsableKey;
  readonly parameters: CryptographicParameters;
  readonly direction: "encrypt" | "decrypt";
}

function run(data: Buffer, { key: usable, parameters, direction }: Run, { cryptography }: Context): Buffer {
  const { key, algorithm } = usable;
  const { stream } = startEncryption({ direction, algorithm, key, parameters, nonces: cryptography.nonces });
  return joinAndClear([stream.update(data), stream.final().data]);
}
