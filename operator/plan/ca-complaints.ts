import { beginsLater, emptyCas, ownCas } from "../desired/own-ca.ts";
import type { Blocked, View } from "./types.ts";

/** Secrets with CAs of this site by which no certificate can be signed or checked; nodes go on with those that they have. */
export function caComplaints({ observed, desired }: View): Blocked[] {
  const { site, nowMs } = observed;
  const { namespace = "default" } = observed.cluster.metadata;
  const good = desired.cas.get(site) ?? "";
  const cas = ownCas(observed);
  const strange = cas.filter(({ pem }) => !good.includes(pem)).map(({ secret }) => secret);
  return [
    ...emptyCas(observed).map((secret) =>
      broken(secret, namespace, `has no certificate (tls.crt) of the CA of site ${site}`),
    ),
    ...strange.map((secret) => broken(secret, namespace, `has a tls.crt that is no CA of site ${site} alone`)),
    ...cas.flatMap((ca) => {
      const validFrom = beginsLater(ca, nowMs);
      return validFrom === undefined ? [] : [notYet(ca.secret, namespace, validFrom)];
    }),
  ];
}

function broken(secret: string, namespace: string, what: string): Blocked {
  const remedy = `put the Secret back as it was; only if nobody has it: ${anew(secret, namespace)}`;
  return { gate: "certificateIssued", subject: `Secret/${secret}`, message: `Secret ${secret} ${what}`, remedy };
}

/** Of a clock that is a day ahead, which is more than a CA is dated back by. */
function notYet(secret: string, namespace: string, validFrom: string): Blocked {
  const message = `the CA in Secret ${secret} is not valid before ${validFrom}: a clock is wrong, or was when it was made`;
  const remedy = `set the clocks of the machines of the operators right; if they are: ${anew(secret, namespace)}`;
  return { gate: "certificateIssued", subject: `Secret/${secret}`, message, remedy };
}

function anew(secret: string, namespace: string): string {
  return `kubectl -n ${namespace} delete secret ${secret}, then a new CA is made, which the clients of the site's nodes have to be given`;
}
