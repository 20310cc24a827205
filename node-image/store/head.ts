/** Last operation of one origin's log. */
export interface Head {
  readonly origin: string;
  readonly seq: number;
  readonly hlc: bigint;
  readonly mac: Buffer;
}

/** Heads as JSON text: [[origin,seq,hlc,mac]…]. */
export function encodeHeads(heads: readonly Head[]): string {
  return JSON.stringify(
    heads.map(({ origin, seq, hlc, mac }) => [origin, seq, hlc.toString(), mac.toString("base64")]),
  );
}

/** Heads from what `encodeHeads` or mesh.mark() has written. */
export function headsFrom(rows: readonly (readonly [string, number, string, string])[]): readonly Head[] {
  return rows.map(([origin, seq, hlc, mac]) => ({ origin, seq, hlc: BigInt(hlc), mac: Buffer.from(mac, "base64") }));
}
