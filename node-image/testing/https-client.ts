import { request } from "node:https";
import type { Identity } from "./certificates.ts";

/** Where an HTTPS door is and who asks. */
export interface HttpsParts {
  readonly host?: string;
  readonly port: number;
  readonly authority: string;
  readonly identity: Identity | undefined;
}

/** What came back. */
export interface HttpsAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
}

/** Sends one request on a connection of its own. */
export function post(
  parts: HttpsParts,
  message: { readonly type: string; readonly body: Buffer | string; readonly path?: string; readonly method?: string },
): Promise<HttpsAnswer> {
  const { host = "127.0.0.1", port, authority, identity } = parts;
  const own = identity === undefined ? {} : { cert: identity.certificate, key: identity.key };
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host,
        port,
        ca: authority,
        ...own,
        agent: false,
        path: message.path ?? "/kmip",
        method: message.method ?? "POST",
        headers: { "Content-Type": message.type },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            type: response.headers["content-type"] ?? "",
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    sent.on("error", reject);
    sent.end(message.body);
  });
}
