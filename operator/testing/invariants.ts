import assert from "node:assert/strict";
import type { Member } from "@keyfleet/crds/kms-node.ts";
import { restartFields } from "@keyfleet/crds/restart-settings.ts";
import { isOut, rankOf } from "../desired/standing.ts";
import { compareVersions, highestVersion, isOneStep } from "../desired/version.ts";
import type { KmsNode, KubernetesObject } from "../ports/types.ts";
import { BadSettings } from "./bad-settings.ts";
import { beyondEnd, EndedLogs, missingOf } from "./ended-logs.ts";
import { JoinPromises } from "./join-promises.ts";
import { KeptVolumes } from "./kept-volumes.ts";
import { Recent } from "./recent.ts";
import { RollPromises } from "./roll-promises.ts";
import { brokenByCa } from "./simulated-ca.ts";
import { isNamed, mostOfFleet } from "./simulated-edits.ts";
import { isForeign, isMadeFrom, runningVersion } from "./simulated-node.ts";
import type { SimulatedSite } from "./simulated-site.ts";
import type { Simulation } from "./simulation.ts";
import { textOf } from "./text-of.ts";
import { beliefMs, Truth } from "./truth.ts";

/** After this time a leaver that does not say that it has drained may be taken for dead. */
const drainPatienceMs = 60_000;

/**
 * The invariants of the fleet that concern the operator, checked against what is really so: at each write of an operator,
 * and after each step. An operator may be mistaken about what changed within the last seconds, about nothing else.
 */
export class Invariants {
  /** What operators did to the fleet, counted. */
  readonly did = new Map<string, number>();
  readonly #world: Simulation;
  readonly #truth: Truth;
  readonly #recent: Recent;
  readonly #rolls: RollPromises;
  readonly #joins: JoinPromises;
  readonly #badSettings: BadSettings;
  readonly #volumesKept: KeptVolumes;
  /** Nodes that an operator took down and that have not served again. */
  readonly #takenDown = new Map<string, string>();
  readonly #memberLists = new Map<string, Set<string>>();
  readonly #ends = new Map<string, number>();
  readonly #logs = new EndedLogs();
  readonly #everDropped = new Set<string>();
  /** Lives that were fenced because their site was named lost: who says that wrongly loses what they write from then on. */
  readonly #givenUp = new Set<string>();
  /** When a leaver was told to leave. */
  readonly #leavingSinceMs = new Map<string, number>();
  /** Highest feature level ever; undefined before there is a fleet. */
  #level: string | undefined;

  constructor(world: Simulation) {
    this.#world = world;
    this.#truth = new Truth(world);
    this.#recent = new Recent(world);
    const hold = (holds: boolean, what: string) => this.#hold(holds, what);
    this.#rolls = new RollPromises(world, { truth: this.#truth, recent: this.#recent, hold });
    this.#joins = new JoinPromises(world, { truth: this.#truth, hold });
    this.#badSettings = new BadSettings(world, { truth: this.#truth, hold });
    this.#volumesKept = new KeptVolumes(() => world.nowMs, hold);
  }

  /** A KmsNode was deleted by hand: what it listed is forgotten with it. */
  forget(node: string): void {
    this.#memberLists.delete(node);
  }

  /** Called before each write of an operator takes effect. */
  beforeWrite(site: SimulatedSite, before: KubernetesObject | undefined, after: KubernetesObject | undefined): void {
    this.#volumesKept.beforeWrite(before, after);
    const broken = brokenByCa(site, before, after);
    this.#hold(broken === undefined, broken ?? "");
    this.did.set("VolumeDeleted", this.#volumesKept.deleted);
    const kind = (before ?? after)?.kind;
    if (kind === "Pod" && after === undefined) this.#podGoes(site, before?.metadata.name.slice(0, -2) ?? "");
    if (kind === "KmsNode" && after !== undefined)
      this.#nodeChanges(site, before as unknown as KmsNode | undefined, after as unknown as KmsNode);
    if (kind === "KmsNode" && after === undefined) this.#nodeGoes(site, before as unknown as KmsNode);
  }

  /** Called before a site's share of the fleet lock is written. */
  beforeLease(...write: Parameters<RollPromises["beforeLease"]>): void {
    this.#rolls.beforeLease(...write);
  }

  /** Called after each step. */
  check(): void {
    const all = this.#world.all();
    this.#truth.note();
    this.#rolls.note();
    this.#joins.note();
    for (const node of all) {
      if (this.#truth.serves(node.metadata.name)) this.#takenDown.delete(node.metadata.name);
      this.#listsOnlyGrow(node);
    }
    this.#recent.note((name) => this.#truth.serves(name));
    this.#notesDropped(all.map(({ metadata }) => metadata.name));
    const highest = highestVersion(
      all.filter(({ spec }) => spec.membership.action === "Member").map(({ spec }) => spec.featureLevel),
    );
    this.#level = highestVersion([this.#level, highest].filter((one) => one !== undefined));
    const fleets = this.#volumes().flatMap(({ clusterId }) => clusterId ?? []);
    const founded = new Set(fleets.filter((id) => !isForeign(id)));
    this.#hold(founded.size <= 1, "founded twice");
    this.#badSettings.check();
    for (const broken of this.#rolls.broken) this.#hold(false, broken);
    for (const broken of this.#logs.takenInBeyond(this.#volumes())) this.#hold(false, broken);
  }

  #nodeChanges(site: SimulatedSite, before: KmsNode | undefined, after: KmsNode): void {
    const [was, is] = [before?.spec.membership.action, after.spec.membership.action];
    if (before !== undefined && was !== is) this.#membershipChanges(site, before, after);
    const belongs = before !== undefined && was === "Member" && is === "Member";
    if (belongs && before.spec.version !== after.spec.version) this.#versionChanges(site, before, after);
    if (belongs && changesRestartFields(before, after)) this.#settingsChange(site, after);
    const rises = compareVersions(after.spec.featureLevel, this.#level ?? after.spec.featureLevel) > 0;
    // One that does not belong yet gets the level of the fleet when it joins.
    if (this.#level !== undefined && rises && is !== "None") this.#levelRises(site, after);
    for (const member of after.spec.members) this.#standingChanges(site, member);
  }

  #membershipChanges(site: SimulatedSite, before: KmsNode, after: KmsNode): void {
    const { name } = after.metadata;
    const { action } = after.spec.membership;
    if (action === "None") {
      this.#hold(this.#truth.isListed(name, "Departed"), `${name} wiped without having departed`);
      this.#joins.wiped(name, after.spec.membership.rejoin);
      return;
    }
    // A node that was removed while its site was away is told so without a lock.
    if (action === "Leave" && (this.#truth.isListed(name, "Fenced") || this.#truth.isListed(name, "Departed"))) return;
    if (action === "Member" && before.spec.membership.action === "None") return;
    this.#locked(site, `${name} → ${action}`);
    const others = this.#world
      .all()
      .filter(
        (node) =>
          node.metadata.name !== name && this.#truth.counts(site, node.spec.site) && this.#truth.isInTheMiddle(node),
      );
    const begins = action === "Join" || action === "Found" || action === "Leave";
    if (begins) this.#begins(site, after);
    if (action === "Join" || action === "Found") this.#joins.begins(site, before);
    if (begins && before.spec.membership.action !== action)
      this.#hold(others.length === 0, `${name} begins ${action} while ${others[0]?.metadata.name} is in the middle`);
    if (action === "Leave") this.#leaves(site, name);
  }

  #leaves(site: SimulatedSite, name: string): void {
    this.#leavingSinceMs.set(name, this.#world.nowMs);
    if (this.#truth.wanted(site).has(name)) this.#joins.leavesToBeRebuilt(site, name);
    if (!this.#truth.serves(name)) return;
    if (this.#truth.wanted(site).has(name)) this.#rolls.begins(site, name, `${name} leaves to be rebuilt`);
    this.#siteServesOn(site, name);
    this.#takeDown(site, name, "made to leave");
  }

  #versionChanges(site: SimulatedSite, before: KmsNode, after: KmsNode): void {
    const { name } = after.metadata;
    const [from, to] = [before.spec.version, after.spec.version];
    this.#locked(site, `version of ${name}`);
    const { upgrade, pause } = site.cluster.spec;
    const level = this.#level ?? from;
    this.#hold(pause !== "Orchestration", `${name} gets version ${to} although paused`);
    this.#hold(isOneStep(level, to) && compareVersions(to, level) >= 0, `${name} goes to ${to} at level ${level}`);
    const free = upgrade?.approval !== "Manual" || to === level || upgrade.requests?.approve !== undefined;
    this.#hold(free, `${name} goes to ${to} without approval`);
    this.#rolls.backedUp(site, before, to);
    if (!this.#mustServe(site, name)) return;
    this.#allAgree(site, `version of ${name}`);
    this.#rolls.begins(site, name, `${name} goes to ${to}`);
  }

  /** Whether an operator must know that the node serves: one that does not may always take something newer. */
  #mustServe(site: SimulatedSite, name: string): boolean {
    const isKnown = this.#truth.serves(name) && this.#recent.servedMs(name) > beliefMs;
    return isKnown && !this.#truth.isMistaken(site, name);
  }

  /** One that serves gets other settings that need a restart: as a step on the fleet, unless its pod has them already. */
  #settingsChange(site: SimulatedSite, after: KmsNode): void {
    const { name } = after.metadata;
    if (!this.#mustServe(site, name)) return;
    this.#rolls.usable(site, after);
    if (isMadeFrom(site, after)) return void this.did.set("takenBack", (this.did.get("takenBack") ?? 0) + 1);
    this.#locked(site, `settings of ${name}`);
    this.#hold(site.cluster.spec.pause !== "Orchestration", `${name} gets settings although paused`);
    this.#allAgree(site, `settings of ${name}`);
    this.#rolls.begins(site, name, `${name} gets settings`);
  }

  /** Nothing begins unless the sites that count are seen and want the same. */
  #allAgree(site: SimulatedSite, what: string): void {
    for (const other of this.#world.sites) {
      if (other === site || !this.#truth.counts(site, other.name) || !isNamed(site.cluster.spec, other.name)) continue;
      this.#hold(this.#recent.linked(site, other, beliefMs), `${what} although ${other.name} cannot be seen`);
      const same = textOf(other.cluster.spec) === textOf(site.cluster.spec);
      const agrees = same || this.#recent.edited(site, other, beliefMs);
      this.#hold(agrees, `${what} although ${site.name} and ${other.name} have different specifications`);
    }
  }

  /** What begins is not paused; what leaves, while it serves, leaves after what comes has joined. */
  #begins(site: SimulatedSite, { metadata, spec }: KmsNode): void {
    const { name } = metadata;
    this.#hold(site.cluster.spec.pause !== "Orchestration", `${name} begins ${spec.membership.action} although paused`);
    this.#allAgree(site, `${name} begins ${spec.membership.action}`);
    if (spec.membership.action !== "Leave" || !this.#truth.serves(name) || this.#truth.wanted(site).has(name)) return;
    const coming = [...this.#truth.wanted(site)].filter(
      (one) => this.#truth.counts(site, one.slice(0, 3)) && !this.#truth.belongs(one),
    );
    // One too many has to wait until somebody has left.
    const isFull = this.#world.all().filter(({ metadata }) => this.#truth.belongs(metadata.name)).length >= mostOfFleet;
    this.#hold(coming.length === 0 || isFull, `${name} leaves before ${coming} has joined`);
  }

  #standingChanges(site: SimulatedSite, { name, standing, incarnation, lastSequence }: Member): void {
    if (rankOf(standing) < rankOf("Fenced")) return;
    const known = this.#world
      .all()
      .some(({ spec }) =>
        spec.members.some(
          (one) => one.name === name && one.incarnation === incarnation && rankOf(one.standing) >= rankOf(standing),
        ),
      );
    if (known || (incarnation !== undefined && this.#ends.has(incarnation))) return;
    this.#locked(site, `${name} → ${standing}`);
    const mayGo = !this.#truth.wanted(site).has(name) || this.#everDropped.has(name) || this.#rebuilds(site);
    this.#hold(mayGo, `${name} became ${standing} although the specification always named it`);
    if (standing === "Fenced") this.#hasDrained(site, name);
    if (standing === "Fenced" && !this.#truth.counts(site, name.slice(0, 3))) {
      this.#givenUp.add(incarnation ?? "");
      this.#siteServesOn(site, name);
    }
    if (standing === "Departed" && incarnation !== undefined)
      this.#lifeEnds(site, name, { incarnation, end: lastSequence ?? 0 });
  }

  /** One that runs finishes what its clients began before its peers speak to it no more. */
  #hasDrained(site: SimulatedSite, name: string): void {
    const home = this.#truth.siteOf(name);
    const runs = home?.alive && this.#truth.volumeOf(name)?.running && home.objects.has(`Pod/${name}-0`);
    if (home === undefined || !runs || !this.#truth.counts(site, home.name) || this.#truth.clocksJumped()) return;
    const leavingMs = this.#world.nowMs - (this.#leavingSinceMs.get(name) ?? this.#world.nowMs);
    const isGivenUp = leavingMs >= drainPatienceMs;
    this.#hold(isGivenUp || this.#truth.drained(name), `${name} fenced before it has drained`);
  }

  /** Nobody that counts holds more of a life than what counts of it: no acknowledged write is cut off. */
  #lifeEnds(site: SimulatedSite, name: string, life: { readonly incarnation: string; readonly end: number }): void {
    this.#ends.set(life.incarnation, life.end);
    // From here on it is out because the document does not name it.
    if (!this.#truth.wanted(site).has(name)) this.#takenDown.delete(name);
    const home = this.#truth.siteOf(name);
    const own = this.#truth.volumeOf(name);
    // One that drained had its last word, unless it was given up before: all that it ever acknowledged counts.
    if (
      home !== undefined &&
      this.#truth.drained(name) &&
      own?.incarnation === life.incarnation &&
      !this.#givenUp.has(life.incarnation) &&
      this.#truth.counts(site, home.name)
    )
      this.#hold(
        (own.holds.get(life.incarnation) ?? 0) <= life.end,
        `${name} wrote more than ${life.end}, and drained`,
      );
    for (const { spec, metadata } of this.#world.all()) {
      if (metadata.name === name || spec.membership.action !== "Member" || !this.#truth.counts(site, spec.site))
        continue;
      if (!this.#truth.wanted(site).has(metadata.name)) continue;
      // It may have lost the event that told of it: the end rises later.
      if (this.#truth.isMistaken(site, metadata.name)) continue;
      const held = this.#truth.volumeOf(metadata.name)?.holds.get(life.incarnation) ?? 0;
      this.#hold(held <= life.end, `${metadata.name} holds ${held} of ${name}, cut at ${life.end}`);
    }
  }

  #levelRises(site: SimulatedSite, after: KmsNode): void {
    const level = after.spec.featureLevel;
    this.#locked(site, `level ${level}`);
    this.#rolls.soaked(site, "", `feature level ${level}`);
    for (const { metadata, spec } of this.#world.all()) {
      if (spec.membership.action !== "Member" || !this.#truth.counts(site, spec.site)) continue;
      if (!this.#truth.wanted(site).has(metadata.name)) continue;
      const home = this.#truth.siteOf(metadata.name);
      const runs = home === undefined ? undefined : runningVersion(home, metadata.name);
      const good = runs === undefined || compareVersions(runs, level) >= 0;
      this.#hold(good, `feature level ${level} while ${metadata.name} runs ${runs}`);
    }
  }

  #podGoes(site: SimulatedSite, name: string): void {
    if (!this.#truth.serves(name)) return;
    this.#locked(site, `restart of ${name}`);
    this.#allAgree(site, `restart of ${name}`);
    this.#takeDown(site, name, "restarted");
  }

  #nodeGoes(site: SimulatedSite, node: KmsNode): void {
    const { name } = node.metadata;
    this.#hold(!this.#truth.wanted(site).has(name), `${name} deleted although it is wanted`);
    if (node.spec.membership.action === "None") return;
    this.#hold(this.#truth.isListed(name, "Departed"), `${name} deleted although it belongs`);
    this.#takenDown.delete(name);
  }

  /** Never two at once, never the last of the fleet, never the last of a site while another wanted one could be mended. */
  #takeDown(site: SimulatedSite, name: string, how: string): void {
    const down = [...this.#takenDown.keys()].filter(
      (other) => other !== name && this.#truth.wanted(site).has(other) && this.#truth.counts(site, other.slice(0, 3)),
    );
    this.#hold(down.length === 0, `${name} ${how} while ${down} is down by the operator's hand`);
    const wanted = [...this.#truth.wanted(site)].filter((other) => other !== name && this.#truth.belongs(other));
    const needed = wanted.filter((other) => this.#truth.counts(site, other.slice(0, 3)));
    // One that the document dropped serves until it is out.
    const serves = ({ metadata, spec }: KmsNode) =>
      metadata.name !== name &&
      spec.membership.action === "Member" &&
      this.#truth.counts(site, spec.site) &&
      this.#truth.believed(metadata.name);
    this.#hold(this.#world.all().some(serves), `${name} ${how} as the last of the fleet`);
    const dark = needed.filter((other) => !this.#truth.believed(other) && !this.#truth.isHidden(site, other));
    this.#hold(dark.length === 0, `${name} ${how} while ${dark} does not serve`);
    this.#takenDown.set(name, how);
  }

  /** The last one of a site that serves stays while another, which the document wants there, can be mended. */
  #siteServesOn(site: SimulatedSite, name: string): void {
    const home = this.#truth.siteOf(name);
    if (home === undefined || !this.#mustServe(site, name) || !this.#recent.linkedSince(site, home, beliefMs)) return;
    const rest = [...this.#truth.wanted(site)].filter((one) => one !== name && one.startsWith(home.name));
    const serves =
      rest.length === 0 || rest.some((one) => this.#truth.believed(one) || this.#truth.isHidden(site, one));
    this.#hold(serves, `${name} leaves as the last of ${home.name} that serves, and ${rest} could be mended`);
  }

  /** A step on the fleet: only under the lock, only by a site that counts. */
  #locked(site: SimulatedSite, what: string): void {
    const word =
      what
        .split(" ")
        .find((one) => /^(Join|Found|Leave|Member|Fenced|Departed|level|version|settings|restart)$/.test(one)) ?? what;
    this.did.set(word, (this.did.get(word) ?? 0) + 1);
    const { spec } = site.cluster;
    const counting = spec.sites.filter((entry) => !spec.recovery?.lostSites?.includes(entry.name));
    const operator = this.#operatorOf(site);
    const mine = counting.filter(({ name }) => {
      const holder = this.#world.sites.find((one) => one.name === name)?.leases.holder("keyfleet-bank");
      return holder?.site === site.name && holder.instance === operator?.instance;
    });
    this.#hold(mine.length * 2 > counting.length, `${site.name} did "${what}" without the lock (${mine.length})`);
    this.#hold(this.#truth.counts(site, site.name), `${site.name}, which is named lost, did "${what}"`);
  }

  #listsOnlyGrow({ metadata, spec }: KmsNode): void {
    const listed = new Set(spec.members.map(({ name }) => name));
    for (const known of this.#memberLists.get(metadata.name) ?? [])
      this.#hold(listed.has(known), `${metadata.name} forgot ${known}`);
    const lasting = spec.members.filter(({ standing }) => standing === "Member" || isOut(standing));
    this.#memberLists.set(metadata.name, new Set(lasting.map(({ name }) => name)));
  }

  #notesDropped(names: readonly string[]): void {
    for (const site of this.#world.sites)
      for (const name of names) if (!this.#truth.wanted(site).has(name)) this.#everDropped.add(name);
  }

  /** Called at rest: what any member holds of a log that has ended all members hold, so nothing acknowledged is lost. */
  checkLogs(): void {
    const members = this.#world.all().flatMap(({ metadata, spec }) => {
      const volume = spec.membership.action === "Member" ? this.#truth.volumeOf(metadata.name) : undefined;
      return volume === undefined ? [] : [{ name: metadata.name, volume }];
    });
    for (const broken of missingOf(members)) this.#hold(false, broken);
    for (const { metadata, spec } of this.#world.all())
      for (const broken of beyondEnd(spec.members, members)) this.#hold(false, `${metadata.name} lists ${broken}`);
  }

  #rebuilds(site: SimulatedSite): boolean {
    return site.nodes.size > 0 && this.#world.story.some((line) => line.includes("rebuild"));
  }

  #operatorOf(site: SimulatedSite) {
    return this.#world.operators.find((one) => one.site === site);
  }

  #volumes() {
    return this.#world.sites.flatMap(({ volumes }) => [...volumes.values()]);
  }

  #hold(holds: boolean, what: string): void {
    assert.ok(holds, `${what}${holds ? "" : this.#world.describe()}`);
  }
}

function changesRestartFields(before: KmsNode, after: KmsNode): boolean {
  const part = ({ spec }: KmsNode) => JSON.stringify(restartFields.map((field) => spec.settings[field] ?? null));
  return Object.keys(before.spec.settings).length > 0 && part(before) !== part(after);
}
