// Made from docs/openapi.json by scripts/types.mjs; do not edit.

/** One agent, as `ls` and `show` tell it. The keys are fixed; new ones may be added. */
export interface Agent {
  /** Unix account that owns its files. */
  account: string;
  /** Commit that the branch started from. */
  base: string;
  /** Its branch. */
  branch: string;
  /** How sure wsm is of the state: `certain` (the kernel or wsm itself said so), `reported` (the agent did), `signalled` (its terminal) or `guess`. */
  confidence?: string;
  /** When it was made (RFC 3339, UTC). */
  created: string;
  /** Id, never used again. */
  id: string;
  /** Agent kind (`claude`, `shell` …). */
  kind: string;
  /** Name, unique on the host. */
  name: AgentName;
  /** The wsm user that owns it. */
  owner: string;
  /** Ports. */
  ports: Port[];
  /** What it waits for a person to say, oldest first. */
  questions?: Question[];
  /** Why the state is what it is: one sentence. */
  reason: string;
  /** The main repository. */
  repository: string;
  /** Services. */
  services: Service[];
  /** Since when (RFC 3339, UTC). */
  since: string;
  /** State. */
  state: State;
  /** How the work stands between the agent's view and the branch on the host. */
  sync: Sync;
  /** Template's name. */
  template: string;
  /** Terminals that exist, `main` first. */
  terminals: string[];
  /** Whether it lies in the trash. */
  trashed: boolean;
  /** What is so beyond `state`, and why it can't be written down (a full disk); `""` as a rule. */
  unrecorded?: string;
  /** What it says it has used. */
  usage?: Spent;
  /** Path of the working tree, the same inside and outside. */
  workspace: string;
}

/** An agent's name: `[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?` without `--`, unique on a host. */
export type AgentName = string;

/** `policy show`. */
export interface AgentPolicy {
  /** `none`, `allow` or `open`. */
  egress: string;
  /** Services of the host that it may use. */
  exposes: Exposed[];
  /** Where the list was written: `FILE:LINE`, `""` where there is none. */
  line: string;
  /** The allow list, groups replaced by their members. */
  rules: PolicyRule[];
  /** Connections since it was started, by target. */
  traffic: HostTraffic[];
}

/** `ports`: a port and whose it is. */
export interface AgentPorts {
  /** Agent's id. */
  id: string;
  /** Agent's name. */
  name: AgentName;
  /** Its ports. */
  ports: Port[];
}

/** A kind of signature. */
export interface Algorithm {
  /** COSE number: -8, -7, -257. */
  alg: number;
  /** `public-key`. */
  type: string;
}

/** Says yes to a question. */
export interface Approve {
  /** For the journal. */
  note?: string | null;
  /** Id of the question that was seen. Without there is no yes: another may be asked by now. */
  question?: string | null;
}

/** A credential that was used. */
export interface Asserted {
  /** Its id, base64url. */
  id: string;
  /** What the authenticator said. */
  response: AssertedResponse;
}

/** What an authenticator said that signed; all base64url. */
export interface AssertedResponse {
  /** What the authenticator says. */
  authenticatorData: string;
  /** What the browser says of the ceremony. */
  clientDataJSON: string;
  /** Its signature of both. */
  signature: string;
  /** Who it is for. */
  userHandle?: string | null;
}

/** A row of the journal. */
export interface AuditRow {
  /** Who: a wsm user, or `wsm`. */
  actor: string;
  /** From where: an IP address; empty on this machine. */
  address: string;
  /** What it is now. */
  after: string;
  /** Milliseconds since the epoch. */
  at_ms: number;
  /** What it was before, where a word says it. */
  before: string;
  /** SHA-256 of that row's `chain` and this row's content, in hexadecimal digits. */
  chain: string;
  /** In words. */
  message: string;
  /** Number of the row before it in its chain (people's rows have one, wsm's own another). */
  prev: number;
  /** Sequence number. */
  seq: number;
  /** On what: an agent's id, `user:NAME`, `host`. */
  subject: string;
  /** What: `agent.created`, … */
  verb: string;
  /** How that one came in: `uid:1000`, `device:ID`, `token:ID`; empty for wsm itself. */
  via: string;
}

/** Who is named in commits. */
export interface Author {
  /** Address. */
  email: string;
  /** Name. */
  name: string;
}

/** A screen. */
export interface Capture {
  /** Columns. */
  cols: number;
  /** Cursor column, 0-based. */
  cursor_col: number;
  /** Cursor row, 0-based. */
  cursor_row: number;
  /** Rows. */
  rows: number;
  /** Lines, each ending in `\n`. */
  text: string;
  /** Title that the program set. */
  title: string;
}

/** Where a chain ends. */
export interface ChainEnd {
  /** Its hash. */
  chain: string;
  /** Number of the newest row. */
  seq: number;
}

/** A way that notifications go. */
export interface Channel {
  /** Where it goes; of a push service its host alone. */
  address: string;
  /** Id of the device that it ends with; empty for none. */
  device: string;
  /** Id. */
  id: string;
  /** `push`, `ntfy`, `webhook`, `email`. */
  kind: string;
  /** A name for people. */
  label: string;
  /** When something went there last; empty for never. */
  last: string;
  /** What became of that. */
  outcome: string;
  /** Since when (RFC 3339). */
  since: string;
}

/** A channel that was made. */
export interface ChannelMade {
  /** The channel. */
  channel: Channel;
  /** What a webhook's messages are signed with (`whsec_…`): it is told here alone. */
  signing_secret?: string;
}

/** One line of `doctor`. */
export interface Check {
  /** Whether agents can't start without it. */
  fatal: boolean;
  /** How to mend it. */
  fix: string;
  /** What was found. */
  found: string;
  /** What was checked. */
  name: string;
  /** Whether it is as it should be. */
  ok: boolean;
}

/** Stable codes; the CLI's exit code follows from them. */
export type Code = "invalid" | "refused" | "untrusted" | "ungranted" | "unknown" | "not-found" | "conflict" | "timed-out" | "not-available" | "failed";

/** A credential that was made; what is not named here is not looked at. */
export interface Created {
  /** Its id, base64url. */
  id: string;
  /** What the authenticator said. */
  response: CreatedResponse;
}

/** What an authenticator said that made one; all base64url. */
export interface CreatedResponse {
  /** What the authenticator says (`getAuthenticatorData()`). */
  authenticatorData: string;
  /** What the browser says of the ceremony. */
  clientDataJSON: string;
  /** Its key, a `SubjectPublicKeyInfo` (`getPublicKey()`). */
  publicKey: string;
  /** Which kind (`getPublicKeyAlgorithm()`). */
  publicKeyAlgorithm: number;
}

/** What `navigator.credentials.create` is given (`parseCreationOptionsFromJSON`). */
export interface CreationOptions {
  /** `none`. */
  attestation: string;
  /** What the authenticator must do. */
  authenticatorSelection: Selection;
  /** Good once, for five minutes; base64url. */
  challenge: string;
  /** Passkeys that the user has: none is made twice. */
  excludeCredentials: KnownPasskey[];
  /** Signatures that are understood, the best first. */
  pubKeyCredParams: Algorithm[];
  /** This host. */
  rp: Party;
  /** Milliseconds. */
  timeout: number;
  /** Who it will be for. */
  user: PasskeyUser;
}

/** A secret that is put into an agent's requests, outside its sandbox. */
export interface Credential {
  /** Variable that holds the placeholder inside, `""` for none. */
  env: string;
  /** Hosts that get it. */
  hosts: string[];
  /** Its name in the template. */
  name: string;
  /** Where in a request: `header x-api-key`, `basic authentication`, `body member token`. */
  places: string[];
  /** Whether there is one now. */
  ready: boolean;
  /** Name of the secret. */
  secret: string;
  /** What is used now: `secret of ada`, `secret of everyone`, or why there is none. */
  status: string;
  /** When it was last put into a request of any agent, `""` if never. */
  used: string;
  /** Whether the agent has the value itself, and nothing is put in. */
  visible?: boolean;
}

/** One message to one channel, and what became of it. */
export interface Delivery {
  /** About what: `blocked`, `finished` … */
  about: string;
  /** Name of the agent; empty for a test. */
  agent: string;
  /** When it was to be told (RFC 3339). */
  at: string;
  /** How often it was tried. */
  attempts: number;
  /** Id of the channel; empty where a rule kept it from every channel. */
  channel: string;
  /** Number. */
  id: number;
  /** `push`, `ntfy`, `webhook`, `email`; empty as above. */
  kind: string;
  /** Name for people of the channel. */
  label: string;
  /** In words. */
  outcome: string;
  /** Journal row that it tells of; 0 for a test. */
  seq: number;
  /** `waiting`, `sent`, `failed`, `gone`, `expired`, `replaced`, `held-back`. */
  status: string;
  /** The message's title. */
  title: string;
}

/** Says no to a question. */
export interface Deny {
  /** What the agent is told. */
  message?: string | null;
  /** Id of the question; may be left out while there is only one. */
  question?: string | null;
}

/** A device: a browser's session, or a passkey. */
export interface Device {
  /** From where. */
  address: string;
  /** The only agents (ids) that it is good for; none: all. */
  agents?: string[];
  /** When it was made (RFC 3339). */
  created: string;
  /** The caller came in with it. */
  current: boolean;
  /** When it ends (RFC 3339), if it is used until then; empty: when it is ended. */
  expires: string;
  /** Id. */
  id: string;
  /** `session` or `passkey`. */
  kind: string;
  /** Its name, in its user's words. */
  name: string;
  /** `view`, `approve`, `drive`, `own`, `admin`: each includes those before it. */
  scope: string;
  /** `good`, `expired` or `revoked`. */
  state: string;
  /** The token (id) that it was made with, and ends with; empty: none. */
  token: string;
  /** When it was used last, to the minute (RFC 3339); empty: never. */
  used: string;
  /** Whose. */
  user: string;
}

/** `diff`. */
export interface Diff {
  /** Commit compared with. */
  base: string;
  /** Commits that the agent is ahead of it. */
  commits: number;
  /** Files with changes, uncommitted ones included. */
  files: FileStat[];
  /** Unified patch, uncommitted work included. */
  patch: string;
  /** Whether the patch was cut at its bound. */
  truncated: boolean;
}

/** Disk space of an agent's files. */
export interface Disk {
  /** When that was (RFC 3339, UTC). */
  at: string;
  /** There is nothing more; else it was too much to count. */
  exact: boolean;
  /** Its home: what its tools keep. */
  home_bytes: number;
  /** What its services keep. */
  state_bytes: number;
  /** Its working tree. */
  workspace_bytes: number;
}

/** What would be made. */
export interface DryRun {
  /** The steps, in order. */
  plan: string[];
  /** The resolved template, as a JSON document. */
  resolved: string;
  /** The sandbox spec, as a JSON document. */
  spec: string;
}

/** Somebody came in: the answer's cookie is the session. */
export interface Entered {
  /** The session. */
  device: Device;
  /** `admin` or `member`. */
  role: string;
  /** Who that is. */
  user: string;
}

/** One journal row. */
export interface Event {
  /** Who: a wsm user, or `wsm` itself. */
  actor: string;
  /** When (RFC 3339, UTC). */
  at: string;
  /** In words. */
  message: string;
  /** Sequence number, without gaps. */
  seq: number;
  /** On what: an agent's id, or `host`. */
  subject: string;
  /** What: `agent.created`, `agent.state`, `service.state`, `port.leased` … */
  verb: string;
}

/** `explain`: the evidence for the state, newest first. */
export interface Explanation {
  /** How sure wsm is, as for [`Agent::confidence`]. */
  confidence: string;
  /** What happened before, newest first. */
  evidence: Event[];
  /** What was heard of it last, newest first: what it reported and what its terminal told. */
  heard?: Heard[];
  /** Reason. */
  reason: string;
  /** Since. */
  since: string;
  /** State. */
  state: State;
}

/** One service of the host. */
export interface Exposed {
  /** Loopback port inside. */
  at: number;
  /** Where it listens on the host. */
  host: string;
  /** Its name in the template. */
  name: string;
}

/** One changed file. */
export interface FileStat {
  /** Lines added. */
  added: number;
  /** Path. */
  path: string;
  /** Lines removed. */
  removed: number;
  /** Whether part of it is not committed. */
  uncommitted: boolean;
}

/** Something that is wrong with the journal. */
export interface Finding {
  /** Number of the row. */
  seq: number;
  /** In words. */
  told: string;
  /** `changed`, `removed`, `inserted`, `moved`, `rewritten`, `cut-off`. */
  wrong: string;
}

/** An agent that is not in the list any more: removed, in the trash, or no longer the caller's to see. */
export interface Gone {
  /** Its id. */
  id: string;
}

/** Something heard of an agent. */
export interface Heard {
  /** When (RFC 3339, UTC). */
  at: string;
  /** How far it is trusted, as for [`Agent::confidence`]. */
  confidence: string;
  /** What, in words. */
  what: string;
}

/** Connections to one target. */
export interface HostTraffic {
  /** That were let through. */
  allowed: number;
  /** That were not. */
  denied: number;
  /** Bytes to the agent. */
  received: number;
  /** Bytes from the agent. */
  sent: number;
  /** `HOST:PORT`, or `HOST` for a name that was asked for. */
  target: string;
}

/** An invitation, without its code. */
export interface Invitation {
  /** Who invited. */
  by: string;
  /** When it was made (RFC 3339). */
  created: string;
  /** When it ends (RFC 3339). */
  expires: string;
  /** Id. */
  id: string;
  /** `member` or `admin`. */
  role: string;
  /** What is shared with whoever comes; agents by id. */
  shares: InvitedTo[];
  /** `good`, `claimed`, `revoked` or `expired`. */
  state: string;
  /** Name of the user that is to come; empty: its own to choose. */
  user: string;
}

/** Somebody comes with an invitation. */
export interface InvitationClaim {
  /** The code. */
  code: string;
  /** What the device is called. */
  device_name?: string;
  /** The name to have, where the invitation names none. */
  user?: string | null;
}

/** An invitation that was just made: the only time that its code is told. */
export interface InvitationMade {
  /** The invitation. */
  invitation: Invitation;
  /** What to open: the code is behind the `#`, which no server is sent. */
  url: string;
}

/** What an invitation shares with whoever comes. */
export interface InvitedTo {
  /** Name or id of the agent. */
  agent: string;
  /** `viewer`, `approver` or `driver`. */
  role: string;
}

/** A passkey that is known. */
export interface KnownPasskey {
  /** Its id, base64url. */
  id: string;
  /** `public-key`. */
  type: string;
}

/** One layer of the sandbox, as the kernel enforces it. */
export interface Layer {
  /** What was read back, or why. */
  detail: string;
  /** Its name. */
  layer: string;
  /** `enforced`, `reduced` or `absent`. */
  status: string;
}

/** Who may type into a terminal. */
export interface Lease {
  /** Users who asked for it, the first first. */
  asked: string[];
  /** What they sit at; empty while it is kept for them. */
  device: string;
  /** Counts up whenever the keyboard changes hands. */
  epoch: number;
  /** The user who has it; none: whoever types first gets it. */
  holder?: string | null;
  /** What is typed is recorded. */
  recorded?: boolean;
  /** Terminal. */
  terminal: string;
}

/** What can be done with a lease. */
export type LeaseAct = "request" | "release" | "grant" | "take";

/** A wish to change who may type. */
export interface LeaseChange {
  /** How. */
  act: LeaseAct;
  /** Terminal, `main` by default. */
  terminal?: string | null;
  /** To whom it is granted. */
  to?: string | null;
}

/** A link, without its value. */
export interface Link {
  /** From where. */
  address: string;
  /** Who made it. */
  by: string;
  /** When it was made (RFC 3339). */
  created: string;
  /** When it ends (RFC 3339). */
  expires: string;
  /** Id. */
  id: string;
  /** When it was used last, to the minute (RFC 3339); empty: never. */
  used: string;
}

/** A link that was just made: the only time that its value is told. */
export interface LinkMade {
  /** Its value: what `POST /v1/links/open` takes, and what comes in as a bearer's token. */
  code: string;
  /** The link. */
  link: Link;
  /** For asciinema, its player and others that speak ALiS: `main`'s terminal, live. */
  live: string;
  /** For a browser: the value stands behind `#watch=`, which no server is told. */
  url: string;
}

/** What a link leads to. */
export interface LinkOpened {
  /** Name of the agent. */
  agent: string;
  /** Until when (RFC 3339). */
  expires: string;
  /** Its id. */
  id: string;
}

/** Part of a log. */
export interface LogPart {
  /** Whether more may come. */
  live: boolean;
  /** Ask from here next. */
  next: number;
  /** Text; control characters other than tab and newline are shown as `\u{..}`-like escapes. */
  text: string;
}

/** `merge`. */
export interface Merge {
  /** Merge the commits although there is uncommitted work, which stays where it is. */
  leave_uncommitted?: boolean;
  /** Message of a merge or squash commit. */
  message?: string | null;
  /** One commit instead of all. */
  squash?: boolean;
}

/** What `merge` or `apply` did. */
export interface Merged {
  /** Commit that it stands at now; `""` for `apply`. */
  commit: string;
  /** Commits brought in. */
  commits: number;
  /** Files changed. */
  files: number;
  /** How: `fast-forward`, `merge`, `squash`, `staged`, `nothing`. */
  how: string;
  /** Branch of the main checkout that it went into. */
  into: string;
  /** Work of the agent that did not come along, in words; `""` if all of it did. */
  left: string;
}

/** A request for a new agent. */
export interface NewAgent {
  /** Name and address for commits made inside: the caller's own git identity. */
  author?: null | Author;
  /** `--base`. */
  base?: string | null;
  /** Only tell what would be done. */
  dry_run?: boolean;
  /** Grant of the repository, from the broker: proof that the caller can use the directory. Empty where `repository` names one. */
  grant?: string;
  /** Name; made from template and repository when absent. */
  name?: string | null;
  /** `--prompt`. */
  prompt?: string | null;
  /** Name of a registered repository, instead of a grant: for who is not on this machine. */
  repository?: string | null;
  /** `--set k=v`. */
  set?: Record<string, string>;
  /** Size of the requester's terminal, so that the first screen is drawn for it. */
  size?: [number, number] | null;
  /** Template's name. */
  template: string;
  /** Digest of the repository's commands that the owner has just agreed to. */
  trust?: string | null;
  /** The user's own templates: file name to text. */
  user_templates?: Record<string, string>;
  /** Grants of directories that the template may write to (`filesystem.write`). */
  write_grants?: string[];
}

/** Another way that notifications shall go. */
export interface NewChannel {
  /** `https://SERVER/TOPIC`, `https://…`, `PERSON@HOST`. */
  address: string;
  /** `ntfy`, `webhook`, `email`. */
  kind: string;
  /** A name for people. */
  label?: string;
  /** The access token of an ntfy server. It is never told again. */
  token?: string | null;
}

/** Request for an invitation. */
export interface NewInvitation {
  /** Seconds until it ends (a week; 30 days at most). */
  expires_s?: number | null;
  /** `member` (without) or `admin`. */
  role?: string | null;
  /** What is shared with whoever comes. */
  shares?: InvitedTo[];
  /** Name of the user that is to come; whoever comes chooses it, without. */
  user?: string | null;
}

/** Request for a link. */
export interface NewLink {
  /** Seconds until it ends (a day; 30 days at most). */
  expires_s?: number | null;
}

/** Request to offer an agent. */
export interface NewOffer {
  /** Seconds until the offer ends (a day; 30 days at most). */
  expires_s?: number | null;
  /** What to tell the receiver. */
  note?: string;
  /** To whom. */
  to: string;
}

/** A passkey that was made (`toJSON` of the credential). */
export interface NewPasskey {
  /** The credential. */
  credential: Created;
  /** What its user calls it. */
  name?: string;
}

/** Which page. */
export interface NewPreview {
  /** Path and query of the first page. */
  path?: string;
  /** Name of the port, or its number inside. */
  port: string;
}

/** A repository to be registered. */
export interface NewRepository {
  /** Its grant, from the broker: proof that the caller can use the directory. */
  grant: string;
  /** Name; that of its directory without. */
  name?: string | null;
  /** The user who may make agents of it; the caller without. The user's account must be the one that the files belong to. */
  user?: string | null;
}

/** Another role on the host. */
export interface NewRole {
  /** `admin` or `member`. */
  role: string;
}

/** A request to set a secret: the value does not come along. */
export interface NewSecret {
  /** For every user's agents: an admin's to set. */
  everyone?: boolean;
  /** It is not used any more after so many seconds. */
  expires_s?: number | null;
}

/** Request for a session, with a token. */
export interface NewSession {
  /** What this device is called. */
  device_name?: string;
  /** The token's value. The session reaches as far as it does, and ends with it. */
  token: string;
}

/** Request to share an agent, or to change a share. */
export interface NewShare {
  /** Seconds until it ends; until it is ended without. */
  expires_s?: number | null;
  /** `viewer`, `approver` or `driver`. */
  role: string;
  /** With whom. */
  user: string;
}

/** A browser's subscription, as `PushSubscription.toJSON()` has it. */
export interface NewSubscription {
  /** Where to post to. */
  endpoint: string;
  /** Its keys. */
  keys: SubscriptionKeys;
  /** A name for people. */
  label?: string;
  /** Address of the page that subscribed (`https://HOST/`): a click opens the agent there. */
  page?: string;
}

/** A request for a new shell terminal. */
export interface NewTerminal {
  /** Columns. */
  cols: number;
  /** Rows. */
  rows: number;
}

/** A wish to watch a terminal by a connection of one's own to the agent's shim. */
export interface NewTicket {
  /** Only watch. */
  read_only?: boolean;
  /** Terminal. */
  terminal: string;
}

/** Request for a token. */
export interface NewToken {
  /** The only agents (names or ids) that it is good for; none: all. */
  agents?: string[];
  /** Seconds until it ends (90 days; a year at most). */
  expires_s?: number | null;
  /** What it is for. */
  label?: string;
  /** `watch`, `view`, `approve`, `drive`, `own` or `admin`. */
  scope: string;
  /** Whose; the caller's own without it. */
  user?: string | null;
}

/** Request for a user, or for another role. */
export interface NewUser {
  /** Name of a Unix account for this user's files; the one of the same name if there is one. */
  account?: string | null;
  /** Name. */
  name: string;
  /** `admin` or `member`. */
  role?: string;
}

/** A person's rules. */
export interface Notifications {
  /** What is different for some, by their names. */
  agents: Record<string, Rules>;
  /** For every agent. */
  rules: Rules;
}

/** An offer, with what its receiver has to know before accepting. */
export interface Offer {
  /** The Unix account that its files belong to; that stays. */
  account: string;
  /** Name of the agent. */
  agent: string;
  /** Who offered it: the owner, or an admin. */
  by: string;
  /** Until when (RFC 3339). */
  expires: string;
  /** Who owns it. */
  from: string;
  /** Its id. */
  id: string;
  /** Login files in its private home, which are removed when it is accepted. */
  logins: string[];
  /** Since when (RFC 3339). */
  made: string;
  /** Secrets that it uses and the receiver does not have. */
  missing: string[];
  /** What the giver says. */
  note: string;
  /** Whom it is shared with; that stays. */
  shares: Share[];
  /** State, changes and screen when it was offered. */
  summary: string;
  /** Who shall own it. */
  to: string;
  /** What of the receiver's it will use from then on. */
  uses: Credential[];
}

/** Request to open a link. */
export interface OpenLink {
  /** Its value. */
  code: string;
}

/** A terminal that was opened. */
export interface Opened {
  /** Its name, to attach to. */
  terminal: string;
}

/** A pairing, as the trusted side sees it. */
export interface Pairing {
  /** From where. */
  address: string;
  /** What the new device calls itself; empty until it came. */
  device_name: string;
  /** When it ends (RFC 3339). */
  expires: string;
  /** Id. */
  id: string;
  /** The number that the new device shows, if it is that one. */
  number: string;
  /** `shown`, `claimed` or `confirmed`. */
  state: string;
}

/** A new device brings the code of a pairing. */
export interface PairingClaim {
  /** The code. */
  code: string;
  /** What the device is called. */
  device_name?: string;
}

/** The code was good: now it takes a confirmation. */
export interface PairingClaimed {
  /** What the device redeems. */
  claim: string;
  /** When it ends (RFC 3339). */
  expires: string;
  /** To be shown: the other side compares it. */
  number: string;
}

/** The trusted side compared the numbers. */
export interface PairingConfirm {
  /** The number that the new device shows. */
  number: string;
}

/** A pairing that was just begun: the only time that its code is told. */
export interface PairingMade {
  /** Good once, for two minutes. */
  code: string;
  /** When it ends (RFC 3339). */
  expires: string;
  /** Id. */
  id: string;
  /** What the new device opens: the code is behind the `#`, which no server is sent. */
  url: string;
}

/** The new device asks whether it may come in. */
export interface PairingRedeem {
  /** As claimed. */
  claim: string;
}

/** Not confirmed yet. */
export interface PairingWaits {
  /** `waiting`. */
  state: string;
}

/** A parameter of a template. */
export interface Param {
  /** The only values that it may have; empty for all. */
  choices: string[];
  /** What it is when nobody says. */
  default?: string | null;
  /** One line for people; empty: its name says it. */
  description?: string;
  /** Name, as `set` names it. */
  name: string;
  /** What the whole value must match, as a shell matches file names. */
  pattern?: string | null;
  /** Whether it is the whole of the first prompt. */
  prompt?: boolean;
  /** Whether it must be given. */
  required: boolean;
  /** `string`, `int` or `bool`. */
  type: string;
}

/** This host, to an authenticator. */
export interface Party {
  /** Its name. */
  id: string;
  /** The same, for people. */
  name: string;
}

/** Request to log in with a passkey. */
export interface PasskeyLogin {
  /** Who wants in; the authenticator shows whom it has, without. */
  user?: string | null;
}

/** A user, to an authenticator. */
export interface PasskeyUser {
  /** The same, for people. */
  displayName: string;
  /** Says nothing of who it is; base64url. */
  id: string;
  /** The wsm user. */
  name: string;
}

/** `policy check`. */
export interface PolicyAnswer {
  /** Whether it may be reached. Its addresses are looked at when it is. */
  allowed: boolean;
  /** Where the rules were written: `FILE:LINE`, `""` where there are none. */
  line: string;
  /** The rule that would allow it. */
  missing?: string | null;
  /** The target in its canonical form. */
  target: string;
  /** By which rule, or why not. */
  why: string;
}

/** `policy allow`, `policy deny`. */
export interface PolicyChange {
  /** Rules to add: `HOST[:PORT]`, `*.SUFFIX[:PORT]`, `@GROUP`. */
  allow?: string[];
  /** Rules to take away, as they are written. */
  deny?: string[];
}

/** One rule. */
export interface PolicyRule {
  /** The group of the host's configuration that it came by. */
  group?: string | null;
  /** `HOST[:PORT]` or `*.SUFFIX[:PORT]`; port 443 where none is named. */
  rule: string;
}

/** A port: fixed inside, leased outside. */
export interface Port {
  /** Port inside. */
  inside: number;
  /** Name in the template. */
  name: string;
  /** Leased port on the host's loopback; `None` if not published. */
  outside?: number | null;
  /** URL from the host; `""` if not published. */
  url: string;
}

/** Everybody who looks at an agent's terminals. */
export interface Presence {
  /** Who may type, one for each terminal. */
  leases: Lease[];
  /** One for each viewer. */
  viewers: Viewer[];
}

/** Shares of time in which something waited, in hundredths of a percent. */
export interface Pressure {
  /** For the CPU. */
  cpu: number;
  /** For the disk. */
  io: number;
  /** For memory. */
  memory: number;
}

/** Where to look at it. */
export interface Preview {
  /** Whether it has an origin of its own: cookies, storage and paths work as they do inside. */
  own_origin: boolean;
  /** For a browser: whoever has it may look. */
  url: string;
}

/** One attempt of the self-test. */
export interface Probe {
  /** Whether that is right. */
  held: boolean;
  /** Layer it tests. */
  layer: string;
  /** What was seen. */
  saw: string;
  /** What was tried. */
  tried: string;
}

/** The body of every answer that is not a success. */
export interface Problem {
  /** Stable code. */
  code: Code;
  /** More than one thing wrong (a template's problems), each a line. */
  details?: string[];
  /** What to do next, `""` if there is nothing better. */
  hint?: string;
  /** What failed and why, one sentence without a full stop. */
  message: string;
}

/** The daemon's public key, for `pushManager.subscribe`. */
export interface PushKey {
  /** `applicationServerKey`, base64url. */
  key: string;
}

/** Something that an agent waits for a person to say. */
export interface Question {
  /** Whether `approve` and `deny` reach the agent; otherwise it is answered in the terminal. */
  answerable: boolean;
  /** The command or the file; `""` if there is none. It ends with `…` where it is very long, and can't be answered from here then. Characters that nobody sees are written as `\u{…}`. */
  command: string;
  /** How sure wsm is that it is still asked: `reported`, `signalled` or `guess`. */
  confidence: string;
  /** What the agent says about it. */
  detail: string;
  /** What an edit would change, as unified diff; `""` if it is none. */
  diff: string;
  /** Id, never used again by this agent. */
  id: string;
  /** `permission`: it asks before it does something; `question`: it wants to know something. */
  kind: string;
  /** Since when (RFC 3339, UTC). */
  since: string;
  /** The tool that it wants to use, as the agent calls it; `""` if it names none. */
  tool: string;
}

/** Whether what people type into an agent's terminals is recorded, too. */
export interface RecordInput {
  /** It is, until the agent stops; lines that are not echoed are left out. */
  on: boolean;
}

/** What a terminal showed, from one start of the agent on. */
export interface Recording {
  /** When what is still there of it begins (RFC 3339). */
  begun: string;
  /** Bytes of it. */
  bytes: number;
  /** Columns at its begin. */
  cols: number;
  /** Names it among those of its agent. */
  id: string;
  /** How long it is, in milliseconds. */
  length_ms: number;
  /** Rows at its begin. */
  rows: number;
  /** Terminal. */
  terminal: string;
}

/** Answer of `rm` and `prune`. */
export interface Removed {
  /** Agents that were (or would be) removed. */
  agents: RemovedAgent[];
}

/** One removed agent. */
export interface RemovedAgent {
  /** What of its `teardown` failed; it was removed all the same. */
  failed?: string[];
  /** Id. */
  id: string;
  /** Name. */
  name: AgentName;
  /** Whether it is gone for good, or in the trash. */
  purged: boolean;
  /** Work that is not merged, in words; `""` if there is none. */
  unmerged: string;
}

/** A registered repository. */
export interface Repository {
  /** Who registered it. */
  by: string;
  /** When (RFC 3339, UTC). */
  created: string;
  /** Name; one of each for a user. */
  name: string;
  /** Its working tree. */
  path: string;
  /** The wsm user who may make agents of it. */
  user: string;
}

/** What `navigator.credentials.get` is given (`parseRequestOptionsFromJSON`). */
export interface RequestOptions {
  /** Passkeys that would do; none: the authenticator shows what it has. */
  allowCredentials: KnownPasskey[];
  /** Good once, for five minutes; base64url. */
  challenge: string;
  /** Name of this host. */
  rpId: string;
  /** Milliseconds. */
  timeout: number;
  /** `required`. */
  userVerification: string;
}

/** Request to take exported rows out of the journal. */
export interface Rotate {
  /** Its `chain`: whoever has it has the rows. */
  chain: string;
  /** The newest row that was exported. */
  through: number;
}

/** What a person wants to be told, and when not. What is missing is inherited: an agent's from the person's, the person's from the defaults. */
export interface Rules {
  /** Whether an agent that waits for a person is told in quiet hours too (no). */
  approvals_always?: boolean | null;
  /** Seconds between two messages about one agent (30); what waits for a person waits 5 at most. */
  cooldown_s?: number | null;
  /** How long a state must last before it is told, in milliseconds (3000). */
  dwell_ms?: number | null;
  /** Nothing at all (no). */
  muted?: boolean | null;
  /** About what: `finished`, `blocked`, `failed`, `service-down`, `limit`, `security`, `handoff`, `lease`; missing: what the agent's template says in `notify.on`, `handoff` and `lease`. */
  on?: string[] | null;
  /** When to be quiet: `22:00-07:00`; what still is so afterwards is told then. */
  quiet?: string[] | null;
  /** Also about agents that others share with this person (no). */
  shared?: boolean | null;
  /** Time zone of the quiet hours: `Europe/Berlin` (`UTC`). */
  zone?: string | null;
}

/** Change of a person's rules; what is missing stays. */
export interface RulesChange {
  /** For these agents, instead of what was there; `{}`: as for every agent. */
  agents?: Record<string, Rules>;
  /** For every agent, instead of what was there. */
  rules?: null | Rules;
}

/** One secret, without its value. */
export interface Secret {
  /** Whether that is now. */
  expired: boolean;
  /** From when it is not used any more, `""` if it does not expire. */
  expires: string;
  /** Where alone it may go; empty: wherever a template of its owner's says. */
  hosts: string[];
  /** Kind of the login, `""` if it is a secret. */
  login?: string;
  /** Name. */
  name: string;
  /** The user whose agents may use it; `""` if everybody's may. */
  owner: string;
  /** Why the login is not renewed any more, `""` if it is: its user must log in again. */
  refused?: string;
  /** When it was set (RFC 3339, UTC). */
  set: string;
  /** Until when the login's access token is good; `""` if it is a secret. */
  token_until?: string;
  /** When it was last put into a request, `""` if never. */
  used: string;
  /** Whether agents may have the value itself, where their template says so. */
  visible?: boolean;
}

/** Answer of `secret rm`. */
export interface SecretRemoved {
  /** Name. */
  name: string;
}

/** For whoever brings the value, within a minute, to `egress.sock` in the run directory. */
export interface SecretTicket {
  /** The ticket; good for one try. */
  ticket: string;
}

/** Answer to [`Visible`]. */
export interface Seen {
  /** Say it again before so many seconds are over. */
  again_s: number;
}

/** What an authenticator must do. */
export interface Selection {
  /** The same, for older browsers. */
  requireResidentKey: boolean;
  /** `required`: it is found without a user's name. */
  residentKey: string;
  /** `required`: a finger, a face, a PIN. */
  userVerification: string;
}

/** Text to type. */
export interface Send {
  /** Press Enter after it. */
  enter: boolean;
  /** Terminal, `main` by default. */
  terminal?: string | null;
  /** The text. */
  text: string;
}

/** A service. */
export interface Service {
  /** Name in the template. */
  name: string;
  /** Why, one sentence. */
  reason: string;
  /** How often it was started again since it was last asked to start. */
  restarts: number;
  /** Since when (RFC 3339). */
  since: string;
  /** State. */
  state: ServiceState;
}

/** States of a service. */
export type ServiceState = "waiting" | "initializing" | "starting" | "ready" | "unhealthy" | "backoff" | "failed" | "stopping" | "stopped";

/** Somebody whom an agent is shared with. */
export interface Share {
  /** Who shared it. */
  by: string;
  /** It has ended by itself. */
  expired: boolean;
  /** When it ends (RFC 3339); empty: when it is ended. */
  expires: string;
  /** `viewer`, `approver` or `driver`; `owner` for the owner. */
  role: string;
  /** Since when (RFC 3339). */
  since: string;
  /** The user. */
  user: string;
}

/** `show`: the agent and what holds it. */
export interface Shown {
  /** The agent. */
  agent: Agent;
  /** Secrets that are put into its requests. */
  credentials?: Credential[];
  /** Layers, read back from the kernel now; empty when nothing runs. */
  layers: Layer[];
  /** What the self-test tried when the sandbox that stands was made. */
  probes: Probe[];
  /** Where each value of the template came from: dotted key to `layer file:line`. */
  provenance: Record<string, string>;
}

/** A passkey that was shown. */
export interface ShownPasskey {
  /** The credential. */
  credential: Asserted;
  /** What this device is called. */
  device_name?: string;
}

/** Journal rows that are not told, because the client was away for too many of them. */
export interface Skipped {
  /** Number of the last of them; `GET /v1/events` has them all. */
  through: number;
}

/** What an agent says it has used, of the conversation that it is in. */
export interface Spent {
  /** In dollars, as a decimal number; `""` where the agent does not tell. */
  cost_usd: string;
  /** Tokens that went in. */
  tokens_in: number;
  /** Tokens that came out. */
  tokens_out: number;
}

/** States. `blocked` means that a person is needed. */
export type State = "creating" | "setting-up" | "starting" | "working" | "blocked" | "idle" | "stopping" | "stopped" | "failed" | "paused" | "lost";

/** `status`. */
export interface Status {
  /** Agents by state. */
  agents: Record<string, number>;
  /** Whether the broker answers. */
  broker: boolean;
  /** Pid of the daemon. */
  pid: number;
  /** Since when it runs (RFC 3339). */
  since: string;
  /** Who the caller is. */
  user: string;
  /** Version of the daemon. */
  version: string;
  /** The network, if it is configured. */
  web?: null | Web;
}

/** Keys of a subscription, base64url. */
export interface SubscriptionKeys {
  /** The shared secret. */
  auth: string;
  /** The browser's public key. */
  p256dh: string;
}

/** How commits made inside stand to the branch on the host. */
export interface Sync {
  /** Whether human and agent both moved the branch; the agent's commits are at `refs/wsm/`. */
  diverged: boolean;
  /** Commit that the branch was last set to by wsm, `""` before the first. */
  head: string;
  /** What is wrong, `""` if nothing is. */
  problem: string;
}

/** One template. */
export interface TemplateInfo {
  /** One line. */
  description: string;
  /** What it extends. */
  extends: string[];
  /** That file. */
  file: string;
  /** Agent kind (`claude`, `shell` …). */
  kind?: string;
  /** Layer of its highest file. */
  layer: string;
  /** Name. */
  name: string;
  /** Its parameters: fields of a form. */
  params?: Param[];
  /** Whether it can be given a prompt. */
  prompt?: boolean;
}

/** Which channels to try. */
export interface TestRequest {
  /** This one; missing: all of the caller's. */
  channel?: string | null;
}

/** What opens a connection to the agent's shim, once and within ten seconds. */
export interface Ticket {
  /** Name of the shim's socket in the run directory. */
  socket: string;
  /** Goes into the hello. */
  ticket: string;
}

/** A token, without its value. */
export interface Token {
  /** From where. */
  address: string;
  /** The only agents (ids) that it is good for; none: all. */
  agents?: string[];
  /** When it was made (RFC 3339). */
  created: string;
  /** When it ends (RFC 3339). */
  expires: string;
  /** Id. */
  id: string;
  /** What it is for, in its user's words. */
  label: string;
  /** `watch`, `view`, `approve`, `drive`, `own`, `admin`: each includes those before it. */
  scope: string;
  /** `good`, `expired` or `revoked`. */
  state: string;
  /** When it was used last, to the minute (RFC 3339); empty: never. */
  used: string;
  /** Whose. */
  user: string;
}

/** A token that was just made: the only time that its value is told. */
export interface TokenMade {
  /** The token. */
  token: Token;
  /** Its value. */
  value: string;
}

/** What an agent used. */
export interface Usage {
  /** Its id. */
  agent: string;
  /** Its CPU limit, in thousandths of a core. */
  cpu_limit_milli?: number | null;
  /** The disk space of its files, when it was counted last. */
  disk?: null | Disk;
  /** By host: what went through since its way out was opened. */
  hosts: HostTraffic[];
  /** Its memory limit. */
  memory_limit_bytes?: number | null;
  /** What was used, oldest first: each five minutes of the last day, then each ten seconds of the last quarter of an hour. */
  samples: UsageSample[];
}

/** What was used in some seconds. */
export type UsageSample = Used & {
  /** When they ended (RFC 3339, UTC). */
  at: string;
  /** Disk space of its files, as far as it was counted. */
  disk_bytes?: number | null;
  /** How many they were. */
  seconds: number;
  /** By each service. */
  services?: Record<string, Used>;
};

/** What one group of processes used; what this host does not count is absent. */
export interface Used {
  /** CPU, in thousandths of a core, on average. */
  cpu_milli?: number | null;
  /** Memory, at most. */
  memory_bytes?: number | null;
  /** Processes that the kernel killed for want of memory. */
  oom_kills?: number;
  /** How much of the time something waited, at most. */
  pressure?: null | Pressure;
}

/** A user. */
export interface User {
  /** Agents that this user owns, the trash included. */
  agents: number;
  /** Devices that are good. */
  devices: number;
  /** Name. */
  name: string;
  /** `admin` or `member`. */
  role: string;
  /** Since when (RFC 3339); empty for a local account that nothing was written down of. */
  since: string;
  /** Tokens that are good. */
  tokens: number;
  /** Uid of the Unix account that this user comes in with on this machine, and that new agents' files belong to; `null` for one who has none. */
  uid?: number | null;
}

/** A user that was removed. */
export interface UserRemoved {
  /** Name. */
  name: string;
}

/** What going through the journal told. */
export interface Verified {
  /** When the newest of them was written (RFC 3339); empty: there is none. */
  checkpoint: string;
  /** Checkpoints that were compared. */
  checkpoints: number;
  /** What is wrong; nothing: the journal is as it was written. */
  findings: Finding[];
  /** What is not wrong, and should be known: rows that were taken out, lines of root's file that can't be read. */
  notes?: string[];
  /** Where the chain of what people did ends. */
  person: ChainEnd;
  /** Rows that were looked at. */
  rows: number;
  /** Where the chain of what wsm did by itself ends. */
  wsm: ChainEnd;
}

/** Somebody who looks at a terminal. */
export interface Viewer {
  /** Columns of their screen. */
  cols: number;
  /** What they sit at. */
  device: string;
  /** They have the keyboard. */
  holds: boolean;
  /** They can only look. */
  read_only: boolean;
  /** Rows of their screen. */
  rows: number;
  /** Since when (RFC 3339). */
  since: string;
  /** Terminal. */
  terminal: string;
  /** wsm user. */
  user: string;
  /** Whether it is on a screen, as far as the viewer says. */
  visible: boolean;
}

/** `POST /v1/visible`: a page is looked at, or no longer. */
export interface Visible {
  /** The agent that it shows; `null`: none in particular. */
  agent?: string | null;
  /** Whether it is visible; good for 30 s. */
  visible: boolean;
}

/** How the API is served over the network. */
export interface Web {
  /** Fingerprint of the certificate, for `--host-cert`; `""` without TLS, and where an authority gives it. */
  certificate: string;
  /** Why it does not serve, or what is wrong with its certificate; `""` if nothing is. */
  problem: string;
  /** Its URL; `""` when it does not serve. */
  url: string;
}

/** `whoami`. */
export interface Whoami {
  /** IP address; empty on the Unix socket. */
  address: string;
  /** The only agents (ids) that it is good for; none: all. */
  agents?: string[];
  /** What the device is called, if the caller came in from one. */
  device?: string;
  /** `admin` or `member`. */
  role: string;
  /** What this way in is good for: `watch`, `view`, `approve`, `drive`, `own`, `admin`. */
  scope: string;
  /** The wsm user. */
  user: string;
  /** How the caller came in: `uid:1000`, `device:ID`, `token:ID`, `link:ID`. */
  via: string;
}

/** Every route: what it takes and what it answers. */
export interface Routes {
  "get /v1/agents": { query: { trashed?: boolean }; answer: Agent[] };
  "post /v1/agents": { body: NewAgent; answer: DryRun | Agent };
  "get /v1/agents/{agent}": { answer: Agent };
  "delete /v1/agents/{agent}": { query: { purge?: boolean }; answer: Removed };
  "post /v1/agents/{agent}/apply": { answer: Merged };
  "post /v1/agents/{agent}/approve": { body: Approve; answer: Agent };
  "get /v1/agents/{agent}/attach": { query: { terminal?: string | null; read_only?: boolean }; answer: null };
  "get /v1/agents/{agent}/capture": { query: { terminal?: string | null; history_lines?: number; styled?: boolean }; answer: Capture };
  "post /v1/agents/{agent}/deny": { body: Deny; answer: Agent };
  "get /v1/agents/{agent}/diff": { answer: Diff };
  "get /v1/agents/{agent}/exec": { answer: null };
  "get /v1/agents/{agent}/explain": { answer: Explanation };
  "post /v1/agents/{agent}/handoff": { body: NewOffer; answer: Offer };
  "post /v1/agents/{agent}/lease": { body: LeaseChange; answer: Lease };
  "get /v1/agents/{agent}/links": { answer: Link[] };
  "post /v1/agents/{agent}/links": { body: NewLink; answer: LinkMade };
  "delete /v1/agents/{agent}/links/{link}": { answer: Link };
  "get /v1/agents/{agent}/live": { query: { terminal?: string | null }; answer: null };
  "get /v1/agents/{agent}/log": { query: { service?: string | null; from?: number | null; lines?: number | null }; answer: LogPart };
  "post /v1/agents/{agent}/merge": { body: Merge; answer: Merged };
  "post /v1/agents/{agent}/pause": { answer: Agent };
  "get /v1/agents/{agent}/policy": { answer: AgentPolicy };
  "post /v1/agents/{agent}/policy": { body: PolicyChange; answer: AgentPolicy };
  "get /v1/agents/{agent}/policy/check": { query: { target?: string }; answer: PolicyAnswer };
  "get /v1/agents/{agent}/ports": { answer: AgentPorts };
  "post /v1/agents/{agent}/previews": { body: NewPreview; answer: Preview };
  "get /v1/agents/{agent}/recordings": { answer: Recording[] };
  "post /v1/agents/{agent}/recordings/input": { body: RecordInput; answer: RecordInput };
  "get /v1/agents/{agent}/recordings/{recording}": { answer: null };
  "post /v1/agents/{agent}/restart": { answer: Agent };
  "post /v1/agents/{agent}/restore": { answer: Agent };
  "post /v1/agents/{agent}/resume": { answer: Agent };
  "post /v1/agents/{agent}/send": { body: Send; answer: null };
  "get /v1/agents/{agent}/services": { answer: Service[] };
  "post /v1/agents/{agent}/services/{service}/restart": { answer: Service };
  "post /v1/agents/{agent}/services/{service}/start": { answer: Service };
  "post /v1/agents/{agent}/services/{service}/stop": { answer: Service };
  "get /v1/agents/{agent}/shares": { answer: Share[] };
  "post /v1/agents/{agent}/shares": { body: NewShare; answer: Share };
  "delete /v1/agents/{agent}/shares/{user}": { answer: Share };
  "get /v1/agents/{agent}/show": { answer: Shown };
  "post /v1/agents/{agent}/start": { answer: Agent };
  "post /v1/agents/{agent}/stop": { answer: Agent };
  "post /v1/agents/{agent}/terminals": { body: NewTerminal; answer: Opened };
  "post /v1/agents/{agent}/ticket": { body: NewTicket; answer: Ticket };
  "get /v1/agents/{agent}/usage": { query: { since_ms?: number }; answer: Usage };
  "get /v1/agents/{agent}/wait": { query: { until?: string; timeout_ms?: number | null }; answer: Agent };
  "get /v1/agents/{agent}/who": { answer: Presence };
  "get /v1/audit": { query: { after?: number; actor?: string | null; subject?: string | null; verb?: string | null; since_ms?: number | null; until_ms?: number | null; newest?: boolean; limit?: number | null; wait_ms?: number }; answer: AuditRow[] };
  "post /v1/audit/rotate": { body: Rotate; answer: null };
  "get /v1/audit/verify": { answer: Verified };
  "get /v1/devices": { answer: Device[] };
  "delete /v1/devices/{device}": { answer: Device };
  "get /v1/doctor": { answer: Check[] };
  "get /v1/events": { query: { after?: number; limit?: number | null; wait_ms?: number }; answer: Event[] };
  "get /v1/feed": { query: { after?: number | null; trashed?: boolean }; answer: null };
  "get /v1/handoffs": { answer: Offer[] };
  "post /v1/handoffs/{offered}/accept": { answer: Offer };
  "post /v1/handoffs/{offered}/decline": { answer: Offer };
  "get /v1/invitations": { answer: Invitation[] };
  "post /v1/invitations": { body: NewInvitation; answer: InvitationMade };
  "post /v1/invitations/claim": { body: InvitationClaim; answer: Entered };
  "delete /v1/invitations/{invitation}": { answer: Invitation };
  "post /v1/links/open": { body: OpenLink; answer: LinkOpened };
  "get /v1/live/{code}": { query: { terminal?: string | null }; answer: null };
  "get /v1/notifications": { answer: Notifications };
  "put /v1/notifications": { body: RulesChange; answer: Notifications };
  "get /v1/notifications/channels": { answer: Channel[] };
  "post /v1/notifications/channels": { body: NewChannel; answer: ChannelMade };
  "delete /v1/notifications/channels/{channel}": { answer: Channel };
  "get /v1/notifications/deliveries": { query: { limit?: number }; answer: Delivery[] };
  "post /v1/notifications/test": { body: TestRequest; answer: Channel[] };
  "post /v1/pairings": { answer: PairingMade };
  "post /v1/pairings/claim": { body: PairingClaim; answer: PairingClaimed };
  "post /v1/pairings/redeem": { body: PairingRedeem; answer: Entered | PairingWaits };
  "get /v1/pairings/{pairing}": { answer: Pairing };
  "delete /v1/pairings/{pairing}": { answer: Pairing };
  "post /v1/pairings/{pairing}/confirm": { body: PairingConfirm; answer: Pairing };
  "post /v1/passkeys/login/finish": { body: ShownPasskey; answer: Entered };
  "post /v1/passkeys/login/start": { body: PasskeyLogin; answer: RequestOptions };
  "post /v1/passkeys/register/finish": { body: NewPasskey; answer: Device };
  "post /v1/passkeys/register/start": { answer: CreationOptions };
  "get /v1/ports": { answer: AgentPorts[] };
  "post /v1/prune": { query: { dry_run?: boolean }; answer: Removed };
  "get /v1/push/key": { answer: PushKey };
  "get /v1/push/subscriptions": { answer: Channel[] };
  "post /v1/push/subscriptions": { body: NewSubscription; answer: Channel };
  "delete /v1/push/subscriptions/{channel}": { answer: Channel };
  "get /v1/repositories": { answer: Repository[] };
  "post /v1/repositories": { body: NewRepository; answer: Repository };
  "delete /v1/repositories/{repository}": { query: { user?: string | null }; answer: Repository };
  "get /v1/secrets": { answer: Secret[] };
  "post /v1/secrets/{secret}": { body: NewSecret; answer: SecretTicket };
  "delete /v1/secrets/{secret}": { query: { everyone?: boolean }; answer: SecretRemoved };
  "post /v1/session": { body: NewSession; answer: Entered };
  "delete /v1/session": { answer: Device };
  "get /v1/status": { answer: Status };
  "get /v1/templates": { query: { repository?: string | null }; answer: TemplateInfo[] };
  "get /v1/tokens": { answer: Token[] };
  "post /v1/tokens": { body: NewToken; answer: TokenMade };
  "delete /v1/tokens/{token}": { answer: Token };
  "get /v1/users": { answer: User[] };
  "post /v1/users": { body: NewUser; answer: User };
  "delete /v1/users/{user}": { answer: UserRemoved };
  "post /v1/users/{user}/role": { body: NewRole; answer: User };
  "post /v1/visible": { body: Visible; answer: Seen };
  "get /v1/whoami": { answer: Whoami };
}
