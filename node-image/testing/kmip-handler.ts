import { after } from "node:test";
import { ttlv } from "../kmip/encoding.ts";
import { type HandlerParts, kmipHandler as handlerOf, type KmipHandler } from "../kmip/handler.ts";
import { noteMessage, Output, refuseLeaks } from "./leak-search.ts";

const logs = new Output("the log");
const activities = new Output("the activity log");
let searching = false;

/**
 * The handler of a test that asks it without a network between. When all tests of the file have run, what every such handler
 * logged and answered is searched for all keys that went through one, as `KmipSite` and `Fleet` do for theirs.
 */
export function kmipHandler(parts: HandlerParts): KmipHandler {
  searchAtTheEnd();
  const { log, activity } = parts;
  const handler = handlerOf({
    ...parts,
    log: (fields) => {
      logs.add(JSON.stringify(fields));
      log(fields);
    },
    activity: (make) => {
      activities.add(JSON.stringify(make()));
      activity?.(make);
    },
  });
  return async (message, caller, encoding = ttlv) => {
    // Its bytes are zeroed when it is answered.
    note(Buffer.from(message), encoding);
    const answer = await handler(message, caller, encoding);
    note(answer, encoding);
    return answer;
  };
}

/** Bytes that are no message have no key that could be known. */
function note(bytes: Buffer, encoding: typeof ttlv): void {
  try {
    noteMessage(encoding.decode(bytes));
  } catch {}
}

function searchAtTheEnd(): void {
  if (searching) return;
  searching = true;
  after(() => refuseLeaks([], [...logs.leaks(), ...activities.leaks()]));
}
