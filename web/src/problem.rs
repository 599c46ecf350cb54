//! The only place where a problem becomes a status and a body.

use axum::Json;
use axum::http::header::{HeaderValue, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use wsm_api::problem::{Code, Problem};

/// What a handler fails with.
#[derive(Debug)]
pub(crate) struct Failure {
    problem: Problem,
    status: StatusCode,
}

/// What a handler returns.
pub(crate) type Answer<T> = Result<Json<T>, Failure>;

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        let status =
            StatusCode::from_u16(problem.code.status()).expect("every code has a valid status");
        Failure { problem, status }
    }
}

impl Failure {
    /// The request can't be read; HTTP has a more exact status for some of the reasons.
    pub(crate) fn invalid(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure {
            problem: Problem::new(Code::Invalid, message, ""),
            status,
        }
    }

    /// It may not be; HTTP has a more exact status.
    pub(crate) fn refused(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure {
            problem: Problem::new(Code::Refused, message, ""),
            status,
        }
    }

    /// Of something that who can't open it need not know of: it is not there.
    pub(crate) fn hidden(mut self) -> Failure {
        if self.problem.code == Code::Unknown {
            self.problem.code = Code::NotFound;
            self.status = StatusCode::NOT_FOUND;
        }
        self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if self.problem.code == Code::Failed {
            tracing::warn!(problem = %self.problem, "a request failed");
        }
        let mut response = (self.status, Json(self.problem)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Answer for a path that is not in the table.
pub(crate) async fn no_route(uri: Uri) -> Failure {
    let hint = "docs/openapi.json lists what there is; client and daemon may differ in version";
    Problem::new(
        Code::NotFound,
        format!("no such route: {}", uri.path()),
        hint,
    )
    .into()
}

/// Answer for a method that the path does not have.
pub(crate) async fn no_method(method: Method, uri: Uri) -> Failure {
    let message = format!("{method} is not possible on {}", uri.path());
    Failure::invalid(StatusCode::METHOD_NOT_ALLOWED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn codes_become_statuses_and_bodies() {
        let table = [
            (Code::Invalid, 400),
            (Code::Refused, 403),
            (Code::Untrusted, 403),
            (Code::Unknown, 401),
            (Code::NotFound, 404),
            (Code::Conflict, 409),
            (Code::Failed, 500),
            (Code::NotAvailable, 501),
            (Code::TimedOut, 504),
        ];
        for (code, status) in table {
            let problem = Problem::new(code, "it failed", "mend it");
            let response = Failure::from(problem.clone()).into_response();
            assert_eq!(response.status().as_u16(), status);
            let body = axum::body::to_bytes(response.into_body(), 1024)
                .await
                .unwrap();
            assert_eq!(serde_json::from_slice::<Problem>(&body).unwrap(), problem);
        }
    }

    #[tokio::test]
    async fn a_wrong_method_keeps_its_status() {
        let failure = no_method(Method::PUT, Uri::from_static("/v1/status")).await;
        assert_eq!(
            failure.into_response().status(),
            StatusCode::METHOD_NOT_ALLOWED
        );
    }
}
