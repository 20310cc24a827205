import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { attributeRules } from "../objects/attribute-rules.ts";
import { profileNames } from "../operations/profiles.ts";
import { sinceOf } from "./enumeration.ts";
import { enumerations } from "./enumerations.ts";
import { notServed } from "./not-served.ts";
import { router } from "./router.ts";

/** The document that tells what of KMIP is spoken. */
export const documentFile = join(import.meta.dirname, "../../docs/kmip.md");

const written = (version: number) => `${Math.floor(version / 10)}.${version % 10}`;

/** Every operation of KMIP 1.0 to 2.1: served, or why not. Throws when one is neither, or both. */
export function operationsTable(): string {
  const rows = [...enumerations.operation.names].map(([number, name]) => {
    const [route, why] = [router.get(number), notServed.get(number)];
    if (route !== undefined && route.since !== sinceOf(enumerations.operation, number))
      throw new Error(`${name}: the router says since ${route.since}`);
    if (route === undefined && why === undefined) throw new Error(`${name} is neither served nor explained`);
    return `| ${name} | ${written(sinceOf(enumerations.operation, number))} | ${route === undefined ? `no: ${why}` : "yes"} |`;
  });
  return ["| operation | since | served |", "| --- | --- | --- |", ...rows].join("\n");
}

/** Every attribute with the versions that have it. */
export function attributesTable(): string {
  const rows = Object.entries(attributeRules).map(([name, { since, until }]) => {
    const end = until === undefined ? "" : ` until ${written(until)}`;
    return `| ${name} | ${written(since)}${end} |`;
  });
  return ["| attribute | since |", "| --- | --- |", ...rows.sort()].join("\n");
}

/** Profiles that Query names. */
export function profilesList(): string {
  return `${profileNames.toSorted().join(", ")}.`;
}

/** The document with its tables made anew. */
export function renewed(document: string): string {
  const parts = { operations: operationsTable(), attributes: attributesTable(), profiles: profilesList() };
  return Object.entries(parts).reduce((text, [name, table]) => {
    const [begin, end] = [`<!-- ${name}: made by node node-image/kmip/document.ts -->`, `<!-- end of ${name} -->`];
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`docs/kmip.md has no place for ${name}`);
    return `${text.slice(0, from)}${begin}\n${table}\n${text.slice(to)}`;
  }, document);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  writeFileSync(documentFile, renewed(readFileSync(documentFile, "utf8")));
}
