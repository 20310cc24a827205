/** Bounds of one listener; each protects the clients that behave from one that does not. */
export interface ListenLimits {
  readonly messageBytesMax: number;
  /** Of messages that come, wait or are in work, all together and on all ports; a larger sum waits until there is room. */
  readonly largeMessagesBytesMax: number;
  /** Of answers that their clients have not read; beyond it the connection whose answer is the oldest is cut. */
  readonly unreadAnswersBytesMax: number;
  /** Messages and answers up to this size do not count as large ones. */
  readonly smallMessageBytes: number;
  /**
   * Authenticated connections, in all and from one address. An idle one costs about 50 KiB. Behind a balancer that hides
   * addresses all clients have one: it gets most of all, and leaves some to others.
   */
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** Connections that have not finished their handshake; beyond it the oldest half-open one gives way. */
  readonly handshakesMax: number;
  readonly handshakeTimeoutMs: number;
  /** A connection that says nothing between messages. */
  readonly idleTimeoutMs: number;
  /** A message that has begun must be whole after this. */
  readonly messageTimeoutMs: number;
  /** A client that does not read its answers. */
  readonly writeTimeoutMs: number;
  /** Requests worked on at once; the rest wait unread. */
  readonly requestsInFlightMax: number;
  /** In a drain an idle connection may ask once more for so long; its answer is the last one. */
  readonly drainIdleMs: number;
  /** What a drain waits for requests before it cuts them. */
  readonly drainTimeoutMs: number;
}

/** Bounds that suit a node of two cores. */
export const defaultLimits: ListenLimits = {
  messageBytesMax: 1_048_576,
  largeMessagesBytesMax: 67_108_864,
  unreadAnswersBytesMax: 67_108_864,
  smallMessageBytes: 16_384,
  connectionsMax: 5000,
  connectionsPerAddressMax: 4000,
  handshakesMax: 512,
  handshakeTimeoutMs: 5_000,
  idleTimeoutMs: 600_000,
  messageTimeoutMs: 10_000,
  writeTimeoutMs: 10_000,
  requestsInFlightMax: 256,
  drainIdleMs: 2_000,
  drainTimeoutMs: 10_000,
};
