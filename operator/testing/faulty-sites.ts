import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import type { KubernetesObject } from "../ports/types.ts";
import type { Fault } from "./api-faults.ts";
import { aCluster, aNode } from "./builders.ts";
import { FakeClock } from "./fake-clock.ts";
import { anObject, FakeCluster } from "./fake-cluster.ts";
import { type Asked, FakeTransport } from "./fake-transport.ts";
import { OperatorUnderFaults } from "./operator-under-faults.ts";

export const siteNames = ["dc1", "dc2", "dc3"] as const;
/** Sites with an operator; the others have an API server only. */
const operated = ["dc1", "dc2"] as const;

/** So many calls in a second show a loop without a pause. */
const endlessLoop = 1_000;

/** A fault of some calls, for a while. */
export interface TimedFault extends Fault {
  readonly of: (asked: Asked) => boolean;
  readonly untilMs: number;
}

/** Three API servers that may do anything, and the operators of two of them, on virtual time. */
export class FaultySites {
  readonly clock = new FakeClock();
  readonly servers = new Map<string, FakeCluster>(siteNames.map((site) => [site, new FakeCluster()]));
  readonly operators: readonly OperatorUnderFaults[];
  readonly asked = new Map<string, number>();
  faults: readonly TimedFault[] = [];
  /** The tokens that each server takes. */
  readonly #tokens = new Map<string, string>();
  readonly #random: () => number;
  #rotations = 0;

  constructor(random: () => number) {
    this.#random = random;
    for (const site of siteNames) {
      this.rotate(site);
      for (const object of contents(site)) this.server(site).put(object);
    }
    for (const site of operated) for (const peer of siteNames) if (peer !== site) this.putSecret(site, peer);
    this.operators = operated.map((site) => new OperatorUnderFaults(site, this));
  }

  server(site: string): FakeCluster {
    return this.servers.get(site) as FakeCluster;
  }

  /** From now on a server takes another token only. */
  rotate(site: string): void {
    const exp = Math.floor(this.clock.nowMs() / 1000) + 30 * 86_400;
    const claims = JSON.stringify({ exp, id: this.#rotations++ });
    this.#tokens.set(site, `e30.${Buffer.from(claims).toString("base64url")}.x`);
  }

  /** What the server of a site takes now. */
  kubeConfig(site: string): KubeConfig {
    const kubeConfig = new KubeConfig();
    const [name, user] = [{ name: "x" }, { name: "x", token: this.#tokens.get(site) as string }];
    const clusters = [{ ...name, server: `https://${site}.example:6443`, skipTLSVerify: false }];
    kubeConfig.loadFromOptions({
      ...{ clusters, users: [user] },
      ...{ contexts: [{ name: "x", cluster: "x", user: "x" }], currentContext: "x" },
    });
    return kubeConfig;
  }

  /** Puts the kubeconfig of a peer, as its server takes it now, into a Secret of a site. */
  putSecret(site: string, peer: string, name = `keyfleet-site-${peer}`): void {
    const text = JSON.stringify({
      "current-context": "x",
      contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
      clusters: [{ name: "x", cluster: { server: `https://${peer}.example:6443` } }],
      users: [{ name: "x", user: { token: this.#tokens.get(peer) } }],
    });
    const data = { kubeconfig: Buffer.from(text).toString("base64") };
    this.server(site).put(anObject("Secret", name, { metadata: { labels: { "keyfleet.io/site": peer } }, data }));
  }

  transport(from: string, kubeConfig: KubeConfig): FakeTransport {
    const to = new URL(kubeConfig.getCurrentCluster()?.server ?? "").hostname.split(".")[0] as string;
    const token = kubeConfig.getCurrentUser()?.token;
    const isTaken = () => from === to || token === this.#tokens.get(to);
    return new FakeTransport({
      ...{ from, to, server: this.server(to), random: this.#random, clock: this.clock },
      faultOf: (asked) => (isTaken() ? this.#faultOf(asked) : { what: "401" }),
      onAsked: (asked) => this.#count(asked),
    });
  }

  #faultOf(asked: Asked): Fault | undefined {
    const now = this.clock.monotonicMs();
    // On a clock that stands still a loop without a pause would never end.
    if ((this.asked.get(`${asked.from} to ${asked.to}: all ${Math.floor(now / 1000)}`) ?? 0) > endlessLoop)
      return { what: "hangs" };
    return this.faults.find(({ of, untilMs }) => untilMs > now && of(asked));
  }

  #count({ from, to, verb, kind }: Asked): void {
    const second = Math.floor(this.clock.monotonicMs() / 1000);
    for (const what of ["all", `${verb} ${kind}`]) {
      const key = `${from} to ${to}: ${what} ${second}`;
      this.asked.set(key, (this.asked.get(key) ?? 0) + 1);
    }
  }
}

const labels = { "keyfleet.io/cluster": "bank" };

function contents(site: string): readonly KubernetesObject[] {
  const cluster = aCluster() as unknown as KubernetesObject;
  const { name } = cluster.metadata;
  const node = (letter: string) => aNode(`${site}-${letter}`, site, { stage: "member" }) as unknown as KubernetesObject;
  return [
    { ...cluster, metadata: { name } },
    ...["a", "b"].map(node).map((each) => ({ ...each, metadata: { name: each.metadata.name, labels } })),
    anObject("Pod", `${site}-a-0`, { metadata: { labels } }),
    anObject("Secret", "hsm-pin", { data: { pin: "eA==" } }),
    anObject("ConfigMap", "bank-clients", { data: { "ca.crt": "x" } }),
  ];
}
