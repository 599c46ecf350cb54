//! What is stored of an agent: one JSON document per row, written only by the agent's driver.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wsm_api::agent::State;
use wsm_api::name::AgentName;
use wsm_api::service::ServiceState;
use wsm_sandbox::protocol::AgentPaths;
use wsm_sandbox::spec::{AgentId, GrantId};
use wsm_template::resolved::Resolved;

use crate::actor::Who;
use crate::agent::evidence::Heard;

/// Everything that must be known of an agent after a crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Id.
    pub id: AgentId,
    /// Name.
    pub name: AgentName,
    /// The wsm user that owns it.
    pub owner: String,
    /// Uid of the owner's local account.
    pub owner_uid: u32,
    /// Name of the Unix account that owns the files; fixed at creation.
    pub account: String,
    /// The granted repository.
    pub grant: GrantId,
    /// Granted directories that it may write to.
    #[serde(default)]
    pub write: Vec<GrantId>,
    /// Main working tree.
    pub repository: String,
    /// Common git directory.
    pub git_dir: String,
    /// Branch.
    pub branch: String,
    /// Commit that the branch started from.
    pub base: String,
    /// Where its files lie; `None` until they were prepared.
    pub paths: Option<AgentPaths>,
    /// The template with nothing left to decide.
    pub resolved: Resolved,
    /// Leased ports.
    pub ports: Vec<PortRecord>,
    /// State.
    pub state: State,
    /// Why.
    pub reason: String,
    /// Since when, milliseconds since the epoch.
    pub since_ms: u64,
    /// How far its making has come.
    pub phase: Phase,
    /// What its owner wants of it.
    pub wanted: Wanted,
    /// While it is being stopped: the state that follows, and why. `None`: it starts again.
    #[serde(default)]
    pub ending: Option<(State, String)>,
    /// A merge or an apply of its work whose end is not written down yet.
    #[serde(default)]
    pub bringing: Option<Bringing>,
    /// How often its command was started: numbers the shim's process names.
    pub run: u32,
    /// Boot of the machine in which it last ran: tells a reboot from a lost shim.
    pub boot_id: String,
    /// When it was made.
    pub created_ms: u64,
    /// When it went to the trash.
    pub trashed_ms: Option<u64>,
    /// How often its making was begun: above 1 something may be left of an earlier try.
    pub attempts: u32,
    /// Name and address in its commits.
    pub author: (String, String),
    /// Size of the first terminal.
    pub size: (u16, u16),
    /// Where the branch stands.
    pub sync: SyncRecord,
    /// What it has instead of secrets, by the template's names.
    #[serde(default)]
    pub credentials: BTreeMap<String, CredentialRecord>,
    /// The certificate (PEM) that its sandbox was built to trust; none without credentials.
    #[serde(default)]
    pub authority: Option<String>,
    /// What of its credentials must not be written down: egress tells it at each start.
    #[serde(skip)]
    pub inside: Inside,
    /// An offer to another user.
    #[serde(default)]
    pub offer: Option<Offer>,
    /// It has got another owner, and login files of the one before may still be there.
    #[serde(default)]
    pub logins_due: bool,
    /// What was heard of its command.
    #[serde(default)]
    pub heard: Heard,
    /// Services whose `init` has succeeded.
    pub initialized: BTreeSet<String>,
    /// Services as they were last recorded.
    pub services: BTreeMap<String, ServiceRecord>,
}

/// An offer to take an agent over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// To whom.
    pub to: String,
    /// By whom: its owner, or an admin.
    pub by: String,
    /// What the giver says.
    pub note: String,
    /// Since when, milliseconds since the epoch.
    pub made_ms: u64,
    /// Until when.
    pub expires_ms: u64,
    /// State, changes and screen as they were.
    pub summary: String,
}

impl Record {
    /// The offer that stands at this time.
    #[must_use]
    pub fn offered(&self, now_ms: u64) -> Option<&Offer> {
        self.offer
            .as_ref()
            .filter(|offer| offer.expires_ms > now_ms)
    }
}

/// A merge or an apply that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bringing {
    /// Who asked for it.
    pub actor: String,
    /// How that one came in.
    #[serde(default)]
    pub via: String,
    /// From where.
    #[serde(default)]
    pub address: String,
    /// What.
    pub how: Bring,
    /// When, milliseconds since the epoch: the log of the main checkout names it.
    pub since_ms: u64,
}

impl Bringing {
    /// Who asked for it, as the journal says it.
    #[must_use]
    pub fn who(&self) -> Who {
        Who {
            user: self.actor.clone(),
            via: self.via.clone(),
            address: self.address.clone(),
        }
    }
}

/// How work is brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bring {
    /// Commits.
    Merge,
    /// Staged.
    Apply,
}

/// A credential of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRecord {
    /// What the agent has instead of the secret.
    pub placeholder: String,
    /// Whether the secret was set when its sandbox was built.
    pub ready: bool,
}

/// What an agent has of its credentials beside placeholders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inside {
    /// Values that its template says it sees.
    pub values: BTreeMap<String, wsm_egress::secret::Value>,
    /// Files that it has instead of logins.
    pub stands: BTreeMap<String, wsm_egress::login::Stand>,
}

/// A service as it was last recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// State.
    pub state: ServiceState,
    /// Why.
    pub reason: String,
    /// Since when, milliseconds since the epoch.
    pub since_ms: u64,
    /// Restarts since it was last asked to start.
    pub restarts: u32,
}

/// How the agent's commits stand to the branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRecord {
    /// Commit that wsm last set the branch to.
    pub head: String,
    /// Human and agent both moved it.
    pub diverged: bool,
    /// What is wrong with the last take-over.
    pub problem: String,
}

/// A port of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRecord {
    /// Name.
    pub name: String,
    /// Inside.
    pub inside: u16,
    /// Leased on the host.
    pub outside: Option<u16>,
}

/// Phases of making an agent; each is written before it begins, so that a crash knows what may be
/// half done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing outside the database.
    Recorded,
    /// Directories, worktree, branch.
    Workspace,
    /// The worktree stands; `[files]` and `setup` run.
    Setup,
    /// Made: starting it again needs no more than a sandbox.
    Made,
}

/// What the owner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// That it runs.
    Running,
    /// That it rests.
    Stopped,
    /// That it is gone for good.
    Erased,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record of the built-in `shell` template.
    pub(crate) fn record() -> Record {
        let request = wsm_template::Request {
            template: "shell".into(),
            ..Default::default()
        };
        let resolution = wsm_template::resolve(&wsm_template::Sources::default(), &request);
        Record {
            id: AgentId::try_from("abcdefgh1234".to_owned()).expect("an id"),
            name: "a".parse().expect("a name"),
            owner: "ada".into(),
            owner_uid: 1000,
            account: "ada".into(),
            grant: GrantId("g".into()),
            write: Vec::new(),
            repository: "/home/ada/shop".into(),
            git_dir: "/home/ada/shop/.git".into(),
            branch: "wsm/a".into(),
            base: "HEAD".into(),
            paths: None,
            resolved: resolution.expect("the built-in template resolves").resolved,
            ports: Vec::new(),
            state: State::Creating,
            reason: String::new(),
            since_ms: 0,
            phase: Phase::Recorded,
            wanted: Wanted::Running,
            ending: None,
            bringing: None,
            run: 0,
            boot_id: String::new(),
            created_ms: 0,
            trashed_ms: None,
            attempts: 0,
            author: ("Ada".into(), "ada@example.org".into()),
            size: (80, 24),
            sync: SyncRecord::default(),
            credentials: BTreeMap::new(),
            inside: Inside::default(),
            authority: None,
            offer: None,
            logins_due: false,
            heard: Heard::default(),
            initialized: BTreeSet::new(),
            services: BTreeMap::new(),
        }
    }

    #[test]
    fn a_record_reads_back() {
        let record = record();
        let text = serde_json::to_string(&record).expect("it serializes");
        assert_eq!(
            serde_json::from_str::<Record>(&text).expect("it reads back"),
            record
        );
    }
}
