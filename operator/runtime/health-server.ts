import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import express from "express";
import type { Registry } from "prom-client";

/** Answers of the probes. */
export interface Health {
  /** Undefined is well, a text says what is not. */
  live(): string | undefined;
  /** Whether the process can do its part, and what that is or what is missing. */
  ready(): { readonly ok: boolean; readonly text: string };
  readonly registry: Registry;
}

/**
 * Connections at a time: two probes, a scraper, and some to spare. One more ends the oldest: were it turned away instead, a
 * stranger who says nothing could have the operator killed, for no probe would be answered.
 */
const maxConnections = 32;
const requestTimeoutMs = 5_000;

/** Serves /livez, /readyz and /metrics; answers its port and how to stop it. */
export async function serveHealth(
  port: number,
  health: Health,
): Promise<{ readonly port: number; readonly stop: () => Promise<void> }> {
  const application = express();
  application.disable("x-powered-by").disable("etag");
  const probe = (ask: Health["ready"]) => (_request: express.Request, response: express.Response) => {
    const { ok, text } = ask();
    response
      .status(ok ? 200 : 503)
      .type("text/plain")
      .send(text);
  };
  const live = () => {
    const problem = health.live();
    return { ok: problem === undefined, text: problem ?? "ok" };
  };
  application.get("/livez", probe(live));
  application.get("/readyz", probe(health.ready));
  application.get("/metrics", async (_request, response) => {
    response.type(health.registry.contentType).send(await health.registry.metrics());
  });
  const server: Server = application.listen(port);
  const open = new Set<Socket>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    const [oldest] = open;
    if (open.size > maxConnections) oldest?.destroy();
  });
  server.requestTimeout = requestTimeoutMs;
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, stop: () => stop(server) };
}

async function stop(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
