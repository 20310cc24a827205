import type { Action } from "../ports/types.ts";
import type { Blocked, Plan } from "./types.ts";

/** The plan with what the API server (or the CA) refused before its closed gates, which may only follow from that. */
export function failures(plan: Plan, failed: readonly { readonly action: Action; readonly message: string }[]): Plan {
  const blocked = failed.map(({ action, message }): Blocked => {
    return {
      gate: "apiAccepts",
      subject: subjectOf(action),
      message: `${action.because}, but: ${message}`,
      remedy: remedyOf(message),
    };
  });
  return { ...plan, blocked: [...blocked, ...plan.blocked] };
}

/** The node whose object it is, so that other sites tell it as theirs; what belongs to none is named itself. */
function subjectOf(action: Action): string {
  if (action.kind === "signCertificate") return action.node;
  if (action.kind === "makeSiteCa") return `Secret/${action.secret}`;
  if (!("object" in action)) return action.kind;
  const { kind, metadata } = action.object;
  return metadata.labels?.["keyfleet.io/node"] ?? `${kind}/${metadata.name}`;
}

function remedyOf(message: string): string {
  if (/can be resized/.test(message)) return "use a storage class with allowVolumeExpansion, or set storage.size back";
  if (/without the labels/.test(message))
    return "if it is the CA of this site, label it: kubectl label secret, with what the message names; else delete it";
  if (/CA of the site/.test(message))
    return "put the Secret of the CA back as it was; only if nobody has it, delete it and do what the gate certificateIssued of the site says then";
  if (/certificate request/.test(message)) return "make the request anew on the node's machine, and bring that one";
  if (/not in the valid range/.test(message))
    return "with exposure NodePort the ports of interfaces lie in the range that the message names; correct or remove interfaces.*.port";
  if (/port is already allocated/.test(message))
    return "another Service has that port; give interfaces.*.port another one, or remove it";
  if (/webhook/.test(message))
    return "see that this webhook answers and lets the operator through: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations";
  if (/forbidden/i.test(message)) return "give the operator the right or the quota, then it tries again by itself";
  if (/invalid/i.test(message)) return "correct the field of the specification that the message names";
  return "see the log of the operator; it tries again by itself";
}
