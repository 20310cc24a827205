import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Element, parseXml, valuesOf } from "./kmip-xml.ts";

/** How a case's messages travel. */
export type Transport = "ttlv" | "https" | "json" | "xml";

/** One file of OASIS test cases. */
export interface OasisCase {
  readonly file: string;
  /** In the profiles' own spelling: "SKLC-M-1-14", also for a file that is called SKLC_M_1_14_SymmetricKeyLifecycle_1.xml. */
  readonly name: string;
  /** Cases of one series go on with each other's objects; every other case is a series of its own. */
  readonly series: string;
  readonly transport: Transport;
  /** Requests, each with the answer that the file expects. */
  readonly exchanges: readonly { readonly request: Element; readonly expected: Element }[];
  /** Why the file cannot be played. */
  readonly unreadable?: string;
}

/** What a server's owner decides, and some cases want decided otherwise than others. */
export interface OwnersChoice {
  readonly legacyCiphers: boolean;
  readonly servesCompromised: boolean;
  readonly seed: number | "refused";
}

/** The choice that the cases of a series are written for, read from what they ask for and expect. */
export function choiceFor(series: readonly OasisCase[]): OwnersChoice {
  const exchanges = series.flatMap((each) => each.exchanges);
  const requests = exchanges.map(({ request }) => request);
  return {
    legacyCiphers: requests.some((request) => namesLegacy(request)),
    servesCompromised: exchanges.some(({ request }, at) => {
      const after = exchanges.slice(at + 1).map(({ expected }) => expected);
      return isCompromise(request) && after.some((expected) => valuesOf(expected, "KeyBlock").length > 0);
    }),
    seed: seedOf(exchanges),
  };
}

/** Algorithms that a server serves only if its owner says so. */
function namesLegacy({ name, value, type, children }: Element): boolean {
  const names = (name === "CryptographicAlgorithm" || name === "AttributeValue") && type === "Enumeration";
  return (names && /^(3DES|DES3|Triple_?DES|SKIPJACK|0x0*2|0x0*18)$/i.test(value)) || children.some(namesLegacy);
}

function isCompromise(request: Element): boolean {
  return valuesOf(request, "RevocationReasonCode").some((reason) => /Compromise$/.test(reason));
}

/** The four things that a server may do with a seed: take all of it, some, nothing, or refuse it. */
function seedOf(exchanges: OasisCase["exchanges"]): number | "refused" {
  const all = 1_048_576;
  const seeded = exchanges.find(({ request }) => valuesOf(request, "Operation").includes("RNGSeed"));
  if (seeded === undefined) return all;
  const given = (valuesOf(seeded.request, "Data")[0] ?? "").length / 2;
  const [taken] = [...valuesOf(seeded.expected, "DataLength"), ...valuesOf(seeded.expected, "AmountOfSeedData")];
  if (taken === undefined) return "refused";
  return Number(taken) === given ? all : Number(taken);
}

/** Reads every case of the folders, or single files, in the order in which they are to be run. Throws NoCases. */
export function oasisCases(places: readonly string[]): OasisCase[] {
  return places.flatMap((place) => {
    if (!existsSync(place)) throw new NoCases(`the OASIS test cases are missing: there is no folder ${place}`);
    if (!statSync(place).isDirectory()) return [oasisCase(place)];
    const found = readdirSync(place, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map(({ parentPath, name }) => join(parentPath, name))
      .filter(isCase);
    if (found.length === 0) throw new NoCases(`the OASIS test cases are missing: ${place} has no XML file`);
    return found.sort((one, other) => naturally.compare(one, other)).map(oasisCase);
  });
}

/** A place where cases should be has none: then nothing is shown by running them. */
export class NoCases extends Error {}

/** Every XML file, and those by another name that are XML with a message in it, as sets are that were saved from web pages. */
function isCase(file: string): boolean {
  if (/\.xml$/i.test(file)) return true;
  return /\.(txt|kmip)$/i.test(file) && /^\s*<.*<(\w+:)?RequestMessage[\s>]/s.test(readFileSync(file, "utf8"));
}

/** Case 2 comes before case 10. */
const naturally = new Intl.Collator("en", { numeric: true });

function oasisCase(file: string): OasisCase {
  const name = nameOf(file);
  const series = /^(SASED-M|TL-M)-\d+(-\d+)?/.exec(name);
  return {
    file,
    name,
    series: `${dirname(file)} ${series === null ? basename(file) : `${series[1]}${series[2] ?? ""}`}`,
    transport: transports[/^MSGENC-([A-Z]+)-/.exec(name)?.[1] ?? ""] ?? "ttlv",
    ...contentsOf(file),
  };
}

const transports: Readonly<Record<string, Transport>> = { HTTPS: "https", JSON: "json", XML: "xml" };

/** The name up to the number of the version; what describes the case after it does not count. */
function nameOf(file: string): string {
  const name = basename(file).replace(/(\.(xml|txt|kmip))+$/i, "");
  const profile = /^[A-Z]+\d*(_\d+)?([-_][A-Z]+\d*)*([-_]\d+)+(?=[-_]|$)/.exec(name)?.[0] ?? name;
  // SUITEB_128-M-1-14 has an underscore of its own.
  return profile.includes("-") ? profile : profile.replaceAll("_", "-");
}

/** One bad file is one failed case, and not the end of the run. */
function contentsOf(file: string): Pick<OasisCase, "exchanges" | "unreadable"> {
  try {
    return { exchanges: exchangesOf(parseXml(readFileSync(file, "utf8"))) };
  } catch (error) {
    return { exchanges: [], unreadable: error instanceof Error ? error.message : String(error) };
  }
}

function exchangesOf(document: Element): OasisCase["exchanges"] {
  const messages = messagesIn(document);
  if (messages.length === 0) throw new Error("there is no Request Message in the file");
  return messages.flatMap((request, at) => {
    if (request.name !== "RequestMessage") return [];
    const expected = messages[at + 1];
    if (expected?.name !== "ResponseMessage") throw new Error(`message ${at + 1} has no answer`);
    return [{ request, expected }];
  });
}

/** Messages in the order of the document, at whatever depth. */
function messagesIn(element: Element): Element[] {
  const isMessage = element.name === "RequestMessage" || element.name === "ResponseMessage";
  return isMessage ? [element] : element.children.flatMap(messagesIn);
}
