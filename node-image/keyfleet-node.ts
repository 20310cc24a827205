import { help, readCommand, type VerifySettings } from "./config/command.ts";
import { readStatusFile } from "./config/file-source.ts";
import { harden } from "./config/hardening.ts";
import { connectHsm } from "./hsm/client.ts";
import { loadKeyring } from "./keys/keyring.ts";
import { verifyStore } from "./store/verify.ts";

// Commands for the people who run a node; its services are key-server.ts and hsm-sidecar.ts.
process.exitCode = await main(process.argv.slice(2));

/** 0: the store is as it was written, or what was asked for is shown; 1: it is not; 2: it could not be looked at. */
async function main(parameters: readonly string[]): Promise<number> {
  try {
    const settings = readCommand(parameters, process.env);
    if (settings === "help") return say(help, 0);
    if (settings.command === "request") return showRequest(settings.file);
    harden(); // It has the master key in its memory, as the key server has.
    return await verify(settings);
  } catch (error) {
    process.stderr.write(`cannot do that: ${(error as Error).message}\n`);
    return 2;
  }
}

async function verify({ runFolder, port }: VerifySettings): Promise<number> {
  const hsm = connectHsm({ socketPath: `${runFolder}/hsm/hsm.sock` });
  try {
    const place = { socketDirectory: `${runFolder}/postgres`, port, database: "keyfleet" };
    const found = await verifyStore(place, ({ clusterId, masterKeys }) => loadKeyring(hsm, clusterId, masterKeys));
    for (const finding of found.findings) say(`wrong: ${finding}\n`, 1);
    const checked = `${found.objects} objects and ${found.operations} operations checked`;
    if (found.findingsTotal === 0) return say(`${checked}: the store is as it was written\n`, 0);
    return say(`${checked}: ${found.findingsTotal} things are wrong; remove this node and join it again\n`, 1);
  } finally {
    hsm.close();
  }
}

function showRequest(file: string): number {
  const request = readStatusFile(file)?.certificateRequest;
  if (request === undefined) throw new Error(`the node of ${file} has not made a request yet; start it first`);
  return say(request, 0);
}

function say(text: string, code: number): number {
  process.stdout.write(text);
  return code;
}
