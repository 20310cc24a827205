import type { Caller } from "../access/identity.ts";
import type { Keyring } from "../keys/types.ts";
import type { Store } from "../objects/types.ts";
import type { Cryptography } from "./cryptography.ts";
import type { Delegation } from "./delegation.ts";
import type { PolicyReader } from "./fleet-policy.ts";
import type { KeptBytes } from "./kept-bytes.ts";
import type { PendingWorks } from "./pending.ts";
import type { Pkcs11Applications } from "./pkcs11-applications.ts";
import type { Serial } from "./serial.ts";
import type { ServedObjects } from "./served-objects.ts";
import type { Turns } from "./turns.ts";
import type { UsageCounter } from "./usage-keeper.ts";
import type { KeyValueCodec } from "./wrapping.ts";

/** All that an operation may use besides its request. */
export interface Context {
  readonly caller: Caller;
  /** KMIP name of the operation in work ("Get Attributes"): the right that its objects are asked for. */
  readonly operation: string;
  /** Present if the caller acts for another by a ticket: only with that one's own objects, and within these rights. */
  readonly delegation?: Delegation;
  /** Certificate subjects that the fleet's document names as its first administrators. */
  firstAdministrators(): readonly string[];
  /** Protocol version as major × 10 + minor; an answer holds nothing newer. */
  readonly version: number;
  readonly store: Store;
  readonly keyring: Keyring;
  now(): Date;
  /** A fresh UUID. */
  newId(): string;
  /** Serialises the writes of one object within this process. */
  readonly serial: Serial;
  /** Counts uses against Usage Limits. */
  readonly usage: UsageCounter;
  /** Searches among many objects take their turns. */
  readonly searches: Turns;
  /** Objects that are no longer fresh. */
  readonly served: ServedObjects;
  readonly server: ServerInformation;
  /** What cryptographic operations keep between requests. */
  readonly cryptography: Cryptography;
  /** Applications that call PKCS#11 through KMIP. */
  readonly pkcs11: Pkcs11Applications;
  readonly keyValues: KeyValueCodec;
  /** Defaults and constraints that hold for new objects. */
  readonly policy: PolicyReader;
  /** Bytes of what is staged. */
  readonly staged: KeptBytes;
  /** Operations whose results are fetched later. */
  readonly pending: PendingWorks;
  /** Runs work once all that the operation wrote is true: at once, or with its batch, or never. */
  whenTrue(work: () => void): void;
  log(fields: Readonly<Record<string, string | number | boolean>>): void;
}

/** What Query and Discover Versions tell about the server. */
export interface ServerInformation {
  readonly vendor: string;
  /** Protocol versions, best first. */
  readonly versions: readonly number[];
  /** KMIP enumeration values of the operations served, with the version each came with. */
  readonly operations: readonly { readonly operation: number; readonly since: number }[];
}
