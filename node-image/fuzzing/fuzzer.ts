import type { Item } from "../ttlv/types.ts";
import type { Coverage } from "./coverage.ts";
import { mutateBytes } from "./mutate-bytes.ts";
import { mutateItem } from "./mutate-items.ts";
import type { Random } from "./random.ts";
import type { Form, Target } from "./targets.ts";

/** What a run came to. */
export interface Summary {
  readonly target: string;
  readonly inputs: number;
  readonly seconds: number;
  readonly corpus: number;
  readonly slowestMs: number;
  /** The slowest input as hexadecimal digits, its first bytes. */
  readonly slowest: string;
  readonly findings: readonly ProblemFound[];
}

/** A problem, where it was thrown, and the first input that shows it as hexadecimal digits. */
export interface ProblemFound {
  readonly place: string;
  readonly problem: string;
  readonly input: string;
}

export interface FuzzOptions {
  readonly target: Target;
  readonly seeds: readonly Buffer[];
  readonly inputs: number;
  readonly random: Random;
  /** Absent: inputs are mutated seeds, nothing is learned. */
  readonly coverage?: Coverage;
  /** Told of each input before it runs, for whoever watches for a hang or a crash. */
  readonly about?: (input: Buffer) => void;
}

/** Inputs between two looks at the coverage: a look costs as much as a hundred of them, and finds less and less. */
const generation = { first: 200, most: 20_000, growAfter: 8 } as const;
const findingsMax = 20;
const corpusMax = 20_000;
const shownBytes = 400;
/** Sessions that mutations made longer than this are cut: long inputs try the same code slowly. */
const inputBytesMax = 8 * 1024;

/** Mutates what reached new code so far, runs it, and keeps what reaches more. */
export async function fuzz(options: FuzzOptions): Promise<Summary> {
  const { seeds, inputs, coverage, target } = options;
  const state = { corpus: [...seeds], findings: [] as ProblemFound[], slowestMs: 0, slowest: "" };
  const begin = performance.now();
  await tryAll(seeds, state, options);
  coverage?.gain();
  let done = seeds.length;
  let size: number = generation.first;
  for (let quiet = 1; done < inputs && state.findings.length < findingsMax; quiet += 1) {
    const count = Math.min(size, inputs - done);
    const some = Array.from({ length: count }, () => mutated(state.corpus, options.random, target.form));
    await tryAll(some, state, options);
    done += some.length;
    if (coverage?.isNew()) {
      await keepNew(some, state, { ...options, coverage });
      quiet = 0;
    }
    if (quiet % generation.growAfter === 0 && quiet > 0) size = Math.min(2 * size, generation.most);
  }
  const { corpus, findings, slowestMs, slowest } = state;
  return {
    target: target.name,
    inputs: done,
    seconds: (performance.now() - begin) / 1000,
    corpus: corpus.length,
    slowestMs,
    slowest,
    findings,
  };
}

interface State {
  readonly corpus: Buffer[];
  readonly findings: ProblemFound[];
  slowestMs: number;
  slowest: string;
}

async function tryAll(some: readonly Buffer[], state: State, { target, about }: FuzzOptions): Promise<void> {
  for (const input of some) {
    about?.(input);
    const begin = performance.now();
    try {
      const running = target.run(Buffer.from(input));
      if (running !== undefined) await running;
    } catch (error) {
      found(state, error, input);
    }
    const elapsed = performance.now() - begin;
    if (elapsed > state.slowestMs)
      [state.slowestMs, state.slowest] = [elapsed, input.toString("hex").slice(0, shownBytes)];
  }
}

/** Which of a generation reached new code: tried again in halves, until it is one. */
async function keepNew(
  some: readonly Buffer[],
  state: State,
  options: FuzzOptions & { readonly coverage: Coverage },
): Promise<void> {
  const { coverage } = options;
  const half = some.length >> 1;
  for (const part of some.length === 1 ? [some] : [some.slice(0, half), some.slice(half)]) {
    await tryAll(part, state, options);
    if (part.length > 1) {
      if (coverage.isNew()) await keepNew(part, state, options);
    } else if (coverage.gain() > 0 && state.corpus.length < corpusMax) state.corpus.push(...part);
  }
}

/** Newer members of the corpus are tried more often: what they reach is less explored. */
function mutated(corpus: readonly Buffer[], random: Random, form: Form): Buffer {
  const one = random.oneIn(2)
    ? random.pick(corpus)
    : (corpus[corpus.length - 1 - random.below(Math.min(64, corpus.length))] as Buffer);
  const other = random.pick(corpus);
  if (random.oneIn(2)) return mutateBytes(one, random, other);
  const [messages, others] = [itemsOf(one, form), itemsOf(other, form)];
  if (messages.length === 0 || others.length === 0) return mutateBytes(one, random, other);
  for (let times = 1 + random.below(3); times > 0; times -= 1) {
    const at = random.below(messages.length);
    messages[at] = mutateItem(messages[at] as Item, random, random.pick(others));
  }
  if (random.oneIn(8)) messages.splice(random.below(messages.length + 1), 0, random.pick(others));
  const bytes = written(messages, form);
  return bytes === undefined || bytes.length > inputBytesMax ? mutateBytes(one, random, other) : bytes;
}

const itemsOfCorpus = new WeakMap<Buffer, readonly Item[]>();

/** The messages of an input, as far as they can be read; what cannot be read is mutated as bytes. */
function itemsOf(input: Buffer, form: Form): Item[] {
  const known = itemsOfCorpus.get(input) ?? form.read(input);
  itemsOfCorpus.set(input, known);
  return [...known];
}

function written(items: readonly Item[], form: Form): Buffer | undefined {
  try {
    return form.write(items);
  } catch {
    return undefined; // A value that has no form.
  }
}

/** One input for each problem: the first place of our code tells problems apart, or for a broken rule what it says. */
function found(state: State, error: unknown, input: Buffer): void {
  const { name, message, stack = "" } = error instanceof Error ? error : new Error(String(error));
  const place = /node-image\/(?!fuzzing)\S+?:\d+/.exec(stack)?.[0] ?? message.replace(/[0-9a-f]{2,}/g, "");
  if (state.findings.some((finding) => finding.place === place) || state.findings.length >= findingsMax) return;
  state.findings.push({ place, problem: `${name}: ${message}\n${stack}`, input: input.toString("hex") });
}
