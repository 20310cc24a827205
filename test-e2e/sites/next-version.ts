/**
 * The next version of the node, for the stories of upgrades: this tree with another number, a kind of operation and a table
 * of its own. A layer of a few kilobytes over the image of this version.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { checkout } from "./places.ts";

/** Its number: one minor step beyond this version's. */
export function nextVersion(version: string): string {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return `${major}.${minor + 1}.0`;
}

/** Writes the files that differ below `target`, laid out as the checkout. Throws when the sources do not look as they should. */
export function writeNextVersion(target: string, version: string): void {
  const next = nextVersion(version);
  const changed = [
    changedFile("node-image/package.json", [[`"version": "${version}"`, `"version": "${next}"`]]),
    changedFile("node-image/store/kinds.ts", [
      ['  change: "0.1.0",\n', `  change: "0.1.0",\n  note: "${next}",\n`],
      ["  return changes;\n", writesNotes(next)],
    ]),
    changedFile("node-image/store/migrate.ts", [
      ["\n];\n", `\n  { file: "schema-next.sql", worksWith: "${version}" },\n];\n`],
    ]),
    ["node-image/store/schema-next.sql", notes] as const,
  ];
  for (const [file, text] of changed) {
    mkdirSync(dirname(join(target, file)), { recursive: true });
    writeFileSync(join(target, file), text);
  }
}

/** Every key gets a note beside it, once the whole fleet knows what a note is. */
function writesNotes(version: string): string {
  return `  if (compareVersions(featureLevel, "${version}") < 0) return changes;
  const note = ({ id }: Change) => ({ kind: "note", id, facts: 0, attributes: {} }) as unknown as Change;
  return changes.flatMap((change) => (change.kind === "create" ? [change, note(change)] : [change]));
`;
}

const notes = `-- Objects that have a note, as the log has them; the version before knows nothing of it and goes on without.
create table keyfleet.notes (object uuid primary key, noted timestamptz not null default clock_timestamp());
create function keyfleet.keep_note() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into keyfleet.notes (object) values (new.object) on conflict do nothing;
  return null;
end $$;
create trigger notes after insert on keyfleet.ops for each row when (new.kind = 'note') execute function keyfleet.keep_note();
insert into keyfleet.notes (object) select distinct object from keyfleet.ops where kind = 'note';
`;

function changedFile(file: string, changes: readonly (readonly [string, string])[]): readonly [string, string] {
  const text = changes.reduce(
    (before, [from, to]) => {
      if (before.split(from).length !== 2)
        throw new Error(`${file} has not exactly one ${JSON.stringify(from)}; correct test-e2e/sites/next-version.ts`);
      return before.replace(from, to);
    },
    readFileSync(join(checkout, file), "utf8"),
  );
  return [file, text];
}
