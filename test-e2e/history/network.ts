import { execFileSync } from "node:child_process";

/** First three parts of every address. */
export const network = "10.77.0";

/** A way that is down: frames from the one to the other vanish, nobody is told. */
export type Cut = readonly [from: string, to: string];

/** One bridge and a network namespace a node. Lives in this process's own network and mount namespaces and ends with them. */
export class Network {
  readonly #addresses = new Map<string, string>();
  readonly #cuts = new Map<symbol, readonly Cut[]>();

  constructor() {
    execFileSync("mkdir", ["-p", "/run/netns"]);
    ip("link set lo up", "link add name wan type bridge", `addr add ${network}.254/24 dev wan`, "link set wan up");
    execFileSync("sysctl", ["-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.disable_ipv6=1"]);
  }

  /** Makes a node's network and gives the command that enters it. */
  plug(name: string, address: string): readonly string[] {
    const number = address.split(".")[3];
    const mac = `02:00:0a:4d:00:${Number(number).toString(16).padStart(2, "0")}`;
    ip(
      `netns add ${name}`,
      `link add ${name} type veth peer name wan0 address ${mac} netns ${name}`,
      `link set ${name} master wan up`,
    );
    execFileSync("ip", ["-n", name, "-batch", "-"], {
      input: `link set lo up\naddr add ${address}/24 dev wan0\nlink set wan0 up\n`,
    });
    this.#addresses.set(name, address);
    return ["nsenter", `--net=/run/netns/${name}`];
  }

  /** Takes ways down; what it returns puts them up again. Clients reach every node all the time. */
  cut(cuts: readonly Cut[]): () => void {
    const key = Symbol("cuts");
    this.#cuts.set(key, cuts);
    this.#apply();
    return () => {
      if (this.#cuts.delete(key)) this.#apply();
    };
  }

  #apply(): void {
    const rules = [...this.#cuts.values()]
      .flat()
      .map(([from, to]) => `ip saddr ${this.#address(from)} ip daddr ${this.#address(to)} drop`);
    const table = [
      "table bridge cuts {",
      "chain in {",
      "type filter hook prerouting priority -300;",
      ...rules,
      "}",
      "}",
    ];
    const input = ["table bridge cuts {", "}", "delete table bridge cuts", ...table].join("\n");
    execFileSync("nft", ["-f", "-"], { input: `${input}\n` });
  }

  #address(name: string): string {
    const address = this.#addresses.get(name);
    if (address === undefined) throw new Error(`no node ${name}`);
    return address;
  }
}

function ip(...lines: string[]): void {
  execFileSync("ip", ["-batch", "-"], { input: `${lines.join("\n")}\n` });
}
