import type { KubernetesObject } from "../ports/types.ts";
import { pick } from "./random.ts";
import { turnCa } from "./simulated-ca.ts";
import type { SimulatedLinks } from "./simulated-links.ts";
import { clockGoesOff, getsForeignVolume, hsmGoes, machineDies } from "./simulated-machines.ts";
import type { SimulatedOperator } from "./simulated-operator.ts";
import type { SimulatedSite } from "./simulated-site.ts";
import type { Fault } from "./themes.ts";

const mostDead = 2;
/** So long after it was written last a share is just believed in. */
const longestRunDownMs = 9_000;
/** Longer than that a pass does not take, or the operator does not lead any more (docs/decisions/0013-leading-operator.md). */
const longestPassMs = 8_000;

/** What may be harmed. */
export interface FaultWorld {
  readonly random: () => number;
  readonly sites: readonly SimulatedSite[];
  readonly operators: readonly SimulatedOperator[];
  readonly nowMs: number;
  readonly links: SimulatedLinks;
  readonly longestJumpMs: number;
  /** Lets time pass in which nobody but timers is at work. */
  readonly pass: (ms: number) => Promise<void>;
  /** Told that a KmsNode was deleted by hand. */
  readonly forget: (node: string) => void;
}

type Happens = (operator: SimulatedOperator, world: FaultWorld) => void | Promise<void>;

/** What each fault does, to the site of that operator or to the operator itself. */
export const faults: Readonly<Record<Fault, Happens>> = {
  cut: ({ site }) => {
    site.reachable = !site.reachable;
  },
  apiOneWay: (_operator, { links, random }) => links.turnOneWay("api", random),
  meshOneWay: (_operator, { links, random }) => links.turnOneWay("mesh", random),
  apiOfSite: ({ site }, { links, random }) => links.turnSite("api", site, random),
  meshOfSite: ({ site }, { links, random }) => links.turnSite("mesh", site, random),
  crash: ({ site }, { random }) => {
    site.crashAfterWrites = Math.floor(random() * 4);
  },
  restart: (operator) => operator.restart(),
  object: ({ site }, world) =>
    loseObject(site, world, ({ kind }) => kind !== "Secret" && kind !== "PersistentVolumeClaim"),
  pod: ({ site }, world) => loseObject(site, world, ({ kind }) => kind === "Pod"),
  unheard: ({ site, watch }, world) => {
    if (!watch.loseReadiness(site)) loseObject(site, world, ({ kind }) => kind === "Pod");
  },
  node: ({ site }, world) => loseNode(site, world),
  lose: ({ site }, { sites }) => {
    if (sites.filter(({ alive }) => !alive).length < mostDead) site.alive = false;
  },
  return: (_operator, world) => siteReturns(world),
  jump: ({ site }, world) => jump(site, world),
  machine: ({ site }, world) => withVolume(site, world, machineDies),
  ca: ({ site }) => turnCa(site),
  hsm: ({ site }, world) => withVolume(site, world, hsmGoes),
  clock: ({ site }, world) => withVolume(site, world, clockGoesOff),
  newcomerHsm: (_operator, world) => withNewcomer(world, hsmGoes),
  newcomerClock: (_operator, world) => withNewcomer(world, clockGoesOff),
  foreign: (_operator, world) => withNewcomer(world, getsForeignVolume),
  slow: (_operator, world) => slow(world),
  lostEvent: (operator, world) => loseEvent(operator, world),
  doubledEvent: async (operator) => {
    await operator.pass();
    await operator.pass();
  },
};

function withVolume(site: SimulatedSite, { random, nowMs }: FaultWorld, happens: typeof hsmGoes): void {
  const volumes = [...site.nodes.keys()].flatMap((name) => site.volumes.get(name) ?? []);
  if (volumes.length > 0) happens(pick(random, volumes), nowMs, random);
}

/** The same to one that does not belong yet, of whatever site. */
function withNewcomer({ sites, random, nowMs }: FaultWorld, happens: typeof hsmGoes): void {
  const waiting = sites.flatMap(({ nodes, volumes }) =>
    [...nodes.values()].flatMap(({ metadata, spec }) =>
      spec.membership.action === "None" ? (volumes.get(metadata.name) ?? []) : [],
    ),
  );
  if (waiting.length > 0) happens(pick(random, waiting), nowMs, random);
}

/**
 * The sites' API servers are read, but take no Lease for a while (etcd without a leader): the lock of whoever holds it, or
 * takes it just now, runs out; and its pass takes long.
 */
async function slow({ sites, operators, random, pass }: FaultWorld): Promise<void> {
  const alive = operators.filter(({ site }) => site.alive);
  const holds = ({ site }: SimulatedOperator) =>
    sites.some(({ leases }) => leases.holder("keyfleet-bank")?.site === site.name);
  const operator = alive.find(holds) ?? pick(random, alive);
  await operator.pass();
  for (const { leases } of sites) leases.readOnly = true;
  await pass(longestRunDownMs - Math.floor(random() * 3_000));
  await operator.pass(() => pass(longestPassMs - Math.floor(random() * 4_000)));
  for (const { leases } of sites) leases.readOnly = false;
}

/** The clocks of a site jump; a second jump may put them right. */
function jump(site: SimulatedSite, { random, longestJumpMs }: FaultWorld): void {
  const isOff = site.clockOffsetMs !== 0;
  site.clockOffsetMs = isOff && random() < 0.5 ? 0 : Math.round((random() - 0.5) * 2 * longestJumpMs);
}

/** A watch of the operator loses one event: the next change of some object of some site. */
function loseEvent(operator: SimulatedOperator, { random, sites }: FaultWorld): void {
  const site = pick(random, sites);
  const own = site === operator.site && random() < 0.5;
  const objects = own ? [...site.objects.values()] : [...site.nodes.values()];
  const watched = objects.filter(({ kind }) => kind === "KmsNode" || kind === "Pod" || kind === "StatefulSet");
  if (watched.length === 0) return;
  const { kind, metadata } = pick<{ readonly kind: string; readonly metadata: { readonly name: string } }>(
    random,
    watched,
  );
  operator.watch.lose(site, kind, metadata.name);
}

function loseObject(site: SimulatedSite, { random }: FaultWorld, isMeant: (object: KubernetesObject) => boolean): void {
  const victims = [...site.objects.values()].filter(isMeant);
  if (victims.length === 0) return;
  const victim = pick(random, victims);
  site.remove(victim.kind, victim.metadata.name);
}

/** A KmsNode deleted by hand; the node's volume stays. */
function loseNode(site: SimulatedSite, { random, forget }: FaultWorld): void {
  const members = [...site.nodes.values()].filter(({ spec }) => spec.membership.action === "Member");
  if (members.length === 0 || random() > 0.3) return;
  const { name } = pick(random, members).metadata;
  site.remove("KmsNode", name);
  forget(name);
}

function siteReturns({ operators, random }: FaultWorld): void {
  const dead = operators.filter(({ site }) => !site.alive);
  if (dead.length === 0) return;
  const back = pick(random, dead);
  back.site.alive = true;
  back.restart();
}
