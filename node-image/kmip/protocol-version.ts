import { one, structure } from "./fields.ts";
import { integer } from "./shape.ts";
import { tag } from "./tags.ts";

/** A Protocol Version structure (6.1); elsewhere a version is one number, major × 10 + minor. */
export const protocolVersion = structure({
  major: one(tag.ProtocolVersionMajor, integer),
  minor: one(tag.ProtocolVersionMinor, integer),
});
