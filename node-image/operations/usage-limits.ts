import type { Gathering } from "../cryptography/gather.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { checkChangeable, lastChange } from "../objects/attributes.ts";
import { usage } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json, ManagedObject } from "../objects/types.ts";
import {
  firstEntry,
  ledgerOf,
  retotal,
  type UsageLimits,
  usageLimitsOf,
  usageRow,
  usageValue,
  usedOf,
  visibleUsageLimits,
} from "../objects/usage-ledger.ts";
import type { ChangeAttributeResponse } from "./change-attributes.ts";
import { checkUse } from "./checked-key.ts";
import type { Context } from "./context.ts";
import { find } from "./find.ts";
import type { IdentifiedRequest, IdentifiedResponse } from "./lifecycle.ts";
import type { PartRequest } from "./streams.ts";

/** What one operation takes from a key's Usage Limits (KMIP 1.4, 3.21): the object once, and so many bytes. */
export interface Consumption {
  readonly bytes: number;
  /** Whether it is a later part of an operation in parts, whose object was counted with the first. */
  readonly continued?: boolean;
}

/** What a request takes that brings its data whole or in parts. */
export function consumption(
  request: PartRequest & { readonly data?: Buffer; readonly digestedData?: Buffer },
): Consumption {
  const bytes = (request.data ?? request.digestedData)?.length ?? 0;
  return { bytes, continued: request.correlationValue !== undefined };
}

/**
 * Takes from the Usage Limits of a key before anything that it protected is given out, durably; rejects with Refusal when
 * nothing is left. It is the last that can be refused, so that what is refused takes nothing. Objects without limits are not
 * counted.
 */
export async function consume(object: ManagedObject, taken: Consumption, context: Context): Promise<void> {
  context.usage.refuseChanged(object.id);
  const limits = usageLimitsOf(object);
  if (limits === undefined) return;
  const units = limits.usageLimitsUnit === usageUnit.byte ? taken.bytes : taken.continued === true ? 0 : 1;
  if (units > 0) await context.usage.take(object.id, units);
}

/** What one part of an operation in parts is done with. */
interface Part {
  readonly state: Gathering;
  readonly object: ManagedObject;
  readonly context: Context;
}

/** The same for one part; what was gathered of an operation that is refused so is wiped: nobody goes on with it. */
export async function consumePart(
  request: Parameters<typeof consumption>[0],
  { state, object, context }: Part,
): Promise<void> {
  try {
    await consume(object, consumption(request), context);
  } catch (error) {
    state.gathered?.forget();
    throw error;
  }
}

/** Usage Limits Unit (KMIP 1.4, 9.1.3.2.31). */
const usageUnit = { byte: 1, object: 2 } as const;

/** Bits of the usage mask that protect data. */
const protecting =
  usage.sign |
  usage.encrypt |
  usage.wrapKey |
  usage.macGenerate |
  usage.contentCommitment |
  usage.certificateSign |
  usage.crlSign |
  usage.generateCryptogram;

/** KMIP Get Usage Allocation (4.18). */
export interface UsageAllocationRequest extends IdentifiedRequest {
  readonly usageLimitsCount: number;
}

/** Takes units off the object's limits for the client, which uses the key by itself. */
export async function getUsageAllocation(
  request: UsageAllocationRequest,
  context: Context,
): Promise<IdentifiedResponse> {
  const object = await find(request.uniqueIdentifier, context);
  const mask = object.attributes.get("Cryptographic Usage Mask")?.[0];
  if (usageLimitsOf(object) === undefined) {
    throw new Refusal("IllegalOperation", "The object has no Usage Limits: it may be used without an allocation");
  }
  if (typeof mask !== "number" || (mask & protecting) === 0) {
    throw new Refusal("IllegalOperation", "The object protects nothing: only protecting uses are limited");
  }
  if (request.usageLimitsCount < 1) throw new Refusal("InvalidField", "Usage Limits Count must be 1 or more");
  checkUse(object, { usage: protecting, purpose: "protect" }, context);
  await context.usage.take(object.id, request.usageLimitsCount, "UsageLimitExceeded");
  return { uniqueIdentifier: object.id };
}

/** The attribute of a new object and the ledger row of the node that makes it. */
export function newUsageLimits(
  attributes: Readonly<Record<string, Json[]>>,
  context: Context,
  usedElsewhere = false,
): Record<string, Json[]> {
  const asked = attributes["Usage Limits"]?.[0] as unknown as AskedLimits | undefined;
  if (asked === undefined) return {};
  const { usageLimitsTotal: total, usageLimitsCount: left = total } = asked;
  if (usedElsewhere && left > total)
    throw new Refusal("InvalidField", "Usage Limits Count is larger than Usage Limits Total", "NumericRange");
  return newLimits(asked, context, usedElsewhere ? left : total);
}

/** As a client gives them; the count counts only for what was in use elsewhere (3.21). */
type AskedLimits = UsageLimits & { readonly usageLimitsCount?: number };

/** Add, Modify or Delete Attribute of Usage Limits: allowed until the first use (3.21). */
export async function changeUsageLimits(
  change: "add" | "modify" | "delete",
  object: ManagedObject,
  asked: AttributeInstance,
  context: Context,
): Promise<ChangeAttributeResponse> {
  const limits = usageLimitsOf(object);
  await context.usage.update(object.id, (latest) => ({
    ...changed(change, latest, asked, context),
    ...lastChange(context.now()),
  }));
  const value = change === "delete" && limits !== undefined ? visibleUsageLimits(object, limits) : unused(asked);
  return { uniqueIdentifier: object.id, attribute: { name: asked.name, value } };
}

/** Limits that were just set: all is left, whatever count the client gave (3.21). */
function unused({ value }: AttributeInstance): Json {
  const { usageLimitsTotal, usageLimitsUnit } = value as unknown as UsageLimits;
  return { usageLimitsTotal, usageLimitsCount: usageLimitsTotal, usageLimitsUnit };
}

function changed(
  change: "add" | "modify" | "delete",
  object: ManagedObject,
  asked: AttributeInstance,
  context: Context,
): Record<string, Json[] | null> {
  if (change !== "delete") checkChangeable(object, asked.name, context.now(), context.version);
  const wanted = asked.value as unknown as UsageLimits;
  const limits = usageLimitsOf(object);
  if (change === "add" && limits !== undefined) {
    throw new Refusal("IllegalOperation", 'Attribute "Usage Limits" exists already: use Modify Attribute');
  }
  if (change === "add") return newLimits(wanted, context);
  if (limits === undefined) throw new Refusal("ItemNotFound", 'The object has no attribute "Usage Limits"');
  const ledger = ledgerOf(object.attributes, limits.epoch);
  if (usedOf(ledger) > 0) {
    throw new Refusal("PermissionDenied", "The object has been used: its Usage Limits can no longer be changed");
  }
  if (change === "delete") return { "Usage Limits": null };
  if (wanted.usageLimitsUnit !== limits.usageLimitsUnit) {
    throw new Refusal("PermissionDenied", "The unit of Usage Limits cannot be changed: delete them and add others");
  }
  const own = context.store.holder;
  const entry = retotal(ledger, own, wanted.usageLimitsTotal);
  if (entry === undefined) {
    throw new Refusal(
      "PermissionDenied",
      "This node holds too few of the units to take so many away: ask the node that made the object",
    );
  }
  return {
    "Usage Limits": [{ ...limits, usageLimitsTotal: wanted.usageLimitsTotal }],
    [usageRow(limits.epoch, own)]: usageValue(entry),
  };
}

function newLimits(
  { usageLimitsTotal, usageLimitsUnit }: UsageLimits,
  context: Context,
  left = usageLimitsTotal,
): Record<string, Json[]> {
  const epoch = context.newId();
  return {
    "Usage Limits": [{ usageLimitsTotal, usageLimitsUnit, epoch }],
    [usageRow(epoch, context.store.holder)]: usageValue(firstEntry(usageLimitsTotal, left)),
  };
}
