//! What a journal row means to people: nothing, something to tell, or that something is over.

use sha2::{Digest, Sha256};
use wsm_api::agent::State;
use wsm_api::service::ServiceState;
use wsm_template::resolved::Kind as AgentKind;

use crate::engine::WSM;
use crate::record::Record;
use crate::store::Row;

/// What people are told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It did what it was asked for, as far as wsm can tell.
    Finished,
    /// It waits for a person.
    Blocked,
    /// It failed, or was lost.
    Failed,
    /// A service of it is down.
    ServiceDown,
    /// It ran into a limit.
    Limit,
    /// Something that its rules forbid was tried with a credential.
    Security,
    /// It is offered to somebody, or an offer was answered.
    Handoff,
    /// Somebody wants the keyboard, or took it.
    Lease,
    /// What was told before is over.
    Over,
    /// Somebody asked for a test.
    Test,
}

impl Kind {
    /// What rules may name.
    pub const ALL: [Kind; 8] = [
        Kind::Finished,
        Kind::Blocked,
        Kind::Failed,
        Kind::ServiceDown,
        Kind::Limit,
        Kind::Security,
        Kind::Handoff,
        Kind::Lease,
    ];

    /// As it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Finished => "finished",
            Kind::Blocked => "blocked",
            Kind::Failed => "failed",
            Kind::ServiceDown => "service-down",
            Kind::Limit => "limit",
            Kind::Security => "security",
            Kind::Handoff => "handoff",
            Kind::Lease => "lease",
            Kind::Over => "over",
            Kind::Test => "test",
        }
    }

    /// Reads a word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Kind> {
        let all = Kind::ALL.into_iter().chain([Kind::Over, Kind::Test]);
        all.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether somebody has to do something about it.
    #[must_use]
    pub fn asks(self) -> bool {
        matches!(self, Kind::Blocked | Kind::Handoff | Kind::Lease)
    }

    /// Whether it is a state, which may be over in a moment.
    #[must_use]
    pub fn dwells(self) -> bool {
        matches!(
            self,
            Kind::Finished | Kind::Blocked | Kind::Failed | Kind::ServiceDown
        )
    }

    /// How long it is worth being told, in seconds.
    #[must_use]
    pub fn ttl_s(self) -> u64 {
        match self {
            Kind::Blocked | Kind::Lease | Kind::Over => 3_600,
            Kind::Test => 300,
            _ => 86_400,
        }
    }
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Its owner, and those it is shared with who want it; whom it was told to when it is over.
    Watchers,
    /// This person.
    User(String),
}

/// What becomes of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// There is something to tell.
    Tell(Kind),
    /// What was told, or was to be, is over.
    Over,
}

/// What a row means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// A newer one of the same topic replaces it; also the tag of what is shown.
    pub topic: String,
    /// What becomes of the topic.
    pub what: What,
    /// Who is told.
    pub to: To,
    /// Id of a question, or name of a service.
    pub about: String,
    /// One sentence.
    pub text: String,
}

/// Whether rows of this verb can mean anything.
#[must_use]
pub fn may_matter(verb: &str) -> bool {
    let begins = [
        "agent.",
        "service.",
        "question.",
        "egress.",
        "handoff.",
        "lease.",
    ];
    begins.iter().any(|begin| verb.starts_with(begin))
}

/// What a row about an agent means; the record is as it is written along with the row.
#[must_use]
pub fn of(row: &Row, record: &Record) -> Vec<Happening> {
    let id = record.id.as_str();
    let actor = &row.actor.user;
    let told_to = |topic, kind, user: &str, text: &str| to(told(id, topic, kind, text), user);
    match row.verb {
        "agent.state" => state(row, record).into_iter().collect(),
        "service.state" => service(row, id).into_iter().collect(),
        "question.asked" => vec![Happening {
            about: row.after.clone(),
            ..told(id, "state", Kind::Blocked, &row.message)
        }],
        "question.answered" => vec![Happening {
            about: row.before.clone(),
            ..over(id, "state", &row.message)
        }],
        "agent.limit" => vec![told(id, "limit", Kind::Limit, &row.message)],
        "egress.misplaced" => vec![told(id, "security", Kind::Security, &row.message)],
        "handoff.offered" => match &record.offer {
            Some(offer) => {
                let mut text = format!("{} offers it to you", offer.by);
                if !offer.note.is_empty() {
                    text = format!("{text}: {}", offer.note);
                }
                vec![told_to("handoff", Kind::Handoff, &offer.to, &text)]
            }
            None => Vec::new(),
        },
        "handoff.declined" => vec![over(id, "handoff", &row.message)],
        "handoff.accepted" => {
            let text = format!("{actor} has taken it over");
            vec![
                over(id, "handoff", &row.message),
                told_to("handed-over", Kind::Handoff, &row.before, &text),
            ]
        }
        "lease.asked" | "lease.taken" if !row.before.is_empty() => {
            let text = format!("{actor} {}", row.message);
            vec![told_to("lease", Kind::Lease, &row.before, &text)]
        }
        _ => Vec::new(),
    }
}

fn state(row: &Row, record: &Record) -> Option<Happening> {
    let id = record.id.as_str();
    let find = |text: &str| State::ALL.into_iter().find(|state| state.as_str() == text);
    let (before, after) = (find(&row.before)?, find(&row.after)?);
    // A shell is somebody's: that it rests is no news.
    // Nor is it that an agent is ready which has done nothing yet.
    let ready = record.heard.hooked && record.heard.turns == 0;
    let works = record.resolved.agent.kind != AgentKind::Shell && !ready;
    let finished = |text: &str| Some(told(id, "state", Kind::Finished, text));
    match after {
        State::Blocked => Some(told(id, "state", Kind::Blocked, &record.reason)),
        State::Failed | State::Lost if before != after => {
            Some(told(id, "state", Kind::Failed, &record.reason))
        }
        State::Idle if before == State::Working && works => finished(&record.reason),
        State::Idle if before == State::Blocked => Some(over(id, "state", &record.reason)),
        State::Stopping if before != after => match &record.ending {
            Some((State::Stopped, reason)) if row.actor.user == WSM && works => finished(reason),
            _ if row.actor.user == WSM => None,
            _ => Some(over(id, "state", &record.reason)),
        },
        State::Working | State::Creating | State::SettingUp | State::Starting | State::Paused
            if before != after =>
        {
            Some(over(id, "state", &record.reason))
        }
        _ => None,
    }
}

fn service(row: &Row, id: &str) -> Option<Happening> {
    let name = row.message.split_once(' ')?.0;
    let digest = Sha256::digest(name.as_bytes());
    let topic: String = digest[..4].iter().map(|b| format!("{b:02x}")).collect();
    let topic = format!("service-{topic}");
    let down = [ServiceState::Failed, ServiceState::Unhealthy].map(ServiceState::as_str);
    let was_down = down.contains(&row.before.as_str());
    let is_down = down.contains(&row.after.as_str());
    let happening = match (was_down, is_down) {
        (false, true) => told(id, &topic, Kind::ServiceDown, &row.message),
        (true, false) => over(id, &topic, &row.message),
        (true, true) | (false, false) => return None,
    };
    Some(Happening {
        about: name.to_owned(),
        ..happening
    })
}

fn told(id: &str, topic: &str, kind: Kind, text: &str) -> Happening {
    happening(id, topic, What::Tell(kind), text)
}

fn over(id: &str, topic: &str, text: &str) -> Happening {
    happening(id, topic, What::Over, text)
}

fn happening(id: &str, topic: &str, what: What, text: &str) -> Happening {
    Happening {
        topic: format!("{id}-{topic}"),
        what,
        to: To::Watchers,
        about: String::new(),
        text: text.to_owned(),
    }
}

fn to(happening: Happening, user: &str) -> Happening {
    Happening {
        to: To::User(user.to_owned()),
        ..happening
    }
}
