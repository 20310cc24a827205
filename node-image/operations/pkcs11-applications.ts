import { randomBytes } from "node:crypto";

/** What one C_Initialize began, known by its Correlation Value. */
export interface Pkcs11Application {
  readonly correlation: Buffer;
  /** Handles of open sessions; 0 is never one. */
  readonly sessions: Set<bigint>;
  lastHandle: bigint;
}

/** Applications that one caller may have initialized and callers that are remembered, of both the oldest gives way; sessions of a caller. */
export const pkcs11Limits = { applications: 16, callers: 1024, sessions: 64 } as const;

/**
 * Who has initialized, and the sessions that are open. They live in one node's memory, whatever the connection: after a restart
 * an application initializes again.
 */
export class Pkcs11Applications {
  readonly #byCaller = new Map<string, Map<string, Pkcs11Application>>();

  open(caller: string): Pkcs11Application {
    const own = this.#byCaller.get(caller) ?? new Map<string, Pkcs11Application>();
    this.#byCaller.delete(caller);
    this.#byCaller.set(caller, own);
    const application = { correlation: randomBytes(16), sessions: new Set<bigint>(), lastHandle: 0n };
    own.set(application.correlation.toString("hex"), application);
    trim(own, pkcs11Limits.applications);
    trim(this.#byCaller, pkcs11Limits.callers);
    return application;
  }

  find(caller: string, correlation: Buffer | undefined): Pkcs11Application | undefined {
    return correlation === undefined ? undefined : this.#byCaller.get(caller)?.get(correlation.toString("hex"));
  }

  close(caller: string, { correlation }: Pkcs11Application): void {
    this.#byCaller.get(caller)?.delete(correlation.toString("hex"));
  }

  /** The handle of a new session; undefined if the caller has as many as it may. */
  openSession(caller: string, application: Pkcs11Application): bigint | undefined {
    const applications = [...(this.#byCaller.get(caller)?.values() ?? [])];
    const sessions = applications.reduce((sum, each) => sum + each.sessions.size, 0);
    if (sessions >= pkcs11Limits.sessions) return undefined;
    application.lastHandle += 1n;
    application.sessions.add(application.lastHandle);
    return application.lastHandle;
  }
}

function trim(kept: Map<string, unknown>, most: number): void {
  for (const oldest of kept.keys()) if (kept.size > most) kept.delete(oldest);
}
