/** Every word that a status, an event or a gate may carry, each with what it means. Programs may rely on the words. */

/** Conditions of KmsCluster; each is always present, Unknown while it was not observed. */
export const clusterConditions = {
  Ready: "Every wanted node serves.",
  SitesReachable: "The API of every configured site answers this site's operator.",
  SitesInStep: "The nodes of every site are caught up, so that new keys are held by every site.",
  SpecSynced: "Every site holds the same specification.",
  TimeSynchronised: "The clock of every node is within its bound.",
  VersionsUniform: "Every node runs the version of the specification.",
  SizeRecommended: "The fleet has the recommended number of nodes, 4 to 6.",
  LatencyWithinBounds: "The round trip between any two nodes is below 100 ms.",
  Upgrading: "Nodes are being brought to another version.",
  Quiesced: "Nothing is left to do for this generation of the specification.",
} as const;
export type ClusterConditionType = keyof typeof clusterConditions;

/** Conditions of KmsNode, written by the node; each is always present, Unknown while it was not observed. */
export const nodeConditions = {
  Serving: "The node answers clients.",
  RootOfTrust: "The HSM of the node is there and holds its key.",
  TimeSynchronised: "The clock of the node is within settings.ntp.maxOffsetMs.",
  Replicating: "The node holds what the other members hold.",
  Certificates: "The node has a valid certificate for the mesh and for KMIP.",
  SettingsApplied: "The node runs with the settings of its specification.",
  StoreIntact: "The database of the node is as members of the fleet have written it.",
} as const;
export type NodeConditionType = keyof typeof nodeConditions;

/** Reasons of the conditions of KmsNode. Those of RootOfTrust are the states of the HSM sidecar. */
export const nodeReasons = {
  Serving: {
    Serving: "Clients are answered.",
    AwaitingMembership: "The node is ready and waits for its turn to join.",
    Joining: "The node receives keys from its sponsor.",
    RootOfTrustUnavailable: "The HSM is missing, wrong or refuses the PIN.",
    ClockOffset: "The clock is beyond the bound.",
    VersionDiffers: "The node's software is not the version that the specification wants.",
    NoCertificate: "No certificate was issued yet.",
    DatabaseUnavailable: "PostgreSQL does not answer.",
    StoreDamaged: "The database is not as this node wrote it.",
    StoreForked: "The node was started from an older disk and has written since: there are two logs of one name.",
    Starting: "The node starts.",
    Leaving: "The node leaves the fleet: it finishes what clients began.",
    Drained: "The node leaves the fleet: no client is served, every write is finished.",
    Departed: "The node has left the fleet; it comes back by consent only, as a new incarnation.",
    Ending: "The pod of the node ends.",
  },
  TimeSynchronised: {
    Synchronised: "Within the bound.",
    OffsetTooLarge: "Beyond the bound.",
    NoServerReachable: "No NTP server answers.",
    Starting: "Not measured yet.",
  },
  Replicating: {
    CaughtUp: "Everything that the reachable members hold is here.",
    CatchingUp: "Operations are being pulled.",
    PeersUnreachable: "No link to some peers.",
    LogRefused: "The node's log runs days ahead of all clocks: no other member takes what it writes.",
    DiskFull: "The node's volume is full: it serves reads, writes nothing and takes nothing in.",
    Alone: "The fleet has one member only.",
    NotAMember: "The node does not belong to the fleet yet.",
  },
  Certificates: {
    Valid: "In use and not near its end.",
    Requested: "Waits for the operator to sign.",
    ExpiringSoon: "Less than a third of its life is left.",
    OutOfTime:
      "That of the document is not valid yet, or not any more, by the clock of the node. True while the last good one is used instead.",
    Invalid: "Cannot be used.",
  },
  SettingsApplied: {
    Applied: "All settings are in effect.",
    RestartNeeded: "Some wait for the next pod of the node; outside Kubernetes, for the next start of its programs.",
    NotSupported: "Some are not known to the node's version.",
    Invalid: "Some cannot be used; the message names the field.",
  },
  StoreIntact: {
    Intact: "Every row was checked.",
    ObjectsDamaged: "Some objects were changed in the database and are not served.",
    PagesDamaged: "PostgreSQL found pages of its own files damaged: what lies on them is not served.",
    Damaged: "Rows are missing, older than they must be, or of another log: nothing is served.",
    NotAudited: "Not looked through yet.",
  },
} as const;

/** Reasons of the conditions of KmsCluster. */
export const clusterReasons = {
  AsWanted: "As the specification wants it.",
  NotYet: "Work is going on.",
  Blocked: "A gate is closed; status.blockedBy says which and what to do.",
  NotObserved: "Nothing was seen yet to judge by.",
  SiteUnreachable: "At least one site does not answer.",
  NodesNotServing: "At least one node does not serve.",
  NotCaughtUp: "At least one site does not hold everything yet.",
  SpecDiffers: "Copies of the specification differ between sites.",
  ClockOffset: "At least one clock is off.",
  VersionsDiffer: "At least one node runs another version.",
  TooFewNodes: "Fewer nodes than recommended.",
  TooManyNodes: "More nodes than recommended.",
  RoundTripTooLong: "At least one round trip is above the bound.",
  NotUpgrading: "All nodes stay at their version.",
  Upgrading: "Nodes are being brought to the wanted version, one at a time, or its features are not in use yet.",
  NtpServersDiffer: "The clocks agree, but nodes measure them by different servers.",
} as const;
export type ClusterReason = keyof typeof clusterReasons;

/** Gates that wait for a person's decision or for a time, not for a repair: Argo CD shows such a fleet as Suspended. */
export const suspendingGates = [
  "notPaused",
  "approved",
  "freshBackup",
  "windowOpen",
  "rejoinConsent",
  "deletionConfirmed",
] as const;

/** Gates of the plan: what must hold before a step that touches the fleet. */
export const gates = {
  allSitesObserved: "Every site that counts was seen and answers.",
  specAgrees: "All sites hold the same specification.",
  lockHeld: "This site holds the fleet lock in a majority of the sites that count.",
  noOtherOperation: "No other step on the fleet is going on.",
  sizeLimit: "The fleet stays within 20 nodes, and within the 64 names that its nodes can keep.",
  sameVersion: "The node runs the version that the members run.",
  versionStep: "The change of version is one that this operator can make.",
  clockWithinBound: "The clock of the node is within its bound.",
  meshReachable: "The node and the members reach each other.",
  hsmReady: "The node's HSM is there and holds its key.",
  lastTouchedRecovered: "The node that was touched last has recovered.",
  memberServes:
    "Every wanted member, and who may come back by consent, serves with nothing wrong, or has not for less than a minute.",
  nodeStarted: "The node's pod runs and reports.",
  nodeConfigured: "The specification says all that the node needs.",
  referencesPresent: "The Secrets and ConfigMaps that the specification names are there.",
  certificateIssued: "The node has its certificate, and the CA of its site is there and of use.",
  siteHasOperator: "The site has an operator that reports.",
  siteCounts: "The site is not named lost, or does not answer while it is.",
  notPaused: "The administrator has not paused what the specification drives.",
  siteKeepsServing: "Another node of the site serves meanwhile.",
  capacityKept: "Nodes that are coming have joined before one goes.",
  rejoinConsent: "Somebody consented that a node which has departed wipes its volume.",
  deletionConfirmed: "Somebody confirmed that a deletion ends the fleet with all its nodes.",
  sitesEnd: "Every site that counts ends the fleet too.",
  freshBackup: "A backup is fresh enough to begin an upgrade, where the specification asks for one.",
  approved: "A person has released the upgrade, where the specification asks for that.",
  soaked: "Nodes with a new version or new settings have served for the soak time.",
  windowOpen: "One of the windows in which nodes may be restarted is open.",
  settingsTried: "The nodes that were given the new settings first run with all of them.",
  keyDestroyed: "The key of a removed node in its HSM is destroyed before its volume is deleted.",
  storageUnchanged: "The volume stays as it was made.",
  storageBound: "The node has its volume, and nobody has deleted it.",
  imagePresent: "The image of the node is there.",
  belongsToNoOtherFleet: "The node's volume holds no keys of another fleet.",
  addressKnown: "The node's Services have an address.",
  oneFleet: "All nodes belong to the same fleet.",
  noFleetYet: "There is no fleet yet that founding would split.",
  sponsorServes: "A member serves that can hand over the keys.",
  fleetKeepsServing: "The other members serve meanwhile.",
  apiAccepts: "The API server accepts what the operator writes, and lets it look at what it needs.",
  siteKnown: "The site was reached at least once.",
} as const;
export type Gate = keyof typeof gates;

/** Reasons of the events that the operator records on a KmsCluster. */
export const eventReasons = {
  FleetFounding: "The first node was told to make the fleet.",
  NodeCreated: "The objects of a node were made.",
  NodeRepaired: "An object of a node was missing and was made.",
  NodeJoining: "A node began to join.",
  NodeJoined: "A node has joined and is a member.",
  NodeLeaving: "A node was told to leave the fleet.",
  NodeFenced: "The members speak to a leaving node no more and exchange what it wrote.",
  NodeDeparted: "A node has left; nothing that it writes from now on is taken.",
  NodeUpgrading: "A node was given another version.",
  NodeReconfiguring: "A node was given settings that need a restart.",
  NodeUpdated: "A node serves with the version and the settings that it was given.",
  FeatureLevelRaised: "All nodes run a version, and its features may be used: there is no way back.",
  NodeRestarted: "The pod of a node was deleted so that it comes back up to date.",
  NodeDeleted: "The objects of a node that never joined, has departed or ends with its fleet were deleted.",
  FleetEnding: "The deletion of the fleet was taken over from another site.",
  VolumeDeleted: "The volume of a removed node was deleted after the time for which it was kept.",
  CertificateIssued: "A node certificate was signed.",
  SiteCaMade: "The CA of the site was made.",
  SiteLost: "A site stopped answering.",
  SiteReturned: "A site answers again.",
  SpecAdopted: "The specification was taken over from another site.",
  Blocked: "A gate closed.",
  Unblocked: "A gate opened again.",
  NodeServing: "A node serves.",
  NodeNotServing: "A node stopped serving.",
} as const;
export type EventReason = keyof typeof eventReasons;
