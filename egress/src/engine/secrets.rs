//! Who may put what into the store: tickets, and the orders about secrets.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

use super::vault::{Content, New, Vault, VaultError};
use crate::host::Host;
use crate::login::{Kind, Login};
use crate::protocol::{Answer, Brought, Gift, SecretAnswer, SecretOrder};
use crate::secret::{self, Value};

/// How long a ticket is good for: it is asked for when the value is there.
const TICKET_LIFE: Duration = Duration::from_secs(60);
/// Tickets at once.
const TICKETS_MAX: usize = 64;

/// The store, and who is expected to bring something.
#[derive(Debug)]
pub(super) struct Secrets {
    /// Or why it can't be used: agents without credentials are let out all the same.
    vault: Result<Vault, String>,
    tickets: Mutex<BTreeMap<String, Expected>>,
}

#[derive(Debug)]
struct Expected {
    uid: u32,
    owner: Option<String>,
    name: String,
    expires_ms: Option<u64>,
    until: Instant,
}

impl Secrets {
    pub(super) fn open(state: &Path, credentials: Option<&Path>) -> Secrets {
        let vault = Vault::open(state, credentials).map_err(|e| e.to_string());
        if let Err(why) = &vault {
            tracing::error!(why, "no secret can be used");
        }
        Secrets {
            vault,
            tickets: Mutex::default(),
        }
    }

    fn vault(&self) -> Result<&Vault, String> {
        let broken = |why: &String| format!("the store of secrets can't be used: {why}");
        self.vault.as_ref().map_err(broken)
    }

    /// The value that `owner`'s agents put into requests to `host`, or why there is none.
    pub(super) fn value(&self, owner: &str, name: &str, host: &Host) -> Result<Value, String> {
        let value = self.vault()?.value(owner, name, host);
        value.map_err(|why| why.to_string())
    }

    /// A login of `owner`'s, and why it is not renewed any more, if so; or why there is none.
    pub(super) fn login(&self, owner: &str, kind: Kind) -> Result<(Login, Option<String>), String> {
        let login = self.vault()?.login(owner, kind);
        login.map_err(|why| why.to_string())
    }

    /// A login was put into a request.
    pub(super) fn used_login(&self, owner: &str, kind: Kind) {
        if let Ok(vault) = &self.vault {
            vault.used_login(owner, kind);
        }
    }

    /// What came of renewing a login.
    pub(super) fn renewed(&self, owner: &str, old: &Login, new: Result<Login, String>) {
        if let Ok(vault) = &self.vault
            && let Err(error) = vault.renewed(owner, old, new)
        {
            tracing::error!(%error, "a renewed login is not written down; it is tried again");
        }
    }

    #[cfg(test)]
    pub(super) fn keep(&self, new: New) -> Result<(), String> {
        let kept = self.vault()?.set(new);
        kept.map_err(|e| e.to_string())
    }

    #[cfg(test)]
    pub(super) fn about(&self, owner: &str, kind: Kind) -> Option<crate::secret::About> {
        let all = self.vault().unwrap().list();
        let mut all = all.into_iter();
        all.find(|a| a.owner.as_deref() == Some(owner) && a.name == kind.facts().secret)
    }

    /// 32 bytes for one purpose and one name, the same after a restart.
    pub(super) fn derive(
        &self,
        purpose: &str,
        name: &str,
    ) -> Result<zeroize::Zeroizing<[u8; 32]>, String> {
        Ok(self.vault()?.derive(purpose, name))
    }

    /// Writes down what was used since.
    pub(super) fn flush(&self) {
        if let Ok(vault) = &self.vault
            && let Err(error) = vault.flush()
        {
            tracing::warn!(%error, "when secrets were used is not written down");
        }
    }

    pub(super) fn obey(&self, order: SecretOrder) -> Answer {
        self.try_obey(order)
            .map_or_else(Answer::Failed, Answer::Secret)
    }

    fn try_obey(&self, order: SecretOrder) -> Result<SecretAnswer, String> {
        let vault = self.vault()?;
        match order {
            SecretOrder::Expect {
                uid,
                owner,
                name,
                expires_ms,
            } => {
                secret::check_name(&name).map_err(|bad| bad.to_string())?;
                let expected = Expected {
                    uid,
                    owner,
                    name,
                    expires_ms,
                    until: Instant::now() + TICKET_LIFE,
                };
                self.expect(expected).map(SecretAnswer::Ticket)
            }
            SecretOrder::Remove { owner, name } => {
                let removed = vault.remove(owner, name).map_err(|e| e.to_string())?;
                Ok(SecretAnswer::Removed(removed))
            }
            SecretOrder::List => Ok(SecretAnswer::All(vault.list())),
            SecretOrder::Reveal { owner, name } => {
                let value = vault.reveal(&owner, &name).map_err(|why| why.to_string())?;
                Ok(SecretAnswer::Value(value))
            }
        }
    }

    fn expect(&self, expected: Expected) -> Result<String, String> {
        let mut random = [0; 16];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| "the kernel gave no random numbers".to_owned())?;
        let ticket: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut tickets = self.lock();
        let now = Instant::now();
        tickets.retain(|_, expected| expected.until > now);
        if tickets.len() >= TICKETS_MAX {
            return Err("too many secrets are being set at once; try again".to_owned());
        }
        tickets.insert(ticket.clone(), expected);
        Ok(ticket)
    }

    /// Takes a value from whoever has the ticket for it.
    pub(super) fn take(&self, uid: u32, gift: Gift) -> Answer {
        match self.try_take(uid, gift) {
            Ok(()) => Answer::Done,
            Err(why) => Answer::Failed(why),
        }
    }

    fn try_take(&self, uid: u32, gift: Gift) -> Result<(), String> {
        let vault = self.vault()?;
        // One try each, whoever it was.
        let found = self.lock().remove(&gift.ticket);
        let now = Instant::now();
        let expected = found
            .filter(|expected| expected.uid == uid && expected.until > now)
            .ok_or("the ticket is not good (any more)")?;
        let Expected {
            owner,
            name,
            expires_ms,
            ..
        } = expected;
        let new = New {
            owner,
            name,
            hosts: gift.hosts,
            expires_ms,
            visible: gift.visible,
            content: match gift.brought {
                Brought::Value(value) => Content::Plain(value),
                Brought::Login(login) => Content::Login(login),
            },
        };
        vault.set(new).map_err(|e: VaultError| e.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Expected>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn expect(secrets: &Secrets, uid: u32) -> String {
        let order = SecretOrder::Expect {
            uid,
            owner: Some("ada".into()),
            name: "key".into(),
            expires_ms: None,
        };
        match secrets.obey(order) {
            Answer::Secret(SecretAnswer::Ticket(ticket)) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn gift(ticket: &str) -> Gift {
        Gift {
            ticket: ticket.to_owned(),
            hosts: Vec::new(),
            visible: false,
            brought: Brought::Value(Value::new(Zeroizing::new("sk-secret".into())).unwrap()),
        }
    }

    #[test]
    fn a_ticket_is_good_once_and_for_whom_it_was_given() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(dir.path(), None);
        let ticket = expect(&secrets, 1000);
        assert_eq!(secrets.take(1000, gift(&ticket)), Answer::Done);
        assert!(matches!(
            secrets.take(1000, gift(&ticket)),
            Answer::Failed(_)
        ));
        let stolen = expect(&secrets, 1000);
        assert!(matches!(
            secrets.take(1001, gift(&stolen)),
            Answer::Failed(_)
        ));
        assert!(matches!(secrets.take(1000, gift("")), Answer::Failed(_)));
        let to = Host::parse("a.example.com").unwrap();
        assert_eq!(
            secrets.value("ada", "key", &to).unwrap().reveal(),
            "sk-secret"
        );
    }

    #[test]
    fn tickets_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(dir.path(), None);
        for _ in 0..TICKETS_MAX {
            expect(&secrets, 1000);
        }
        let one_more = SecretOrder::Expect {
            uid: 1000,
            owner: None,
            name: "key".into(),
            expires_ms: None,
        };
        assert!(matches!(secrets.obey(one_more), Answer::Failed(_)));
    }

    #[test]
    fn a_store_that_is_broken_says_why_each_time() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secrets"), "x").unwrap();
        let secrets = Secrets::open(dir.path(), None);
        let Answer::Failed(why) = secrets.obey(SecretOrder::List) else {
            panic!("a list of nothing")
        };
        assert!(why.contains("key of the secrets is gone"), "{why}");
    }
}
