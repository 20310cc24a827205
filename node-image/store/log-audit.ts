import type pg from "pg";
import type { Keyring } from "../keys/types.ts";
import { effectOf } from "./change.ts";
import { lasting } from "./connection.ts";
import type { Findings } from "./findings.ts";
import { join, nothing, type State } from "./law.ts";
import { asOperation, understands, verified } from "./operation.ts";
import { beforeAll, operationsIn } from "./pages.ts";
import { decodeState, encodeState } from "./state.ts";
import type { Operation } from "./types.ts";

const pageSize = 500;
/** Each may have 1 MiB. */
const fetchedAtOnce = 100;

interface Checking {
  readonly keyring: Keyring;
  readonly findings: Findings;
}

/** Checks every operation of the log, that no sequence is missing, and the state against the merge; returns how many there are. */
export async function auditLog(client: pg.Client, checking: Checking): Promise<number> {
  const operations = await auditChains(client, checking);
  await auditMerge(client, checking.findings);
  return operations;
}

async function auditChains(client: pg.Client, { keyring, findings }: Checking): Promise<number> {
  const { rows: begun } = await client.query("select origin, seq from keyfleet.bases");
  const bases = new Map(begun.map((row) => [row.origin as string, Number(row.seq)]));
  let operations = 0;
  let before = { origin: beforeAll, seq: 0 };
  for await (const page of operationsIn(client, "keyfleet.ops", pageSize)) {
    operations += page.length;
    for (const operation of page) {
      const { origin, seq } = operation;
      const wanted = origin === before.origin ? before.seq + 1 : (bases.get(origin) ?? 0) + 1;
      if (seq !== wanted) findings.add(`operations ${wanted} to ${seq - 1} of ${origin} are missing in the log`);
      if (!verified(keyring, operation)) findings.add(`operation ${seq} of ${origin} was changed in the log`);
      before = { origin, seq };
    }
  }
  return operations;
}

/** Goes through the log object by object, so that the memory needed does not grow with it. */
async function auditMerge(client: pg.Client, findings: Findings): Promise<void> {
  const { rows: begun } = await client.query("select exists (select from keyfleet.bases) as pruned");
  const whole = begun[0].pruned === false;
  await client.query("set local temp_file_limit = -1");
  // The server sorts on its disk; identifiers first, payloads only page by page.
  await client.query(
    `declare by_object no scroll cursor for
       select o.*, b.state from keyfleet.ops o left join keyfleet.objects b on b.id = o.object
       where not exists (select from keyfleet.kept k where (k.origin, k.seq) = (o.origin, o.seq))
       order by o.object`,
  );
  let current: { id: string; merged: State; text: string | null } | undefined;
  const compare = () => current !== undefined && compareWithLog({ ...current, whole }, findings);
  for (;;) {
    // The first one sorts the whole log.
    const { rows } = await client.query(lasting(`fetch ${fetchedAtOnce} from by_object`));
    if (rows.length === 0) break;
    for (const row of rows) {
      const { state, ...rest } = row;
      const operation = asOperation(rest);
      if (current?.id !== operation.object) {
        compare();
        current = { id: operation.object, merged: nothing, text: state };
      }
      current.merged = join(current.merged, effect(operation));
    }
  }
  compare();
  await client.query("close by_object");
}

function effect(operation: Operation): State {
  return understands(operation) ? effectOf(operation).state : nothing;
}

function compareWithLog(
  object: { readonly id: string; readonly merged: State; readonly text: string | null; readonly whole: boolean },
  findings: Findings,
): void {
  const { id, merged, text, whole } = object;
  if (text === null) findings.add(`object ${id} is missing, although the log has operations on it`);
  const state = text === null ? undefined : readable(text);
  if (state === undefined) return; // What cannot be read is told with the rows.
  if (encodeState(join(state, merged)) !== text) findings.add(`object ${id} lacks what the log says of it`);
  // Where the log was pruned, the row holds more than the log can say.
  else if (whole && encodeState(merged) !== text) findings.add(`object ${id} holds what the log does not say of it`);
}

function readable(text: string): State | undefined {
  try {
    return decodeState(text);
  } catch {
    return undefined;
  }
}
