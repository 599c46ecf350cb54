//! The notifier: has what is due decided, and delivers, a few messages at a time for each service.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;

use super::outcome::{self, Outcome};
use super::pace::Rings;
use super::settle;
use crate::engine::{Engine, WSM, row};
use crate::fault;
use crate::store::{Change, ChannelRow, Delivery, Notify, StoreError, now_ms};

/// Messages under way at once: in all, and to one service.
const FLIGHT_MAX: usize = 32;
const FLIGHT_ORIGIN_MAX: usize = 4;

/// Channels that are looked at in one turn.
const CHANNELS_MAX: u32 = 256;

/// The clock is looked at this often at least, since it may be set.
const LOOK_MS: u64 = 30_000;

/// Pause after the database said no.
const PAUSE_MS: u64 = 3_000;

/// Runs as long as the engine is there.
pub fn start(engine: &Arc<Engine>) {
    let engine = Arc::downgrade(engine);
    tokio::spawn(async move { run(engine).await });
}

/// Messages under way.
#[derive(Debug, Default)]
struct Flight {
    tasks: JoinSet<(String, String)>,
    channels: HashSet<String>,
    origins: HashMap<String, usize>,
}

impl Flight {
    /// Whether there is room for one more to this channel: one at a time, so that none overtakes.
    fn room(&self, channel: &ChannelRow) -> bool {
        let there = self.origins.get(&channel.origin).copied().unwrap_or(0);
        self.channels.len() < FLIGHT_MAX
            && there < FLIGHT_ORIGIN_MAX
            && !self.channels.contains(&channel.id)
    }

    fn begin(&mut self, engine: &Arc<Engine>, channel: ChannelRow, delivery: Delivery) {
        self.channels.insert(channel.id.clone());
        *self.origins.entry(channel.origin.clone()).or_default() += 1;
        let engine = Arc::clone(engine);
        self.tasks.spawn(async move {
            if let Err(error) = deliver(&engine, &channel, &delivery).await {
                // It stays as it was, and is tried again.
                tracing::error!(%error, "can't write down what became of a notification");
                tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
            }
            (channel.id, channel.origin)
        });
    }

    fn end(&mut self, channel: &str, origin: &str) {
        self.channels.remove(channel);
        if let Some(there) = self.origins.get_mut(origin) {
            *there -= 1;
            if *there == 0 {
                self.origins.remove(origin);
            }
        }
    }
}

async fn run(engine: Weak<Engine>) {
    let Some(mut newest) = engine.upgrade().map(|engine| engine.store.newest()) else {
        return;
    };
    let mut flight = Flight::default();
    let mut rings = Rings::default();
    loop {
        let Some(alive) = engine.upgrade() else {
            return;
        };
        newest.mark_unchanged();
        let now = now_ms();
        let next = turn(&alive, &mut flight, &mut rings, now).unwrap_or_else(|error| {
            tracing::error!(%error, "can't look at what is to be told");
            Some(now + PAUSE_MS)
        });
        drop(alive);
        let wait = next.map_or(LOOK_MS, |next| next.saturating_sub(now_ms()).min(LOOK_MS));
        tokio::select! {
            changed = newest.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            Some(ended) = flight.tasks.join_next() => match ended {
                Ok((channel, origin)) => flight.end(&channel, &origin),
                Err(error) => {
                    tracing::error!(%error, "a notification's task");
                    flight = Flight::default();
                }
            },
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
        }
    }
}

/// Decides and delivers what is due; says when to come again.
fn turn(
    engine: &Arc<Engine>,
    flight: &mut Flight,
    rings: &mut Rings,
    now_ms: u64,
) -> Result<Option<u64>, StoreError> {
    settle::all(engine, rings, now_ms)?;
    for delivery in engine.store.deliverable(now_ms, CHANNELS_MAX)? {
        let id = delivery.id;
        let Some(channel) = delivery.channel.clone() else {
            let why = "the device or channel ended";
            engine.store.delivered(id, "gone", why, now_ms)?;
            continue;
        };
        if delivery.expires_ms <= now_ms && !flight.channels.contains(&channel.id) {
            let why = match delivery.outcome.as_str() {
                "" => "it was too late".to_owned(),
                last => format!("it was too late; the last try: {last}"),
            };
            engine.store.delivered(id, "expired", &why, now_ms)?;
        } else if flight.room(&channel) {
            flight.begin(engine, channel, delivery);
        }
    }
    let (notice, delivery) = engine.store.next_due(now_ms)?;
    Ok([notice, delivery].into_iter().flatten().min())
}

/// Sends one message, and writes down what became of it.
async fn deliver(
    engine: &Engine,
    channel: &ChannelRow,
    delivery: &Delivery,
) -> Result<(), StoreError> {
    let act = fault::act("notify", &channel.kind);
    let answer = engine.notify.send(&engine.etc_dir, channel, delivery).await;
    act.done();
    let now = now_ms();
    let chance = engine.notify.keys.as_ref().ok();
    let chance = chance.and_then(|keys| keys.random::<8>().ok());
    let chance = u64::from_le_bytes(chance.unwrap_or_default());
    let push = channel.kind == "push";
    match outcome::of(&answer, push, delivery.attempts, now, chance) {
        Outcome::Sent(why) => engine.store.delivered(delivery.id, "sent", &why, now),
        Outcome::Failed(why) => {
            tracing::warn!(channel = %channel.id, kind = %channel.kind, why, "a notification failed");
            engine.store.delivered(delivery.id, "failed", &why, now)
        }
        Outcome::Again { pause_ms, all, why } => {
            let origin = all.then_some(channel.origin.as_str());
            let next = now + pause_ms;
            engine.store.deliver_again(delivery.id, &why, next, origin)
        }
        Outcome::Gone(why) => {
            engine.store.delivered(delivery.id, "gone", &why, now)?;
            let subject = format!("user:{}", channel.user);
            let message = format!("{} {}: {why}", channel.kind, channel.id);
            let told = row(WSM, "channel.gone", &subject, message);
            let gone = Notify::ChannelGone(channel.id.clone(), Some(channel.generation));
            match engine.store.commit(&Change::new(told).notify(gone)) {
                // Somebody subscribed anew meanwhile.
                Ok(_) | Err(StoreError::Gone) => Ok(()),
                Err(error) => Err(error),
            }
        }
    }
}
