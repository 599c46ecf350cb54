//! Every route of the API, on one page.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use utoipa::OpenApi;

use crate::{Edge, agents, events, host, presence, problem, review, secrets, services, terminals};

/// Longest request body: the user's own templates go along with a new agent.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// One line per route makes the table, the router and the OpenAPI document.
macro_rules! routes {
    ($($method:ident $path:literal $resource:ident::$handler:ident;)*) => {
        /// Method and path of every route.
        pub const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),*];

        fn table() -> Router<Edge> {
            Router::new()$(.route($path, $method($resource::$handler)))*
        }

        /// The document that describes them.
        #[derive(OpenApi)]
        #[openapi(
            info(title = "wsm", description = "Isolated workspaces for AI coding agents", version = "1"),
            paths($($resource::$handler),*)
        )]
        pub(crate) struct Document;
    };
}

routes! {
    get    "/v1/status"                                    host::status;
    get    "/v1/doctor"                                    host::doctor;
    get    "/v1/templates"                                 host::templates;
    get    "/v1/ports"                                     host::ports;
    post   "/v1/prune"                                     host::prune;
    get    "/v1/events"                                    events::list;

    get    "/v1/secrets"                                   secrets::list;
    post   "/v1/secrets/{secret}"                          secrets::set;
    delete "/v1/secrets/{secret}"                          secrets::remove;

    get    "/v1/agents"                                    agents::list;
    post   "/v1/agents"                                    agents::create;
    get    "/v1/agents/{agent}"                            agents::get;
    delete "/v1/agents/{agent}"                            agents::remove;
    get    "/v1/agents/{agent}/show"                       agents::show;
    get    "/v1/agents/{agent}/explain"                    agents::explain;
    get    "/v1/agents/{agent}/wait"                       agents::wait;
    post   "/v1/agents/{agent}/start"                      agents::start;
    post   "/v1/agents/{agent}/stop"                       agents::stop;
    post   "/v1/agents/{agent}/restart"                    agents::restart;
    post   "/v1/agents/{agent}/pause"                      agents::pause;
    post   "/v1/agents/{agent}/resume"                     agents::resume;
    post   "/v1/agents/{agent}/restore"                    agents::restore;

    get    "/v1/agents/{agent}/diff"                       review::diff;
    post   "/v1/agents/{agent}/merge"                      review::merge;
    post   "/v1/agents/{agent}/apply"                      review::apply;

    get    "/v1/agents/{agent}/ports"                      services::ports;
    get    "/v1/agents/{agent}/services"                   services::list;
    post   "/v1/agents/{agent}/services/{service}/start"   services::start;
    post   "/v1/agents/{agent}/services/{service}/stop"    services::stop;
    post   "/v1/agents/{agent}/services/{service}/restart" services::restart;
    get    "/v1/agents/{agent}/log"                        services::log;

    get    "/v1/agents/{agent}/policy"                     services::policy;
    post   "/v1/agents/{agent}/policy"                     services::policy_change;
    get    "/v1/agents/{agent}/policy/check"               services::policy_check;

    post   "/v1/agents/{agent}/terminals"                  terminals::open;
    post   "/v1/agents/{agent}/ticket"                     terminals::ticket;
    post   "/v1/agents/{agent}/send"                       terminals::send;
    get    "/v1/agents/{agent}/capture"                    terminals::capture;
    get    "/v1/agents/{agent}/attach"                     terminals::attach;
    get    "/v1/agents/{agent}/exec"                       terminals::exec;
    get    "/v1/agents/{agent}/who"                        presence::who;
    post   "/v1/agents/{agent}/lease"                      presence::lease;
    get    "/v1/agents/{agent}/recordings"                 presence::recordings;
    get    "/v1/agents/{agent}/recordings/{recording}"     presence::recording;
}

/// The whole API.
pub(crate) fn router(edge: Edge) -> Router {
    table()
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(edge)
}

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
        let mut routes = ROUTES.to_vec();
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
