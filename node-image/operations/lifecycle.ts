import { lastChange } from "../objects/attributes.ts";
import { objectType, revocationReasonCode, state } from "../objects/enumerations.ts";
import { factOf, seconds, stateOf, type Trigger, transitions } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json, ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { change } from "./find.ts";

/** A request that names an object and nothing else. */
export interface IdentifiedRequest {
  readonly uniqueIdentifier: string;
}

/** The object that was touched. */
export interface IdentifiedResponse {
  readonly uniqueIdentifier: string;
}

/** KMIP Revoke (4.20). */
export interface RevokeRequest extends IdentifiedRequest {
  readonly reason: { readonly code: number; readonly message?: string };
  /** Seconds since 1970. */
  readonly compromiseOccurrenceDate?: number;
}

/** Pre-Active → Active (4.19). */
export function activate(request: IdentifiedRequest, context: Context): Promise<IdentifiedResponse> {
  return change(request.uniqueIdentifier, context, async (object) => {
    if (object.objectType === objectType.opaqueObject || isTemplate(object)) {
      const text = "Opaque Objects and Templates have no lifecycle to activate";
      throw new Refusal("IllegalOperation", text, "InvalidObjectType");
    }
    return move(object, "activate", { "Activation Date": [seconds(context.now())] }, context);
  });
}

/** Far longer than any reason. */
const messageMaxLength = 4_096;

/** Active → Deactivated, or any → Compromised (4.20). */
export function revoke(request: RevokeRequest, context: Context): Promise<IdentifiedResponse> {
  const { reason, compromiseOccurrenceDate } = request;
  if ((reason.message?.length ?? 0) > messageMaxLength)
    throw new Refusal("InvalidField", `A Revocation Message has at most ${messageMaxLength} characters`);
  const { keyCompromise, caCompromise } = revocationReasonCode;
  const compromised = reason.code === keyCompromise || reason.code === caCompromise;
  const now = seconds(context.now());
  return change(request.uniqueIdentifier, context, async (object) => {
    // 4.20 lets Opaque Objects be revoked, and only Templates not.
    if (isTemplate(object)) {
      throw new Refusal("IllegalOperation", "A Template is not revoked: Destroy it", "InvalidObjectType");
    }
    const attributes = {
      "Revocation Reason": [reasonValue(reason)],
      ...(compromised ? compromiseDates(compromiseOccurrenceDate, now) : { "Deactivation Date": [now] }),
    };
    return move(object, compromised ? "compromise" : "deactivate", attributes, context);
  });
}

/** Forgets the key bytes for good; the attributes stay (4.21). */
export function destroy(request: IdentifiedRequest, context: Context): Promise<IdentifiedResponse> {
  return change(request.uniqueIdentifier, context, async (object) =>
    move(object, "destroy", { "Destroy Date": [seconds(context.now())] }, context),
  );
}

async function move(
  object: ManagedObject,
  trigger: Trigger,
  attributes: Readonly<Record<string, Json[]>>,
  context: Context,
): Promise<IdentifiedResponse> {
  const now = context.now();
  const current = stateOf(object, now);
  // What cannot be revoked must not have to be, before it is destroyed.
  const unrevoked = trigger === "destroy" && current === state.active && isTemplate(object);
  if (transitions[current][trigger] === undefined && !unrevoked) throw refused(trigger, current);
  await context.store.write([
    { kind: "change", id: object.id, facts: factOf[trigger], attributes: { ...attributes, ...lastChange(now) } },
  ]);
  context.cryptography.keys.drop(object.id);
  return { uniqueIdentifier: object.id };
}

function isTemplate({ objectType: type }: ManagedObject): boolean {
  return type === objectType.template;
}

const stateNames = Object.fromEntries(Object.entries(state).map(([name, value]) => [value, name]));

const advice: Readonly<Record<Trigger, string>> = {
  activate: "only a pre-active object can be activated",
  deactivate: "only an active object can be deactivated; give Key Compromise as the reason if it is compromised",
  compromise: "it is known as compromised already",
  destroy: "revoke an active object first; a destroyed one stays destroyed",
};

function refused(trigger: Trigger, current: number): Refusal {
  const code = trigger === "deactivate" || trigger === "compromise" ? "IllegalOperation" : "PermissionDenied";
  const gone = current === state.destroyed || current === state.destroyedCompromised;
  const finer = gone ? "ObjectDestroyed" : "WrongKeyLifecycleState";
  return new Refusal(code, `The object is in state ${stateNames[current]}: ${advice[trigger]}`, finer);
}

function reasonValue({ code, message }: RevokeRequest["reason"]): Json {
  return { revocationReasonCode: code, ...(message === undefined ? {} : { revocationMessage: message }) };
}

function compromiseDates(occurrence: number | undefined, now: number): Record<string, Json[]> {
  // 4.20: without an occurrence date the server takes the object's Initial Date or the present; the present claims least.
  return { "Compromise Date": [now], "Compromise Occurrence Date": [occurrence ?? now] };
}
