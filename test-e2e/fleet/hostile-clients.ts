import { join } from "node:path";
import { type Place, root } from "./places.ts";

/** What a hostile client got. */
export interface Treatment {
  readonly bytes?: number;
  readonly closed?: boolean;
  readonly ms?: number;
  readonly error?: string;
  readonly opened?: number;
  readonly refused?: number;
  readonly closedByServer?: number;
}

/** Lets a client that means no good at one endpoint (HOST:PORT), with the certificate of app1 where it needs one. */
export async function attack(place: Place, mode: string, endpoint: string): Promise<Treatment> {
  const [host = "", port = ""] = endpoint.split(":");
  const own = ["crt", "key"].map((kind) => join(place.certificates, `app1.${kind}`));
  const command = [process.execPath, join(root, "test-e2e/clients/hostile.ts"), mode, host, port, ...own];
  const { stdout } = await place.sites.exec(command, { timeoutMs: 180_000 });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}");
}
