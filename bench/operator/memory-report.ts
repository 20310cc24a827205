/** Loaded before the operator: tells what the process holds after a collection, each time that it is asked. */
process.on("message", () => {
  globalThis.gc?.();
  globalThis.gc?.();
  process.send?.(process.memoryUsage());
});
