import type { Condition, NodeSettings, ObjectMeta } from "./kms-node.ts";

export interface NodeEntry {
  name: string;
  management?: "Managed" | "External";
  address?: string;
  settings?: NodeSettings;
}
export interface SiteEntry {
  name: string;
  environment: "OnPremises" | "Cloud";
  defaults?: NodeSettings;
  nodes: NodeEntry[];
}
export interface KmsClusterSpec {
  version: string;
  defaults?: NodeSettings;
  sites: SiteEntry[];
  durability?: "EverySite" | "OtherSite" | "Local";
  upgrade?: { strategy?: "InPlace" | "RemoveAndRebuild"; approval?: "Automatic" | "Manual"; soakSeconds?: number; windows?: { cron: string; duration: string }[]; requests?: { approve?: string; retry?: string; rollback?: string } };
  clients?: { caBundleRefs?: { name: string; key?: string }[]; administrators?: string[] };
  recovery?: { lostSites?: string[] };
  pause?: "None" | "Orchestration";
}
export interface BlockedBy { gate: string; subject: string; message: string; since: string; remedy: string }
export interface KmsClusterStatus {
  observedGeneration?: number;
  clusterId?: string;
  /** For the columns: "6/6". */
  nodes?: string;
  sites?: string;
  version?: string;
  /** One short sentence. */
  message?: string;
  siteStatus?: { name: string; reachable: boolean; caCertificate?: string }[];
  nodeStatus?: { name: string; site: string; serving: boolean; version?: string; message?: string }[];
  blockedBy?: BlockedBy[];
  conditions?: Condition[];
}
export interface KmsCluster {
  apiVersion: "keyfleet.io/v1alpha1";
  kind: "KmsCluster";
  metadata: ObjectMeta;
  spec: KmsClusterSpec;
  status?: KmsClusterStatus;
}
