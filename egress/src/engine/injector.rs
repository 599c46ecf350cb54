//! What an agent's credentials are, made ready: where they go, how their placeholders are found, and
//! who the agent trusts for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::authority::Authority;
use super::search::Search;
use super::secrets::Secrets;
use crate::credential::{CredentialSpec, Credentials};
use crate::login::{Stand, forms};
use crate::protocol::Answer;

/// The credentials of one agent; changed as a whole.
#[derive(Debug, Default)]
pub(super) struct Injector {
    /// Whose secrets go in.
    pub(super) owner: Option<String>,
    pub(super) credentials: Credentials,
    pub(super) search: Arc<Search>,
    /// Where there are credentials.
    pub(super) authority: Option<Authority>,
    /// What the agent has instead of logins that are kept, by the names of its credentials.
    pub(super) stands: BTreeMap<String, Stand>,
}

impl Injector {
    pub(super) fn new(
        secrets: &Secrets,
        agent: &str,
        specs: &[CredentialSpec],
    ) -> Result<Injector, String> {
        if specs.is_empty() {
            return Ok(Injector::default());
        }
        let credentials = Credentials::compile(specs).map_err(|bad| bad.to_string())?;
        let seed = secrets.derive("authority", agent)?;
        let authority = Authority::new(agent, &seed, &credentials).map_err(|e| e.to_string())?;
        let stands = credentials.iter().filter_map(|credential| {
            let spec = credential.spec();
            let (login, _) = secrets.login(&spec.owner, spec.login?).ok()?;
            let stand = forms::stand(&login, &spec.placeholder);
            Some((spec.name.clone(), stand))
        });
        Ok(Injector {
            owner: specs.first().map(|spec| spec.owner.clone()),
            stands: stands.collect(),
            search: Arc::new(Search::new(&credentials)),
            authority: Some(authority),
            credentials,
        })
    }

    /// The certificate that the agent must trust.
    pub(super) fn pem(&self) -> Option<String> {
        self.authority.as_ref().map(|a| a.pem().to_owned())
    }

    /// What the daemon has to know of it.
    pub(super) fn told(&self) -> Answer {
        Answer::Serving {
            authority: self.pem(),
            stands: self.stands.clone(),
        }
    }
}
