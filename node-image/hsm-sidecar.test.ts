import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { acceptHandover, wrapForJoiner } from "./keys/handover.ts";
import { exportRows, foundKeyring, loadKeyring } from "./keys/keyring.ts";
import { type SoftHsmOptions, startSoftHsm } from "./testing/softhsm.ts";

const secret = Buffer.from("a master key of thirty-two bytes");
const aad = Buffer.from("cluster | 1");
/** Return values of PKCS#11 v2.40, section 5.1. */
const ckr = { deviceMemory: 0x31, deviceRemoved: 0x32, sessionHandleInvalid: 0xb3, userNotLoggedIn: 0x101 } as const;
/** What the faulty library of testing/faulty-pkcs11.c never comes back from. */
const hangs = 0xffffffff;
const code = (wanted: string) => (error: unknown) => (error as { code?: string }).code === wanted;
const pem = (der: Buffer) =>
  createPublicKey({ key: der, format: "der", type: "spki" }).export({ type: "spki", format: "pem" }).toString();

function softHsm(context: TestContext, options: SoftHsmOptions = {}) {
  const fixture = startSoftHsm(options);
  context.after(() => fixture.close());
  return fixture;
}

// Most of the time is spent waiting for the sidecar's next look at the token, so they wait together.
describe("the HSM sidecar", { concurrency: true }, () => {
  describe("a sidecar's life", { concurrency: 3 }, () => {
    test("a new node gets a token and a key, and opens both again after a restart", async (context) => {
      const sidecar = softHsm(context);
      const before = await sidecar.reached("Ready");
      assert.equal(statSync(sidecar.socketPath).mode & 0o777, 0o600);
      assert.equal(statSync(dirname(sidecar.socketPath)).mode & 0o777, 0o700);
      const blob = await sidecar.hsm.seal(secret, aad);
      assert.equal(blob.includes(secret), false);
      await sidecar.stop();
      sidecar.start();
      assert.deepEqual(await sidecar.reached("Ready"), before);
      assert.deepEqual(await sidecar.hsm.unseal(blob, aad), secret);
      assert.equal(sidecar.custody().loginAttempts, 2);
    });

    test("the keys of a departed node are destroyed for good, once, and what they sealed cannot be opened", async (context) => {
      const sidecar = softHsm(context);
      await sidecar.reached("Ready");
      await sidecar.hsm.makeJoinKey();
      const blob = await sidecar.hsm.seal(secret, aad);
      await sidecar.stop();
      assert.equal(await sidecar.erase(), 0);
      assert.match(sidecar.output(), /"message":"erased","objects":3,/);
      assert.equal(sidecar.custody().wrappingKey, undefined);
      assert.equal(await sidecar.erase(), 0, "a second time there is nothing to do");
      assert.match(sidecar.output(), /"message":"erased","objects":0,/);
      sidecar.start();
      await sidecar.reached("Ready");
      await assert.rejects(sidecar.hsm.unseal(blob, aad), /sealed by key .*; this node has key/);
    });

    test("nodes that share a token never share a key, so that none loses its own when another departs", async (context) => {
      const first = softHsm(context);
      await first.reached("Ready");
      const second = softHsm(context, { node: "bank/dc1-b", tokenOf: first, initialise: false });
      assert.match(
        (await second.reached("KeyMissing")).message,
        /^the key 'keyfleet' in token 'dc1' was made by the node 'bank\/dc1-a'; each node needs a key of its own: take keyLabel out/,
      );
      await second.stop();
      second.start("keyfleet-b");
      await second.reached("Ready");
      const blob = await second.hsm.seal(secret, aad);
      await first.stop();
      assert.equal(await first.erase(), 0);
      assert.deepEqual(await second.hsm.unseal(blob, aad), secret);
    });

    test("a node whose volume is gone finds the key that it made, and not the one that another made", async (context) => {
      const sidecar = softHsm(context);
      const { keyCheckValue } = await sidecar.reached("Ready");
      await sidecar.stop();
      rmSync(join(sidecar.folder, "state/custody.json"));
      sidecar.start();
      assert.equal((await sidecar.reached("Ready")).keyCheckValue, keyCheckValue);
    });

    test("a key that was made by hand is taken, and never destroyed: others may have taken it too", async (context) => {
      const sidecar = softHsm(context, { node: "" });
      const { keyCheckValue } = await sidecar.reached("Ready");
      const other = softHsm(context, { tokenOf: sidecar, initialise: false });
      assert.equal((await other.reached("Ready")).keyCheckValue, keyCheckValue);
      await other.stop();
      assert.notEqual(await other.erase(), 0);
      assert.match(other.output(), /was not made by this node, so others may need it; nothing was destroyed/);
      assert.equal((await sidecar.reached("Ready")).keyCheckValue, keyCheckValue);
    });

    test("what cannot be destroyed is told, and another node's key of that label is left alone", async (context) => {
      const sidecar = softHsm(context);
      await sidecar.reached("Ready");
      await sidecar.stop();
      const { wrappingKey } = sidecar.custody();
      sidecar.setPin("wrong-pin-0000");
      assert.notEqual(await sidecar.erase(), 0);
      assert.match(sidecar.output(), /cannot start.*CKR_PIN_INCORRECT/);
      sidecar.setPin("hsm-test-pin-1234");
      const custody = join(sidecar.folder, "state/custody.json");
      const changed = { ...sidecar.custody(), wrappingKey: { ...wrappingKey, checkValue: "000000" } };
      writeFileSync(custody, JSON.stringify(changed));
      assert.notEqual(await sidecar.erase(), 0);
      assert.match(sidecar.output(), /not the one that this node had; nothing was destroyed/);
      writeFileSync(custody, JSON.stringify({ ...changed, wrappingKey }));
      sidecar.start();
      assert.equal((await sidecar.reached("Ready")).keyCheckValue, wrappingKey?.checkValue);
    });

    test("a wrong PIN is tried once, over restarts too, and the right one mends it", async (context) => {
      const sidecar = softHsm(context, { pin: "wrong-pin-0000", initialise: false, started: false });
      sidecar.addToken("dc1", "right-pin-1234");
      sidecar.start();
      const refused = await sidecar.reached("PinRefused");
      assert.match(refused.message, /CKR_PIN_INCORRECT.*settings\.hsm\.pinSecretRef/);
      await sidecar.stop("SIGKILL");
      sidecar.start();
      await sidecar.reached("PinRefused");
      await assert.rejects(sidecar.hsm.seal(secret, aad), code("unavailable"));
      assert.equal(sidecar.custody().loginAttempts, 1);
      sidecar.setPin("right-pin-1234");
      await sidecar.reached("Ready");
      assert.equal(sidecar.custody().loginAttempts, 2);
      for (const pin of ["wrong-pin-0000", "right-pin-1234"]) assert.equal(sidecar.output().includes(pin), false);
    });

    test("a missing token and a missing PIN are named, and mending them is enough", async (context) => {
      const sidecar = softHsm(context, { pin: "", initialise: false, started: false });
      sidecar.addToken("other", "right-pin-1234");
      sidecar.start();
      const missing = await sidecar.reached("TokenNotFound");
      assert.match(
        missing.message,
        /^token 'dc1' not found in .*libsofthsm2\.so; tokens present: 'other' \(serial \w+\); check settings\.hsm\.token$/,
      );
      sidecar.addToken("dc1", "right-pin-1234");
      assert.match((await sidecar.reached("PinMissing")).message, /Secret/);
      sidecar.setPin("right-pin-1234");
      await sidecar.reached("Ready");
    });

    test("a library that is not there is a status, not a crash", async (context) => {
      const sidecar = softHsm(context, { library: "/nowhere/libCryptoki2_64.so" });
      assert.match(
        (await sidecar.reached("LibraryMissing")).message,
        /\/nowhere\/libCryptoki2_64\.so.*settings\.hsm\.library/,
      );
      await assert.rejects(sidecar.hsm.random(8), code("unavailable"));
    });

    test("a node whose token is gone is not given another one", async (context) => {
      const sidecar = softHsm(context);
      await sidecar.reached("Ready");
      await sidecar.stop();
      rmSync(join(sidecar.folder, "state", "tokens"), { recursive: true });
      sidecar.start();
      assert.match((await sidecar.reached("TokenNotFound")).message, /not made anew/);
      sidecar.addToken("dc1", "hsm-test-pin-1234");
      assert.match((await sidecar.reached("KeyMissing")).message, /a new one is never made/);
    });

    test("a node whose key label was changed is told its own, while the token holds that key", async (context) => {
      const sidecar = softHsm(context);
      await sidecar.reached("Ready");
      await sidecar.stop();
      sidecar.start("nobody");
      assert.equal(
        (await sidecar.reached("KeyMissing")).message,
        "token 'dc1' holds no key 'nobody'; this node's key is 'keyfleet', and it is there: check settings.hsm.keyLabel",
      );
      await sidecar.stop();
      sidecar.start();
      await sidecar.reached("Ready");
    });

    test("a node whose token is gone and whose key label was changed is told of the key that it had", async (context) => {
      const sidecar = softHsm(context);
      await sidecar.reached("Ready");
      await sidecar.stop();
      rmSync(join(sidecar.folder, "state", "tokens"), { recursive: true });
      sidecar.addToken("dc1", "hsm-test-pin-1234");
      sidecar.start("nobody");
      assert.match((await sidecar.reached("KeyMissing")).message, /no longer holds the wrapping key 'keyfleet'/);
    });

    test("a token that is full is no lost one: what to do is said, and room is enough", async (context) => {
      const sidecar = softHsm(context, { faulty: true, started: false });
      sidecar.fail(ckr.deviceMemory, 1_000, "key");
      sidecar.start();
      assert.match(
        (await sidecar.reached("KeyMissing")).message,
        /^token 'dc1' makes no key 'keyfleet' \(CKR_DEVICE_MEMORY\): give it room/,
      );
      sidecar.fail(0, 0, "key");
      await sidecar.reached("Ready");
    });

    test("a killed sidecar is unavailable at once and back after its restart", async (context) => {
      const sidecar = softHsm(context);
      await sidecar.reached("Ready");
      const blob = await sidecar.hsm.seal(secret, aad);
      await sidecar.stop("SIGKILL");
      await assert.rejects(sidecar.hsm.unseal(blob, aad), code("unavailable"));
      sidecar.start();
      await sidecar.reached("Ready");
      assert.deepEqual(await sidecar.hsm.unseal(blob, aad), secret);
    });

    test("the PIN is in nothing that the sidecar writes", async (context) => {
      const sidecar = softHsm(context, { pin: "very-secret-pin-77" });
      const status = await sidecar.reached("Ready");
      await sidecar.hsm.unseal(Buffer.from("garbage"), aad).catch(() => undefined);
      const written = [JSON.stringify(status), sidecar.output(), JSON.stringify(sidecar.custody())];
      for (const text of written) assert.equal(text.includes("very-secret-pin-77"), false);
    });

    test("wrong flags are refused with words, and --help says what there is", () => {
      const entry = fileURLToPath(new URL("./hsm-sidecar.ts", import.meta.url));
      const run = (...flags: string[]) => spawnSync(process.execPath, [entry, ...flags], { encoding: "utf8" });
      assert.match(run("--help").stdout, /--soft-token-initialise/);
      const refused = run("--library", "/x");
      assert.equal(refused.status, 64);
      assert.match(refused.stdout, /--token-label or --token-serial is needed/);
      assert.equal(existsSync("/x"), false);
    });
  });

  describe("an open token", { concurrency: 1 }, () => {
    const sidecar = startSoftHsm();
    const other = startSoftHsm({ tokenLabel: "dc2" });
    before(() => Promise.all([sidecar.reached("Ready"), other.reached("Ready")]));
    after(() => Promise.all([sidecar.close(), other.close()]));

    test("a blob opens only whole, in its context and by its key", async () => {
      const blob = await sidecar.hsm.seal(secret, aad);
      for (let at = 0; at < blob.length; at += 1) {
        const changed = Buffer.from(blob);
        changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
        await assert.rejects(
          sidecar.hsm.unseal(changed, aad),
          (error) => code("tampered")(error) || code("refused")(error),
          `byte ${at}`,
        );
      }
      await assert.rejects(sidecar.hsm.unseal(blob, Buffer.from("cluster | 2")), code("tampered"));
      await assert.rejects(sidecar.hsm.unseal(Buffer.alloc(0), aad), code("tampered"));
      await assert.rejects(other.hsm.unseal(blob, aad), code("refused"));
      assert.equal((await sidecar.hsm.status()).ready, true);
    });

    test("a master key goes from one token to another and nowhere else", async () => {
      const [sponsor, joiner] = [sidecar, other];
      const founded = await foundKeyring(sponsor.hsm, "cluster");
      const blob = founded.seal(secret, aad);
      const joinKey = await joiner.hsm.makeJoinKey();
      assert.deepEqual(await joiner.hsm.makeJoinKey(), joinKey);
      await sponsor.hsm.makeJoinKey();
      const handover = wrapForJoiner(founded, pem(joinKey), "cluster", "dc2-a");
      const joined = await acceptHandover(joiner.hsm, handover, "cluster", "dc2-a");
      const reopened = await loadKeyring(joiner.hsm, "cluster", exportRows(joined));
      assert.deepEqual(reopened.unseal(blob, aad), secret);
      await assert.rejects(acceptHandover(sponsor.hsm, handover, "cluster", "dc2-a"), code("tampered"));
      await assert.rejects(loadKeyring(joiner.hsm, "cluster", exportRows(founded)), code("refused"));
    });

    test("many requests at once are answered each with its own", async () => {
      const texts = Array.from({ length: 16 }, (_, index) => Buffer.from(`key ${index}`));
      const blobs = await Promise.all(texts.map((text) => sidecar.hsm.seal(text, aad)));
      assert.deepEqual(await Promise.all(blobs.map((blob) => sidecar.hsm.unseal(blob, aad))), texts);
      assert.notDeepEqual(await sidecar.hsm.random(32), await sidecar.hsm.random(32));
      await assert.rejects(sidecar.hsm.seal(Buffer.alloc(70_000), aad), code("refused"));
      await assert.rejects(sidecar.hsm.random(1_000_000), code("refused"));
    });

    test("bytes that are not the protocol end that connection and harm no other", async () => {
      for (const garbage of ["ffffffff0000000101", "00000001", Buffer.from("GET / HTTP/1.1\r\n\r\n").toString("hex")]) {
        const socket = connect(sidecar.socketPath);
        const ended = new Promise((resolve) => socket.once("close", resolve));
        socket.on("error", () => undefined);
        socket.write(Buffer.from(garbage, "hex"));
        await ended;
      }
      assert.equal((await sidecar.hsm.random(8)).length, 8);
    });
  });

  describe("a token that fails", { concurrency: 1 }, () => {
    const sidecar = startSoftHsm({ faulty: true });
    before(() => sidecar.reached("Ready"));
    after(() => sidecar.close());
    const sealsAndOpens = async () =>
      assert.deepEqual(await sidecar.hsm.unseal(await sidecar.hsm.seal(secret, aad), aad), secret);

    test("a lost session is opened again without anybody noticing", async () => {
      sidecar.fail(ckr.sessionHandleInvalid, 1);
      await sealsAndOpens();
      assert.equal(sidecar.custody().loginAttempts, 1);
    });

    test("a lost login is made again, once, within the request", async () => {
      sidecar.fail(ckr.userNotLoggedIn, 1);
      await sealsAndOpens();
      assert.equal(sidecar.custody().loginAttempts, 2);
    });

    test("a device lost under sixteen requests is opened once, and all are answered", async () => {
      sidecar.fail(ckr.deviceRemoved, 1);
      await Promise.all(Array.from({ length: 16 }, sealsAndOpens));
      assert.equal(sidecar.custody().loginAttempts, 3);
    });

    test("a token that is full makes no key pair, and is not opened anew for that: what is sealed stays open", async () => {
      const { loginAttempts } = sidecar.custody();
      sidecar.fail(ckr.deviceMemory, 2, "pair");
      const refused = sidecar.hsm.makeJoinKey();
      await assert.rejects(refused, {
        code: "refused",
        message: /'keyfleet-join' \(CKR_DEVICE_MEMORY\): give it room/,
      });
      await sealsAndOpens();
      assert.equal(sidecar.custody().loginAttempts, loginAttempts);
      sidecar.fail(0, 0, "pair");
      assert.match(pem(await sidecar.hsm.makeJoinKey()), /BEGIN PUBLIC KEY/);
    });

    test("a device that stays away makes the root of trust unavailable until it is back", async () => {
      sidecar.fail(ckr.deviceRemoved, 3);
      await assert.rejects(sidecar.hsm.seal(secret, aad), code("unavailable"));
      assert.match((await sidecar.reached("DeviceLost")).message, /CKR_DEVICE_REMOVED.*check the device/);
      await sidecar.reached("Ready");
      await sealsAndOpens();
    });

    test("a sidecar ends when it is told to, though a thread of it hangs in the library", async () => {
      sidecar.fail(hangs, 1);
      const hanging = assert.rejects(sidecar.hsm.seal(secret, aad), code("unavailable"));
      await sidecar.faultTaken();
      await sidecar.stop();
      await hanging;
      assert.match(sidecar.output(), /"message":"hopeless","detail":"SIGTERM, but a thread hangs/);
    });
  });
});
