import { type HandlerParts, kmipHandler } from "../kmip/handler.ts";
import { type KmipServer, type KmipServerParts, kmipServer } from "../listen/server.ts";
import { type Identity, type TestAuthority, testAuthority } from "./certificates.ts";
import { testKeyring } from "./keyring.ts";
import { type ClientParts, connectKmip, type KmipClient } from "./kmip-client.ts";
import { refuseLeaks } from "./leak-search.ts";
import { memoryStore } from "./memory-store.ts";

/** A KMIP server on loopback with a store in memory, its authorities, and what it logged. */
export interface KmipSite {
  readonly server: KmipServer;
  readonly clients: TestAuthority;
  readonly serverAuthority: TestAuthority;
  readonly serverIdentity: Identity;
  readonly log: Readonly<Record<string, unknown>>[];
  /** Connects as a new certified client (or as given). */
  connect(subject: string, parts?: Partial<ClientParts>): Promise<KmipClient>;
  /** Rejects if a key that a client sent or got stands in the log or an answer's text. */
  close(): Promise<void>;
}

/** Starts one; parts replace the defaults. */
export async function kmipSite(
  parts: Partial<HandlerParts> & Pick<Partial<KmipServerParts>, "limits" | "memory"> = {},
): Promise<KmipSite> {
  const log: Record<string, unknown>[] = [];
  const write = (fields: Readonly<Record<string, unknown>>) => void log.push({ ...fields });
  const clients = await testAuthority("O=bank, CN=clients");
  const serverAuthority = await testAuthority("O=bank, OU=dc1, CN=keyfleet CA");
  const serverIdentity = await serverAuthority.issue("O=bank, OU=dc1, CN=dc1-a", { usage: "server" });
  const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: write, ...parts });
  const tls = { ...serverIdentity, clientAuthorities: clients.certificate };
  const server = kmipServer({
    tls,
    handler,
    log: write,
    ...(parts.limits === undefined ? {} : { limits: parts.limits }),
    ...(parts.memory === undefined ? {} : { memory: parts.memory }),
  });
  const port = await server.listen(0, "127.0.0.1");
  const open: KmipClient[] = [];
  return {
    server,
    clients,
    serverAuthority,
    serverIdentity,
    log,
    connect: async (subject, given = {}) => {
      const identity = "identity" in given ? given.identity : await clients.issue(subject);
      const client = await connectKmip({ port, authority: serverAuthority.certificate, ...given, identity });
      open.push(client);
      return client;
    },
    close: async () => {
      for (const client of open) client.close();
      await server.close();
      refuseLeaks([["the log", log.map((fields) => JSON.stringify(fields)).join("\n")]]);
    },
  };
}
