import { emptyCas, type OwnCa, ownCas, siteCaName } from "../desired/ca-secrets.ts";
import { certificateFacts, certificatesIn } from "../desired/certificates.ts";
import { givenUpCas, newCaAnnotation } from "../desired/consent.ts";
import { viewOf } from "../desired/facts.ts";
import { type LostCa, lostCas } from "../desired/lost-ca.ts";
import { beginsLater } from "../desired/own-ca.ts";
import type { Observed } from "../ports/types.ts";
import type { Blocked, View } from "./types.ts";

/** CAs of this site by which no certificate can be signed or checked; nodes go on with those that they have. */
export function caComplaints(view: View): Blocked[] {
  const { observed, desired } = view;
  const good = desired.cas.get(observed.site) ?? "";
  const cas = ownCas(observed);
  return [
    ...lostComplaint(observed),
    ...emptyCas(observed).map((secret) =>
      broken(observed, secret, `has no certificate (tls.crt) of the CA of site ${observed.site}`),
    ),
    ...cas
      .filter(({ pem }) => !good.includes(pem))
      .map(({ secret }) => broken(observed, secret, `has a tls.crt that is no CA of site ${observed.site} alone`)),
    ...cas.flatMap((ca) => notYet(observed, ca)),
    ...cas.flatMap((ca) => givenUp(observed, ca)),
  ];
}

/**
 * A CA is gone with its Secret. A new one, made at once, would be none to the clients that trust this one only: they would
 * leave the site's nodes with the next renewal, weeks later.
 */
function lostComplaint(observed: Observed): Blocked[] {
  const { site, cluster } = observed;
  const lost = lostCas(observed);
  if (lost.length === 0) return [];
  const { name } = cluster.metadata;
  const label = `keyfleet.io/cluster=${name}`;
  const which = lost.map(({ fingerprint }) => fingerprint).join(" and ");
  const message = `no Secret labelled ${label} holds the CA ${which} of site ${site} any more, so it signs nothing${firstEnd(observed)}`;
  const back = `put the Secret (${siteCaName(name)}, with a number behind it for a later CA) back from a backup, label included`;
  const remedy = `${back}; only if nobody has it: ${anew(observed, emptyCas(observed), lost)}`;
  return [{ gate: "certificateIssued", subject: site, message, remedy }];
}

/** The first certificate of a node of this site to end, for whoever has to know how long there is time. */
function firstEnd(observed: Observed): string {
  const nodes = viewOf(observed, observed.site)?.nodes ?? [];
  const ends = nodes.flatMap(({ metadata, spec }) => {
    const facts = certificateFacts(certificatesIn(spec.certificateChain ?? "")[0] ?? "");
    return facts === undefined ? [] : [{ name: metadata.name, toMs: facts.toMs }];
  });
  const [first] = ends.sort((a, b) => a.toMs - b.toMs || (a.name < b.name ? -1 : 1));
  if (first === undefined) return "";
  return `; nodes serve with the certificates that they have, of which that of ${first.name} ends first: ${new Date(first.toMs).toISOString()}`;
}

function broken(observed: Observed, secret: string, what: string): Blocked {
  const remedy = `put the Secret back as it was; only if nobody has it: ${withoutIt(observed, secret)}`;
  return { gate: "certificateIssued", subject: `Secret/${secret}`, message: `Secret ${secret} ${what}`, remedy };
}

/** Of a clock that is a day ahead, which is more than a CA is dated back by. */
function notYet(observed: Observed, ca: OwnCa): Blocked[] {
  const validFrom = beginsLater(ca, observed.nowMs);
  if (validFrom === undefined) return [];
  const message = `the CA in Secret ${ca.secret} is not valid before ${validFrom}: a clock is wrong, or was when it was made`;
  const remedy = `set the clocks of the machines of the operators right; if they are: ${withoutIt(observed, ca.secret)}`;
  return [{ gate: "certificateIssued", subject: `Secret/${ca.secret}`, message, remedy }];
}

/** A consent that is left there would be one to the next loss of that CA. */
function givenUp(observed: Observed, { secret, pem }: OwnCa): Blocked[] {
  const fingerprint = certificateFacts(pem)?.fingerprint;
  if (fingerprint === undefined || !givenUpCas(observed).has(fingerprint)) return [];
  const message = `the annotation ${newCaAnnotation} gives up the CA ${fingerprint}, which Secret ${secret} holds`;
  const remedy = `to go on with it take the annotation out; to have a new CA, which the clients of the site's nodes have to be given: ${deletion(observed, [secret])}`;
  return [{ gate: "certificateIssued", subject: `Secret/${secret}`, message, remedy }];
}

/** How to go on without what a Secret holds, or held before. */
function withoutIt(observed: Observed, secret: string): string {
  const objects = observed.objects.filter(({ kind, metadata }) => kind !== "Secret" || metadata.name !== secret);
  return anew(observed, [secret], lostCas({ ...observed, objects }));
}

/** How to go on without CAs of this site, by the deletion of Secrets that are of no use. */
function anew(observed: Observed, secrets: readonly string[], lost: readonly LostCa[]): string {
  const { name, namespace = "default" } = observed.cluster.metadata;
  const ids = lost.map(({ fingerprint }) => fingerprint).join();
  const consent = `kubectl -n ${namespace} annotate --overwrite kms ${name} ${newCaAnnotation}=${ids}`;
  const steps = [
    ...(secrets.length === 0 ? [] : [deletion(observed, secrets)]),
    ...(lost.length === 0 ? [] : [consent]),
  ];
  return `${steps.join(", and ")}; then a new CA is made, or the next one signs, which the clients of the site's nodes have to be given`;
}

function deletion({ cluster }: Observed, secrets: readonly string[]): string {
  return `kubectl -n ${cluster.metadata.namespace ?? "default"} delete secret ${secrets.join(" ")}`;
}
