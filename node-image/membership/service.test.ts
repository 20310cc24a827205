import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import type { KmsNodeSpec } from "@keyfleet/crds/kms-node.ts";
import { readSettings, type Settings } from "../config/settings.ts";
import { type TestAuthority, testAuthority } from "../testing/certificates.ts";
import { aNode } from "../testing/facts.ts";
import { testKeyring } from "../testing/keyring.ts";
import { connectKmip, KmipFailure } from "../testing/kmip-client.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { type Door, Service, type ServiceOptions } from "./service.ts";

const tripleDes = { "Cryptographic Algorithm": 2, "Cryptographic Length": 168, "Cryptographic Usage Mask": 12 };
const address = "127.0.0.1";
let site: TestAuthority;
let clients: TestAuthority;
let service: Service;
const [store, keyring] = [memoryStore(), testKeyring()];

before(async () => {
  site = await testAuthority("O=bank, OU=dc1, CN=keyfleet CA");
  clients = await testAuthority("O=bank, CN=clients");
  service = new Service(options());
  await service.start(await aDoor({}));
});
after(async () => {
  service.stop("cut");
  await service.ended();
});

function options(): ServiceOptions {
  const settings = readSettings(["--source", "file:none", "--listen", address, "--kmip-port", "0"], {}) as Settings;
  const quiet = () => undefined;
  return { settings, log: quiet, metrics: { operation: quiet }, activity: quiet };
}

async function aDoor(of: Partial<KmsNodeSpec["clients"]>, rest?: string): Promise<Door> {
  const own = await site.issue("O=bank, OU=dc1, CN=dc1-a", { usage: "server" });
  const caBundle = clients.certificate;
  // Free ports: a test must not meet a node on this machine.
  const interfaces = { kmip: { port: 0 }, rest: { port: 0 } };
  const node = aNode({ clients: { caBundle, administrators: [], ...of }, settings: { interfaces } });
  const door = { node, store, keyring, chainPem: own.certificate, privateKeyPem: own.key };
  if (rest === undefined) return door;
  const other = await site.issue(`O=bank, CN=${rest}`, { usage: "server" });
  return { ...door, rest: { chainPem: other.certificate, privateKeyPem: other.key } };
}

function portOf(name: string): number {
  return service.interfaces.find((each) => each.name === name)?.port ?? 0;
}

/** Common name of the certificate that a port shows. */
function shownAt(name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port: portOf(name), rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

test("HTTPS shows the certificate of KMIP, or its own at once when it has one, and KMIP keeps its own", async () => {
  assert.deepEqual([await shownAt("kmip"), await shownAt("rest")], ["dc1-a", "dc1-a"]);
  service.update(await aDoor({}, "web"));
  assert.deepEqual([await shownAt("kmip"), await shownAt("rest")], ["dc1-a", "web"]);
  service.update(await aDoor({}));
  assert.deepEqual([await shownAt("kmip"), await shownAt("rest")], ["dc1-a", "dc1-a"]);
});

test("what the specification lets clients do acts at once, on open connections too", async () => {
  const identity = await clients.issue("O=bank, CN=app");
  const client = await connectKmip({ host: address, port: portOf("kmip"), authority: site.certificate, identity });
  await assert.rejects(client.create(tripleDes), KmipFailure);
  service.update(await aDoor({ legacyCiphers: true }));
  const id = await client.create(tripleDes);
  await client.activate(id);
  await client.revoke(id, 2);
  await assert.rejects(client.get(id), KmipFailure, "a compromised key stays where it is");
  service.update(await aDoor({ serveCompromised: true }));
  assert.equal((await client.get(id)).length, 24);
  service.update(await aDoor({}));
  await assert.rejects(client.get(id), KmipFailure);
  await assert.rejects(client.create(tripleDes), KmipFailure);
  client.close();
});

test("a port that the document changes is named until it is opened anew", async () => {
  const waits = async (rest: number) => {
    const door = await aDoor({});
    const interfaces = { kmip: { port: 0 }, rest: { port: rest } };
    service.update({ ...door, node: aNode({ clients: door.node.spec.clients, settings: { interfaces } }) });
    return service.portsWaiting;
  };
  assert.deepEqual(await waits(0), []);
  assert.deepEqual(await waits(9443), ["interfaces.rest.port"]);
  assert.deepEqual(await waits(0), []);
});

test("a port of HTTPS that another program has is named, and KMIP is served", async () => {
  const taken = createServer().listen(0, address);
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const second = new Service(options());
  const door = await aDoor({});
  const settings = { interfaces: { kmip: { port: 0 }, rest: { port } } };
  await second.start({ ...door, node: aNode({ clients: door.node.spec.clients, settings }) });
  assert.match(second.problems.join(), new RegExp(`^interfaces\\.rest\\.port: ${port} cannot be opened`));
  assert.deepEqual([second.serving, second.interfaces.map(({ name }) => name)], [true, ["kmip"]]);
  second.stop("cut");
  assert.deepEqual(second.problems, []);
  await second.ended();
  taken.close();
});

const garbage = "-----BEGIN CERTIFICATE-----\nMIIBnot a certificate\n-----END CERTIFICATE-----\n";
const cut = (pem: string) => pem.slice(0, pem.length / 2);
const unusable: readonly (readonly [string, (good: string) => string])[] = [
  ["one that begins with garbage", (good) => garbage + good],
  ["one with garbage in the middle", (good) => good + garbage + good],
  ["one that ends in the middle", (good) => good + cut(good)],
  ["one that is garbage", () => garbage],
  ["one that is no PEM at all", () => "no PEM"],
];
for (const [what, of] of unusable) {
  test(`${what} is named, and the clients' CAs of before go on`, async () => {
    const identity = await clients.issue("O=bank, CN=app");
    const isLetIn = async () => {
      const client = await connectKmip({ host: address, port: portOf("kmip"), authority: site.certificate, identity });
      await client.locate();
      client.close();
    };
    await isLetIn();
    const stranger = await testAuthority("O=stranger, CN=clients");
    service.update(await aDoor({ caBundle: of(stranger.certificate) }));
    assert.match(
      service.problems.join(),
      /^clients\.caBundle: a certificate in it cannot be read, the CAs of before are/,
    );
    await isLetIn();
    service.update(await aDoor({}));
    assert.deepEqual(service.problems, []);
    await isLetIn();
  });
}

test("a node that starts with a bundle that cannot be read as a whole trusts what can be read, and says so", async () => {
  const second = new Service(options());
  const identity = await clients.issue("O=bank, CN=app");
  await second.start(await aDoor({ caBundle: garbage + clients.certificate }));
  const port = second.interfaces.find(({ name }) => name === "kmip")?.port ?? 0;
  const client = await connectKmip({ host: address, port, authority: site.certificate, identity });
  await client.locate();
  client.close();
  assert.match(
    second.problems.join(),
    /^clients\.caBundle: a certificate in it cannot be read, the others are trusted/,
  );
  second.stop("cut");
  await second.ended();
});
