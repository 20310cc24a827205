import assert from "node:assert/strict";
import { scryptSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import pkcs11js from "pkcs11js";
import { readCustody } from "./custody.ts";
import type { Library } from "./library.ts";
import { limits } from "./limits.ts";
import { LoginKeeper } from "./login.ts";

const pin = () => Buffer.from("pin-1234");
const reason = (wanted: string) => (error: unknown) => (error as { reason?: string }).reason === wanted;

/** A token that answers logins as told and counts them. */
function place(context: TestContext) {
  const stateFolder = mkdtempSync(join(tmpdir(), "keyfleet-login-"));
  context.after(() => rmSync(stateFolder, { recursive: true }));
  const token = { flags: pkcs11js.CKF_TOKEN_INITIALIZED, label: "dc1", answer: 0, logins: 0 };
  const slot = Buffer.alloc(8);
  const library = {
    C_GetSlotList: () => [slot],
    C_GetTokenInfo: () => ({ label: token.label, serialNumber: "1", flags: token.flags }),
    C_Login() {
      token.logins += 1;
      if (token.answer < 0) throw new Error("killed in the middle");
      if (token.answer > 0)
        throw new pkcs11js.Pkcs11Error(`${nameOf(token.answer)}:${token.answer}`, token.answer, "C_Login");
    },
  } as unknown as Library;
  const at = () => ({
    library,
    session: slot,
    token: { slot, label: "dc1", serial: "1", flags: token.flags },
    choice: { library: "x", label: "dc1" },
    stateFolder,
  });
  return { token, at, stateFolder };
}

test("every refusal of a PIN is final for that PIN value, in this process and the next", (context) => {
  for (const code of ["INCORRECT", "INVALID", "LEN_RANGE", "EXPIRED", "LOCKED"] as const) {
    const { token, at } = place(context);
    token.answer = pkcs11js[`CKR_PIN_${code}`];
    const first = new LoginKeeper();
    for (const keeper of [first, first, new LoginKeeper(), new LoginKeeper()]) {
      assert.throws(() => keeper.login(at(), pin()), reason("PinRefused"), code);
    }
    assert.equal(token.logins, 1, code);
  }
});

test("going back to a PIN that was refused does not try it again", (context) => {
  const { token, at } = place(context);
  token.answer = pkcs11js.CKR_PIN_INCORRECT;
  const keeper = new LoginKeeper();
  for (const text of ["a-pin-1", "b-pin-2", "a-pin-1", "b-pin-2"]) {
    assert.throws(() => keeper.login(at(), Buffer.from(text)), reason("PinRefused"));
  }
  assert.equal(token.logins, 2);
});

test("a token that showed its lock is tried once more after a security officer lifted it", (context) => {
  const { token, at } = place(context);
  token.answer = pkcs11js.CKR_PIN_LOCKED;
  token.flags |= pkcs11js.CKF_USER_PIN_LOCKED;
  const keeper = new LoginKeeper();
  assert.throws(() => keeper.login(at(), pin()), /security officer/);
  assert.throws(() => keeper.login(at(), pin()), reason("PinRefused"));
  token.flags &= ~pkcs11js.CKF_USER_PIN_LOCKED;
  token.answer = 0;
  keeper.login(at(), pin());
  assert.equal(token.logins, 2);
});

test("a device that fails is no refusal: the same PIN is tried again", (context) => {
  const { token, at, stateFolder } = place(context);
  const keeper = new LoginKeeper();
  token.answer = pkcs11js.CKR_DEVICE_ERROR;
  assert.throws(() => keeper.login(at(), pin()));
  token.answer = 0;
  keeper.login(at(), pin());
  keeper.login(at(), pin());
  assert.equal(token.logins, 3);
  assert.equal(readCustody(stateFolder).unfinishedLogin, undefined);
});

test("a failure that may stand for a wrong PIN is not tried until the token locks, over restarts too", (context) => {
  const vendorDefined = 0x80000123;
  for (const code of [pkcs11js.CKR_GENERAL_ERROR, pkcs11js.CKR_FUNCTION_FAILED, vendorDefined]) {
    const { token, at } = place(context);
    token.answer = code;
    for (let time = 0; time < 30; time += 1) assert.throws(() => new LoginKeeper(() => 1e12).login(at(), pin()));
    assert.equal(token.logins, limits.unfinishedLogins, String(code));
    token.answer = 0;
    new LoginKeeper(() => 1e12 + limits.unfinishedLoginPauseMs).login(at(), pin());
  }
});

test("a refusal is remembered though the token is gone when it is asked for its lock", (context) => {
  const { token, at } = place(context);
  token.answer = pkcs11js.CKR_PIN_INCORRECT;
  token.label = "another";
  for (let time = 0; time < 5; time += 1) assert.throws(() => new LoginKeeper().login(at(), pin()));
  assert.equal(token.logins, 1);
});

test("the last try before the lock is left to people, but for the PIN that the token took last", (context) => {
  const { token, at } = place(context);
  const keeper = new LoginKeeper();
  keeper.login(at(), pin());
  token.flags |= pkcs11js.CKF_USER_PIN_FINAL_TRY;
  keeper.login(at(), pin());
  assert.throws(() => keeper.login(at(), Buffer.from("another-1")), /locks at the next wrong PIN, so none is tried/);
  assert.throws(() => new LoginKeeper().login(at(), pin()), reason("PinRefused"));
  assert.equal(token.logins, 2);
  token.flags &= ~pkcs11js.CKF_USER_PIN_FINAL_TRY;
  new LoginKeeper().login(at(), pin());
});

test("a token without a user PIN says so and takes the same PIN once it is set", (context) => {
  const { token, at } = place(context);
  const keeper = new LoginKeeper();
  token.answer = pkcs11js.CKR_USER_PIN_NOT_INITIALIZED;
  assert.throws(() => keeper.login(at(), pin()), /no user PIN yet/);
  token.answer = 0;
  keeper.login(at(), pin());
});

test("logins that never come back become rare instead of locking the token", (context) => {
  const { token, at, stateFolder } = place(context);
  let nowMs = 1_000_000_000_000;
  token.answer = -1;
  // A kill leaves the memory as it was before the call: the entry that was written first.
  const killed = () => {
    const before = readCustody(stateFolder);
    const snapshot = { text: "" };
    const kept = at();
    const library = { ...kept.library, C_Login: () => recordAndDie(stateFolder, snapshot) } as unknown as Library;
    assert.throws(() => new LoginKeeper(() => nowMs).login({ ...kept, library }, pin()));
    assert.equal(JSON.parse(snapshot.text).loginAttempts, before.loginAttempts + 1);
    restore(stateFolder, snapshot.text);
  };
  for (let time = 0; time < limits.unfinishedLogins; time += 1) killed();
  assert.throws(() => new LoginKeeper(() => nowMs).login(at(), pin()), reason("DeviceLost"));
  assert.equal(token.logins, 0);
  nowMs += limits.unfinishedLoginPauseMs;
  token.answer = 0;
  new LoginKeeper(() => nowMs).login(at(), pin());
  assert.equal(token.logins, 1);
});

test("a clock that was years ahead at logins that never came back keeps none away once it is right", (context) => {
  const { token, at, stateFolder } = place(context);
  const ahead = Date.UTC(2062, 0);
  new LoginKeeper(() => ahead).login(at(), pin());
  const { salt, ...custody } = readCustody(stateFolder);
  // What a kill in the middle of the third login leaves there.
  const fingerprint = scryptSync(pin(), Buffer.from(salt ?? "", "hex"), 32, { N: 2 ** 14, r: 8, p: 1 }).toString("hex");
  const unfinishedLogin = { fingerprint, times: limits.unfinishedLogins, atMs: ahead };
  restore(stateFolder, JSON.stringify({ ...custody, salt, unfinishedLogin }));
  assert.throws(() => new LoginKeeper(() => ahead).login(at(), pin()), reason("DeviceLost"));
  new LoginKeeper(() => Date.UTC(2026, 0)).login(at(), pin());
  assert.equal(token.logins, 2);
});

test("what rests on disk holds no PIN", (context) => {
  const { token, at, stateFolder } = place(context);
  token.answer = pkcs11js.CKR_PIN_INCORRECT;
  assert.throws(() => new LoginKeeper().login(at(), pin()));
  const text = readFileSync(join(stateFolder, "custody.json"), "utf8");
  for (const form of ["utf8", "hex", "base64"] as const) assert.equal(text.includes(pin().toString(form)), false, form);
});

function recordAndDie(folder: string, snapshot: { text: string }): never {
  snapshot.text = readFileSync(join(folder, "custody.json"), "utf8");
  throw new Error("killed in the middle");
}

function restore(folder: string, text: string): void {
  writeFileSync(join(folder, "custody.json"), text);
}

function nameOf(code: number): string {
  return (
    Object.entries(pkcs11js).find(([name, value]) => name.startsWith("CKR_") && value === code)?.[0] ??
    "CKR_GENERAL_ERROR"
  );
}
