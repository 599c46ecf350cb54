//! Every route of the API, on one page.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};
use utoipa::OpenApi;
use wsm_daemon::role::Verb;

use crate::sending::{self, Sending};
use crate::{
    Edge, agents, audit, devices, events, feed, handoffs, host, links, live, notify, pages,
    pairings, passkeys, presence, preview, problem, questions, repositories, review, secrets,
    services, sessions, terminals, usage, users,
};

/// Longest request body: the user's own templates go along with a new agent.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// HTTP method, in lower case.
    pub method: &'static str,
    /// Path, with `{variables}`.
    pub path: &'static str,
    /// What the daemon asks of the caller at least.
    pub verb: Verb,
}

/// One line per route makes the table, the router and the OpenAPI document.
macro_rules! routes {
    ($($method:ident $path:literal $resource:ident::$handler:ident $verb:ident;)*) => {
        /// Every route.
        pub const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            verb: Verb::$verb,
        }),*];

        fn table() -> Router<Edge> {
            Router::new()$(.route($path, $method($resource::$handler)))*
        }

        /// The document that describes them.
        #[derive(OpenApi)]
        #[openapi(
            info(title = "wsm", description = "Isolated workspaces for AI coding agents", version = "1"),
            paths($($resource::$handler),*),
            components(schemas(wsm_api::feed::Gone, wsm_api::feed::Skipped))
        )]
        pub(crate) struct Document;
    };
}

routes! {
    get    "/v1/status"                                    host::status             Status;
    get    "/v1/doctor"                                    host::doctor             Doctor;
    get    "/v1/templates"                                 host::templates          Templates;
    get    "/v1/ports"                                     host::ports              Ports;
    post   "/v1/prune"                                     host::prune              Prune;
    get    "/v1/events"                                    events::list             Events;
    get    "/v1/feed"                                      feed::follow             Events;

    get    "/v1/audit"                                     audit::query             AuditRead;
    get    "/v1/audit/verify"                              audit::verify            AuditVerify;
    post   "/v1/audit/rotate"                              audit::rotate            AuditRotate;

    get    "/v1/whoami"                                    users::whoami            Whoami;
    post   "/v1/session"                                   sessions::enter          Enter;
    delete "/v1/session"                                   sessions::leave          SessionEnd;
    get    "/v1/devices"                                   devices::list            DeviceList;
    delete "/v1/devices/{device}"                          devices::remove          DeviceRemove;
    post   "/v1/pairings"                                  pairings::begin          DeviceNew;
    get    "/v1/pairings/{pairing}"                        pairings::get            DeviceNew;
    delete "/v1/pairings/{pairing}"                        pairings::end            DeviceNew;
    post   "/v1/pairings/{pairing}/confirm"                pairings::confirm        DeviceNew;
    post   "/v1/pairings/claim"                            pairings::claim          Enter;
    post   "/v1/pairings/redeem"                           pairings::redeem         Enter;
    post   "/v1/passkeys/register/start"                   passkeys::register_start DeviceNew;
    post   "/v1/passkeys/register/finish"                  passkeys::register       DeviceNew;
    post   "/v1/passkeys/login/start"                      passkeys::login_start    Enter;
    post   "/v1/passkeys/login/finish"                     passkeys::login          Enter;
    post   "/v1/invitations"                               pairings::invite         Invite;
    get    "/v1/invitations"                               pairings::invitations    Invite;
    delete "/v1/invitations/{invitation}"                  pairings::revoke         Invite;
    post   "/v1/invitations/claim"                         pairings::come           Enter;
    get    "/v1/users"                                     users::list              UserList;
    post   "/v1/users"                                     users::add               UserChange;
    delete "/v1/users/{user}"                              users::remove            UserChange;
    post   "/v1/users/{user}/role"                         users::role              UserChange;
    get    "/v1/tokens"                                    users::tokens            TokenList;
    post   "/v1/tokens"                                    users::token_new         TokenNew;
    delete "/v1/tokens/{token}"                            users::token_remove      TokenRemove;

    post   "/v1/visible"                                   notify::visible          Visible;
    get    "/v1/push/key"                                  notify::key              Notifications;
    get    "/v1/push/subscriptions"                        notify::subscriptions    Notifications;
    post   "/v1/push/subscriptions"                        notify::subscribe        Notifications;
    delete "/v1/push/subscriptions/{channel}"              notify::unsubscribe      Notifications;
    get    "/v1/notifications"                             notify::rules            Notifications;
    put    "/v1/notifications"                             notify::change           Notifications;
    get    "/v1/notifications/channels"                    notify::channels         Notifications;
    post   "/v1/notifications/channels"                    notify::add              ChannelNew;
    delete "/v1/notifications/channels/{channel}"          notify::remove           Notifications;
    post   "/v1/notifications/test"                        notify::test             Notifications;
    get    "/v1/notifications/deliveries"                  notify::deliveries       Notifications;
    get    "/v1/repositories"                              repositories::list       RepositoryList;
    post   "/v1/repositories"                              repositories::add        RepositoryChange;
    delete "/v1/repositories/{repository}"                 repositories::remove     RepositoryChange;

    get    "/v1/secrets"                                   secrets::list            SecretList;
    post   "/v1/secrets/{secret}"                          secrets::set             SecretChange;
    delete "/v1/secrets/{secret}"                          secrets::remove          SecretChange;

    get    "/v1/agents"                                    agents::list             List;
    post   "/v1/agents"                                    agents::create           New;
    get    "/v1/agents/{agent}"                            agents::get              See;
    delete "/v1/agents/{agent}"                            agents::remove           Remove;
    get    "/v1/agents/{agent}/show"                       agents::show             Show;
    get    "/v1/agents/{agent}/usage"                      usage::get               Usage;
    get    "/v1/agents/{agent}/explain"                    agents::explain          Explain;
    get    "/v1/agents/{agent}/wait"                       agents::wait             Wait;
    post   "/v1/agents/{agent}/start"                      agents::start            Run;
    post   "/v1/agents/{agent}/stop"                       agents::stop             Run;
    post   "/v1/agents/{agent}/restart"                    agents::restart          Run;
    post   "/v1/agents/{agent}/pause"                      agents::pause            Freeze;
    post   "/v1/agents/{agent}/resume"                     agents::resume           Freeze;
    post   "/v1/agents/{agent}/restore"                    agents::restore          Remove;

    get    "/v1/agents/{agent}/shares"                     users::shares            Shares;
    post   "/v1/agents/{agent}/shares"                     users::share             Share;
    delete "/v1/agents/{agent}/shares/{user}"              users::unshare           Leave;
    get    "/v1/agents/{agent}/links"                      links::list              Links;
    post   "/v1/agents/{agent}/links"                      links::new               LinkNew;
    delete "/v1/agents/{agent}/links/{link}"               links::remove            Links;
    post   "/v1/links/open"                                links::open              Enter;
    post   "/v1/agents/{agent}/handoff"                    handoffs::offer          Handoff;
    get    "/v1/handoffs"                                  handoffs::list           Offers;
    post   "/v1/handoffs/{offered}/accept"                 handoffs::accept         Answer;
    post   "/v1/handoffs/{offered}/decline"                handoffs::decline        Answer;

    get    "/v1/agents/{agent}/diff"                       review::diff             Diff;
    post   "/v1/agents/{agent}/merge"                      review::merge            Merge;
    post   "/v1/agents/{agent}/apply"                      review::apply            Merge;

    get    "/v1/agents/{agent}/ports"                      services::ports          See;
    post   "/v1/agents/{agent}/previews"                   preview::open            Preview;
    get    "/v1/agents/{agent}/services"                   services::list           See;
    post   "/v1/agents/{agent}/services/{service}/start"   services::start          ServiceRun;
    post   "/v1/agents/{agent}/services/{service}/stop"    services::stop           ServiceRun;
    post   "/v1/agents/{agent}/services/{service}/restart" services::restart        ServiceRun;
    get    "/v1/agents/{agent}/log"                        services::log            Log;

    get    "/v1/agents/{agent}/policy"                     services::policy         Policy;
    post   "/v1/agents/{agent}/policy"                     services::policy_change  PolicyChange;
    get    "/v1/agents/{agent}/policy/check"               services::policy_check   Policy;

    post   "/v1/agents/{agent}/approve"                    questions::approve       Approve;
    post   "/v1/agents/{agent}/deny"                       questions::deny          Approve;

    post   "/v1/agents/{agent}/terminals"                  terminals::open          Open;
    post   "/v1/agents/{agent}/ticket"                     terminals::ticket        Watch;
    post   "/v1/agents/{agent}/send"                       terminals::send          Send;
    get    "/v1/agents/{agent}/capture"                    terminals::capture       Capture;
    get    "/v1/agents/{agent}/attach"                     terminals::attach        Drive;
    get    "/v1/agents/{agent}/live"                       live::agent              Watch;
    get    "/v1/live/{code}"                               live::link               Enter;
    get    "/v1/agents/{agent}/exec"                       terminals::exec          Exec;
    get    "/v1/agents/{agent}/who"                        presence::who            Who;
    post   "/v1/agents/{agent}/lease"                      presence::lease          Lease;
    get    "/v1/agents/{agent}/recordings"                 presence::recordings     Recordings;
    get    "/v1/agents/{agent}/recordings/{recording}"     presence::recording      Recordings;
    post   "/v1/agents/{agent}/recordings/input"           presence::record_input   RecordInput;
}

/// The whole API.
pub(crate) fn router(edge: Edge) -> Router {
    // Pages lie in the program: nothing of them is held for whoever asks.
    let sending = Arc::<Sending>::default();
    table()
        .method_not_allowed_fallback(problem::no_method)
        .layer(from_fn_with_state(sending, sending::bounded))
        .fallback(pages::serve)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(edge)
}

#[cfg(test)]
mod rights;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let described: Vec<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |method| (method.clone(), path.clone()))
            })
            .collect();
        let mut described: Vec<_> = described
            .iter()
            .map(|(method, path)| (method.as_str(), path.as_str()))
            .collect();
        let mut routes: Vec<_> = ROUTES.iter().map(|r| (r.method, r.path)).collect();
        described.sort_unstable();
        routes.sort_unstable();
        assert_eq!(described, routes);
    }

    #[test]
    fn the_table_has_no_conflicts() {
        // axum panics when two routes collide.
        drop(table());
    }
}
