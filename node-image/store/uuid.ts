const hyphen = 0x2d;

/** Writes the sixteen bytes of a UUID that `isUuid` lets through. */
export function writeUuid(into: Buffer, uuid: string, at: number): void {
  let place = at;
  for (let index = 0; index < uuid.length; index += 2) {
    // One stands before the digits of the bytes 4, 6, 8 and 10.
    if (uuid.charCodeAt(index) === hyphen) index += 1;
    into[place++] = (digit(uuid.charCodeAt(index)) << 4) | digit(uuid.charCodeAt(index + 1));
  }
}

function digit(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
