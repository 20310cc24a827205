import { tag } from "../kmip/tags.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { Bindings, isPlaceholder } from "./kmip-bindings.ts";
import { type Difference, differences } from "./kmip-compare.ts";
import { type Element, toItem, valuesOf } from "./kmip-xml.ts";
import type { OasisCase, Transport } from "./oasis-cases.ts";

/** Sends a request message and gives the answer. */
export type Exchange = (message: Item, transport: Transport) => Promise<Item>;

/** What the cases of a series know of each other. */
export interface Series {
  readonly bindings: Bindings;
  /** Whether an earlier case had the server make keys. */
  generated: boolean;
}

/** A series that nobody has played yet. */
export function newSeries(): Series {
  return { bindings: new Bindings(), generated: false };
}

/** Plays one case: sends each request and compares the answers; what differs, by message. */
export async function playCase(each: OasisCase, exchange: Exchange, series: Series): Promise<Difference[]> {
  if (each.unreadable !== undefined) return [each.unreadable];
  const bindings = new Bindings(series.bindings);
  const found: Difference[] = [];
  series.generated ||= each.exchanges.some(({ request }) =>
    valuesOf(request, "Operation").some((name) => /^(Create|ReKey|DeriveKey)/.test(name)),
  );
  const early = new EarlyAnswers();
  for (const [at, { request, expected }] of each.exchanges.entries()) {
    const before = early.to(request);
    // Nothing is left to be cancelled.
    if (before !== undefined && valuesOf(request, "Operation").includes("Cancel")) continue;
    const answer =
      before ?? (await send(request, { bindings, transport: each.transport, exchange }).catch((error: Error) => error));
    if (answer instanceof Error) return [...found, `message ${2 * at + 1}: ${answer.message}`];
    if (early.takes(expected, answer)) continue;
    const random = hasChance(request, each, series.generated);
    const messages = compare({ request, expected }, answer, { bindings, random, generated: series.generated });
    bindings.remember(answer);
    found.push(...messages.map((difference) => `message ${2 * at + 1}: ${difference}`));
    if (isAnotherVersion(expected, answer)) break;
  }
  series.bindings.takeOver(bindings);
  return found;
}

/** A server may answer at once what the example's server let wait (1.4, 6.7): what comes of a Poll is then what it said before. */
class EarlyAnswers {
  readonly #answers = new Map<string, Item>();

  /** What was said before to the operation that the request asks for. */
  to(request: Element): Item | undefined {
    return this.#answers.get(valuesOf(request, "AsynchronousCorrelationValue")[0] ?? "");
  }

  /** Whether the answer is one that is not expected yet. */
  takes(expected: Element, answer: Item): boolean {
    const [waiting] = valuesOf(expected, "AsynchronousCorrelationValue");
    const isWaiting = valuesOf(expected, "ResultStatus").includes("OperationPending");
    if (waiting === undefined || !isWaiting || !textsOf(answer, tag.ResultStatus).includes("0")) return false;
    this.#answers.set(waiting, answer);
    return true;
  }
}

async function send(
  request: Element,
  by: { bindings: Bindings; transport: Transport; exchange: Exchange },
): Promise<Item> {
  const message = toItem(request, (placeholder) => by.bindings.valueOf(placeholder));
  return by.exchange(message, by.transport);
}

/** The header as a whole, then item by item: each is judged by what its own request asked for. */
function compare(
  { request, expected }: { request: Element; expected: Element },
  answer: Item,
  judgement: { bindings: Bindings; random: boolean; generated: boolean },
): Difference[] {
  const named = request.children.filter(({ name }) => name === "BatchItem").map(namesAttributes);
  if (answer.type !== itemType.structure || answer.tag !== tag.ResponseMessage)
    return ["the answer is no Response Message"];
  if (isAnotherVersion(expected, answer)) {
    return [`KMIP ${versionsOf(expected)} was not answered: ${textsOf(answer, tag.ResultMessage).join(" ")}`];
  }
  if (answer.value.length !== expected.children.length)
    return [`${answer.value.length - 1} answers instead of ${expected.children.length - 1}`];
  return expected.children.flatMap((child, at) => {
    const given = answer.value[at] as Item;
    const found = differences(child, given, { ...judgement, exact: named[at - 1] ?? false });
    const [first, ...others] = found;
    const said = textsOf(given, tag.ResultMessage).map((message) => ` (the server said: ${message})`);
    return first === undefined ? [] : [`${first}${said.join("")}`, ...others];
  });
}

/** Whether the server refused because it does not speak the version. */
function isAnotherVersion(expected: Element, answer: Item): boolean {
  const given = textsOf(answer, tag.ProtocolVersionMajor)[0];
  return given !== undefined && given !== (valuesOf(expected, "ProtocolVersionMajor")[0] ?? given);
}

function versionsOf(message: Element): string {
  return `${valuesOf(message, "ProtocolVersionMajor")[0]}.${valuesOf(message, "ProtocolVersionMinor")[0]}`;
}

function textsOf(item: Item, wanted: number): string[] {
  if (item.type === itemType.structure) return item.value.flatMap((child) => textsOf(child, wanted));
  return item.tag === wanted ? [String(item.value)] : [];
}

/** Whether the answer to a request depends on chance: by the request itself, or by the parameters that the key was made with. */
function hasChance(request: Element, each: OasisCase, generated: boolean): boolean {
  const operation = valuesOf(request, "Operation")[0] ?? "";
  if (operation === "RNGRetrieve") return true;
  if (!["Encrypt", "Decrypt", "Sign", "MAC"].includes(operation)) return false;
  if (generated) return !valuesOf(request, "Data").some(isPlaceholder);
  const own = valuesOf(request, "CryptographicParameters").length > 0;
  const parameters = own ? [request] : each.exchanges.map((exchange) => exchange.request);
  const has = (name: string, value: RegExp) =>
    parameters.some((element) => valuesOf(element, name).some((given) => value.test(given)));
  if (operation === "Encrypt") return has("RandomIV", /^true$/) || has("PaddingMethod", /^OAEP$/);
  return operation === "Sign" && (has("PaddingMethod", /^PSS$/) || has("DigitalSignatureAlgorithm", /PSS|ECDSA/));
}

function namesAttributes(item: Element): boolean {
  const names = [...valuesOf(item, "AttributeName"), ...valuesOf(item, "AttributeReference")];
  return valuesOf(item, "Operation")[0] === "GetAttributes" && names.length > 0;
}
