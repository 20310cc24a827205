/**
 * Stands for what is made while the base class is constructed and what `KubeConfig` could make, and is never called:
 * clients, HTTP agents (ports/transport.ts has its own) and the queue of events. A call of it fails.
 */
class NeverCalled {}

export {
  NeverCalled as Agent,
  NeverCalled as CoreV1Api,
  NeverCalled as ProxyAgent,
  NeverCalled as ServerConfiguration,
};
export const createConfiguration = () => undefined;
export const queue = () => undefined;
export const instance = undefined;
