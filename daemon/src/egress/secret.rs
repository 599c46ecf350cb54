//! Orders about secrets; what comes back never holds a value.

use std::collections::BTreeMap;

use wsm_api::problem::{Code, Problem};
use wsm_egress::protocol::{Answer, Order, SecretAnswer, SecretOrder};
use wsm_egress::secret::About;

use super::Egress;
use crate::agent::credentials;
use crate::record::Record;

impl Egress {
    /// A ticket for whoever brings the value.
    ///
    /// # Errors
    /// Egress does not answer, or can't keep secrets.
    pub async fn expect(
        &self,
        uid: u32,
        owner: Option<String>,
        name: String,
        expires_ms: Option<u64>,
    ) -> Result<String, Problem> {
        let order = SecretOrder::Expect {
            uid,
            owner,
            name,
            expires_ms,
        };
        match self.secret(order).await? {
            SecretAnswer::Ticket(ticket) => Ok(ticket),
            other => Err(odd(&other)),
        }
    }

    /// Forgets a secret; whether there was one.
    ///
    /// # Errors
    /// Egress does not answer, or can't keep secrets.
    pub async fn remove_secret(
        &self,
        owner: Option<String>,
        name: String,
    ) -> Result<bool, Problem> {
        match self.secret(SecretOrder::Remove { owner, name }).await? {
            SecretAnswer::Removed(removed) => Ok(removed),
            other => Err(odd(&other)),
        }
    }

    /// All secrets, without their values.
    ///
    /// # Errors
    /// Egress does not answer, or can't keep secrets.
    pub async fn secrets(&self) -> Result<Vec<About>, Problem> {
        match self.secret(SecretOrder::List).await? {
            SecretAnswer::All(all) => Ok(all),
            other => Err(odd(&other)),
        }
    }

    /// Finds out which of a record's secrets are set, which of them it sees, and whom its sandbox
    /// must trust. Not at its start only the values that it sees are asked for.
    ///
    /// # Errors
    /// Egress does not answer, or can't keep secrets.
    pub async fn equip(&self, record: &mut Record, start: bool) -> Result<(), Problem> {
        self.reveal(record).await?;
        if !start {
            return Ok(());
        }
        let specs = credentials::specs(record);
        if specs.is_empty() {
            record.authority = None;
            record.inside.stands.clear();
            return Ok(());
        }
        let all = self.secrets().await?;
        for spec in &specs {
            let found = credentials::secret(&all, &spec.owner, &spec.secret);
            if let Some(own) = record.credentials.get_mut(&spec.name) {
                own.ready = found.is_some();
            }
        }
        let (agent, own) = (record.id.to_string(), record.credentials.clone());
        super::locked(&self.equipped).insert(agent, own);
        let order = Order::Authority {
            agent: record.id.to_string(),
            credentials: specs,
        };
        match self.order(order).await? {
            Answer::Serving { authority, stands } => {
                record.authority = authority;
                record.inside.stands = stands;
            }
            Answer::Failed(why) => return Err(Problem::new(Code::Failed, why, "")),
            other => return Err(super::odd(&other)),
        }
        Ok(())
    }

    /// Gets the values that an agent sees itself; one that it may not have is not set for it.
    async fn reveal(&self, record: &mut Record) -> Result<(), Problem> {
        let mut values = BTreeMap::new();
        for (name, credential) in credentials::visible(record) {
            let (owner, secret) = (record.owner.clone(), credential.secret.clone());
            let order = SecretOrder::Reveal {
                owner,
                name: secret,
            };
            match self.order(Order::Secret(order)).await? {
                Answer::Secret(SecretAnswer::Value(value)) => {
                    values.insert(name.to_owned(), value);
                }
                Answer::Failed(why) => {
                    tracing::info!(agent = %record.name, why, "the agent does not see a secret");
                }
                _ => {}
            }
        }
        let seen: Vec<String> = credentials::visible(record)
            .map(|(n, _)| n.to_owned())
            .collect();
        for name in seen {
            if let Some(own) = record.credentials.get_mut(&name) {
                own.ready = values.contains_key(&name);
            }
        }
        record.inside.values = values;
        Ok(())
    }

    async fn secret(&self, order: SecretOrder) -> Result<SecretAnswer, Problem> {
        match self.order(Order::Secret(order)).await? {
            Answer::Secret(answer) => Ok(answer),
            Answer::Failed(why) => Err(Problem::new(Code::Failed, why, "")),
            other => Err(super::odd(&other)),
        }
    }
}

fn odd(answer: &SecretAnswer) -> Problem {
    let message = format!("wsm egress answered {answer:?}");
    Problem::new(Code::Failed, message, "")
}
