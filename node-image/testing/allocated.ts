/** All buffers that `Buffer.alloc` gave while the work was done: what of them is left afterwards. */
export function allocatedBy(work: () => unknown): readonly Buffer[] {
  const { alloc } = Buffer;
  const given: Buffer[] = [];
  Buffer.alloc = (...wanted: Parameters<typeof alloc>) => {
    const buffer = alloc(...wanted);
    given.push(buffer);
    return buffer;
  };
  try {
    work();
    return given;
  } finally {
    Buffer.alloc = alloc;
  }
}
