import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { encodeFrame, type Frame, FrameReader } from "../hsm-wire/frames.ts";
import { outcomes } from "../hsm-wire/messages.ts";
import { connectHsm } from "./client.ts";

const code = (wanted: string) => (error: unknown) => (error as { code?: string }).code === wanted;
const some = Buffer.from("bytes");

/** A client and, when asked, a sidecar that treats each request as told. */
function link(context: TestContext, deadlineMs = 2_000) {
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-client-"));
  const socketPath = join(folder, "hsm.sock");
  const hsm = connectHsm({ socketPath, deadlineMs });
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  context.after(() => {
    hsm.close();
    for (const socket of sockets) socket.destroy();
    server?.close();
    rmSync(folder, { recursive: true });
  });
  const listen = (treat: (frame: Frame, socket: Socket) => void) => {
    server = createServer((socket) => {
      const reader = new FrameReader();
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("data", (chunk: Buffer) => {
        for (const frame of reader.push(chunk)) treat(frame, socket);
      });
    });
    return new Promise<void>((resolve) => server?.listen(socketPath, resolve));
  };
  return { hsm, listen };
}

const answer = (frame: Frame, socket: Socket, [kind, text]: readonly [number, string]) =>
  socket.write(encodeFrame({ id: frame.id, kind, payload: Buffer.from(text) }));

test("without a sidecar requests are unavailable and the status says where to look", async (context) => {
  const { hsm, listen } = link(context);
  await assert.rejects(hsm.seal(some, some), code("unavailable"));
  const status = await hsm.status();
  assert.equal(status.ready, false);
  assert.match(status.message, /cannot be reached \(ENOENT\); check container "hsm"/);
  await listen((frame, socket) => answer(frame, socket, [outcomes.done, "sealed"]));
  assert.deepEqual(await hsm.seal(some, some), Buffer.from("sealed"));
});

test("a sidecar that does not even read is given up with all that was to be written to it, and is connected to anew", async (context) => {
  const timeoutMs = 40;
  const { hsm, listen } = link(context, timeoutMs);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const connections = new Set<Socket>();
  const taken = Promise.withResolvers<void>();
  await listen((frame, socket) => {
    connections.add(socket);
    if (connections.size > 1) return void answer(frame, socket, [outcomes.done, "sealed"]);
    socket.pause();
    taken.resolve();
  });
  // More than the kernel keeps for who does not read.
  const many = Buffer.alloc(60_000);
  const outcome = Promise.allSettled(Array.from({ length: 30 }, () => hsm.seal(many, some)));
  await taken.promise;
  context.mock.timers.tick(timeoutMs);
  const codes = (await outcome).map((each) => (each.status === "rejected" ? each.reason.code : "done"));
  assert.deepEqual(codes, ["timeout", ...Array(29).fill("unavailable")]);
  assert.deepEqual(await hsm.seal(some, some), Buffer.from("sealed"));
});

test("a sidecar that does not answer is a timeout, and its late answer harms nobody", async (context) => {
  const timeoutMs = 40;
  const { hsm, listen } = link(context, timeoutMs);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const held: (() => void)[] = [];
  const first = Promise.withResolvers<void>();
  await listen((frame, socket) => {
    const text = `answer ${held.length + 1}`;
    held.push(() => answer(frame, socket, [outcomes.done, text]));
    first.resolve();
    if (held.length === 2) for (const release of held) release();
  });
  const refused = assert.rejects(hsm.seal(some, some), code("timeout"));
  await first.promise;
  context.mock.timers.tick(timeoutMs);
  await refused;
  assert.deepEqual(await hsm.unseal(some, some), Buffer.from("answer 2"));
});

test("answers find their requests in any order", async (context) => {
  const { hsm, listen } = link(context);
  const held: { frame: Frame; socket: Socket }[] = [];
  await listen((frame, socket) => {
    held.push({ frame, socket });
    if (held.length < 3) return;
    for (const { frame, socket } of held.toReversed()) answer(frame, socket, [outcomes.done, String(frame.kind)]);
  });
  const answers = await Promise.all([hsm.seal(some, some), hsm.unseal(some, some), hsm.unwrapJoin(some)]);
  assert.deepEqual(answers.map(String), ["1", "2", "6"]);
});

test("every refusal keeps its code and words", async (context) => {
  const { hsm, listen } = link(context);
  const refusals = ["unavailable", "refused", "tampered", "timeout"] as const;
  let at = 0;
  await listen((frame, socket) => answer(frame, socket, [outcomes[refusals[at++] ?? "done"], "why and what to do"]));
  for (const wanted of refusals)
    await assert.rejects(hsm.seal(some, some), { code: wanted, message: "why and what to do" });
});

test("a connection that ends or speaks nonsense rejects what waits; the next request connects again", async (context) => {
  const { hsm, listen } = link(context);
  const treatments = [(socket: Socket) => socket.destroy(), (socket: Socket) => socket.write(Buffer.alloc(64, 0xff))];
  await listen((frame, socket) => {
    const treatment = treatments.shift();
    if (treatment === undefined) answer(frame, socket, [outcomes.done, "well"]);
    else treatment(socket);
  });
  await assert.rejects(hsm.seal(some, some), code("unavailable"));
  await assert.rejects(hsm.seal(some, some), code("unavailable"));
  assert.deepEqual(await hsm.seal(some, some), Buffer.from("well"));
});

test("what cannot be sent is refused here", async (context) => {
  const { hsm } = link(context);
  await assert.rejects(hsm.seal(Buffer.alloc(70_000), some), code("refused"));
  for (const length of [0, -1, 1.5, 1e9]) await assert.rejects(hsm.random(length), code("refused"), String(length));
});

const noStatus: readonly (readonly [string, string])[] = [
  ["nothing", "null"],
  ["a text", '"Ready"'],
  ["a list", "[]"],
  ["no JSON", "{"],
  ["ready without a reason", '{"ready":true,"message":""}'],
  ["ready by another word", '{"ready":"yes","reason":"Ready","message":""}'],
  ["a reason that there is not", '{"ready":true,"reason":"Fine","message":""}'],
  ["a token that is no text", '{"ready":true,"reason":"Ready","message":"","tokenSerial":{}}'],
  ["more than a status says", JSON.stringify({ ready: true, reason: "Ready", message: "x".repeat(10_000) })],
];
for (const [what, text] of noStatus) {
  test(`a sidecar whose status is ${what} is not ready`, async (context) => {
    const { hsm, listen } = link(context);
    await listen((frame, socket) => answer(frame, socket, [outcomes.done, text]));
    const message = "the HSM sidecar's status cannot be read";
    assert.deepEqual(await hsm.status(), { ready: false, reason: "Starting", message });
  });
}

test("a refusal is told in so many words at most", async (context) => {
  const { hsm, listen } = link(context);
  await listen((frame, socket) => answer(frame, socket, [outcomes.refused, "x".repeat(60_000)]));
  await assert.rejects(hsm.seal(some, some), { code: "refused", message: "x".repeat(2_000) });
});
