import { randomBytes } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import type { Context } from "./context.ts";
import { callerStanding } from "./find.ts";

/** KMIP PKCS#11 (2.1, 6.1.34): one call of Cryptoki, made here for an application there. */
export interface Pkcs11Request {
  /** Place in CK_FUNCTION_LIST_3_0, from 1 on. */
  readonly pkcs11Function: number;
  readonly pkcs11Interface?: string;
  readonly correlation?: Buffer;
  readonly input?: Buffer;
}

/** The return code is a CKR_ value; a call that fails is still a KMIP success. */
export interface Pkcs11Response {
  readonly pkcs11Function: number;
  readonly correlation?: Buffer;
  readonly output?: Buffer;
  readonly returnCode: number;
}

const functions = { initialize: 1, finalize: 2, getInfo: 3 } as const;
const returnCode = { ok: 0, functionNotSupported: 0x54, notInitialized: 0x190 } as const;

/** Applications that one caller may have initialized; the oldest gives way. */
const perCallerMax = 16;
const callersMax = 1024;

/** Which correlation values were given to whom. They live in memory: after a restart an application initializes again. */
export class Pkcs11Applications {
  readonly #byCaller = new Map<string, Set<string>>();

  open(caller: string): Buffer {
    const own = this.#byCaller.get(caller) ?? new Set<string>();
    this.#byCaller.delete(caller);
    this.#byCaller.set(caller, own);
    const correlation = randomBytes(16);
    own.add(correlation.toString("hex"));
    for (const [oldest] of own.entries()) if (own.size > perCallerMax) own.delete(oldest);
    for (const oldest of this.#byCaller.keys()) if (this.#byCaller.size > callersMax) this.#byCaller.delete(oldest);
    return correlation;
  }

  has(caller: string, correlation: Buffer | undefined): boolean {
    return correlation !== undefined && this.#byCaller.get(caller)?.has(correlation.toString("hex")) === true;
  }

  close(caller: string, correlation: Buffer): void {
    this.#byCaller.get(caller)?.delete(correlation.toString("hex"));
  }
}

/** The calls that begin and end every application; keys are used by KMIP's own operations. */
export async function pkcs11(request: Pkcs11Request, context: Context): Promise<Pkcs11Response> {
  await callerStanding(context);
  const { pkcs11Function, correlation } = request;
  const { identity } = context.caller;
  if (request.pkcs11Interface !== undefined && request.pkcs11Interface !== "PKCS 11")
    throw new Refusal("InvalidField", 'The only PKCS#11 Interface here is "PKCS 11"', "PKCS11InvalidInterface");
  if (pkcs11Function === functions.initialize) {
    return { pkcs11Function, correlation: context.pkcs11.open(identity), returnCode: returnCode.ok };
  }
  if (correlation === undefined || !context.pkcs11.has(identity, correlation))
    return { pkcs11Function, returnCode: returnCode.notInitialized };
  if (pkcs11Function === functions.getInfo)
    return { pkcs11Function, output: information(context.server.vendor), returnCode: returnCode.ok };
  if (pkcs11Function !== functions.finalize) return { pkcs11Function, returnCode: returnCode.functionNotSupported };
  context.pkcs11.close(identity, correlation);
  return { pkcs11Function, returnCode: returnCode.ok };
}

/** CK_INFO as the profile encodes it: version of Cryptoki, manufacturer, flags, description, version of the library. */
function information(vendor: string): Buffer {
  const flags = Buffer.alloc(8);
  return Buffer.concat([Buffer.from([2, 40]), padded(vendor), flags, padded("keyfleet KMIP"), Buffer.from([1, 0])]);
}

function padded(text: string): Buffer {
  return Buffer.from(text.slice(0, 32).padEnd(32), "latin1");
}
