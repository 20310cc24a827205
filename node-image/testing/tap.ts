import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import { decode } from "../ttlv/decode.ts";
import { frame } from "../ttlv/frame.ts";
import { type Identity, testAuthority } from "./certificates.ts";
import type { ClientParts } from "./kmip-client.ts";
import { noteMessage } from "./leak-search.ts";

/** A way to a node for a client that is not ours, on which the search for leaks learns the keys that pass. */
export interface Tap {
  /** Where the client finds it, and whom it trusts there. */
  readonly access: ClientParts & { readonly host: string; readonly identity: Identity };
  /** Messages that have passed, both ways. */
  readonly messages: () => number;
  close(): void;
}

/** TLS ends here and begins anew, with the same client certificate: what is said inside it is passed on as it is. */
export async function tap(access: Tap["access"]): Promise<Tap> {
  const authority = await testAuthority("O=bank, CN=taps");
  const { certificate, key } = await authority.issue("O=bank, CN=tap", { usage: "server" });
  const { host, port, authority: ca, identity } = access;
  let messages = 0;
  const open = new Set<TLSSocket>();
  const server = createServer({ cert: certificate, key }, (client) => {
    const node = connect({ host, port, ca, cert: identity.certificate, key: identity.key });
    for (const [from, to] of [
      [client, node],
      [node, client],
    ] as const) {
      open.add(from);
      const read = messageReader(() => {
        messages += 1;
      });
      from.on("data", read).on("error", () => to.destroy());
      from.once("close", () => open.delete(from));
      from.pipe(to);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    access: {
      ...access,
      host: "127.0.0.1",
      port: (server.address() as AddressInfo).port,
      authority: authority.certificate,
    },
    messages: () => messages,
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** Notes each whole message of the bytes that it is given. */
function messageReader(passed: () => void): (bytes: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  return (bytes) => {
    held = Buffer.concat([held, bytes]);
    for (let framing = frame(held); framing.kind === "message"; framing = frame(held)) {
      noteMessage(decode(held.subarray(0, framing.bytes)));
      held = held.subarray(framing.bytes);
      passed();
    }
  };
}
