import { execFileSync, spawnSync } from "node:child_process";

/** First three parts of every address. */
export const network = "10.77.0";

/** A way that is down: frames from the one to the other vanish, nobody is told. */
export type Cut = readonly [from: string, to: string];

/** One bridge and a network namespace a node. Lives in this process's own network and mount namespaces and ends with them. */
export class Network {
  readonly #addresses = new Map<string, string>();
  readonly #cuts = new Map<number, readonly Cut[]>();
  readonly #dropped = new Map<number, number>();
  #made = 0;

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

  /** Takes ways down; `heal` puts them up again and gives how many frames vanished. Clients reach every node all the time. */
  cut(cuts: readonly Cut[]): { readonly heal: () => number } {
    this.#made += 1;
    const key = this.#made;
    this.#cuts.set(key, cuts);
    this.#apply();
    const heal = () => {
      if (this.#cuts.delete(key)) this.#apply();
      return this.#dropped.get(key) ?? 0;
    };
    return { heal };
  }

  #apply(): void {
    this.#count();
    const way = ([from, to]: Cut) => `ip saddr ${this.#address(from)} ip daddr ${this.#address(to)}`;
    const all = [...this.#cuts].flatMap(([key, cuts]) => cuts.map((cut) => ({ key, cut })));
    // Counted first, so that of two cuts of one way each has its count.
    const counts = all.map(({ key, cut }) => `${way(cut)} counter comment "cut ${key}"`);
    const drops = all.map(({ cut }) => `${way(cut)} drop`);
    const table = [
      "table bridge cuts {",
      "chain in {",
      "type filter hook prerouting priority -300;",
      ...counts,
      ...drops,
      "}",
      "}",
    ];
    const input = ["table bridge cuts {", "}", "delete table bridge cuts", ...table].join("\n");
    execFileSync("nft", ["-f", "-"], { input: `${input}\n` });
  }

  /** The counters end with the table. */
  #count(): void {
    const { stdout } = spawnSync("nft", ["list", "ruleset"], { encoding: "utf8" });
    for (const [, packets, key] of stdout.matchAll(/packets (\d+) .*comment "cut (\d+)"/g))
      this.#dropped.set(Number(key), (this.#dropped.get(Number(key)) ?? 0) + Number(packets));
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
