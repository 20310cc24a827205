import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startChild } from "./testing/process.ts";

test("verify, which has the master key in its memory, leaves no core file and opens no inspector", async (context) => {
  const run = mkdtempSync(join(tmpdir(), "keyfleet-verify-"));
  context.after(() => rmSync(run, { recursive: true, force: true }));
  mkdirSync(join(run, "postgres"));
  // A database that takes the connection and says nothing: the command waits while it is looked at.
  const database = createServer().listen(join(run, "postgres/.s.PGSQL.5432"));
  const sockets: Socket[] = [];
  database.on("connection", (socket) => sockets.push(socket));
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    database.close();
  });
  const program = join(import.meta.dirname, "keyfleet-node.ts");
  const child = startChild([process.execPath, program, "verify", "--run", run], { name: "verify" });
  context.after(() => child.end());
  await Promise.race([once(database, "connection"), child.ended.then(() => assert.fail(child.lines.join("\n")))]);
  assert.match(readFileSync(`/proc/${child.pid}/limits`, "utf8"), /^Max core file size +0 +0 /m);
  assert.match(readFileSync(`/proc/${child.pid}/cmdline`, "utf8"), /--disable-sigusr1/);
});
