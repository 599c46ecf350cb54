//! The live feed: Server-Sent Events, drawn when the client takes them, never queued.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use wsm_api::problem::Problem;
use wsm_daemon::facade::feed::{Feed, News};

use crate::Edge;
use crate::extract::{Query, Standing};
use crate::problem::Failure;

/// How often a way in is looked at that may have ended while nothing happened.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often a quiet feed says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a browser that comes back says of where it was.
const LAST_EVENT_ID: &str = "last-event-id";

/// Query of the feed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedQuery {
    /// Journal rows after this number are told; those that are new from now on without. A
    /// `Last-Event-ID` counts more.
    after: Option<u64>,
    /// The trash too.
    #[serde(default)]
    #[param(required = false)]
    trashed: bool,
}

#[utoipa::path(get, path = "/v1/feed", params(FeedQuery),
    responses(
        (status = 200, content_type = "text/event-stream", body = String,
            description = "Server-Sent Events whose data is JSON: `agents` (first: all there are \
            to see, `Agent[]`), then `agent` (one that is new or changed, `Agent`), `gone` \
            (`Gone`), `journal` (`Event`), `skipped` (`Skipped`). `id` is the number of the last \
            journal row that was told. It ends when the caller's way in ends"),
        (status = "default", body = Problem),
    ))]
/// What changes, as it changes.
pub(crate) async fn follow(
    State(edge): State<Edge>,
    standing: Standing,
    Query(query): Query<FeedQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Failure> {
    let last = headers.get(LAST_EVENT_ID);
    let last = last.and_then(|id| id.to_str().ok()?.parse().ok());
    let feed = edge
        .daemon
        .feed(standing.actor(), last.or(query.after), query.trashed)?;
    let events = events(feed, standing, edge);
    let alive = KeepAlive::new().interval(HEARTBEAT);
    // nginx would gather them.
    let head = [("x-accel-buffering", "no")];
    Ok((head, Sse::new(events).keep_alive(alive)))
}

/// Events until the way in ends or the daemon stops. The next ones are made when these are taken.
fn events(
    feed: Feed,
    standing: Standing,
    edge: Edge,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let batches = stream::unfold(
        (feed, standing, edge),
        async |(mut feed, standing, edge)| {
            let mut closing = edge.closing.clone();
            tokio::select! {
                () = feed.wait(LOOK_EVERY) => {}
                _ = closing.changed() => return None,
            }
            let told = feed.seq();
            let actor = standing.renew().await.ok()?;
            let news = feed.news(&actor).ok()?;
            let batch: Vec<_> = news.into_iter().map(|news| Ok(event(told, news))).collect();
            Some((stream::iter(batch), (feed, standing, edge)))
        },
    );
    batches.flatten()
}

/// `told`: the row up to which all was told before it.
fn event(told: u64, news: News) -> Event {
    fn of(name: &str, id: u64, data: &impl Serialize) -> Event {
        let data = serde_json::to_string(data).expect("types of the API serialize");
        Event::default().event(name).id(id.to_string()).data(data)
    }
    match news {
        News::Agents(agents) => of("agents", told, &agents),
        News::Agent(agent) => of("agent", told, &agent),
        News::Gone(gone) => of("gone", told, &gone),
        News::Journal(row) => of("journal", row.seq, &row),
        News::Skipped(skipped) => of("skipped", skipped.through, &skipped),
    }
}
