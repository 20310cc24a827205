import type { Item } from "../ttlv/types.ts";
import { type Clock, processorClock } from "./clock.ts";
import type { Coverage, Look } from "./coverage.ts";
import type { Form } from "./form.ts";
import { mutateBytes } from "./mutate-bytes.ts";
import { mutateItem } from "./mutate-items.ts";
import type { Random } from "./random.ts";
import type { Target } from "./targets.ts";

/** What a run came to. */
export interface Summary {
  readonly target: string;
  /** Inputs that were run. */
  readonly inputs: number;
  /** How many of them were run again, to tell which of a generation reached new code. */
  readonly again: number;
  readonly seconds: number;
  readonly corpus: number;
  readonly slowest: SlowInput;
  readonly findings: readonly ProblemFound[];
}

/** What took the most processor time, the time that passed meanwhile, and the whole input as hexadecimal digits. */
export interface SlowInput {
  readonly cpuMs: number;
  readonly elapsedMs: number;
  readonly input: string;
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
  /** In all, those included that are run again; the seeds are run in any case. */
  readonly inputs: number;
  readonly random: Random;
  /** Absent: inputs are mutated seeds, nothing is learned. */
  readonly coverage?: Coverage;
  /** Told of each input before it runs, for whoever watches for a hang or a crash. */
  readonly about?: (input: Buffer) => void;
  /** Told of each finding, for whoever watches how far it is. */
  readonly foundOne?: () => void;
  /** Default: that of this process. */
  readonly clock?: Clock;
}

/** Inputs between two looks at the coverage: a look costs as much as a hundred of them, and finds less and less. */
const generation = { first: 200, most: 20_000, growAfter: 8 } as const;
const findingsMax = 20;
const corpusMax = 20_000;
/** Sessions that mutations made longer than this are cut: long inputs try the same code slowly. */
const inputBytesMax = 8 * 1024;

/** Mutates what reached new code so far, runs it, and keeps what reaches more. */
export async function fuzz(options: FuzzOptions): Promise<Summary> {
  const { seeds, inputs, coverage, target, random } = options;
  const state = newState(seeds);
  const begin = performance.now();
  await tryAll(seeds, state, options);
  coverage?.look().keep();
  let size: number = generation.first;
  for (let quiet = 1; state.inputs < inputs && state.findings.length < findingsMax; quiet += 1) {
    const count = Math.min(size, inputs - state.inputs);
    const some = Array.from({ length: count }, () => mutated(state.corpus, random, target.form));
    await tryAll(some, state, options);
    const look = coverage?.look();
    if (coverage !== undefined && look?.isNew()) {
      await keepNew(some, look, state, { ...options, coverage });
      quiet = 0;
    }
    if (quiet % generation.growAfter === 0 && quiet > 0) size = Math.min(2 * size, generation.most);
  }
  const seconds = (performance.now() - begin) / 1000;
  const { slowest, ...rest } = state;
  return {
    ...rest,
    target: target.name,
    seconds,
    corpus: state.corpus.length,
    slowest: { ...slowest, input: slowest.input.toString("hex") },
  };
}

interface State {
  readonly corpus: Buffer[];
  readonly findings: ProblemFound[];
  inputs: number;
  again: number;
  slowest: { readonly cpuMs: number; readonly elapsedMs: number; readonly input: Buffer };
}

function newState(seeds: readonly Buffer[]): State {
  const slowest = { cpuMs: -1, elapsedMs: 0, input: Buffer.alloc(0) };
  return { corpus: [...seeds], findings: [], inputs: 0, again: 0, slowest };
}

async function tryAll(some: readonly Buffer[], state: State, options: FuzzOptions): Promise<void> {
  const clock = options.clock ?? processorClock;
  for (const input of some) {
    options.about?.(input);
    const begin = clock();
    await tryOne(input, state, options);
    const end = clock();
    state.inputs += 1;
    const [cpuMs, elapsedMs] = [end.cpuMs - begin.cpuMs, end.elapsedMs - begin.elapsedMs];
    if (cpuMs > state.slowest.cpuMs) state.slowest = { cpuMs, elapsedMs, input };
  }
}

async function tryOne(input: Buffer, state: State, { target, foundOne }: FuzzOptions): Promise<void> {
  try {
    const running = target.run(Buffer.from(input));
    if (running !== undefined) await running;
  } catch (error) {
    if (found(state, error, input)) foundOne?.();
  }
}

/**
 * Keeps those of a generation that reached new code. Its first half is run again; what the generation reached and the half did
 * not, the other half did, which is therefore not run as a whole. What is not reached again counts as known afterwards, else
 * every later generation is searched for it: V8 counts no calls that it has inlined, and so tells of some code only now and then.
 */
async function keepNew(
  some: readonly Buffer[],
  look: Look,
  state: State,
  options: FuzzOptions & { readonly coverage: Coverage },
): Promise<void> {
  const [first, second] = [some.slice(0, some.length >> 1), some.slice(some.length >> 1)];
  if (first.length === 0 || state.inputs + first.length > options.inputs) {
    if (look.keep() > 0 && first.length === 0 && state.corpus.length < corpusMax) state.corpus.push(...second);
    return;
  }
  await tryAll(first, state, options);
  state.again += first.length;
  const reached = options.coverage.look();
  if (reached.isNew()) await keepNew(first, reached, state, options);
  if (look.isNew()) await keepNew(second, look, state, options);
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

/** Whether it is a problem not seen before. One input for each problem: the first place of our code tells problems apart, or for a broken rule what it says. */
function found(state: State, error: unknown, input: Buffer): boolean {
  const { name, message, stack = "" } = error instanceof Error ? error : new Error(String(error));
  const place = /node-image\/(?!fuzzing)\S+?:\d+/.exec(stack)?.[0] ?? message.replace(/[0-9a-f]{2,}/g, "");
  if (state.findings.some((finding) => finding.place === place) || state.findings.length >= findingsMax) return false;
  state.findings.push({ place, problem: `${name}: ${message}\n${stack}`, input: input.toString("hex") });
  return true;
}
