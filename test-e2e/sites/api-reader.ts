import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";

/**
 * Reads from the API of sites through one `kubectl proxy` each. Stories look at their fleet many times a second: to start
 * kubectl for every look took more of the processors than the fleet did.
 */
export interface ApiReader {
  /** The text at a path of a site's API, such as /api/v1/nodes. Rejects when the site does not run or answers with an error. */
  read(site: string, path: string): Promise<string>;
  /** Ends what was started for a site: nothing may be left in the network of one that is killed. */
  end(site: string): void;
}

interface Proxy {
  /** Command line of kubectl: another one after the site was started again. */
  readonly kubectl: string;
  readonly child: ChildProcess;
  readonly socket: Promise<string>;
}

const answerMs = 10_000;
/** Answers that say something of the request, not of the proxy or its credentials. */
const ofRequest = new Set([400, 404, 503]);

/** `commandOf` gives the command line of kubectl for a site, and throws when that does not run; sockets lie in a folder of each. */
export function apiReader(
  commandOf: (site: string, args: readonly string[]) => readonly string[],
  folderOf: (site: string) => string,
): ApiReader {
  const proxies = new Map<string, Proxy>();
  const end = (site: string) => {
    proxies.get(site)?.child.kill("SIGKILL");
    proxies.delete(site);
  };
  const proxyOf = (site: string): Proxy => {
    const kubectl = commandOf(site, []).join(" ");
    const known = proxies.get(site);
    if (known?.kubectl === kubectl) return known;
    end(site);
    mkdirSync(folderOf(site), { recursive: true, mode: 0o700 });
    const path = join(folderOf(site), `api-${site}-${process.pid}.sock`);
    const proxy = { kubectl, ...started(commandOf(site, proxyWords(path)), path) };
    proxies.set(site, proxy);
    return proxy;
  };
  return {
    end,
    read: async (site, path) => {
      const proxy = proxyOf(site);
      try {
        const { status, text } = await ask(await proxy.socket, path);
        if (status === 200) return text;
        if (!ofRequest.has(status)) end(site);
        throw new Error(`${site}: ${path}: ${status} ${text.slice(0, 500)}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== undefined && proxies.get(site) === proxy) end(site);
        throw error;
      }
    },
  };
}

function proxyWords(socket: string): string[] {
  return ["proxy", `--unix-socket=${socket}`, "--reject-methods=^(POST|PUT|PATCH|DELETE)$"];
}

/** It ends with this process, however that ends. */
function started(command: readonly string[], path: string): Pick<Proxy, "child" | "socket"> {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", ...command], { stdio: ["ignore", "pipe", "ignore"] });
  const socket = new Promise<string>((resolve, reject) => {
    child.stdout?.once("data", () => resolve(path));
    child.once("error", reject);
    child.once("exit", () => reject(Object.assign(new Error("kubectl proxy has ended"), { code: "ENDED" })));
  });
  // Not before: whoever waits for the first answer may have nothing else that keeps this process.
  const letGo = () => {
    child.unref();
    (child.stdout as unknown as { unref(): void }).unref();
  };
  socket.then(letGo, letGo); // that it has ended is told to whoever reads
  return { child, socket };
}

function ask(socketPath: string, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = get({ socketPath, path, timeout: answerMs }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    request.on("timeout", () =>
      request.destroy(Object.assign(new Error(`${path}: no answer in ${answerMs / 1000} s`), { code: "ETIMEDOUT" })),
    );
    request.on("error", reject);
  });
}
