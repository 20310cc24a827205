/** How much processor time the process has used, and how much time has passed, each since some moment. */
export type Clock = () => { readonly cpuMs: number; readonly elapsedMs: number };

/**
 * On a busy machine the time that passes says little about an input. A target has a process of its own, so that
 * `process.cpuUsage` is what its inputs cost, V8's collecting of garbage beside the thread included; that of the thread alone
 * (`process.threadCpuUsage`) goes by the kernel's ticks of some ms, which is more than most inputs take.
 */
export const processorClock: Clock = () => {
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1000, elapsedMs: performance.now() };
};
