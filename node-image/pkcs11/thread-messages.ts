import type { HsmStatus } from "../hsm/types.ts";
import type { OperationName, RefusalCode } from "../hsm-wire/messages.ts";

/** What every thread of the sidecar must know; given once, when it starts. */
export interface CustodySettings {
  readonly library: string;
  readonly tokenLabel?: string;
  readonly tokenSerial?: string;
  readonly keyLabel: string;
  /** Cluster and name of this node; the keys that it makes carry it, so that none that shares the token takes them for its own. */
  readonly node: string;
  readonly pinFile: string;
  readonly stateFolder: string;
  /** Make a SoftHSM token of that label when there is none. */
  readonly softTokenInitialise: boolean;
}

/** Orders to the thread that keeps the login (`open`, `probe`) or to one that works (`attach`), and the requests themselves. */
export type ThreadCommand = "open" | "probe" | "attach" | Exclude<OperationName, "status">;

/** One order; `payload` is moved to the thread, not copied. */
export interface ThreadOrder {
  readonly command: ThreadCommand;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** For `attach`: what `open` found. */
  readonly keyCheckValue?: string;
}

/** One answer; a thread answers every order once. */
export type ThreadAnswer =
  | { readonly kind: "done"; readonly payload: Uint8Array<ArrayBuffer> }
  | { readonly kind: "status"; readonly status: HsmStatus }
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly message: string }
  /** The token must be opened anew; the request's payload comes back so that it can be asked again. */
  | { readonly kind: "lost"; readonly cause: string; readonly payload: Uint8Array<ArrayBuffer> };
