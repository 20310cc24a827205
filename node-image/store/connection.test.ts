import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, localConnection } from "./connection.ts";

/** What a PostgreSQL that is coming up or going down may do to who connects; each answer ends the connection. */
const ends: readonly (readonly [string, (socket: Socket) => void])[] = [
  ["closes at once", (socket) => socket.end()],
  ["breaks off at once", (socket) => socket.destroy()],
  ["closes after the first bytes", (socket) => socket.once("data", () => socket.end())],
  ["lets in and closes in the same moment", (socket) => socket.once("data", () => socket.end(letIn))],
];
// AuthenticationOk, then ReadyForQuery (PostgreSQL 18, 54.7).
const letIn = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);

for (const [what, act] of ends) {
  test(`a server that ${what} is told by the rejection or after it has resolved, never in between`, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "keyfleet-connection-"));
    const server = createServer(act);
    await new Promise<void>((resolve) => server.listen(join(folder, ".s.PGSQL.5432"), resolve));
    context.after(() => {
      server.close();
      rmSync(folder, { recursive: true });
    });
    let resolved = false;
    const place = { socketDirectory: folder, port: 5432, database: "keyfleet" };
    const told = Promise.withResolvers<boolean>();
    await connect(localConnection(place), () => told.resolve(resolved)).then(
      () => {
        resolved = true;
      },
      () => told.resolve(true),
    );
    assert.equal(await told.promise, true);
  });
}
