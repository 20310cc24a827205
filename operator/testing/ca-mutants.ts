import type { Mutant } from "./mutant-list.ts";

/** What is promised about the CA of a site, taken out. */
export const caMutants: readonly Mutant[] = [
  {
    what: "certificateIssued: a lost CA is made anew by consent only",
    theme: "lostCas",
    soon: true,
    file: "desired/own-ca.ts",
    find: "if (lostCas(observed).length > 0) return undefined;",
    replace: "if (lostCas(observed).length > 99) return undefined;",
  },
  {
    what: "certificateIssued: the next CA does not sign in place of a lost one before its turn",
    file: "desired/own-ca.ts",
    find: "const cas = trustedCas(observed);",
    replace: "const cas = ownCas(observed).map(({ pem }) => pem);",
    test: "plan/lost-ca.test.ts",
  },
  {
    what: "certificateIssued: a consent is to the loss of that CA only",
    file: "desired/lost-ca.ts",
    find: "&& !givenUp.has(fingerprint),",
    replace: "&& givenUp.size === 0,",
    test: "plan/lost-ca.test.ts",
  },
  {
    what: "certificateIssued: only what is a CA of this site signs",
    file: "plan/node-objects.ts",
    find: "return ca !== undefined && desired.cas.get(observed.site)?.includes(ca.pem) ? ca : undefined;",
    replace: 'return ca !== undefined && desired.cas.get(observed.site) !== "" ? ca : undefined;',
    test: "plan/lost-ca.test.ts",
  },
  {
    what: "certificateIssued: what a lost CA signed stays trusted",
    theme: "lostCas",
    file: "desired/trust.ts",
    find: "return [trustedCas(observed), known].map(",
    replace: "return [ownCas(observed).map(({ pem }) => pem), known.slice(99)].map(",
    and: {
      file: "desired/trust.ts",
      find: 'import { trustedCas } from "./own-ca.ts";',
      replace: 'import { ownCas } from "./ca-secrets.ts";\nimport { trustedCas as _unused } from "./own-ca.ts";',
    },
  },
  {
    what: "certificateIssued: nothing is signed by a clock that the node contradicts",
    file: "act/certificates.ts",
    find: 'if (reason === "OutOfTime") return isNow ? undefined : needInTime(judgement, nowMs);',
    replace: 'if (reason === "OutOfTime") return isNow ? aThird : needInTime(judgement, nowMs);',
    test: "act/certificates.test.ts",
  },
];
