import { createHash } from "node:crypto";
import type { KmsNode, KubernetesObject, NodeImage, Observed } from "../ports/types.ts";
import { disruptionBudget } from "./disruption-budget.ts";
import { erasePod } from "./erasure.ts";
import { type FleetFacts, fleetFacts, type NodeFacts, objectOf, objectsOf } from "./facts.ts";
import { desiredKmsNode, type SharedParts, sharedParts } from "./kms-node.ts";
import { missingSettings, type ResolvedSettings } from "./settings.ts";
import { statefulSet } from "./stateful-set.ts";
import { grownClaim } from "./storage.ts";
import { account, services } from "./surroundings.ts";
import type { IsCaOfSite } from "./trust.ts";

/** What shall be in this site for one node. */
export interface DesiredNode {
  readonly facts: NodeFacts;
  readonly kmsNode: KmsNode;
  /** What belongs to the KmsNode; empty until that exists, because they are owned by its uid. */
  readonly objects: readonly KubernetesObject[];
}

/** What shall be in this site, and the facts that it follows from. */
export interface Desired {
  readonly fleet: FleetFacts;
  readonly nodes: readonly DesiredNode[];
  /** What the nodes of this site have in common; empty while it has none. */
  readonly site: readonly KubernetesObject[];
  /** Pods that destroy the keys of removed nodes of this site, by the name of the claim that is released afterwards. */
  readonly erasures: ReadonlyMap<string, KubernetesObject>;
  /** CA certificate of each site that is known and good, by site. */
  readonly cas: ReadonlyMap<string, string>;
}

/** What desired objects depend on besides what was observed. */
export interface DesiredOptions {
  readonly image: NodeImage;
  readonly isCaOfSite: IsCaOfSite;
}

/** Annotation with the digest of what was applied last; so that fields which were taken out are noticed too. */
export const appliedAnnotation = "keyfleet.io/applied";

/** Specification and facts → the objects of this site. Pure. */
export function desiredObjects(observed: Observed, options: DesiredOptions): Desired {
  const fleet = fleetFacts(observed);
  const own = fleet.nodes.filter(({ local, entry, node }) => local && (entry !== undefined || node !== undefined));
  const shared = sharedParts(observed, fleet, options.isCaOfSite);
  return {
    fleet,
    cas: shared.cas,
    erasures: erasures(observed, options.image),
    site: own.length === 0 ? [] : [stamped(disruptionBudget(observed, fleet))],
    nodes: own.map((facts) => desiredNode(observed, facts, { shared, image: options.image })),
  };
}

function erasures(observed: Observed, image: NodeImage): Map<string, KubernetesObject> {
  return new Map(
    objectsOf(observed, "PersistentVolumeClaim").flatMap((claim) => {
      const pod = erasePod(claim, image);
      return pod === undefined ? [] : [[claim.metadata.name, pod] as const];
    }),
  );
}

function desiredNode(
  observed: Observed,
  facts: NodeFacts,
  { shared, image }: { shared: SharedParts; image: NodeImage },
): DesiredNode {
  const kmsNode = desiredKmsNode(observed, facts, shared);
  const uid = facts.node?.metadata.uid;
  if (uid === undefined) return { facts, kmsNode, objects: [] };
  const owner: KmsNode = { ...kmsNode, metadata: { ...kmsNode.metadata, uid } };
  return { facts, kmsNode, objects: ownedObjects(observed, { facts, owner, image }).map(stamped) };
}

function ownedObjects(
  observed: Observed,
  { facts, owner, image }: { facts: NodeFacts; owner: KmsNode; image: NodeImage },
): KubernetesObject[] {
  if (facts.external) return []; // It runs on a machine of its own.
  const settings = owner.spec.settings as ResolvedSettings;
  const around = [...account(owner), ...services(owner, settings)];
  // Without an HSM there is nothing to start; the gate nodeConfigured says what is missing.
  if (missingSettings(settings).length > 0) return around;
  const existing = objectOf(observed, "StatefulSet", facts.name);
  const claim = grownClaim(observed, owner, settings.storage.size);
  return [...around, statefulSet(owner, { settings, image, existing }), ...(claim === undefined ? [] : [claim])];
}

function stamped(object: KubernetesObject): KubernetesObject {
  const digest = createHash("sha256").update(JSON.stringify(object)).digest("hex").slice(0, 32);
  const annotations = { ...object.metadata.annotations, [appliedAnnotation]: digest };
  return { ...object, metadata: { ...object.metadata, annotations } };
}
