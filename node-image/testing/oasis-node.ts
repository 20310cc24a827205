import { json, xml } from "../kmip/vocabulary.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { Fleet } from "./fleet.ts";
import { post } from "./https-client.ts";
import { connectKmip } from "./kmip-client.ts";
import { noteMessage } from "./leak-search.ts";
import type { OwnersChoice } from "./oasis-cases.ts";
import type { Exchange } from "./oasis-play.ts";

/** A node of its own for test cases: PostgreSQL, SoftHSM and the key server, each a process, spoken to by mutual TLS. */
export interface OasisNode {
  /** A client that no earlier case was, and what ends its connections. */
  client(name: string): Promise<{ readonly exchange: Exchange; close(): void }>;
  stop(): Promise<void>;
}

const nodeName = "dc1-a";
const httpsPort = 8443;

/** Starts one whose owner decided so. */
export async function startOasisNode(choice: OwnersChoice): Promise<OasisNode> {
  const fleet = await Fleet.start();
  try {
    const environment = {
      KEYFLEET_LEGACY_CIPHERS: choice.legacyCiphers ? "on" : "off",
      KEYFLEET_SERVE_COMPROMISED: choice.servesCompromised ? "on" : "off",
      KEYFLEET_CLIENT_SEEDS: String(choice.seed),
    };
    await fleet.add(nodeName, { programs: { keyServer: { environment } } });
    await fleet.found(nodeName);
  } catch (error) {
    await fleet.stop();
    throw error;
  }
  return { client: (name) => oasisClient(fleet, name), stop: () => fleet.stop() };
}

async function oasisClient(fleet: Fleet, name: string) {
  const access = await fleet.access(nodeName, name);
  const kmip = await connectKmip(access);
  const https = { ...access, port: httpsPort };
  const ask: Exchange = async (message, transport) => {
    switch (transport) {
      case "ttlv":
        return kmip.exchange(encode(message));
      case "https":
        return decode((await post(https, { type: "application/octet-stream", body: encode(message) })).body);
      case "json":
        return json.decode((await post(https, { type: "application/json", body: json.encode(message) })).body);
      case "xml":
        return xml.decode((await post(https, { type: "text/xml", body: xml.encode(message) })).body);
    }
  };
  const exchange: Exchange = async (message, transport) => {
    noteMessage(message);
    const answer = await ask(message, transport);
    noteMessage(answer);
    return answer;
  };
  return { exchange, close: () => kmip.close() };
}
