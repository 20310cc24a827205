import assert from "node:assert/strict";
import { test } from "node:test";
import type { KmsCluster } from "../ports/types.ts";
import { aCluster, anObserved } from "../testing/builders.ts";
import { boundVersion, type HandledRequests, handledRequests, wantsRetry } from "./upgrade-requests.ts";

type Requests = NonNullable<NonNullable<KmsCluster["spec"]["upgrade"]>["requests"]>;

/** A fleet that is at version 0.5.0, what it is asked for, and what it handled before. */
const asked = (requests: Requests, handled?: HandledRequests) =>
  anObserved({
    cluster: aCluster((c) => {
      c.spec.version = "0.5.0";
      c.spec.upgrade = { requests };
      if (handled !== undefined) c.status = { upgrade: handled };
    }),
  });

/** What the status keeps after these values of a request, one after the other, each at the version beside it. */
function after(kind: "approve" | "rollback" | "retry", ...values: readonly (readonly [string, string])[]) {
  return values.reduce<HandledRequests | undefined>((handled, [value, version]) => {
    const observed = asked({ [kind]: value }, handled);
    return handledRequests({
      ...observed,
      cluster: { ...observed.cluster, spec: { ...observed.cluster.spec, version } },
    });
  }, undefined);
}

const twice = [
  ["a-1", "0.2.0"],
  ["a-2", "0.3.0"],
] as const;

for (const kind of ["approve", "rollback"] as const) {
  test(`an older value of ${kind}, put back from Git, stands for the version of that time`, () => {
    const handled = after(kind, ...twice);
    assert.equal(boundVersion(asked({ [kind]: "a-1" }, handled), kind), "0.2.0");
    assert.equal(boundVersion(asked({ [kind]: "a-2" }, handled), kind), "0.3.0");
    assert.equal(boundVersion(asked({ [kind]: "a-3" }, handled), kind), "0.5.0");
  });

  test(`an older value of ${kind} that another site handled counts too`, () => {
    const copies = { dc2: aCluster((c) => Object.assign(c, { status: { upgrade: after(kind, ...twice) } })) };
    const { cluster } = asked({ [kind]: "a-1" });
    assert.equal(boundVersion(anObserved({ cluster, copies }), kind), "0.2.0");
  });

  test(`a status of an operator that kept one value of ${kind} is read as ever`, () => {
    const handled = { [kind]: { value: "a-1", version: "0.2.0" } };
    assert.equal(boundVersion(asked({ [kind]: "a-1" }, handled), kind), "0.2.0");
    assert.deepEqual(handledRequests(asked({ [kind]: "a-1" }, handled)), handled);
  });
}

test("an older value of retry, put back from Git, tries nothing again", () => {
  const handled = after("retry", ...twice);
  assert.deepEqual(
    ["a-1", "a-2", "a-3"].map((retry) => wantsRetry(asked({ retry }, handled))),
    [false, false, true],
  );
});

test("the last eight values are remembered, each once", () => {
  const values = Array.from({ length: 12 }, (_, at) => [`a-${at + 1}`, "0.2.0"] as const);
  for (const kind of ["approve", "rollback", "retry"] as const) {
    const handled = after(kind, ...values, ["a-9", "0.4.0"])?.[kind];
    assert.equal(handled?.value, "a-9");
    assert.deepEqual(
      handled?.earlier?.map(({ value }) => value),
      ["a-12", "a-11", "a-10", "a-8", "a-7", "a-6", "a-5"],
    );
  }
});

test("what is kept stays word for word while the requests stay, and when they are taken out", () => {
  const handled = after("approve", ...twice);
  assert.deepEqual(handledRequests(asked({ approve: "a-2" }, handled)), handled);
  assert.deepEqual(handledRequests(asked({}, handled)), handled);
});
