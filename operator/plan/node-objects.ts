import { isDeepStrictEqual } from "node:util";
import type { OwnCa } from "../desired/ca-secrets.ts";
import { rollingAnnotation, settingsBeforeAnnotation } from "../desired/consent.ts";
import { appliedAnnotation, type DesiredNode } from "../desired/desired.ts";
import { objectOf } from "../desired/facts.ts";
import { signingCa } from "../desired/own-ca.ts";
import type { Action, KmsNode, KubernetesObject } from "../ports/types.ts";
import { covers } from "./covers.ts";
import { withNews } from "./news.ts";
import { notPaused } from "./pause.ts";
import { isGoing } from "./remove.ts";
import type { FleetStep, LocalPolicy, View } from "./types.ts";
import { settleWaiting } from "./waiting.ts";

/** Makes what is missing, puts right what was changed, signs certificates. Writes only where something differs. */
export const nodeObjects: LocalPolicy = (view, step) => {
  const nodes = view.desired.nodes.filter(({ facts }) => !isGoing(view, facts) && !isHeldBack(view, facts));
  const ca = signer(view);
  const actions = nodes.flatMap((node) => [
    ...kmsNodeActions(view, node, { step, ca }),
    ...ownedObjectActions(view, node),
  ]);
  return withNews(
    actions,
    step,
    nodes.map(({ facts }) => facts.node),
  );
};

/** The CA that signs now; what is no CA of this site alone would take from nodes what their peers believe. */
function signer({ observed, desired }: View): OwnCa | undefined {
  const ca = signingCa(observed);
  return ca !== undefined && desired.cas.get(observed.site)?.includes(ca.pem) ? ca : undefined;
}

interface Turn {
  readonly step: FleetStep | undefined;
  readonly ca: OwnCa | undefined;
}

function kmsNodeActions(view: View, desired: DesiredNode, { step, ca }: Turn): Action[] {
  const { facts } = desired;
  const kmsNode = settleWaiting(view, desired);
  const wanted = withStep({ ...desired, kmsNode }, step);
  const lock = wanted === kmsNode ? {} : { needsLock: true as const };
  const object = wanted as unknown as KubernetesObject;
  const asIs: KmsNode = { ...wanted, ...(facts.node?.status === undefined ? {} : { status: facts.node.status }) };
  const need =
    ca === undefined || isCutOff(facts) ? undefined : view.certificateNeed(asIs, ca.pem, view.observed.nowMs);
  const request = facts.node?.status?.certificateRequest;
  if (need !== undefined && ca !== undefined && request !== undefined && facts.node !== undefined)
    return [
      {
        kind: "signCertificate",
        node: facts.name,
        request,
        ca: ca.secret,
        object: asIs as unknown as KubernetesObject,
        because: `certificate of ${facts.name}: ${need}`,
        ...lock,
      },
    ];
  if (facts.node === undefined) return [{ kind: "apply", object, because: `${facts.name} is in the specification` }];
  if (
    sameWhenStored(wanted.spec, facts.node.spec) &&
    covers(object.metadata.labels, facts.node.metadata.labels) &&
    (wanted === desired.kmsNode || sameMarks(object, facts.node))
  )
    return [];
  return [{ kind: "apply", object, because: becauseOf(wanted, facts.node), ...lock }];
}

function withStep({ kmsNode, facts }: DesiredNode, step: FleetStep | undefined): KmsNode {
  const { spec, metadata } = kmsNode;
  if (step?.kind === "node" && step.node === facts.name) {
    const { annotations, without = "", ...changed } = step.change;
    const { [without]: _taken, ...all } = { ...metadata.annotations, ...annotations };
    return { ...kmsNode, metadata: { ...metadata, annotations: all }, spec: { ...spec, ...changed } };
  }
  if (step?.kind === "level" && facts.standing === "Member")
    return { ...kmsNode, spec: { ...spec, featureLevel: step.level } };
  if (step?.kind !== "standing") return kmsNode;
  const { node, standing, lastSequence } = step;
  const news = { standing, ...(lastSequence === undefined ? {} : { lastSequence }) };
  const members = spec.members.map((member) => (member.name === node ? { ...member, ...news } : member));
  return { ...kmsNode, spec: { ...spec, members } };
}

/** Only a step, or that none waits, changes the operator's annotations; others' are not its own. */
function sameMarks({ metadata }: KubernetesObject, { metadata: found }: KmsNode): boolean {
  const marks = new Set([...Object.keys(metadata.annotations ?? {}), rollingAnnotation, settingsBeforeAnnotation]);
  return [...marks].every((name) => metadata.annotations?.[name] === found.annotations?.[name]);
}

/** One that is fenced or has departed gets no certificate any more. */
function isCutOff({ standing }: DesiredNode["facts"]): boolean {
  return standing === "Fenced" || standing === "Departed";
}

function becauseOf(wanted: KmsNode, before: KmsNode): string {
  const { action } = wanted.spec.membership;
  if (action !== before.spec.membership.action)
    return `${wanted.metadata.name}: ${before.spec.membership.action} → ${action}`;
  const fields = Object.keys({ ...wanted.spec, ...before.spec }) as (keyof KmsNode["spec"])[];
  const changed = fields.filter((field) => !sameWhenStored(wanted.spec[field], before.spec[field]));
  return `${wanted.metadata.name}: ${changed.join(", ") || "labels or annotations"} changed`;
}

/** Makes and puts right what the nodes of this site have in common. */
export const siteObjects: LocalPolicy = (view) =>
  view.desired.site.flatMap((object) => objectActions(view, object, `site ${view.observed.site}`));

/** Paused: no new node is made. */
function isHeldBack(view: View, { node, standing }: DesiredNode["facts"]): boolean {
  return node === undefined && standing === "Absent" && notPaused(view, "").length > 0;
}

function ownedObjectActions(view: View, { objects, facts }: DesiredNode): Action[] {
  return objects.flatMap((object) => objectActions(view, object, facts.name));
}

function objectActions(view: View, object: KubernetesObject, owner: string): Action[] {
  const found = objectOf(view.observed, object.kind, object.metadata.name);
  if (found?.metadata.deletionTimestamp !== undefined) return [];
  if (found !== undefined && isAsApplied(object, found)) return [];
  const what = `${object.kind} ${object.metadata.name} of ${owner}`;
  return [{ kind: "apply", object, because: `${what} ${found === undefined ? "is missing" : "differs"}` }];
}

/** The digest finds what the specification changed, the comparison what somebody else changed. */
function isAsApplied(wanted: KubernetesObject, found: KubernetesObject): boolean {
  const digest = wanted.metadata.annotations?.[appliedAnnotation];
  return found.metadata.annotations?.[appliedAnnotation] === digest && covers(wanted, found);
}

/** Whether the API server would keep the same of both: fields that are undefined are none, their order says nothing. */
function sameWhenStored(a: unknown, b: unknown): boolean {
  const [one, other] = [JSON.stringify(a), JSON.stringify(b)];
  return one === other || isDeepStrictEqual(parsed(one), parsed(other));
}

function parsed(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text);
}
