/** Memory for the large messages of all connections of a node: those that come, those that wait and those in work. */
export interface MessageRoom {
  /** One connection's part in it; a caller with many connections has no more than one with a few. */
  seat(caller: string): Seat;
}

/** Room for one message at a time. */
export interface Seat {
  /** Room for a message of so many bytes: undefined when there was at once. What has it, or waits for it, is asked again at no cost. */
  take(bytes: number): Promise<void> | undefined;
  /** The message is done with, or its connection is closed: who waits goes on. */
  give(): void;
}

/** Bounds of the room; what happens at them: a message waits, and is cut by the deadline of its connection. */
export interface RoomLimits {
  readonly largeMessagesBytesMax: number;
  /** Messages up to this size need no room: large ones must not keep them waiting. */
  readonly smallMessageBytes: number;
}

interface Place {
  readonly caller: string;
  readonly bytes: number;
  readonly granted: PromiseWithResolvers<void>;
}

/** Room is taken for the whole message as soon as its size is told: what has begun can end, and nobody waits in a circle. */
export function messageRoom({ largeMessagesBytesMax, smallMessageBytes }: RoomLimits): MessageRoom {
  const line = new Set<Place>();
  const heldBy = new Map<string, number>();
  const shareMax = largeMessagesBytesMax / sharesMin;
  let held = 0;
  const hold = (caller: string, bytes: number) => {
    held += bytes;
    const own = (heldBy.get(caller) ?? 0) + bytes;
    if (own > 0) heldBy.set(caller, own);
    else heldBy.delete(caller);
  };
  /** A message that is larger than a share is its caller's only one. */
  const withinShare = ({ caller, bytes }: Place) => {
    const own = heldBy.get(caller) ?? 0;
    return own === 0 || own + bytes <= shareMax;
  };
  const fits = (place: Place) => held === 0 || held + place.bytes <= largeMessagesBytesMax;
  const letIn = () => {
    for (const place of line) {
      if (!withinShare(place)) continue;
      if (!fits(place)) return; // the first whose turn it is: smaller ones behind it do not pass it for ever
      line.delete(place);
      hold(place.caller, place.bytes);
      place.granted.resolve();
    }
  };
  return {
    seat: (caller) => {
      let place: Place | undefined;
      return {
        take: (bytes) => {
          if (bytes <= smallMessageBytes && place === undefined) return undefined;
          if (place === undefined) {
            place = { caller, bytes, granted: Promise.withResolvers<void>() };
            line.add(place);
            letIn();
          }
          return line.has(place) ? place.granted.promise : undefined;
        },
        give: () => {
          if (place === undefined) return;
          if (!line.delete(place)) hold(caller, -place.bytes);
          place.granted.resolve();
          place = undefined;
          letIn();
        },
      };
    },
  };
}

/** Callers that have room at the same time, whatever each of them does. */
const sharesMin = 4;
