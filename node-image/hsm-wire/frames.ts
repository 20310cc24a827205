/** One message on the socket: u32 length of the rest, u32 request id, u8 kind (operation or outcome), payload. */
export interface Frame {
  readonly id: number;
  readonly kind: number;
  /** Memory of its own: the receiver zeroes it when it held a secret. */
  readonly payload: Buffer;
}

/** Longest frame that either side sends or takes; a longer one ends the connection. */
export const maxFrameBytes = 64 * 1024;

const headerBytes = 9;

/** Bytes of a frame; throws RangeError when it would be longer than maxFrameBytes. */
export function encodeFrame(frame: Frame): Buffer {
  const size = headerBytes + frame.payload.length;
  if (size > maxFrameBytes) throw new RangeError(`a message of ${size} bytes is over the limit of ${maxFrameBytes}`);
  const bytes = Buffer.alloc(size);
  bytes.writeUInt32BE(size - 4, 0);
  bytes.writeUInt32BE(frame.id, 4);
  bytes.writeUInt8(frame.kind, 8);
  bytes.set(frame.payload, headerBytes);
  return bytes;
}

/** Cuts a byte stream into frames; holds at most one frame's bytes and zeroes what it has handed on, or when it is told to. */
export class FrameReader {
  readonly #pending = Buffer.alloc(maxFrameBytes);
  #filled = 0;

  /** Frames completed by this chunk; throws RangeError on a frame that is too long or too short. */
  *push(chunk: Buffer): Generator<Frame> {
    let at = 0;
    while (at < chunk.length) {
      const taken = Math.min(chunk.length - at, this.#missing());
      chunk.copy(this.#pending, this.#filled, at, at + taken);
      this.#filled += taken;
      at += taken;
      if (this.#filled >= 4 && this.#missing() === 0) yield this.#take();
    }
  }

  /** The stream has ended: what has come of a frame may be a secret. */
  clear(): void {
    this.#pending.fill(0);
    this.#filled = 0;
  }

  /** Bytes still wanted: of the length first, then of the frame. */
  #missing(): number {
    if (this.#filled < 4) return 4 - this.#filled;
    const size = 4 + this.#pending.readUInt32BE(0);
    if (size > maxFrameBytes || size < headerBytes) throw new RangeError(`a frame of ${size} bytes is not allowed`);
    return size - this.#filled;
  }

  #take(): Frame {
    const payload = Buffer.alloc(this.#filled - headerBytes);
    this.#pending.copy(payload, 0, headerBytes, this.#filled);
    const frame = { id: this.#pending.readUInt32BE(4), kind: this.#pending.readUInt8(8), payload };
    this.#pending.fill(0, 0, this.#filled);
    this.#filled = 0;
    return frame;
  }
}
