import type { PeerConnection } from "./peer-connection.ts";

const inFlightMax = 4;

/** Tells a peer over one connection how far its own log is durable here; not awaited, the newest position is what counts. */
export class Acknowledgements {
  /** The last position that arrived. */
  told = -1;
  readonly #connection: PeerConnection;
  readonly #arrived: (position: number) => void;
  #inFlight = 0;

  /** `arrived`: the peer knows the position, and no other is on its way. */
  constructor(connection: PeerConnection, arrived: (position: number) => void) {
    this.#connection = connection;
    this.#arrived = arrived;
  }

  /** Does nothing while many are on their way: `arrived` comes after them. */
  tell(origin: string, position: number): void {
    if (this.#inFlight >= inFlightMax) return;
    this.#inFlight += 1;
    void this.#connection
      .query("select mesh.acknowledge($1, $2)", [origin, position])
      .then(
        () => {
          this.told = position;
        },
        () => undefined,
      )
      .then(() => {
        this.#inFlight -= 1;
        if (this.#inFlight === 0) this.#arrived(position);
      });
  }
}
