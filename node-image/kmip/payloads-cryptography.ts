import { Refusal } from "../objects/refusal.ts";
import { itemType } from "../ttlv/types.ts";
import { cryptographicParameters as parameters } from "./attribute-shapes.ts";
import { enumerations as known } from "./enumerations.ts";
import { list, one, optional, structure } from "./fields.ts";
import { identifier } from "./identifier.ts";
import { newAttributes, placeableIdentifier, uniqueIdentifier } from "./payload.ts";
import { boolean, bytes, enumeration, natural, type Shape } from "./shape.ts";
import { tag } from "./tags.ts";

const cryptographicParameters = optional(tag.CryptographicParameters, parameters);
/** In 2.x also a word for what an earlier item of the batch made (2.1, 11.13): the data itself is needed here. */
const ownData: Shape<Buffer> = {
  ...bytes,
  read: (item, reading) => {
    if (item.type === itemType.enumeration && reading.version >= 20)
      throw new Refusal(
        "FeatureNotSupported",
        "Data of an earlier item of the batch is not taken: send the data itself",
      );
    return bytes.read(item, reading);
  },
};
const data = optional(tag.Data, ownData);
const correlationValue = optional(tag.CorrelationValue, bytes, 13);
const parts = {
  correlationValue,
  initIndicator: optional(tag.InitIndicator, boolean, 13),
  finalIndicator: optional(tag.FinalIndicator, boolean, 13),
};
const iv = optional(tag.IVCounterNonce, bytes);
const additionalData = optional(tag.AuthenticatedEncryptionAdditionalData, bytes, 14);
const authenticationTag = optional(tag.AuthenticatedEncryptionTag, bytes, 14);
const digestedData = optional(tag.DigestedData, bytes, 14);
const signatureData = optional(tag.SignatureData, bytes);
const macData = optional(tag.MACData, bytes);
const validityIndicator = one(tag.ValidityIndicator, enumeration(known.validityIndicator));

const cipherRequest = {
  uniqueIdentifier: placeableIdentifier,
  cryptographicParameters,
  data,
  iv,
  ...parts,
  additionalData,
};
const withKey = { uniqueIdentifier: placeableIdentifier, cryptographicParameters, data };

/** Encrypt (4.29). */
export const encrypt = {
  request: structure(cipherRequest),
  response: structure({ uniqueIdentifier, data, iv, correlationValue, tag: authenticationTag }),
};

/** Decrypt (4.30). */
export const decrypt = {
  request: structure({ ...cipherRequest, tag: authenticationTag }),
  response: structure({ uniqueIdentifier, data, correlationValue }),
};

/** Sign (4.31). */
export const sign = {
  request: structure({ ...withKey, digestedData, ...parts }),
  response: structure({ uniqueIdentifier, signatureData, correlationValue }),
};

/** Signature Verify (4.32). */
export const signatureVerify = {
  request: structure({ ...withKey, digestedData, signatureData, ...parts }),
  response: structure({ uniqueIdentifier, validityIndicator, correlationValue }),
};

/** MAC (4.33). */
export const mac = {
  request: structure({ ...withKey, ...parts }),
  response: structure({ uniqueIdentifier, macData, correlationValue }),
};

/** MAC Verify (4.34). */
export const macVerify = {
  request: structure({ ...withKey, macData, ...parts }),
  response: structure({ uniqueIdentifier, validityIndicator, correlationValue }),
};

const dataLength = one(tag.DataLength, natural);

/** RNG Retrieve (4.35). */
export const rngRetrieve = { request: structure({ dataLength }), response: structure({ data: one(tag.Data, bytes) }) };

/** RNG Seed (4.36). */
export const rngSeed = { request: structure({ data: one(tag.Data, bytes) }), response: structure({ dataLength }) };

/** Hash (4.37). */
export const hash = {
  request: structure({ cryptographicParameters: one(tag.CryptographicParameters, parameters), data, ...parts }),
  response: structure({ data, correlationValue }),
};

const derivationParameters = structure({
  cryptographicParameters,
  iv: optional(tag.InitializationVector, bytes),
  derivationData: optional(tag.DerivationData, bytes),
  salt: optional(tag.Salt, bytes),
  iterationCount: optional(tag.IterationCount, natural),
});

/** Derive Key (4.6). */
export const deriveKey = {
  request: structure({
    objectType: one(tag.ObjectType, enumeration(known.objectType)),
    uniqueIdentifiers: list(tag.UniqueIdentifier, identifier),
    derivationMethod: one(tag.DerivationMethod, enumeration(known.derivationMethod)),
    derivationParameters: one(tag.DerivationParameters, derivationParameters),
    attributes: newAttributes(),
  }),
  response: structure({ uniqueIdentifier }),
};
