//! What logins ask of a terminated connection: a token for a request, and an answer for a program
//! that wants a new one. It has none that it could renew, and gets what it has.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use memchr::memmem;
use tokio::time::timeout;

use super::Session;
use crate::credential::{BODY_BYTES_MAX, Credential};
use crate::engine::agent::shown;
use crate::engine::http::{Body, Refusal};
use crate::engine::injector::Injector;
use crate::login::Kind;
use crate::login::forms;
use crate::secret::Value;

/// How long a program may take to say what it wants of the token endpoint.
const PATIENCE: Duration = Duration::from_secs(10);

/// The access token of one credential, or why there is none.
pub(super) struct Token {
    credential: String,
    owner: String,
    kind: Kind,
    access: Result<Value, String>,
}

/// The tokens that a request needs.
#[derive(Default)]
pub(super) struct Tokens(Vec<Token>);

impl Tokens {
    pub(super) fn value(&self, credential: &Credential) -> Result<Value, String> {
        let own = |token: &&Token| token.credential == credential.spec().name;
        let found = self.0.iter().find(own).map(|token| token.access.clone());
        found.unwrap_or_else(|| Err("its placeholder stands where it was not looked for".into()))
    }
}

impl Session {
    /// Gets the tokens whose placeholders stand in a head. Renewing one may take a while.
    pub(super) async fn tokens(&self, parts: &Parts, injector: &Injector) -> Tokens {
        let mut tokens = Tokens::default();
        for credential in injector.credentials.iter() {
            let spec = credential.spec();
            let Some(kind) = spec.login else { continue };
            let mut values = parts.headers.values();
            let stands = |value| injector.search.find_in_header(value) == Some(&spec.name);
            let here = credential.is_for(&self.target.host, self.target.port);
            if here && credential.covers(parts.uri.path()) && values.any(stands) {
                tokens.0.push(Token {
                    credential: spec.name.clone(),
                    owner: spec.owner.clone(),
                    kind,
                    access: self.shared.logins.access(&spec.owner, kind).await,
                });
            }
        }
        tokens
    }

    /// A server may refuse a token before its time.
    pub(super) fn answered_with(&self, status: StatusCode, tokens: Tokens) {
        if status != StatusCode::UNAUTHORIZED {
            return;
        }
        for token in tokens.0 {
            if let Ok(access) = token.access {
                let logins = &self.shared.logins;
                logins.rejected(&token.owner, token.kind, access);
            }
        }
    }

    /// The login whose token endpoint a request is for, if one is kept: else somebody logs in
    /// inside, and that is passed on.
    pub(super) fn asks_for_tokens<'a>(
        &self,
        request: &Request<Incoming>,
        injector: &'a Injector,
    ) -> Option<(&'a Credential, Kind)> {
        let (host, port) = (&self.target.host, self.target.port);
        let path = request.uri().path();
        let mut all = injector.credentials.iter();
        let credential = all.find(|c| c.gives_tokens(host, port, path))?;
        let kind = credential.spec().login?;
        let kept = self.shared.logins.has(&credential.spec().owner, kind);
        kept.then_some((credential, kind))
    }

    /// Answers a program that asks for a new token with its placeholder; nothing else is passed on.
    pub(super) async fn new_token(
        &self,
        request: Request<Incoming>,
        credential: &Credential,
        kind: Kind,
    ) -> Result<Response<Body>, Refusal> {
        let spec = credential.spec();
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
        let bad = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
        let body = timeout(PATIENCE, body).await;
        let body = body.map_err(|_| bad(format!("no body in {PATIENCE:?}")))?;
        let body = body.map_err(|e| bad(e.to_string()))?.to_bytes();
        let own = forms::refresh(kind, &spec.placeholder);
        if memmem::find(&body, own.as_bytes()).is_none() {
            let name = kind.facts().name;
            let why = format!("its login is kept outside: `wsm secret login {name}` renews it");
            let target = shown(&self.target.ask());
            self.shared.misplaced(&spec.name, &target, &why);
            let text = format!("credential {}: {why}", spec.name);
            return Err(Refusal::new(StatusCode::FORBIDDEN, text));
        }
        // Not `invalid_grant`: the program would throw away what it has.
        let later = |why: String| {
            let target = shown(&self.target.ask());
            self.shared.misplaced(&spec.name, &target, &why);
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why)
        };
        let logins = &self.shared.logins;
        logins.access(&spec.owner, kind).await.map_err(later)?;
        let login = self.shared.secrets.login(&spec.owner, kind);
        let (login, _) = login.map_err(later)?;
        let text = Bytes::from(forms::answer(&login, &spec.placeholder));
        let text = Full::new(text).map_err(|never| match never {});
        let mut answer = Response::new(text.boxed());
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(header::CONTENT_TYPE, json);
        Ok(answer)
    }
}
