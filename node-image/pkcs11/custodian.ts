import { setTimeout as pause } from "node:timers/promises";
import { HsmError } from "../hsm/hsm-error.ts";
import type { HsmStatus } from "../hsm/types.ts";
import type { OperationName } from "../hsm-wire/messages.ts";
import { Crew } from "./crew.ts";
import { limits } from "./limits.ts";
import type { CustodySettings, ThreadAnswer } from "./thread-messages.ts";
import { ThreadLink } from "./token-thread-link.ts";

/** What the custodian tells the entry point. */
export interface CustodianOptions {
  readonly settings: CustodySettings;
  readonly workers: number;
  readonly onStatus: (status: HsmStatus) => void;
  /** Too many threads are stuck inside the library: only a new process helps. */
  readonly onHopeless: (message: string) => void;
}

const threadScript = new URL("./token-thread.ts", import.meta.url);
const starting: HsmStatus = { ready: false, reason: "Starting", message: "the HSM sidecar is opening the token" };

/** Keeps the token open: opens it, looks after it, opens it again after a loss, and passes requests to the threads. */
export class Custodian {
  readonly #options: CustodianOptions;
  readonly #crew: Crew;
  #keeper: ThreadLink;
  #status = starting;
  #keeperBusy: Promise<unknown> = Promise.resolve();
  #opening: Promise<void> | undefined;
  #recovering = false;
  #pauseMs: number = limits.recheckMs;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(options: CustodianOptions) {
    this.#options = options;
    this.#crew = new Crew({ script: threadScript, data: options.settings }, options.workers);
    this.#keeper = this.#newKeeper();
  }

  get status(): HsmStatus {
    return this.#status;
  }

  /** Begins to open the token and to look after it; never rejects, see status. */
  start(): void {
    void this.#look();
  }

  /** Carries out one request within its deadline. Rejects with HsmError; zeroes or gives away the payload. */
  async carryOut(
    operation: Exclude<OperationName, "status">,
    payload: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    await this.#recovered();
    const first = await this.#ask(operation, payload);
    if (first.kind !== "lost") return result(first);
    await this.#reopen(first.cause);
    const second = await this.#ask(operation, first.payload);
    return result(second);
  }

  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await Promise.all([this.#crew.end(), this.#keeper.end()]);
  }

  #ask(operation: Exclude<OperationName, "status">, payload: Uint8Array<ArrayBuffer>): Promise<ThreadAnswer> {
    if (!this.#status.ready) {
      payload.fill(0);
      return Promise.reject(new HsmError("unavailable", this.#status.message));
    }
    const order = { command: operation, payload };
    if (operation === "makeJoinKey")
      return this.#byKeeper(() => this.#keeper.ask(order, limits.keyGenerationDeadlineMs));
    return this.#crew.run(order, limits.requestDeadlineMs);
  }

  /** Every recheckMs: is what is open still there, or can what was missing be opened now? */
  async #look(): Promise<void> {
    if (this.#crew.stuck >= limits.stuckThreads)
      this.#options.onHopeless(`${this.#crew.stuck} threads hang inside the PKCS#11 library`);
    if (!this.#status.ready) await this.#reopen(undefined);
    else {
      const status = await this.#byKeeper(() => this.#statusOf("probe", limits.probeDeadlineMs));
      if (!status.ready) await this.#reopen(status.message);
    }
    if (!this.#ended) this.#timer = setTimeout(() => void this.#look(), this.#pauseMs);
  }

  /** One opening at a time, whoever asks for it. */
  #reopen(cause: string | undefined): Promise<void> {
    if (this.#opening !== undefined) return this.#opening;
    this.#recovering = cause !== undefined || this.#status === starting;
    this.#opening = this.#openAnew(cause).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** The first opening and one after a loss are worth waiting for; the re-checks of a token that is known to be away are not. */
  async #recovered(): Promise<void> {
    if (this.#opening === undefined || !this.#recovering) return;
    const patience = new AbortController();
    const enough = pause(limits.requestDeadlineMs, undefined, { signal: patience.signal }).catch(() => undefined);
    await Promise.race([this.#opening, enough]);
    patience.abort();
  }

  async #openAnew(cause: string | undefined): Promise<void> {
    if (cause !== undefined)
      this.#report({
        ready: false,
        reason: "DeviceLost",
        message: `the token was lost (${cause}) and is being opened again`,
      });
    await this.#crew.rest();
    if (this.#giveUpWhenStuck()) return;
    const opened = await this.#byKeeper(() => this.#statusOf("open", limits.openDeadlineMs));
    this.#report(opened.ready ? await this.#attached(opened) : opened);
    if (!this.#status.ready) this.#crew.turnAway(new HsmError("unavailable", this.#status.message));
    this.#pauseMs = opened.ready || cause === undefined ? limits.recheckMs : limits.firstReopenPauseMs;
  }

  async #attached(opened: HsmStatus): Promise<HsmStatus> {
    try {
      await this.#crew.attach(opened.keyCheckValue ?? "");
      return opened;
    } catch (error) {
      return {
        ready: false,
        reason: "DeviceLost",
        message: error instanceof HsmError ? error.message : "no session could be opened on the token",
      };
    }
  }

  /** C_Finalize under a thread that is still inside the library can crash or hang: then a new process is the only way. */
  #giveUpWhenStuck(): boolean {
    if (this.#crew.stuck === 0 && this.#keeper.lost !== "stuck") return false;
    this.#options.onHopeless(
      "a thread hangs inside the PKCS#11 library and the token must be opened again; the process ends to be started anew",
    );
    return true;
  }

  async #statusOf(command: "open" | "probe", deadlineMs: number): Promise<HsmStatus> {
    if (this.#keeper.lost !== undefined) this.#keeper = this.#newKeeper();
    try {
      const answer = await this.#keeper.ask({ command, payload: new Uint8Array(0) }, deadlineMs);
      return answer.kind === "status" ? answer.status : starting;
    } catch (error) {
      return {
        ready: false,
        reason: "DeviceLost",
        message: error instanceof HsmError ? error.message : "the token does not answer",
      };
    }
  }

  /** The keeper takes one order at a time; the next waits for it. */
  #byKeeper<Result>(order: () => Promise<Result>): Promise<Result> {
    const result = this.#keeperBusy.then(order);
    this.#keeperBusy = result.catch(() => undefined);
    return result;
  }

  #report(status: HsmStatus): void {
    const news = status.reason !== this.#status.reason || status.message !== this.#status.message;
    this.#status = status;
    if (news) this.#options.onStatus(status);
  }

  #newKeeper(): ThreadLink {
    return new ThreadLink({ script: threadScript, data: this.#options.settings });
  }
}

function result(answer: ThreadAnswer): Uint8Array<ArrayBuffer> {
  if (answer.kind === "done") return answer.payload;
  if (answer.kind === "refused") throw new HsmError(answer.code, answer.message);
  if (answer.kind === "lost") answer.payload.fill(0);
  throw new HsmError("unavailable", "the token was lost while it worked; try again");
}
