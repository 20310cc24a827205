import { ownCas } from "../desired/ca-secrets.ts";
import { isInsteadOfOne } from "../desired/lost-ca.ts";
import { caToMake } from "../desired/own-ca.ts";
import type { Observed } from "../ports/types.ts";
import type { LocalPolicy } from "./types.ts";

/** A site needs its CA before any of its nodes can have a certificate, and the next one before that comes to its end. */
export const siteCa: LocalPolicy = ({ observed }) => {
  const secret = caToMake(observed);
  return secret === undefined
    ? []
    : [{ kind: "makeSiteCa", secret, because: `site ${observed.site} ${why(observed)}` }];
};

function why(observed: Observed): string {
  if (ownCas(observed).length > 0) return "has a CA that comes to its end";
  return isInsteadOfOne(observed) ? "has lost its CA, and somebody consented to a new one" : "has no CA yet";
}
