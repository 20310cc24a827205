import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { tag } from "../../node-image/kmip/tags.ts";
import type { Json } from "../../node-image/objects/types.ts";
import type { Fleet } from "../../node-image/testing/fleet.ts";
import { attributeItem, item } from "../../node-image/testing/items.ts";
import { type KmipClient, KmipFailure, operation } from "../../node-image/testing/kmip-client.ts";
import type { Random } from "../../node-image/testing/random-stream.ts";
import type { Call, Outcome, Recorder, Verb } from "./record.ts";

const thinkMs = [10, 60] as const;
const retryMs = 150;
const timeoutMs = 5_000;
const notFound = 0x01;
// Reasons that say: the node works, and the answer is no.
const refusals: readonly (number | undefined)[] = [notFound, 0x0b, 0x0c, 0x07];
// Most recent objects are used most, so that several clients meet at one object.
const recentObjects = 40;
const recentLimited = 2;
const noteName = "x-note";
/** So often a key is made with Usage Limits, of so many units: few enough that several nodes come to the last one. */
const limitedShare = 0.06;
const limitUnits = [1, 5] as const;
const getUsageAllocation = 0x11;
const unitOfObjects = 2;

/** Objects that any client has made. */
export class Objects {
  readonly all: string[] = [];
  /** Those with Usage Limits. */
  readonly limited: string[] = [];
  #notes = 0;

  pick(random: Random): string | undefined {
    if (this.all.length === 0) return undefined;
    if (random.chance(0.15)) return random.pick(this.all);
    return random.pick(this.all.slice(-recentObjects));
  }

  /** What a verb is tried on. */
  for(verb: Verb, random: Random): string | undefined {
    if (verb === "create") return "";
    if (verb !== "use") return this.pick(random);
    return this.limited.length === 0 ? undefined : random.pick(this.limited.slice(-recentLimited));
  }

  /** A note that nobody has written before. */
  newNote(): string {
    this.#notes += 1;
    return `n${this.#notes}`;
  }
}

const verbs: readonly Verb[] = [
  ...Array<Verb>(7).fill("create"),
  ...Array<Verb>(6).fill("get"),
  ...Array<Verb>(3).fill("state"),
  ...Array<Verb>(4).fill("writeNote"),
  ...Array<Verb>(4).fill("use"),
  "activate",
  "activate",
  "deactivate",
  "compromise",
  "destroy",
];

/** A client that stays with one node and does this and that until it is told to stop. */
export class HistoryClient {
  readonly #fleet: Fleet;
  readonly #recorder: Recorder;
  readonly #name: string;
  readonly #node: string;
  readonly #timeoutMs: number;
  #client: KmipClient | undefined;

  constructor(parts: { fleet: Fleet; recorder: Recorder; name: string; node: string; timeoutMs?: number }) {
    this.#timeoutMs = parts.timeoutMs ?? timeoutMs;
    this.#fleet = parts.fleet;
    this.#recorder = parts.recorder;
    this.#name = parts.name;
    this.#node = parts.node;
  }

  async run(objects: Objects, random: Random, going: () => boolean): Promise<void> {
    while (going()) {
      await this.#turn(objects, random);
      await pause(random.between(...thinkMs));
    }
    this.close();
  }

  /** One call, recorded. */
  async call(verb: Verb, object: string, more: Pick<Call, "note" | "units"> = {}): Promise<Call> {
    const sentMs = performance.now();
    const parts = {
      client: this.#name,
      node: this.#node,
      verb,
      object,
      sentMs,
      ...more,
    };
    const ended = await this.#attempt({ verb, object, ...more });
    const call: Call = { ...parts, ...ended, answeredMs: performance.now() };
    this.#recorder.calls.push(call);
    return call;
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  async #turn(objects: Objects, random: Random): Promise<void> {
    const verb = random.pick(verbs);
    const object = objects.for(verb, random);
    if (object === undefined) return;
    const call = await this.call(verb, object, {
      ...(verb === "writeNote" || verb === "create" ? { note: objects.newNote() } : {}),
      ...(verb === "create" && random.chance(limitedShare) ? { units: random.between(...limitUnits) } : {}),
    });
    if (verb === "create" && call.outcome === "ok") objects.all.push(call.object);
    if (call.units !== undefined && call.outcome === "ok") objects.limited.push(call.object);
    if (call.outcome === "unknown") await pause(retryMs);
  }

  async #attempt(asked: Asked): Promise<Pick<Call, "outcome"> & Partial<Call>> {
    try {
      this.#client ??= await this.#fleet.connect(this.#node, "app", this.#timeoutMs);
      return { outcome: "ok", ...(await perform(this.#client, asked)) };
    } catch (error) {
      return this.#failed(error as Error);
    }
  }

  #failed(error: Error): { readonly outcome: Outcome; readonly problem: string } {
    if (error instanceof KmipFailure) {
      if (error.reason === notFound) return { outcome: "refused", problem: "notFound" };
      return { outcome: refusals.includes(error.reason) ? "refused" : "unknown", problem: error.message };
    }
    this.close();
    return { outcome: "unknown", problem: error.message };
  }
}

type Asked = Pick<Call, "verb" | "object" | "note" | "units">;

async function perform(client: KmipClient, { verb, object, note = "", units }: Asked): Promise<Partial<Call>> {
  switch (verb) {
    case "create":
      return { object: await client.create({ [noteName]: ownText(note), ...limitOf(units) }) };
    case "get":
      return { key: digest(await client.get(object)) };
    case "state": {
      const read = await client.attributes(object, "State", noteName);
      return { state: Number(read.State), note: String((read[noteName] as { value?: Json } | undefined)?.value) };
    }
    case "writeNote":
      await client.call(
        operation.modifyAttribute,
        item.text(tag.UniqueIdentifier, object),
        attributeItem(noteName, ownText(note)),
      );
      return {};
    case "use":
      await client.call(
        getUsageAllocation,
        item.text(tag.UniqueIdentifier, object),
        item.longInteger(tag.UsageLimitsCount, 1n),
      );
      return {};
    case "activate":
      return client.activate(object).then(() => ({}));
    case "deactivate":
      return client.revoke(object, 1).then(() => ({}));
    case "compromise":
      return client.revoke(object, 2).then(() => ({}));
    case "destroy":
      return client.destroy(object).then(() => ({}));
  }
}

/** A key with a limit is active from the beginning: else it would hardly ever be used up. */
function limitOf(units: number | undefined): Readonly<Record<string, Json>> {
  if (units === undefined) return {};
  return { "Activation Date": 1, "Usage Limits": { usageLimitsTotal: units, usageLimitsUnit: unitOfObjects } };
}

/** A client's own attribute as the server keeps it: text. */
function ownText(value: string): Json {
  return { type: 7, value };
}

function digest(key: Buffer): string {
  const text = createHash("sha256").update(key).digest("hex").slice(0, 16);
  key.fill(0);
  return text;
}
