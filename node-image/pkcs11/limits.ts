/** Every bound of the sidecar, in one place. */
export const limits = {
  /** Most threads that work for requests when --workers says nothing; each holds one session. */
  workers: 4,
  /** From a request's arrival to its answer, waiting included. */
  requestDeadlineMs: 10_000,
  /** RSA key generation searches primes; slow tokens take half a minute. */
  keyGenerationDeadlineMs: 60_000,
  /** Loading the library, login, finding the key. */
  openDeadlineMs: 60_000,
  probeDeadlineMs: 10_000,
  /** How often the token is looked at: mending is noticed after this long, and so is loss. */
  recheckMs: 2_000,
  /** First pause after a loss; doubles up to recheckMs. */
  firstReopenPauseMs: 250,
  /** What threads have to come back from the library when the sidecar ends. */
  endMs: 1_000,
  connections: 16,
  /** Requests of one connection that may wait at one time. */
  inFlightPerConnection: 64,
  /** Requests of all connections that may wait for a free thread. */
  queue: 256,
  /** Answers a client has not read yet, in bytes; beyond, it is disconnected. */
  unreadBytes: 1024 * 1024,
  /** Threads stuck inside the vendor's library before the process gives up and is started anew. */
  stuckThreads: 4,
  pinBytes: 255,
  /** PIN values remembered as refused. */
  refusedPins: 8,
  /** Logins of one PIN value that never came back (a dead network, a kill) before they are made rarely. */
  unfinishedLogins: 3,
  unfinishedLoginPauseMs: 10 * 60_000,
  tokensNamedInMessage: 8,
  /** A thread handles one message of at most 64 KiB at a time. */
  threadMemory: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
} as const;
