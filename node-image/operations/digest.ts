import { hash } from "node:crypto";
import { hashingAlgorithm } from "../objects/enumerations.ts";
import type { Material } from "../objects/material.ts";
import type { Json } from "../objects/types.ts";
import type { Context } from "./context.ts";

/** An instance of the Digest attribute (3.17), in the Key Format Type that the object is kept and given in. */
export function digestOf(material: Material, context: Context): Json {
  const { format } = material;
  const digested = context.keyValues.digested(material, context.version);
  try {
    return {
      hashingAlgorithm: hashingAlgorithm.sha256,
      digestValue: hash("sha256", digested, "hex"),
      ...(format === 0 ? {} : { keyFormatType: format }),
    };
  } finally {
    digested.fill(0);
  }
}
