//! Who may do what: one pure function, asked by every method of the facade.
//!
//! [`Verb`] has one value for each thing that can be asked; a line of its table says what it wants:
//! a role on the host or on the agent, and a scope of the way in. The table of actors, verbs and
//! routes is a test (`role/tests.rs`, and `web/src/router.rs` for the routes).

use serde::{Deserialize, Serialize};

use crate::actor::{Actor, Way};

/// Role on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostRole {
    /// Has agents of its own, and those that were shared with it.
    Member,
    /// May do everything to every agent, and says who the others are.
    Admin,
}

/// Role on an agent; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentRole {
    /// See it: state, screen, changes.
    Viewer,
    /// Answer its questions.
    Approver,
    /// Type, run, start, stop.
    Driver,
    /// Bring its work back, change its rights, share it, remove it.
    Owner,
}

/// How far a way in reaches; each reaches as far as those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Look at the terminals.
    Watch,
    /// What a viewer may.
    View,
    /// What an approver may.
    Approve,
    /// What a driver may.
    Drive,
    /// What an owner may.
    Own,
    /// What an administrator may, if its user is one.
    Admin,
}

/// What a verb wants of whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// To be known; what is shown is one's own.
    Anyone,
    /// To be that person, or an administrator.
    Person,
    /// To be that person, and there by no token, nor by what was made with one: no token makes
    /// another way in.
    InPerson,
    /// To be an administrator.
    Admin,
    /// This role on the agent.
    Role(AgentRole),
    /// This role on the agent, and to be there by no token.
    RoleInPerson(AgentRole),
}

/// What a verb is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The host.
    Host,
    /// What belongs to a person: tokens, devices, secrets.
    Person(&'a str),
    /// An agent.
    Agent {
        /// Id.
        id: &'a str,
        /// Who owns it.
        owner: &'a str,
        /// What was shared with the actor.
        shared: Option<AgentRole>,
    },
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The actor may not even know that it exists.
    Hidden,
    /// The role on the agent does not reach.
    Role(AgentRole),
    /// The way in does not reach.
    Scope(Scope),
    /// A token does not do this.
    Token,
    /// It is another person's.
    Person,
    /// It is an administrator's.
    Admin,
}

macro_rules! verbs {
    ($($(#[doc = $doc:literal])+ $verb:ident $needs:expr, $scope:ident;)*) => {
        /// One for each thing that can be asked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Verb {$($(#[doc = $doc])+ $verb),*}

        impl Verb {
            /// All of them.
            pub const ALL: &[Verb] = &[$(Verb::$verb),*];

            fn needs(self) -> (Needs, Scope) {
                match self {$(Verb::$verb => ($needs, Scope::$scope)),*}
            }
        }
    };
}

use AgentRole::{Approver, Driver, Owner, Viewer};
use Needs::{Admin, Anyone, InPerson, Person, Role, RoleInPerson};

verbs! {
    /// Come in, with something that only its holder has.
    Enter Anyone, View;
    /// End the session that one came in by.
    SessionEnd Anyone, View;
    /// Who one is.
    Whoami Anyone, Watch;
    /// What runs.
    Status Anyone, View;
    /// What the host can enforce.
    Doctor Anyone, View;
    /// Templates of the host.
    Templates Anyone, View;
    /// One's agents, and those shared with one.
    List Anyone, Watch;
    /// Ports of those.
    Ports Anyone, View;
    /// What happened to those.
    Events Anyone, View;
    /// What was done to those, and by oneself.
    AuditRead Anyone, View;
    /// Whether the journal is as it was written.
    AuditVerify Admin, Admin;
    /// Take exported rows out of the journal.
    AuditRotate Admin, Admin;
    /// What is offered to one, and by one.
    Offers Anyone, View;
    /// Take an offer, or decline it.
    Answer Person, Own;
    /// A new agent.
    New Anyone, Own;
    /// Empty the trash of what is one's own.
    Prune Anyone, Own;

    /// Repositories that one may make agents of.
    RepositoryList Anyone, View;
    /// Register one's repository, or take it out.
    RepositoryChange Person, Own;

    /// Names of one's secrets.
    SecretList Anyone, Own;
    /// Set or forget one's secret.
    SecretChange Person, Own;
    /// Set or forget a secret for everyone.
    SecretEveryone Admin, Admin;

    /// Who there is.
    UserList Admin, Admin;
    /// Add, remove, change a user.
    UserChange Admin, Admin;
    /// A person's tokens.
    TokenList Person, Own;
    /// A new token.
    TokenNew InPerson, Own;
    /// End a token.
    TokenRemove Person, Own;
    /// A person's devices.
    DeviceList Person, Own;
    /// A new device, passkey or session.
    DeviceNew InPerson, Own;
    /// End a device.
    DeviceRemove Person, Own;
    /// Invite somebody.
    Invite Admin, Admin;

    /// Say that one looks at an agent.
    Visible Anyone, View;
    /// What one is told, by which channels, and what became of it.
    Notifications Person, Own;
    /// A way by which one is told, which outlives the way in: no token makes one.
    ChannelNew InPerson, Own;

    /// See that it is there, and its state.
    See Role(Viewer), Watch;
    /// Who it is shared with.
    Shares Role(Viewer), View;
    /// What the kernel enforces on it.
    Show Role(Viewer), View;
    /// Why its state is what it is.
    Explain Role(Viewer), View;
    /// Wait for a state.
    Wait Role(Viewer), View;
    /// Its logs.
    Log Role(Viewer), View;
    /// Its screen.
    Capture Role(Viewer), Watch;
    /// Watch a terminal.
    Watch Role(Viewer), Watch;
    /// What it changed.
    Diff Role(Viewer), View;
    /// What it may reach.
    Policy Role(Viewer), View;
    /// What it uses of the host.
    Usage Role(Viewer), View;
    /// Who else is there.
    Who Role(Viewer), View;
    /// What its terminals recorded.
    Recordings Role(Viewer), View;

    /// Leave it.
    Leave Role(Viewer), Own;

    /// Answer its questions.
    Approve Role(Approver), Approve;
    /// Look at a page that it serves.
    Preview Role(Viewer), View;
    /// Do more with it than look.
    PreviewUse Role(Driver), Drive;

    /// Type into a terminal.
    Drive Role(Driver), Drive;
    /// Ask for the keyboard of a terminal, hand it over, let it go.
    Lease Role(Driver), Drive;
    /// Type a text.
    Send Role(Driver), Drive;
    /// Open a terminal.
    Open Role(Driver), Drive;
    /// Run a command.
    Exec Role(Driver), Drive;
    /// Start, stop, restart it.
    Run Role(Driver), Drive;
    /// Freeze and thaw it.
    Freeze Role(Driver), Drive;
    /// Start, stop, restart a service.
    ServiceRun Role(Driver), Drive;

    /// Bring its work into the main checkout, which lies outside the sandbox.
    Merge Role(Owner), Own;
    /// Change what it may reach: its owner chose the template, and may choose again.
    PolicyChange Role(Owner), Own;
    /// Have what people type recorded.
    RecordInput Role(Owner), Own;
    /// Take the keyboard from whoever has it.
    LeaseTake Role(Owner), Own;
    /// Trash it, purge it, take it out of the trash.
    Remove Role(Owner), Own;
    /// Share it, end a share.
    Share Role(Owner), Own;
    /// Links that it is watched by.
    Links Role(Owner), Own;
    /// A new link: one more way in.
    LinkNew RoleInPerson(Owner), Own;
    /// Offer it to another user.
    Handoff Role(Owner), Own;
}

/// Whether `actor` may do this.
///
/// # Errors
/// Why not.
pub fn allows(actor: &Actor, verb: Verb, subject: &Subject<'_>) -> Result<(), Denial> {
    let (needs, scope) = verb.needs();
    // What one may not see is hidden before anything else is said of it.
    if let Subject::Agent { id, owner, shared } = subject {
        let held = held(actor, id, owner, *shared).ok_or(Denial::Hidden)?;
        match needs {
            Role(role) | RoleInPerson(role) if held < role => return Err(Denial::Role(role)),
            Role(_) | RoleInPerson(_) => {}
            Anyone | Person | InPerson | Admin => return Err(Denial::Hidden),
        }
    }
    if actor.scope < scope {
        return Err(Denial::Scope(scope));
    }
    match (needs, subject) {
        (Role(_), Subject::Agent { .. }) | (Anyone, Subject::Host) => {}
        (RoleInPerson(_), Subject::Agent { .. }) => {
            if !in_person(actor) {
                return Err(Denial::Token);
            }
        }
        (Person | InPerson, Subject::Person(name)) => {
            if needs == InPerson && !in_person(actor) {
                return Err(Denial::Token);
            }
            if *name != actor.user && !actor.is_admin() {
                return Err(Denial::Person);
            }
        }
        (Admin, Subject::Host) if actor.is_admin() => {}
        (Admin, Subject::Host) => return Err(Denial::Admin),
        // No verb is asked of what it is not for.
        _ => return Err(Denial::Hidden),
    }
    // A way in that is good for some agents is good for nothing that is its user's as a whole.
    if actor.agents.is_some() && !matches!(needs, Role(_)) && scope > Scope::View {
        return Err(Denial::Token);
    }
    Ok(())
}

/// Whether it is the person, not something that the person handed out.
fn in_person(actor: &Actor) -> bool {
    match actor.way {
        Way::Local { .. } | Way::Device { lent: false, .. } => true,
        Way::Token { .. } | Way::Link { .. } | Way::Device { lent: true, .. } => false,
    }
}

/// The actor's role on an agent.
fn held(actor: &Actor, id: &str, owner: &str, shared: Option<AgentRole>) -> Option<AgentRole> {
    if actor.agents.as_ref().is_some_and(|only| !only.contains(id)) {
        return None;
    }
    if actor.is_admin() || owner == actor.user {
        return Some(Owner);
    }
    shared
}

macro_rules! words {
    ($kind:ident: $($value:ident $word:literal),*) => {
        impl $kind {
            /// As it is written everywhere.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {$($kind::$value => $word),*}
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $kind {
            type Err = String;

            fn from_str(text: &str) -> Result<$kind, String> {
                match text {
                    $($word => Ok($kind::$value),)*
                    _ => Err(format!("{text:?} is none of {}", [$($word),*].join(", "))),
                }
            }
        }
    };
}

words!(HostRole: Member "member", Admin "admin");
words!(AgentRole: Viewer "viewer", Approver "approver", Driver "driver", Owner "owner");
words!(Scope: Watch "watch", View "view", Approve "approve", Drive "drive", Own "own", Admin "admin");
