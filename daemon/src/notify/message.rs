//! What is said: one message, as each kind of channel wants it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wsm_api::name::AgentName;

use super::event::Kind;
use super::push::seal::MESSAGE_BYTES_MAX;

/// Longest body; what is cut off can be read where the click leads.
const BODY_BYTES_MAX: usize = 600;

/// A message; written down until it is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// About what, a word of [`Kind`].
    pub kind: String,
    /// One line.
    pub title: String,
    /// One sentence.
    pub body: String,
    /// A newer message of the same tag replaces it.
    pub tag: String,
    /// Name of the agent; empty for a test.
    pub agent: String,
    /// Id of the question that is asked; empty for none.
    pub question: String,
    /// Number of the journal row.
    pub seq: u64,
    /// When it happened.
    pub at_ms: u64,
    /// It makes no sound.
    #[serde(default)]
    pub silent: bool,
    /// What is asked stands in the body, all of it: it may be answered without looking further.
    #[serde(default)]
    pub whole: bool,
    /// How much waits for this person, this included; `None`: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge: Option<u32>,
}

impl Message {
    /// Says something of an agent.
    #[must_use]
    pub fn new(kind: Kind, agent: &AgentName, text: &str) -> Message {
        let title = match kind {
            Kind::Finished => format!("{agent} has finished"),
            Kind::Blocked => format!("{agent} needs you"),
            Kind::Failed => format!("{agent} failed"),
            Kind::ServiceDown => format!("{agent}: a service is down"),
            Kind::Limit => format!("{agent} ran into a limit"),
            Kind::Security => format!("{agent}: a secret went where it may not"),
            Kind::Handoff => format!("{agent}: handoff"),
            Kind::Lease => format!("{agent}: keyboard"),
            Kind::Over | Kind::Test => agent.to_string(),
        };
        Message {
            kind: kind.as_str().to_owned(),
            title,
            body: clean(text, BODY_BYTES_MAX),
            tag: String::new(),
            agent: agent.to_string(),
            question: String::new(),
            seq: 0,
            at_ms: 0,
            silent: kind == Kind::Over,
            whole: false,
            badge: None,
        }
    }

    /// Says several things in one. `None` of nothing.
    #[must_use]
    pub fn many(all: &[&Message]) -> Option<Message> {
        let newest = all.iter().max_by_key(|one| one.seq)?;
        let mut kinds: BTreeMap<Kind, Vec<&str>> = BTreeMap::new();
        for one in all {
            kinds.entry(one.kind()).or_default().push(&one.agent);
        }
        // What went wrong comes first.
        let kinds: Vec<_> = kinds.into_iter().rev().collect();
        let title = match kinds.as_slice() {
            [(kind, agents)] => format!("{} agents {}", agents.len(), of_many(*kind)),
            _ => {
                let parts = kinds.iter();
                let parts =
                    parts.map(|(kind, agents)| format!("{} {}", agents.len(), of_many(*kind)));
                format!(
                    "{} agents: {}",
                    all.len(),
                    parts.collect::<Vec<_>>().join(", ")
                )
            }
        };
        let body = match kinds.as_slice() {
            [(_, agents)] => agents.join(", "),
            _ => {
                let parts = kinds.iter();
                let parts = parts
                    .map(|(kind, agents)| format!("{}: {}", of_many(*kind), agents.join(", ")));
                parts.collect::<Vec<_>>().join("; ")
            }
        };
        Some(Message {
            kind: kinds.first()?.0.as_str().to_owned(),
            title,
            body: cut(&body, BODY_BYTES_MAX).to_owned(),
            tag: format!("many-{}", newest.seq),
            agent: String::new(),
            question: String::new(),
            seq: newest.seq,
            at_ms: newest.at_ms,
            silent: false,
            whole: false,
            badge: None,
        })
    }

    /// Tries a channel.
    #[must_use]
    pub fn test(user: &str, now_ms: u64) -> Message {
        Message {
            kind: Kind::Test.as_str().to_owned(),
            title: "wsm: a test".to_owned(),
            body: format!("{user} gets notifications here"),
            tag: "test".to_owned(),
            agent: String::new(),
            question: String::new(),
            seq: 0,
            at_ms: now_ms,
            silent: false,
            whole: false,
            badge: None,
        }
    }

    /// About what.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::parse(&self.kind).unwrap_or(Kind::Test)
    }

    /// Where a click leads, on the page of this address.
    #[must_use]
    pub fn link(&self, page: &str) -> String {
        let page = page.trim_end_matches('/');
        match (self.agent.as_str(), self.question.as_str()) {
            ("", _) => format!("{page}/#/"),
            (agent, "") => format!("{page}/#/agents/{agent}"),
            (agent, question) => format!("{page}/#/agents/{agent}?question={}", escaped(question)),
        }
    }

    /// The declarative form of Web Push, which service workers get too.
    #[must_use]
    pub fn push(&self, page: &str) -> Vec<u8> {
        let mut body = self.body.as_str();
        loop {
            let text = self.declarative(page, body).to_string();
            if text.len() <= MESSAGE_BYTES_MAX || body.is_empty() {
                return text.into_bytes();
            }
            body = cut(body, body.len() / 2);
        }
    }

    fn declarative(&self, page: &str, body: &str) -> Value {
        let link = self.link(page);
        let mut notification = json!({
            "title": self.title,
            "body": body,
            "navigate": link,
            "tag": self.tag,
            "timestamp": self.at_ms,
            "data": { "agent": self.agent, "question": self.question, "seq": self.seq },
        });
        if self.silent {
            notification["silent"] = true.into();
        } else {
            // The next of the same tag is another thing, and rings again.
            notification["renotify"] = true.into();
        }
        if self.kind() == Kind::Blocked {
            // It waits for an answer, however long: a desktop puts others away after seconds.
            notification["require_interaction"] = true.into();
        }
        if self.whole && body == self.body {
            notification["data"]["whole"] = true.into();
        }
        if self.kind() == Kind::Blocked && !self.question.is_empty() {
            let action = |action: &str, title: &str| {
                let link = format!("{link}&answer={action}");
                json!({ "action": action, "title": title, "navigate": link })
            };
            notification["actions"] = json!([action("approve", "Approve"), action("deny", "Deny")]);
        }
        let mut message = json!({ "web_push": 8030, "notification": notification });
        if let Some(badge) = self.badge {
            message["app_badge"] = badge.into();
        }
        message
    }

    /// What ntfy takes by POST at its root.
    #[must_use]
    pub fn ntfy(&self, topic: &str, page: Option<&str>) -> Vec<u8> {
        let priority = match self.kind() {
            Kind::Over => 1,
            _ if self.silent => 2,
            Kind::Blocked | Kind::Security => 4,
            _ => 3,
        };
        let mut message = json!({
            "topic": topic,
            "title": self.title,
            "message": self.body,
            "priority": priority,
            "tags": [self.kind],
        });
        if let Some(page) = page {
            message["click"] = self.link(page).into();
        }
        message.to_string().into_bytes()
    }

    /// What a webhook gets.
    #[must_use]
    pub fn webhook(&self, user: &str, page: Option<&str>) -> Vec<u8> {
        let mut message = json!({
            "type": format!("agent.{}", self.kind),
            "timestamp": crate::store::rfc3339(self.at_ms),
            "data": {
                "user": user,
                "agent": self.agent,
                "question": self.question,
                "title": self.title,
                "body": self.body,
                "tag": self.tag,
                "seq": self.seq,
            },
        });
        if let Some(page) = page {
            message["data"]["url"] = self.link(page).into();
        }
        message.to_string().into_bytes()
    }

    /// The text of a mail.
    #[must_use]
    pub fn mail(&self, page: Option<&str>) -> String {
        match page {
            Some(page) => format!("{}\n\n{}\n", self.body, self.link(page)),
            None => format!("{}\n", self.body),
        }
    }
}

/// What became of several agents, after their number.
fn of_many(kind: Kind) -> &'static str {
    match kind {
        Kind::Finished => "have finished",
        Kind::Failed => "failed",
        Kind::ServiceDown => "with a service down",
        Kind::Limit => "ran into a limit",
        _ => "have news",
    }
}

/// One line without anything that draws: what agents say stands in it.
fn clean(text: &str, bytes: usize) -> String {
    let visible = |c: char| match c {
        c if c.is_control() => ' ',
        // Marks that turn the direction of writing, and separators of lines.
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        c => c,
    };
    let text: String = text.chars().map(visible).collect();
    let words: Vec<_> = text.split_whitespace().collect();
    cut(&words.join(" "), bytes).to_owned()
}

fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev();
    let end = end.into_iter().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// For a query: letters, digits and `-._~` stay.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| match plain(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: Kind, text: &str) -> Message {
        Message::new(kind, &"fix-login".parse().unwrap(), text)
    }

    #[test]
    fn a_click_opens_the_question() {
        let mut asked = message(Kind::Blocked, "may it run rm -rf build?");
        asked.question = "q 1".into();
        let page = "https://wsm.example/";
        let text: Value = serde_json::from_slice(&asked.push(page)).unwrap();
        assert_eq!(text["web_push"], 8030);
        let notification = &text["notification"];
        let link = "https://wsm.example/#/agents/fix-login?question=q%201";
        assert_eq!(notification["navigate"], link);
        assert_eq!(
            notification["actions"][1]["navigate"],
            format!("{link}&answer=deny")
        );
        let finished = message(Kind::Finished, "done");
        let text: Value = serde_json::from_slice(&finished.push(page)).unwrap();
        assert_eq!(
            text["notification"]["navigate"],
            "https://wsm.example/#/agents/fix-login"
        );
        assert!(text["notification"].get("actions").is_none());
    }

    #[test]
    fn what_agents_say_draws_nothing() {
        let told = message(Kind::Blocked, "a\x1b[2J\nb\u{202e}c \u{7} d");
        assert_eq!(told.body, "a [2J b c d");
    }

    #[test]
    fn a_button_answers_what_is_seen_whole() {
        let mut asked = message(Kind::Blocked, "waits for permission: Bash `npm test`");
        asked.question = "q".into();
        let told = |asked: &Message| -> Value {
            serde_json::from_slice(&asked.push("https://wsm.example/")).unwrap()
        };
        assert!(told(&asked)["notification"]["data"].get("whole").is_none());
        (asked.whole, asked.badge) = (true, Some(2));
        let text = told(&asked);
        assert_eq!(text["notification"]["data"]["whole"], true);
        assert_eq!(text["notification"]["renotify"], true);
        assert_eq!(text["notification"]["require_interaction"], true);
        assert_eq!(text["app_badge"], 2);
        // Nothing is whole of which something was cut off.
        asked.title = "x".repeat(MESSAGE_BYTES_MAX - 400);
        assert!(told(&asked)["notification"]["data"].get("whole").is_none());
        let over = told(&message(Kind::Over, "answered by ada"));
        assert_eq!(over["notification"]["silent"], true);
        assert!(over["notification"].get("renotify").is_none());
        assert!(over["notification"].get("require_interaction").is_none());
    }

    #[test]
    fn many_in_one() {
        let one = |kind, name: &str, seq| Message {
            seq,
            ..Message::new(kind, &name.parse().unwrap(), "x")
        };
        let all = [
            one(Kind::Finished, "a", 4),
            one(Kind::Finished, "b", 9),
            one(Kind::Failed, "c", 5),
        ];
        let same = Message::many(&[&all[0], &all[1]]).unwrap();
        assert_eq!(
            (&*same.title, &*same.body),
            ("2 agents have finished", "a, b")
        );
        assert_eq!((&*same.tag, same.kind()), ("many-9", Kind::Finished));
        assert_eq!(same.link("https://wsm.example/"), "https://wsm.example/#/");
        let mixed = Message::many(&all.each_ref()).unwrap();
        assert_eq!(mixed.title, "3 agents: 1 failed, 2 have finished");
        assert_eq!(mixed.body, "failed: c; have finished: a, b");
        assert_eq!(Message::many(&[]), None);
    }

    proptest! {
        #[test]
        fn every_message_fits(text in "\\PC{0,2000}", page in "[a-z]{0,200}") {
            let mut message = message(Kind::Blocked, &text);
            message.question = "q".repeat(64);
            let pushed = message.push(&format!("https://{page}"));
            prop_assert!(pushed.len() <= MESSAGE_BYTES_MAX);
            let _: Value = serde_json::from_slice(&pushed).unwrap();
        }
    }
}
