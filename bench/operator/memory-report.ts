import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Loaded before the operator: tells what the process holds after a collection, each time that it is asked. */
process.on("message", () => {
  // Not as a flag of the process: what was compiled without it would not be taken then.
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
  process.send?.(process.memoryUsage());
});
