//! Agents: what one is, how one is made, what can be asked of one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::AgentName;
use crate::question::{Question, Spent};
use crate::service::{Port, Service};

/// One agent, as `ls` and `show` tell it. The keys are fixed; new ones may be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Agent {
    /// Name, unique on the host.
    pub name: AgentName,
    /// Id, never used again.
    pub id: String,
    /// State.
    pub state: State,
    /// Why the state is what it is: one sentence.
    pub reason: String,
    /// What is so beyond `state`, and why it can't be written down (a full disk); `""` as a rule.
    #[serde(default)]
    pub unrecorded: String,
    /// Since when (RFC 3339, UTC).
    pub since: String,
    /// The wsm user that owns it.
    pub owner: String,
    /// Unix account that owns its files.
    pub account: String,
    /// Template's name.
    pub template: String,
    /// Agent kind (`claude`, `shell` …).
    pub kind: String,
    /// Path of the working tree, the same inside and outside.
    pub workspace: String,
    /// Its branch.
    pub branch: String,
    /// The main repository.
    pub repository: String,
    /// Commit that the branch started from.
    pub base: String,
    /// When it was made (RFC 3339, UTC).
    pub created: String,
    /// Whether it lies in the trash.
    pub trashed: bool,
    /// Ports.
    pub ports: Vec<Port>,
    /// Services.
    pub services: Vec<Service>,
    /// Terminals that exist, `main` first.
    pub terminals: Vec<String>,
    /// How the work stands between the agent's view and the branch on the host.
    pub sync: Sync,
    /// How sure wsm is of the state: `certain` (the kernel or wsm itself said so), `reported` (the
    /// agent did), `signalled` (its terminal) or `guess`.
    #[serde(default)]
    pub confidence: String,
    /// What it waits for a person to say, oldest first.
    #[serde(default)]
    pub questions: Vec<Question>,
    /// What it says it has used.
    #[serde(default)]
    pub usage: Spent,
}

/// States. `blocked` means that a person is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Worktree and sandbox are being made.
    Creating,
    /// `setup` runs.
    SettingUp,
    /// Services become ready, the agent's command starts.
    Starting,
    /// The command runs.
    Working,
    /// It needs a person.
    Blocked,
    /// It runs and waits for work.
    Idle,
    /// It is being stopped.
    Stopping,
    /// Nothing of it runs; the work is there.
    Stopped,
    /// Something it needs failed; the reason says what.
    Failed,
    /// Frozen.
    Paused,
    /// Its shim is gone and took the processes along; the work is there.
    Lost,
}

impl State {
    /// The word used everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Creating => "creating",
            State::SettingUp => "setting-up",
            State::Starting => "starting",
            State::Working => "working",
            State::Blocked => "blocked",
            State::Idle => "idle",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
            State::Failed => "failed",
            State::Paused => "paused",
            State::Lost => "lost",
        }
    }

    /// All of them, in the order of a life.
    pub const ALL: [State; 11] = [
        State::Creating,
        State::SettingUp,
        State::Starting,
        State::Working,
        State::Blocked,
        State::Idle,
        State::Stopping,
        State::Stopped,
        State::Failed,
        State::Paused,
        State::Lost,
    ];
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        State::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| {
                let all: Vec<_> = State::ALL.iter().map(|state| state.as_str()).collect();
                format!("{text:?} is not a state (one of {})", all.join(", "))
            })
    }
}

/// How commits made inside stand to the branch on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sync {
    /// Whether human and agent both moved the branch; the agent's commits are at `refs/wsm/`.
    pub diverged: bool,
    /// Commit that the branch was last set to by wsm, `""` before the first.
    pub head: String,
    /// What is wrong, `""` if nothing is.
    pub problem: String,
}

/// A request for a new agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewAgent {
    /// Grant of the repository, from the broker: proof that the caller can use the directory.
    /// Empty where `repository` names one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub grant: String,
    /// Name of a registered repository, instead of a grant: for who is not on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Grants of directories that the template may write to (`filesystem.write`).
    #[serde(default)]
    pub write_grants: Vec<String>,
    /// Template's name.
    pub template: String,
    /// Name; made from template and repository when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `--set k=v`.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// `--base`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// `--prompt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The user's own templates: file name to text.
    #[serde(default)]
    pub user_templates: BTreeMap<String, String>,
    /// Digest of the repository's commands that the owner has just agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// Name and address for commits made inside: the caller's own git identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// Size of the requester's terminal, so that the first screen is drawn for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<(u16, u16)>,
    /// Only tell what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Who is named in commits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Author {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
}

/// What would be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DryRun {
    /// The resolved template, as a JSON document.
    pub resolved: String,
    /// The sandbox spec, as a JSON document.
    pub spec: String,
    /// The steps, in order.
    pub plan: Vec<String>,
}

/// One layer of the sandbox, as the kernel enforces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Layer {
    /// Its name.
    pub layer: String,
    /// `enforced`, `reduced` or `absent`.
    pub status: String,
    /// What was read back, or why.
    pub detail: String,
}

/// One attempt of the self-test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Probe {
    /// Layer it tests.
    pub layer: String,
    /// What was tried.
    pub tried: String,
    /// What was seen.
    pub saw: String,
    /// Whether that is right.
    pub held: bool,
}

/// `show`: the agent and what holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Shown {
    /// The agent.
    pub agent: Agent,
    /// Layers, read back from the kernel now; empty when nothing runs.
    pub layers: Vec<Layer>,
    /// What the self-test tried when the sandbox that stands was made.
    pub probes: Vec<Probe>,
    /// Secrets that are put into its requests.
    #[serde(default)]
    pub credentials: Vec<Credential>,
    /// Where each value of the template came from: dotted key to `layer file:line`.
    pub provenance: BTreeMap<String, String>,
}

/// A secret that is put into an agent's requests, outside its sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Credential {
    /// Its name in the template.
    pub name: String,
    /// Name of the secret.
    pub secret: String,
    /// Hosts that get it.
    pub hosts: Vec<String>,
    /// Where in a request: `header x-api-key`, `basic authentication`, `body member token`.
    pub places: Vec<String>,
    /// Variable that holds the placeholder inside, `""` for none.
    pub env: String,
    /// What is used now: `secret of ada`, `secret of everyone`, or why there is none.
    pub status: String,
    /// Whether there is one now.
    pub ready: bool,
    /// When it was last put into a request of any agent, `""` if never.
    pub used: String,
    /// Whether the agent has the value itself, and nothing is put in.
    #[serde(default)]
    pub visible: bool,
}

/// `explain`: the evidence for the state, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explanation {
    /// State.
    pub state: State,
    /// Reason.
    pub reason: String,
    /// Since.
    pub since: String,
    /// How sure wsm is, as for [`Agent::confidence`].
    pub confidence: String,
    /// What was heard of it last, newest first: what it reported and what its terminal told.
    #[serde(default)]
    pub heard: Vec<Heard>,
    /// What happened before, newest first.
    pub evidence: Vec<crate::event::Event>,
}

/// Something heard of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Heard {
    /// When (RFC 3339, UTC).
    pub at: String,
    /// How far it is trusted, as for [`Agent::confidence`].
    pub confidence: String,
    /// What, in words.
    pub what: String,
}

/// Answer of `rm` and `prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Removed {
    /// Agents that were (or would be) removed.
    pub agents: Vec<RemovedAgent>,
}

/// One removed agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemovedAgent {
    /// Id.
    pub id: String,
    /// Name.
    pub name: AgentName,
    /// Whether it is gone for good, or in the trash.
    pub purged: bool,
    /// Work that is not merged, in words; `""` if there is none.
    pub unmerged: String,
    /// What of its `teardown` failed; it was removed all the same.
    #[serde(default)]
    pub failed: Vec<String>,
}
