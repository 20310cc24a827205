import { ownCa } from "../desired/trust.ts";
import type { LocalPolicy } from "./types.ts";

/** A site needs its CA before any of its nodes can have a certificate. */
export const siteCa: LocalPolicy = ({ observed }) =>
  ownCa(observed) === undefined ? [{ kind: "makeSiteCa", because: `site ${observed.site} has no CA yet` }] : [];
