import { randomUUID } from "node:crypto";
import type { KmsNode, Member } from "@keyfleet/crds/kms-node.ts";
import type { Hsm } from "../hsm/types.ts";
import { acceptHandover, wrapForJoiner } from "../keys/handover.ts";
import { foundKeyring, loadKeyring } from "../keys/keyring.ts";
import type { MasterKeyring } from "../keys/master-keyring.ts";
import { requestMasterKey } from "../replication/handover.ts";
import type { HandoverAnswer, MeshTls } from "../replication/types.ts";
import type { NodeStore } from "../store/types.ts";

const handoverDeadlineMs = 20_000;

/** How the master key comes into this node's memory and leaves it; it rests in the store, sealed by this node's own HSM. */
export class MasterKey {
  readonly #hsm: Hsm;
  #keyring: MasterKeyring | undefined;
  #clusterId: string | undefined;

  constructor(hsm: Hsm) {
    this.#hsm = hsm;
  }

  get loaded(): boolean {
    return this.#keyring !== undefined;
  }

  get keyring(): MasterKeyring | undefined {
    return this.#keyring;
  }

  /** Makes the cluster's identity and first master key; after a crash in the middle it goes on with the same identity. */
  async found(store: NodeStore): Promise<void> {
    const clusterId = (await storedClusterId(store)) ?? randomUUID();
    await store.setSetting("clusterId", clusterId);
    await this.#keep(store, clusterId, await foundKeyring(this.#hsm, clusterId));
  }

  /** Fetches the master key from the sponsor; rejects with what to do. */
  async join(
    store: NodeStore,
    joining: { readonly node: KmsNode; readonly sponsor: Member; readonly tls: MeshTls },
  ): Promise<void> {
    const { node, sponsor, tls } = joining;
    const clusterId = node.spec.clusterId;
    if (clusterId === undefined)
      throw new Error("spec.clusterId is not set; the operator sets it once the founder has reported it");
    const handover = await requestMasterKey({ sponsor, tls, deadlineMs: handoverDeadlineMs });
    try {
      const keyring = await acceptHandover(this.#hsm, handover, clusterId, node.metadata.name);
      await store.setSetting("clusterId", clusterId);
      await this.#keep(store, clusterId, keyring);
    } finally {
      handover.fill(0);
    }
  }

  /** Unseals the stored versions; rejects when this HSM is not the one that sealed them. */
  async load(store: NodeStore): Promise<void> {
    const clusterId = await storedClusterId(store);
    if (clusterId === undefined)
      throw new Error("the database holds master keys but no cluster identity; rebuild this node");
    await this.#use(store, clusterId, await loadKeyring(this.#hsm, clusterId, await store.masterKeys()));
  }

  /** Forgets the master key at once; whoever still holds the keyring gets errors. */
  drop(): void {
    this.#keyring?.close();
    this.#keyring = undefined;
  }

  /** The sponsor's side: the master key for a joiner that the spec names with its join key, or why not. */
  wrapFor(identity: string, node: KmsNode | undefined): HandoverAnswer {
    const joiner = node?.spec.members.find((member) => member.identity === identity);
    if (joiner?.standing !== "Joining") return { refusal: `${identity} is not Joining in the sponsor's spec.members` };
    if (joiner.joinPublicKey === undefined)
      return { refusal: `${identity} has no joinPublicKey in the sponsor's spec.members` };
    if (this.#keyring === undefined || this.#clusterId === undefined)
      return { refusal: "the sponsor has no master key in memory" };
    return { wrapped: wrapForJoiner(this.#keyring, joiner.joinPublicKey, this.#clusterId, joiner.name) };
  }

  async #keep(store: NodeStore, clusterId: string, keyring: MasterKeyring): Promise<void> {
    try {
      await store.saveMasterKeys(keyring.exportRows());
    } catch (error) {
      keyring.close();
      throw error;
    }
    await this.#use(store, clusterId, keyring);
  }

  async #use(store: NodeStore, clusterId: string, keyring: MasterKeyring): Promise<void> {
    try {
      await store.setKeyring(keyring);
    } catch (error) {
      keyring.close();
      throw error;
    }
    this.#keyring?.close();
    this.#keyring = keyring;
    this.#clusterId = clusterId;
  }
}

/** The identity of the cluster that this node's volume belongs to. */
export async function storedClusterId(store: NodeStore): Promise<string | undefined> {
  const value = await store.setting("clusterId");
  return typeof value === "string" ? value : undefined;
}
