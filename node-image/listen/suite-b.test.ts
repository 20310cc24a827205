import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { tag } from "../kmip/tags.ts";
import { testAuthority } from "../testing/certificates.ts";
import { findItem, payload } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, requestMessage } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { kmipServer } from "./server.ts";

/**
 * What the profiles Suite B minLOS_128 and minLOS_192, which Query names, ask of TLS (KMIP Profiles 1.4, 5.10; RFC 6460): version
 * 1.2, certificates by ECDSA, and for each level its one suite and curve.
 */
const levels = [
  ["minLOS_128", "P-256", "prime256v1", "ECDHE-ECDSA-AES128-GCM-SHA256"],
  ["minLOS_192", "P-384", "secp384r1", "ECDHE-ECDSA-AES256-GCM-SHA384"],
] as const;

for (const [level, curve, name, suite] of levels) {
  test(`Suite B ${level}: a client that knows only ${suite} on ${curve} is served`, async (t) => {
    const socket = await suiteB(t, curve, { ciphers: suite, ecdhCurve: curve });
    assert.equal(socket.getProtocol(), "TLSv1.2");
    assert.equal(socket.getCipher().name, suite);
    assert.equal((socket.getEphemeralKeyInfo() as { name?: string }).name, name);
    const certificate = socket.getPeerX509Certificate();
    assert.equal(certificate?.publicKey.asymmetricKeyDetails?.namedCurve, name);
    const answer = new Promise<Buffer>((resolve) => socket.once("data", resolve));
    socket.write(encode(requestMessage([{ operation: operation.query, payload: payload() }], { version: 14 })));
    assert.equal(findItem(decode(await answer), tag.ResultStatus)?.value, 0);
  });
}

test("Suite B: a client that knows no suite but one without forward secrecy is not served", async (t) => {
  await assert.rejects(suiteB(t, "P-256", { ciphers: "AES128-GCM-SHA256" }), /handshake failure/);
});

/** Connects by TLS 1.2 to a server whose certificate, like the client's, is on the curve. */
async function suiteB(
  t: TestContext,
  curve: "P-256" | "P-384",
  only: { readonly ciphers: string; readonly ecdhCurve?: string },
): Promise<TLSSocket> {
  const clients = await testAuthority("O=bank, CN=clients", curve);
  const authority = await testAuthority("O=bank, OU=dc1, CN=keyfleet CA", curve);
  const own = await authority.issue("O=bank, OU=dc1, CN=dc1-a", { usage: "server" });
  const identity = await clients.issue("O=bank, CN=app");
  const log = () => undefined;
  const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log });
  const server = kmipServer({ tls: { ...own, clientAuthorities: clients.certificate }, handler, log });
  t.after(() => server.close());
  const port = await server.listen(0, "127.0.0.1");
  const socket = connect({
    port,
    host: "127.0.0.1",
    ca: authority.certificate,
    cert: identity.certificate,
    key: identity.key,
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.2",
    ...only,
  });
  t.after(() => socket.destroy());
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  return socket;
}
