import assert from "node:assert/strict";
import { KmipFailure } from "./kmip-client.ts";

/** The call is refused by the server with that Result Reason, and a Result Message that fits. */
export async function fails(promise: Promise<unknown>, reason: number, message?: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof KmipFailure, String(error));
    assert.equal(error.reason, reason, error.message);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  });
}
