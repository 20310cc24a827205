import { type Profiler, Session } from "node:inspector";

/** Which bytes of the code under test have run so far, as V8's block coverage tells. */
export interface Coverage {
  /** What ran since the last look. */
  look(): Look;
  /** Bytes of code that ran, of those in the files seen. */
  total(): { readonly covered: number; readonly bytes: number; readonly files: number };
  stop(): void;
}

/** What of the code ran between two looks. */
export interface Look {
  /** Whether that includes code that is not known yet. */
  isNew(): boolean;
  /** Makes all of it known; how many bytes of code were not before. */
  keep(): number;
}

/** Starts counting in this thread, for files whose address matches. */
export function startCoverage(files: RegExp): Coverage {
  const session = new Session();
  session.connect();
  call(session, "Profiler.enable");
  call(session, "Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  const seen = new Map<string, Uint8Array>();
  return {
    look: () => {
      const { result } = call(session, "Profiler.takePreciseCoverage") as { result: Profiler.ScriptCoverage[] };
      const ran = result
        .filter(({ url }) => files.test(url))
        .map((script) => [script.url, coveredBytes(script)] as const);
      return {
        isNew: () => ran.some(([url, now]) => newBytes(seen.get(url), now) > 0),
        keep: () => ran.reduce((sum, [url, now]) => sum + paint(seen, url, now), 0),
      };
    },
    total: () => {
      const maps = [...seen.values()];
      const covered = maps.reduce((sum, map) => sum + map.reduce((bytes, bit) => bytes + bit, 0), 0);
      return { covered, bytes: maps.reduce((sum, map) => sum + map.length, 0), files: maps.length };
    },
    stop: () => {
      call(session, "Profiler.stopPreciseCoverage");
      session.disconnect();
    },
  };
}

/** The inspector answers calls to the own thread before `post` returns. */
function call(session: Session, method: string, parameters?: object): unknown {
  let answer: unknown;
  session.post(method, parameters, (error, result) => {
    if (error !== null) throw error;
    answer = result;
  });
  return answer;
}

function newBytes(known: Uint8Array | undefined, now: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < now.length; at += 1) if (now[at] === 1 && known?.[at] !== 1) count += 1;
  return count;
}

function paint(seen: Map<string, Uint8Array>, url: string, now: Uint8Array): number {
  const gained = newBytes(seen.get(url), now);
  const known = grown(seen.get(url), now.length);
  for (let at = 0; at < now.length; at += 1) if (now[at] === 1) known[at] = 1;
  seen.set(url, known);
  return gained;
}

/** V8 leaves out functions that did not run lately: the end of the file is not always among what it tells. */
function grown(map: Uint8Array | undefined, size: number): Uint8Array {
  if (map !== undefined && map.length >= size) return map;
  const larger = new Uint8Array(size);
  larger.set(map ?? []);
  return larger;
}

/** Ranges are nested, outer before inner: each inner one corrects what the outer one said. */
function coveredBytes({ functions }: Profiler.ScriptCoverage): Uint8Array {
  const size = functions.reduce((most, { ranges }) => Math.max(most, ranges[0]?.endOffset ?? 0), 0);
  const covered = new Uint8Array(size);
  for (const { ranges } of functions)
    for (const { startOffset, endOffset, count } of ranges) covered.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  return covered;
}
