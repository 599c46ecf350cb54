//! Notifications: rules, channels, what became of what was told, and who looks.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wsm_api::notify::{
    Channel, ChannelMade, Delivery as Shown, NewChannel, NewSubscription, Notifications, PushKey,
    Rules, RulesChange, Seen, TestRequest, Visible,
};
use wsm_api::problem::{Code, Problem};
use wsm_egress::config::HostConfig;

use super::Daemon;
use super::people::{invalid, subject};
use crate::actor::{Actor, Way};
use crate::agent::assemble::random_text;
use crate::engine::{row, store_problem};
use crate::notify::event::Kind;
use crate::notify::message::Message;
use crate::notify::place::Place;
use crate::notify::push::endpoint;
use crate::notify::push::seal::Receiver;
use crate::notify::send::{WEBHOOK_PREFIX, ntfy};
use crate::notify::{mail, presence, rules};
use crate::role::{Subject, Verb};
use crate::store::{Change, ChannelRow, Delivery, Notify, now_ms, rfc3339};

/// Channels of one person.
const CHANNELS_MAX: usize = 32;
/// Longest name for people.
const LABEL_CHARACTERS_MAX: usize = 80;
/// Longest address of a page.
const PAGE_BYTES_MAX: usize = 200;
/// Longest access token.
const TOKEN_BYTES_MAX: usize = 512;
/// Deliveries that are shown at most.
const SHOWN_MAX: u32 = 200;
/// Characters of an id.
const ID_CHARACTERS: usize = 10;

impl Daemon {
    /// `POST /v1/visible`: a page is looked at, which keeps what it shows from being told.
    ///
    /// # Errors
    /// There is no such agent.
    pub async fn visible(&self, actor: &Actor, page: &Visible) -> Result<Seen, Problem> {
        self.may(actor, Verb::Visible, &Subject::Host)?;
        if let Some(agent) = &page.agent {
            let id = self.find(actor, agent, Verb::See)?.now().record.id.clone();
            let via = actor.who().via;
            let presence = &self.engine.notify.presence;
            presence.seen(&actor.user, &via, id.as_str(), page.visible, now_ms());
        }
        Ok(Seen {
            again_s: presence::AGAIN_S,
        })
    }

    /// The key that browsers subscribe with.
    ///
    /// # Errors
    /// There is none.
    pub async fn push_key(&self, actor: &Actor) -> Result<PushKey, Problem> {
        self.may(actor, Verb::Notifications, &Subject::Person(&actor.user))?;
        let key = self.engine.notify.keys()?.vapid.public();
        Ok(PushKey { key })
    }

    /// A browser subscribed: what is told goes there from now on.
    ///
    /// # Errors
    /// The endpoint is no push service that this host knows, or its keys are none.
    pub async fn subscribe(&self, actor: &Actor, new: NewSubscription) -> Result<Channel, Problem> {
        self.may(actor, Verb::Notifications, &Subject::Person(&actor.user))?;
        // It ends with the device, a token's session too; what has none must be somebody in person.
        if !matches!(actor.way, Way::Device { .. }) {
            self.may(actor, Verb::ChannelNew, &Subject::Person(&actor.user))?;
        }
        let config = self.notify_config()?;
        let refused = |why: String| invalid(format!("endpoint: {why}"));
        let place = endpoint::parse(&new.endpoint, &config).map_err(refused)?;
        let keys = new.keys;
        Receiver::parse(&keys.p256dh, &keys.auth).map_err(|e| invalid(e.to_string()))?;
        check_page(&new.page)?;
        let device = match &actor.way {
            Way::Device { id, .. } => Some(id.clone()),
            _ => None,
        };
        let secret = format!("{} {}", keys.p256dh, keys.auth);
        let row = ChannelRow {
            device,
            page: new.page,
            origin: place.origin(),
            address: new.endpoint,
            label: new.label,
            ..self.channel_row(actor, "push")?
        };
        self.add(actor, row, &secret)
    }

    /// `notify add`.
    ///
    /// # Errors
    /// The address is none, or there are too many channels.
    pub async fn channel_new(
        &self,
        actor: &Actor,
        new: NewChannel,
    ) -> Result<ChannelMade, Problem> {
        self.may(actor, Verb::ChannelNew, &Subject::Person(&actor.user))?;
        let config = self.notify_config()?;
        let address = |why: String| invalid(format!("address: {why}"));
        let token = new.token.unwrap_or_default();
        let plain = token.bytes().all(|b| b.is_ascii_graphic());
        if token.len() > TOKEN_BYTES_MAX || !plain {
            return Err(invalid("token: visible ASCII characters, at most 512"));
        }
        if !token.is_empty() && new.kind != "ntfy" {
            return Err(invalid("a token is for ntfy alone"));
        }
        let mut signing_secret = String::new();
        let (origin, secret) = match new.kind.as_str() {
            "ntfy" => (ntfy(&new.address).map_err(address)?.0.origin(), token),
            "webhook" => {
                let drawn = self.engine.notify.keys()?.random::<32>();
                let drawn = drawn.map_err(|why| Problem::new(Code::Failed, why, ""))?;
                signing_secret = format!("{WEBHOOK_PREFIX}{}", STANDARD.encode(drawn));
                let place = Place::parse(&new.address).map_err(address)?;
                (place.origin(), signing_secret.clone())
            }
            "email" => {
                let Some(smtp) = &config.smtp else {
                    let hint = "root adds [notify.smtp] to config.toml";
                    let message = "this host sends no mail";
                    return Err(Problem::new(Code::NotAvailable, message, hint));
                };
                mail::address(&new.address).map_err(address)?;
                (format!("smtp://{}", smtp.host), String::new())
            }
            other => {
                let message = format!("kind: {other:?} is none of ntfy, webhook, email");
                return Err(invalid(message));
            }
        };
        let row = ChannelRow {
            origin,
            address: new.address,
            label: new.label,
            ..self.channel_row(actor, &new.kind)?
        };
        Ok(ChannelMade {
            channel: self.add(actor, row, &secret)?,
            signing_secret,
        })
    }

    /// `notify ls`: one's own.
    ///
    /// # Errors
    /// The database said no.
    pub async fn channels(&self, actor: &Actor) -> Result<Vec<Channel>, Problem> {
        self.may(actor, Verb::Notifications, &Subject::Person(&actor.user))?;
        let channels = self.own_channels(actor)?;
        let store = &self.engine.store;
        let told = store.deliveries(&actor.user, SHOWN_MAX);
        let told = told.map_err(|e| store_problem(&e))?;
        Ok(channels
            .iter()
            .map(|channel| shown_channel(channel, &told))
            .collect())
    }

    /// `notify rm`.
    ///
    /// # Errors
    /// There is none.
    pub async fn channel_remove(&self, actor: &Actor, id: &str) -> Result<Channel, Problem> {
        self.may(actor, Verb::Notifications, &Subject::Person(&actor.user))?;
        let channel = self.own_channel(actor, id)?;
        let message = format!("{} {id}", channel.kind);
        let change = Change::new(row(
            actor,
            "channel.removed",
            &subject(&actor.user),
            message,
        ));
        self.write(
            &[actor],
            &change.notify(Notify::ChannelGone(id.to_owned(), None)),
        )?;
        Ok(shown_channel(&channel, &[]))
    }

    /// `notify rules`.
    ///
    /// # Errors
    /// The database said no.
    pub async fn notify_rules(&self, actor: &Actor) -> Result<Notifications, Problem> {
        self.may(actor, Verb::Notifications, &Subject::Person(&actor.user))?;
        let stored = self.engine.store.notify_rules(&actor.user);
        let stored = stored.map_err(|e| store_problem(&e))?;
        let names: BTreeMap<String, String> = self
            .all(actor, Verb::See)?
            .iter()
            .map(|handle| handle.now().record.clone())
            .map(|record| (record.id.to_string(), record.name.to_string()))
            .collect();
        let mut rules = Notifications::default();
        for (agent, text) in stored {
            let written: Rules = serde_json::from_str(&text).unwrap_or_default();
            match (agent.as_str(), names.get(&agent)) {
                ("", _) => rules.rules = written,
                (_, Some(name)) => drop(rules.agents.insert(name.clone(), written)),
                (_, None) => {}
            }
        }
        Ok(rules)
    }

    /// `notify rules --…`.
    ///
    /// # Errors
    /// A rule is none, or there is no such agent.
    pub async fn notify_rules_change(
        &self,
        actor: &Actor,
        change: RulesChange,
    ) -> Result<Notifications, Problem> {
        self.may(actor, Verb::Notifications, &Subject::Person(&actor.user))?;
        let mut wanted = Vec::new();
        if let Some(written) = change.rules {
            wanted.push((String::new(), Some(written), "every agent".to_owned()));
        }
        for (name, written) in change.agents {
            let record = self.find(actor, &name, Verb::See)?.now().record.clone();
            let written = Some(written).filter(|written| *written != Rules::default());
            wanted.push((record.id.to_string(), written, record.name.to_string()));
        }
        if wanted.is_empty() {
            return self.notify_rules(actor).await;
        }
        let whose = subject(&actor.user);
        let names: Vec<_> = wanted.iter().map(|(_, _, name)| name.as_str()).collect();
        let message = format!("about {}", names.join(", "));
        let mut write = Change::new(row(actor, "notify.rules", &whose, message));
        for (agent, written, _) in wanted {
            let text = match &written {
                None => None,
                Some(written) => {
                    rules::check(written).map_err(invalid)?;
                    let text = serde_json::to_string(written);
                    Some(text.map_err(|e| invalid(e.to_string()))?)
                }
            };
            write = write.notify(Notify::Rules(actor.user.clone(), agent, text));
        }
        self.write(&[actor], &write)?;
        self.notify_rules(actor).await
    }

    /// `notify test`: sends a message, whatever the rules say.
    ///
    /// # Errors
    /// There is no such channel, or none at all.
    pub async fn notify_test(
        &self,
        actor: &Actor,
        request: &TestRequest,
    ) -> Result<Vec<Channel>, Problem> {
        self.may(actor, Verb::Notifications, &Subject::Person(&actor.user))?;
        let channels = match &request.channel {
            Some(id) => vec![self.own_channel(actor, id)?],
            None => self.own_channels(actor)?,
        };
        if channels.is_empty() {
            let hint = "`wsm notify add` adds one; a browser subscribes by itself";
            return Err(Problem::new(Code::NotFound, "there is no channel", hint));
        }
        let now = now_ms();
        let message = Message::test(&actor.user, now);
        let times = (now, now + Kind::Test.ttl_s() * 1000);
        let sent = self
            .engine
            .store
            .send_now(&channels, "test", &message, times);
        sent.map_err(|e| store_problem(&e))?;
        Ok(channels.iter().map(|one| shown_channel(one, &[])).collect())
    }

    /// `notify deliveries`: newest first.
    ///
    /// # Errors
    /// The database said no.
    pub async fn deliveries(&self, actor: &Actor, limit: u32) -> Result<Vec<Shown>, Problem> {
        self.may(actor, Verb::Notifications, &Subject::Person(&actor.user))?;
        let store = &self.engine.store;
        let told = store.deliveries(&actor.user, limit.min(SHOWN_MAX));
        let told = told.map_err(|e| store_problem(&e))?;
        Ok(told.into_iter().map(shown_delivery).collect())
    }

    fn own_channels(&self, actor: &Actor) -> Result<Vec<ChannelRow>, Problem> {
        let channels = self.engine.store.channels(&actor.user, now_ms());
        channels.map_err(|e| store_problem(&e))
    }

    fn own_channel(&self, actor: &Actor, id: &str) -> Result<ChannelRow, Problem> {
        let channels = self.own_channels(actor)?;
        let found = channels.into_iter().find(|channel| channel.id == id);
        found.ok_or_else(|| {
            let message = format!("there is no channel {id:?}");
            Problem::new(Code::NotFound, message, "see `wsm notify ls`")
        })
    }

    fn notify_config(&self) -> Result<wsm_egress::config::notify::Notify, Problem> {
        let config = HostConfig::load(&self.engine.etc_dir);
        let config = config.map_err(|bad| Problem::new(Code::Failed, bad.to_string(), ""))?;
        Ok(config.notify)
    }

    fn channel_row(&self, actor: &Actor, kind: &str) -> Result<ChannelRow, Problem> {
        let id = random_text(ID_CHARACTERS);
        let id = id.map_err(|e| Problem::new(Code::Failed, format!("draw an id: {e}"), ""))?;
        Ok(ChannelRow {
            id,
            user: actor.user.clone(),
            kind: kind.to_owned(),
            label: String::new(),
            address: String::new(),
            origin: String::new(),
            device: None,
            page: String::new(),
            secret: Vec::new(),
            generation: 0,
            created_ms: now_ms(),
        })
    }

    fn add(
        &self,
        actor: &Actor,
        mut channel: ChannelRow,
        secret: &str,
    ) -> Result<Channel, Problem> {
        let label = &channel.label;
        if label.chars().count() > LABEL_CHARACTERS_MAX || label.chars().any(char::is_control) {
            let most = LABEL_CHARACTERS_MAX;
            let message = format!("a label has at most {most} characters, none of control");
            return Err(invalid(message));
        }
        let before = self.own_channels(actor)?;
        let known = before.iter().any(|one| one.address == channel.address);
        if before.len() >= CHANNELS_MAX && !known {
            let message = format!("there are {CHANNELS_MAX} channels");
            let hint = "`wsm notify rm` removes one";
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        let sealed = self.engine.notify.keys()?.seal(&channel.id, secret);
        channel.secret = sealed.map_err(|why| Problem::new(Code::Failed, why, ""))?;
        // Whoever knows a topic of ntfy's reads it: the journal, which admins read, has its server.
        let at = match channel.kind.as_str() {
            "email" => &channel.address,
            _ => &channel.origin,
        };
        let message = format!("{} {} at {at}", channel.kind, channel.id);
        let change = Change::new(row(actor, "channel.added", &subject(&actor.user), message));
        self.write(&[actor], &change.notify(Notify::Channel(channel.clone())))?;
        Ok(shown_channel(&channel, &[]))
    }
}

/// Where a page is: `https://HOST/`, or on this machine.
fn check_page(page: &str) -> Result<(), Problem> {
    if page.is_empty() {
        return Ok(());
    }
    let place = Place::parse(page).map_err(|why| invalid(format!("page: {why}")))?;
    if page.len() > PAGE_BYTES_MAX || place.path.contains('?') {
        return Err(invalid("page: it is longer than the address of a page"));
    }
    Ok(())
}

/// An endpoint is a secret of its browser's: only its host is told. So is what stands behind the
/// host of a webhook.
fn shown_address(channel: &ChannelRow) -> String {
    match channel.kind.as_str() {
        "push" | "webhook" => channel.origin.clone(),
        _ => channel.address.clone(),
    }
}

fn shown_channel(channel: &ChannelRow, told: &[Delivery]) -> Channel {
    let of = |one: &&Delivery| one.channel.as_ref().is_some_and(|c| c.id == channel.id);
    let last = told.iter().find(of);
    Channel {
        id: channel.id.clone(),
        kind: channel.kind.clone(),
        label: channel.label.clone(),
        address: shown_address(channel),
        device: channel.device.clone().unwrap_or_default(),
        since: rfc3339(channel.created_ms),
        last: last.map(|one| rfc3339(one.created_ms)).unwrap_or_default(),
        outcome: last.map(in_words).unwrap_or_default(),
    }
}

fn in_words(told: &Delivery) -> String {
    match told.outcome.as_str() {
        "" => told.status.clone(),
        outcome => format!("{}: {outcome}", told.status),
    }
}

fn shown_delivery(told: Delivery) -> Shown {
    let channel = told.channel.as_ref();
    let of = |key: fn(&ChannelRow) -> &String| channel.map(key).cloned().unwrap_or_default();
    Shown {
        id: told.id,
        channel: of(|c| &c.id),
        kind: of(|c| &c.kind),
        label: of(|c| &c.label),
        agent: told.message.agent,
        about: told.message.kind,
        title: told.message.title,
        at: rfc3339(told.created_ms),
        status: told.status,
        outcome: told.outcome,
        attempts: told.attempts,
        seq: told.message.seq,
    }
}
