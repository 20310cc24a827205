import { Refusal } from "../objects/refusal.ts";
import type { Context } from "./context.ts";
import { callerStanding } from "./find.ts";
import { type Pkcs11Application, pkcs11Limits } from "./pkcs11-applications.ts";
import { inputNumbers, list, padded, size, ulong, unavailable, version } from "./pkcs11-wire.ts";

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

/** PKCS#11 3.0, CKR_ values. */
const returnCode = {
  ok: 0,
  slotIdInvalid: 0x03,
  argumentsBad: 0x07,
  functionNotSupported: 0x54,
  mechanismInvalid: 0x70,
  sessionCount: 0xb1,
  sessionHandleInvalid: 0xb3,
  parallelNotSupported: 0xb4,
  writeProtected: 0xe2,
  bufferTooSmall: 0x150,
  notInitialized: 0x190,
} as const;

const slot = 0n;
const slotFlags = { tokenPresent: 0x1 } as const;
const tokenFlags = { writeProtected: 0x2, initialized: 0x400 } as const;
const sessionFlags = { readWrite: 0x2n, serial: 0x4n } as const;
/** CKS_RO_PUBLIC_SESSION: who calls is known by KMIP, there is no PIN to log in with. */
const publicSession = 0;
/** The version of the encoding, which C_Initialize tells. */
const encodingVersion = 1n;
const lastFunction = 92;

type Answer = Pick<Pkcs11Response, "output" | "returnCode">;

/** A call of one who has initialized. */
interface Call {
  readonly numbers: readonly bigint[];
  readonly application: Pkcs11Application;
  readonly context: Context;
}

interface CryptokiFunction {
  /** Sizes of its input parameters. */
  readonly input: readonly number[];
  run(call: Call): Answer;
}

const initialize = 1;
const ofSlot = (run: (call: Call) => Answer, ...more: readonly number[]): CryptokiFunction => ({
  input: [size.ulong, ...more],
  run: (call) => (call.numbers[0] === slot ? run(call) : failed(returnCode.slotIdInvalid)),
});
const ofSession = (run: (handle: bigint, call: Call) => Answer): CryptokiFunction => ({
  input: [size.ulong],
  run: (call) => {
    const [handle = 0n] = call.numbers;
    return call.application.sessions.has(handle) ? run(handle, call) : failed(returnCode.sessionHandleInvalid);
  },
});

/** What is served besides C_Initialize, by place in CK_FUNCTION_LIST_3_0: keys are used by KMIP's own operations. */
const functions: Readonly<Record<number, CryptokiFunction>> = {
  // C_Finalize
  2: { input: [], run: finalize },
  // C_GetInfo
  3: { input: [], run: ({ context }) => ok(information(context.server.vendor)) },
  // C_GetSlotList: tokenPresent, pSlotList, *pulCount
  5: {
    input: [size.byte, size.byte, size.count],
    run: ({ numbers: [, isWanted, room] }) => listed([slot], isWanted, room),
  },
  // C_GetSlotInfo
  6: ofSlot(({ context }) => ok(slotInformation(context.server.vendor))),
  // C_GetTokenInfo
  7: ofSlot(({ application, context }) => ok(tokenInformation(context.server.vendor, application.sessions.size))),
  // C_GetMechanismList: pMechanismList, *pulCount
  8: ofSlot(({ numbers: [, isWanted, room] }) => listed([], isWanted, room), size.byte, size.count),
  // C_GetMechanismInfo
  9: ofSlot(() => failed(returnCode.mechanismInvalid), size.ulong),
  // C_OpenSession: flags; pApplication and Notify, which have no form, stay with the caller
  13: ofSlot(openSession, size.ulong),
  // C_CloseSession
  14: ofSession((handle, { application }) => {
    application.sessions.delete(handle);
    return ok();
  }),
  // C_CloseAllSessions
  15: ofSlot(({ application }) => {
    application.sessions.clear();
    return ok();
  }),
  // C_GetSessionInfo: slotID, state, flags, ulDeviceError
  16: ofSession(() => ok(Buffer.concat([slot, publicSession, sessionFlags.serial, 0].map(ulong)))),
};

/** Calls that tell about server and token and keep sessions. Rejects with Refusal what is no call. */
export async function pkcs11(request: Pkcs11Request, context: Context): Promise<Pkcs11Response> {
  await callerStanding(context);
  const { pkcs11Function, pkcs11Interface, correlation, input } = request;
  const { identity } = context.caller;
  if (pkcs11Interface !== undefined && pkcs11Interface !== "PKCS 11")
    throw new Refusal("InvalidField", 'The only PKCS#11 Interface here is "PKCS 11"', "PKCS11InvalidInterface");
  if (pkcs11Function < 1 || pkcs11Function > lastFunction)
    throw new Refusal("InvalidField", `PKCS#11 Function is 1 to ${lastFunction}`, "PKCS11InvalidFunction");
  if (pkcs11Function === initialize) {
    checkEncoding(input);
    return { pkcs11Function, correlation: context.pkcs11.open(identity).correlation, ...ok() };
  }
  const application = context.pkcs11.find(identity, correlation);
  if (application === undefined) return { pkcs11Function, ...failed(returnCode.notInitialized) };
  const row = functions[pkcs11Function];
  if (row === undefined) return { pkcs11Function, ...failed(returnCode.functionNotSupported) };
  return { pkcs11Function, ...row.run({ numbers: inputNumbers(input, row.input), application, context }) };
}

/** Those who tell no version mean the only one that there is. */
function checkEncoding(input: Buffer | undefined): void {
  if (input === undefined || inputNumbers(input, [size.byte])[0] === encodingVersion) return;
  throw new Refusal("InvalidField", "C_Initialize asks for version 1 of the encoding", "PKCS11CodecError");
}

function finalize({ application, context }: Call): Answer {
  context.pkcs11.close(context.caller.identity, application);
  return ok();
}

function openSession({ numbers: [, flags = 0n], application, context }: Call): Answer {
  if ((flags & sessionFlags.serial) === 0n) return failed(returnCode.parallelNotSupported);
  if ((flags & sessionFlags.readWrite) !== 0n) return failed(returnCode.writeProtected);
  if (flags !== sessionFlags.serial) return failed(returnCode.argumentsBad);
  const handle = context.pkcs11.openSession(context.caller.identity, application);
  return handle === undefined ? failed(returnCode.sessionCount) : ok(ulong(handle));
}

/** PKCS#11 3.0, 5.2: the count alone if that is asked for, or if the items have no room. */
function listed(items: readonly bigint[], isWanted = 0n, room = 0n): Answer {
  const fits = room >= BigInt(items.length);
  const output = list(items, isWanted !== 0n && fits);
  return { output, returnCode: isWanted === 0n || fits ? returnCode.ok : returnCode.bufferTooSmall };
}

function ok(output?: Buffer): Answer {
  return { ...(output === undefined ? {} : { output }), returnCode: returnCode.ok };
}

function failed(code: number): Answer {
  return { returnCode: code };
}

/** CK_INFO: version of Cryptoki, manufacturer, flags, description, version of the library. */
function information(vendor: string): Buffer {
  return Buffer.concat([version(2, 40), padded(vendor, 32), ulong(0), padded("keyfleet KMIP", 32), version(1, 0)]);
}

/** CK_SLOT_INFO: description, manufacturer, flags, versions of hardware and firmware. */
function slotInformation(vendor: string): Buffer {
  const versions = [version(1, 0), version(1, 0)];
  return Buffer.concat([padded("KMIP", 64), padded(vendor, 32), ulong(slotFlags.tokenPresent), ...versions]);
}

/** CK_TOKEN_INFO: label, manufacturer, model, serial number, flags, sessions, PIN, memory, versions, time (it has no clock). */
function tokenInformation(vendor: string, sessions: number): Buffer {
  const [rwSessions, pinLengths] = [
    [unavailable, 0],
    [0, 0],
  ];
  const memory = [unavailable, unavailable, unavailable, unavailable];
  return Buffer.concat([
    ...[padded("keyfleet", 32), padded(vendor, 32), padded("KMIP", 16), padded("1", 16)],
    ulong(tokenFlags.writeProtected | tokenFlags.initialized),
    ...[pkcs11Limits.sessions, sessions, ...rwSessions, ...pinLengths, ...memory].map(ulong),
    ...[version(1, 0), version(1, 0), padded("", 16)],
  ]);
}
