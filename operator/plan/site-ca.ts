import { caToMake, ownCas } from "../desired/own-ca.ts";
import type { LocalPolicy } from "./types.ts";

/** A site needs its CA before any of its nodes can have a certificate, and the next one before that comes to its end. */
export const siteCa: LocalPolicy = ({ observed }) => {
  const secret = caToMake(observed);
  if (secret === undefined) return [];
  const why = ownCas(observed).length === 0 ? "has no CA yet" : "has a CA that comes to its end";
  return [{ kind: "makeSiteCa", secret, because: `site ${observed.site} ${why}` }];
};
