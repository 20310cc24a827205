import { once } from "node:events";
import type { Server } from "node:http";
import express, { type NextFunction, type Request, type Response } from "express";
import type { Registry } from "prom-client";
import type { Log } from "../config/source.ts";
import { halfOpen } from "../listen/half-open.ts";

const limits = { connections: 64, headersMs: 5_000, requestMs: 5_000, keepAliveMs: 10_000 } as const;

/** Anybody may ask, and a text of all metrics takes a millisecond or more of the thread that serves keys: so old it may be. */
const metricsKeptMs = 250;

export interface HealthOptions {
  readonly host: string;
  readonly port: number;
  /** Undefined when the node serves, otherwise why it does not. */
  readonly notReady: () => string | undefined;
  readonly metrics: Registry;
  readonly log: Log;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
}

/** Plain HTTP for probes and Prometheus: no secret, no name of an object or a client; resolves when it listens. */
export async function startHealth(options: HealthOptions): Promise<Server> {
  const app = express().disable("x-powered-by").disable("etag");
  // Whoever answers has a running event loop; there is nothing more to being alive.
  app.get("/livez", (_request, response) => void response.type("text").send("ok\n"));
  app.get("/readyz", (_request, response) => {
    const reason = options.notReady();
    response
      .status(reason === undefined ? 200 : 503)
      .type("text")
      .send(`${reason ?? "ok"}\n`);
  });
  const metrics = keptFor(metricsKeptMs, () => options.metrics.metrics(), options.nowMs);
  app.get("/metrics", async (_request, response) => {
    response.type(options.metrics.contentType).send(await metrics());
  });
  // Express would show strangers where in the code it was; it knows this handler by its four parameters.
  app.use((error: Error, _request: Request, response: Response, _next: NextFunction) => {
    options.log("error", "health was asked in vain", { problem: error.message });
    response.status(500).type("text").send("it cannot be said now; see the node's log\n");
  });
  const server = options.host === "::" ? app.listen(options.port) : app.listen(options.port, options.host);
  // Nobody here proves who he is: whoever keeps connections open loses his own. Were new ones turned away instead, a stranger
  // could have the node killed, for no probe would be answered.
  const open = halfOpen(limits.connections, () => undefined);
  server.on("connection", (socket) => open.add(socket));
  server.headersTimeout = limits.headersMs;
  server.requestTimeout = limits.requestMs;
  server.keepAliveTimeout = limits.keepAliveMs;
  await once(server, "listening");
  return server;
}

/** Made anew when it is older than `ms`; who asks while it is made waits for the same. */
function keptFor<Made>(ms: number, make: () => Promise<Made>, nowMs: () => number): () => Promise<Made> {
  let kept: { readonly atMs: number; readonly made: Promise<Made> } | undefined;
  return () => {
    if (kept === undefined || nowMs() - kept.atMs >= ms) kept = { atMs: nowMs(), made: make() };
    return kept.made;
  };
}
