//! Notifications: rules, channels, what became of what was told, and who looks.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use wsm_api::notify::{
    Channel, ChannelMade, Delivery, NewChannel, NewSubscription, Notifications, PushKey,
    RulesChange, Seen, TestRequest, Visible,
};
use wsm_api::problem::Problem;

use crate::Edge;
use crate::extract::{Body, Caller, Path, Query};
use crate::problem::Answer;

#[utoipa::path(post, path = "/v1/visible", request_body = Visible,
    responses((status = 200, body = Seen), (status = "default", body = Problem)))]
/// A page of the caller's is looked at, or no longer: what it shows is not told meanwhile.
pub(crate) async fn visible(
    State(edge): State<Edge>,
    caller: Caller,
    Body(page): Body<Visible>,
) -> Answer<Seen> {
    Ok(Json(edge.daemon.visible(&caller.actor, &page).await?))
}

#[utoipa::path(get, path = "/v1/push/key",
    responses((status = 200, body = PushKey), (status = "default", body = Problem)))]
/// The key that browsers subscribe with.
pub(crate) async fn key(State(edge): State<Edge>, caller: Caller) -> Answer<PushKey> {
    Ok(Json(edge.daemon.push_key(&caller.actor).await?))
}

#[utoipa::path(get, path = "/v1/push/subscriptions",
    responses((status = 200, body = Vec<Channel>), (status = "default", body = Problem)))]
/// Browsers of the caller's that subscribed.
pub(crate) async fn subscriptions(
    State(edge): State<Edge>,
    caller: Caller,
) -> Answer<Vec<Channel>> {
    let mut channels = edge.daemon.channels(&caller.actor).await?;
    channels.retain(|channel| channel.kind == "push");
    Ok(Json(channels))
}

#[utoipa::path(post, path = "/v1/push/subscriptions", request_body = NewSubscription,
    responses((status = 200, body = Channel), (status = "default", body = Problem)))]
/// A browser subscribed. It says so at each start: keys and endpoint may have changed.
pub(crate) async fn subscribe(
    State(edge): State<Edge>,
    caller: Caller,
    Body(new): Body<NewSubscription>,
) -> Answer<Channel> {
    Ok(Json(edge.daemon.subscribe(&caller.actor, new).await?))
}

#[utoipa::path(delete, path = "/v1/push/subscriptions/{channel}",
    params(("channel" = String, Path, description = "Id")),
    responses((status = 200, body = Channel), (status = "default", body = Problem)))]
/// Ends a subscription.
pub(crate) async fn unsubscribe(
    State(edge): State<Edge>,
    caller: Caller,
    Path(channel): Path<String>,
) -> Answer<Channel> {
    remove(State(edge), caller, Path(channel)).await
}

#[utoipa::path(get, path = "/v1/notifications",
    responses((status = 200, body = Notifications), (status = "default", body = Problem)))]
/// The caller's rules.
pub(crate) async fn rules(State(edge): State<Edge>, caller: Caller) -> Answer<Notifications> {
    Ok(Json(edge.daemon.notify_rules(&caller.actor).await?))
}

#[utoipa::path(put, path = "/v1/notifications", request_body = RulesChange,
    responses((status = 200, body = Notifications), (status = "default", body = Problem)))]
/// Changes the caller's rules.
pub(crate) async fn change(
    State(edge): State<Edge>,
    caller: Caller,
    Body(change): Body<RulesChange>,
) -> Answer<Notifications> {
    let changed = edge.daemon.notify_rules_change(&caller.actor, change);
    Ok(Json(changed.await?))
}

#[utoipa::path(get, path = "/v1/notifications/channels",
    responses((status = 200, body = Vec<Channel>), (status = "default", body = Problem)))]
/// Every way that the caller is told by.
pub(crate) async fn channels(State(edge): State<Edge>, caller: Caller) -> Answer<Vec<Channel>> {
    Ok(Json(edge.daemon.channels(&caller.actor).await?))
}

#[utoipa::path(post, path = "/v1/notifications/channels", request_body = NewChannel,
    responses((status = 200, body = ChannelMade), (status = "default", body = Problem)))]
/// Adds ntfy, a webhook, or mail.
pub(crate) async fn add(
    State(edge): State<Edge>,
    caller: Caller,
    Body(new): Body<NewChannel>,
) -> Answer<ChannelMade> {
    Ok(Json(edge.daemon.channel_new(&caller.actor, new).await?))
}

#[utoipa::path(delete, path = "/v1/notifications/channels/{channel}",
    params(("channel" = String, Path, description = "Id")),
    responses((status = 200, body = Channel), (status = "default", body = Problem)))]
/// Removes one.
pub(crate) async fn remove(
    State(edge): State<Edge>,
    caller: Caller,
    Path(channel): Path<String>,
) -> Answer<Channel> {
    let removed = edge.daemon.channel_remove(&caller.actor, &channel);
    Ok(Json(removed.await?))
}

#[utoipa::path(post, path = "/v1/notifications/test", request_body = TestRequest,
    responses((status = 200, body = Vec<Channel>), (status = "default", body = Problem)))]
/// Sends a message, whatever the rules say; `deliveries` tells what became of it.
pub(crate) async fn test(
    State(edge): State<Edge>,
    caller: Caller,
    Body(request): Body<TestRequest>,
) -> Answer<Vec<Channel>> {
    let sent = edge.daemon.notify_test(&caller.actor, &request);
    Ok(Json(sent.await?))
}

/// Query of `deliveries`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveriesQuery {
    /// How many at most (50, never more than 200).
    #[serde(default = "fifty")]
    #[param(required = false)]
    limit: u32,
}

fn fifty() -> u32 {
    50
}

#[utoipa::path(get, path = "/v1/notifications/deliveries", params(DeliveriesQuery),
    responses((status = 200, body = Vec<Delivery>), (status = "default", body = Problem)))]
/// What was told, where, and what became of it; what was held back too. Newest first.
pub(crate) async fn deliveries(
    State(edge): State<Edge>,
    caller: Caller,
    Query(query): Query<DeliveriesQuery>,
) -> Answer<Vec<Delivery>> {
    let told = edge.daemon.deliveries(&caller.actor, query.limit);
    Ok(Json(told.await?))
}
