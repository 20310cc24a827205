import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Fleet } from "../../node-image/testing/fleet.ts";

/** Certificates of a short life, renewed again and again while clients write; the story plays the operator. */
let fleet: Fleet;
const names = ["dc1-a", "dc2-a"];
// Longer than a round takes on the slowest machine: an end that comes first is not what is tried here.
const lifeMs = 300_000;
const renewals = 4;
before(async () => {
  fleet = await Fleet.start();
  await fleet.add("dc1-a");
  await fleet.found("dc1-a");
  await fleet.add("dc2-a");
  await fleet.join("dc2-a", "dc1-a");
});
after(() => fleet.stop());

/** Writes by one connection that stays, and by a new one for each key; every failure counts. */
class Client {
  keys: string[] = [];
  failures: string[] = [];
  #going = true;
  #loop: Promise<unknown>;

  constructor(node: string) {
    this.#loop = Promise.all([this.#stays(node), this.#comesAnew(node)]);
  }

  async #stays(node: string): Promise<void> {
    const client = await fleet.connect(node);
    while (this.#going) await this.#try(() => client.create());
    client.close();
  }

  async #comesAnew(node: string): Promise<void> {
    while (this.#going)
      await this.#try(async () => {
        const client = await fleet.connect(node);
        try {
          return await client.create();
        } finally {
          client.close();
        }
      });
  }

  async #try(write: () => Promise<string>): Promise<void> {
    await write().then(
      (key) => this.keys.push(key),
      (error: Error) => this.failures.push(error.message),
    );
    await pause(20);
  }

  async stop(): Promise<void> {
    this.#going = false;
    await this.#loop;
  }
}

test("certificates are renewed under load, of KMIP and mesh, and no request is dropped", async (t) => {
  const clients = names.map((name) => new Client(name));
  t.after(() => Promise.all(clients.map((client) => client.stop())));
  for (let round = 0; round < renewals; round += 1) {
    for (const name of names) {
      const before = fleet.node(name).status?.certificateNotAfter;
      // An end of its own for each, to the second: two that were made in one second could not be told apart.
      await fleet.certify(fleet.node(name), lifeMs + round * 60_000);
      await fleet.node(name).reached("the new certificate", (status) => status.certificateNotAfter !== before);
    }
    const counts = clients.map(({ keys }) => keys.length);
    while (clients.some(({ keys }, at) => keys.length < (counts[at] ?? 0) + 10)) await pause(50);
  }
  for (const client of clients) await client.stop();
  const all = clients.flatMap(({ keys }) => keys);
  t.diagnostic(`${all.length} requests answered over ${renewals} renewals of each node`);
  assert.deepEqual(
    clients.flatMap(({ failures }) => failures),
    [],
  );
  // Every write was held by the other site before it was answered, so the mesh went on too.
  for (const name of names) {
    const client = await fleet.connect(name);
    for (const key of all) assert.equal((await client.get(key)).length, 32);
    client.close();
  }
});
