import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { tag, tagName } from "../kmip/tags.ts";
import type { Item } from "../ttlv/types.ts";
import { type Bindings, type Difference, differences } from "./kmip-compare.ts";
import { type Element, parseXml, toItem } from "./kmip-xml.ts";

/** How a case's messages travel. */
export type Transport = "ttlv" | "https" | "json" | "xml";

/** One file of OASIS test cases. */
export interface OasisCase {
  readonly file: string;
  readonly name: string;
  /** Cases of one series go on with each other's objects; every other case is a series of its own. */
  readonly series: string;
  readonly transport: Transport;
  readonly root: Element;
}

/** What a server's owner decides, and some cases want decided otherwise than others. */
export interface OwnersChoice {
  readonly legacyCiphers: boolean;
  readonly servesCompromised: boolean;
  readonly seed: number | "refused";
}

/** The choice that a case is written for: SKFF makes 3DES keys and gets compromised ones; CS-RNG-O are the four things that a server may do with one seed. */
export function choiceFor({ name }: OasisCase): OwnersChoice {
  const seeds: Readonly<Record<string, number | "refused">> = { 2: 16, 3: 0, 4: "refused" };
  const variant = /^CS-RNG-O-(\d)-/.exec(name)?.[1] ?? "";
  const foundry = name.startsWith("SKFF-");
  return { legacyCiphers: foundry, servesCompromised: foundry, seed: seeds[variant] ?? 1_048_576 };
}

/** Files that no server can pass as they stand, and the exact defect. */
export const defects: ReadonlyMap<string, string> = new Map([
  [
    "OMOS-O-1-14",
    "line 79: the answer to Destroy has Protocol Version 1.3, while its request (line 63) and the rest of the file have 1.4",
  ],
  [
    "SKFF-O-6-11",
    "line 363: the answer to Get Attribute List has Object Group, which no request of the file gives the key; the same case for 1.0 and for 1.2 (SKFF-O-6-10, SKFF-O-6-12) is without it",
  ],
]);

/** Sends a request message and gives the answer. */
export type Exchange = (message: Item, transport: Transport) => Promise<Item>;

/** Reads every XML file of the folders, in the order in which they are to be run. Throws when a folder is missing or empty. */
export function oasisCases(folders: readonly string[]): OasisCase[] {
  return folders.flatMap((folder) => {
    if (!existsSync(folder)) throw new Error(`the OASIS test cases are missing: there is no folder ${folder}`);
    const found = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".xml"));
    if (found.length === 0) throw new Error(`the OASIS test cases are missing: ${folder} has no .xml file`);
    return found.sort().map((file) => oasisCase(join(folder, file)));
  });
}

function oasisCase(file: string): OasisCase {
  const name = basename(file, ".xml");
  const series = /^(SASED-M|TL-M)-\d+(-\d+)?$/.exec(name);
  return {
    file,
    name,
    series: series === null ? name : `${series[1]}${series[2] ?? ""}`,
    transport: transports[/^MSGENC-([A-Z]+)-/.exec(name)?.[1] ?? ""] ?? "ttlv",
    root: parseXml(readFileSync(file, "utf8")),
  };
}

const transports: Readonly<Record<string, Transport>> = { HTTPS: "https", JSON: "json", XML: "xml" };

/** Plays one case: sends each request and compares the answers; what differs. `bound` is shared by the cases of a series. */
export async function playCase(each: OasisCase, exchange: Exchange, bound: Bindings): Promise<Difference[]> {
  const found: Difference[] = [];
  const results = new Map<string, string>();
  const operations = valuesOf(each.root, "Operation");
  if (operations.some((name) => /^(Create|ReKey|DeriveKey)/.test(name))) bound.set("generated", "");
  for (const [at, element] of each.root.children.entries()) {
    if (element.name !== "RequestMessage") continue;
    const expected = each.root.children[at + 1];
    if (expected?.name !== "ResponseMessage") throw new Error(`${each.file}: message ${at + 1} has no answer`);
    const bind = (placeholder: string) => bound.get(placeholder) ?? results.get(placeholder) ?? date(placeholder);
    const answer = await exchange(toItem(element, bind), each.transport);
    const messages = compare(element, expected, { answer, bound, random: hasChance(element, each, bound) });
    remember(answer, results);
    found.push(...messages.map((difference) => `message ${at + 1}: ${difference}`));
  }
  return found;
}

/** The header as a whole, then item by item: each is judged by what its own request asked for. */
function compare(
  request: Element,
  expected: Element,
  given: { answer: Item; bound: Bindings; random: boolean },
): Difference[] {
  const { answer, bound, random } = given;
  const named = request.children.filter(({ name }) => name === "BatchItem").map(namesAttributes);
  if (answer.type !== 1 || answer.tag !== tag.ResponseMessage) return ["the answer is no Response Message"];
  if (answer.value.length !== expected.children.length)
    return [`${answer.value.length - 1} answers instead of ${expected.children.length - 1}`];
  return expected.children.flatMap((child, at) =>
    differences(child, answer.value[at] as Item, { bound, random, exact: named[at - 1] ?? false }),
  );
}

/** Whether the answer to a request depends on chance: by the request itself, or by the parameters that the key was made with. */
function hasChance(request: Element, each: OasisCase, bound: Bindings): boolean {
  const operation = valuesOf(request, "Operation")[0];
  if (operation === "RNGRetrieve") return true;
  if (operation !== "Encrypt" && operation !== "Decrypt") return false;
  if (bound.has("generated")) return !valuesOf(request, "Data").some((value) => value.startsWith("$"));
  const own = valuesOf(request, "CryptographicParameters").length > 0;
  const parameters = own ? request : each.root;
  const chance =
    valuesOf(parameters, "RandomIV").includes("true") || valuesOf(parameters, "PaddingMethod").includes("OAEP");
  return operation === "Encrypt" && chance;
}

/** Requests may mean the results of earlier ones: $MAC_DATA is the last MAC Data, $DATA_0 the first Data. */
function remember(item: Item, results: Map<string, string>): void {
  if (item.type === 1) for (const child of item.value) remember(child, results);
  if (item.type !== 8) return;
  const name = `$${tagName(item.tag)
    .replaceAll(/([a-z])([A-Z])|([A-Z])([A-Z][a-z])/g, "$1$3_$2$4")
    .toUpperCase()}`;
  const count = [...results.keys()].filter((key) => key.startsWith(`${name}_`)).length;
  results.set(name, item.value.toString("hex"));
  results.set(`${name}_${count}`, item.value.toString("hex"));
}

function namesAttributes(item: Element): boolean {
  const names = [...valuesOf(item, "AttributeName"), ...valuesOf(item, "AttributeReference")];
  return valuesOf(item, "Operation")[0] === "GetAttributes" && names.length > 0;
}

/** Values of all elements of a name, at any depth. */
export function valuesOf(element: Element, name: string): string[] {
  const own = element.name === name ? [element.value] : [];
  return [...own, ...element.children.flatMap((child) => valuesOf(child, name))];
}

function date(placeholder: string): string {
  const match = /^\$NOW([+-]\d+)?$/.exec(placeholder);
  if (match === null) throw new Error(`${placeholder} is not bound`);
  return new Date(Date.now() + Number(match[1] ?? 0) * 1000).toISOString();
}
