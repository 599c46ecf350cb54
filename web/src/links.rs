//! Links to watch an agent by.

use axum::Json;
use axum::extract::State;
use axum::http::header::{HOST, HeaderMap, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use wsm_api::link::{Link, LinkMade, LinkOpened, NewLink, OpenLink, SECONDS_MAX};
use wsm_api::problem::Problem;

use crate::Edge;
use crate::extract::{Body, Caller, Path};
use crate::pairings::reachable;
use crate::problem::{Answer, Failure};
use crate::visitor::Visitor;

#[utoipa::path(get, path = "/v1/agents/{agent}/links",
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = Vec<Link>), (status = "default", body = Problem)))]
/// Links that it is watched by.
pub(crate) async fn list(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
) -> Answer<Vec<Link>> {
    Ok(Json(edge.daemon.links(&caller.actor, &agent).await?))
}

#[utoipa::path(post, path = "/v1/agents/{agent}/links", request_body = NewLink,
    params(("agent" = String, Path, description = "Name or id")),
    responses((status = 200, body = LinkMade), (status = "default", body = Problem)))]
/// Makes a link; the answer alone tells its value.
pub(crate) async fn new(
    State(edge): State<Edge>,
    caller: Caller,
    headers: HeaderMap,
    Path(agent): Path<String>,
    Body(new): Body<NewLink>,
) -> Answer<LinkMade> {
    // Who may not is told so, whatever else is in the way.
    edge.daemon.links(&caller.actor, &agent).await?;
    let base = base(&edge, &headers)?;
    let (link, code) = edge.daemon.link_new(&caller.actor, &agent, new).await?;
    // `http` to `ws`, `https` to `wss`.
    let live = format!("{}/v1/live/{code}", base.replacen("http", "ws", 1));
    Ok(Json(LinkMade {
        link,
        url: format!("{base}/#watch={code}"),
        live,
        code,
    }))
}

#[utoipa::path(delete, path = "/v1/agents/{agent}/links/{link}",
    params(
        ("agent" = String, Path, description = "Name or id"),
        ("link" = String, Path, description = "Id"),
    ),
    responses((status = 200, body = Link), (status = "default", body = Problem)))]
/// Ends a link; who watches by it is closed.
pub(crate) async fn remove(
    State(edge): State<Edge>,
    caller: Caller,
    Path((agent, link)): Path<(String, String)>,
) -> Answer<Link> {
    let ended = edge.daemon.link_remove(&caller.actor, &agent, &link);
    Ok(Json(ended.await?))
}

#[utoipa::path(post, path = "/v1/links/open", request_body = OpenLink,
    responses(
        (status = 200, body = LinkOpened, description = "A page of ours, which sends `x-wsm: 1`, gets \
            a cookie that is as good as the link, for whoever has no session there"),
        (status = "default", body = Problem),
    ))]
/// Opens a link: nobody needs to be known for that. Its value is good as a bearer's token then.
pub(crate) async fn open(
    State(edge): State<Edge>,
    visitor: Visitor,
    Body(open): Body<OpenLink>,
) -> Result<Response, Failure> {
    let opened = visitor.try_link(&edge, &open.code).await?;
    // However long browsers keep it, the daemon knows when the link ends.
    let cookie = visitor.keep(&open.code, SECONDS_MAX);
    let cookie = cookie.map(|line| [(SET_COOKIE, line)]);
    Ok((cookie, Json(opened)).into_response())
}

/// What a link begins with; refused as a pairing is where nobody knows how others come here.
fn base(edge: &Edge, headers: &HeaderMap) -> Result<String, Failure> {
    // The command line says `localhost` on the Unix socket.
    let came = headers.get(HOST).and_then(|host| host.to_str().ok());
    let base = edge.net.as_ref().and_then(|net| net.link_base(came));
    base.map_or_else(|| reachable(edge), Ok)
}
