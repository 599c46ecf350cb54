//! Which port of an agent a browser elsewhere is shown, and the way there.

use wsm_api::problem::{Code, Problem};
use wsm_template::resolved::Protocol;

use super::Daemon;
use crate::actor::Actor;
use crate::agent::handle::Message;
use crate::port::SocketSource;
use crate::role::Verb;

/// A port that is shown.
#[derive(Debug, Clone)]
pub struct Target {
    /// Id of the agent.
    pub agent: String,
    /// Its name.
    pub name: String,
    /// Name of the port.
    pub port: String,
    /// Its number inside.
    pub inside: u16,
    /// Sockets that reach it.
    pub sockets: SocketSource,
}

impl Daemon {
    /// Whether the agent with this id is the one with this name: names are given again.
    #[must_use]
    pub fn is_named(&self, id: &str, name: &str) -> bool {
        self.engine.handles().iter().any(|handle| {
            let record = &handle.now().record;
            record.id.as_str() == id && record.name.as_str() == name
        })
    }

    /// The port, by its name or its number inside. `changes`: the request is for more than looking.
    ///
    /// # Errors
    /// There is none that is published and speaks HTTP, the agent does not run, or it is not the
    /// actor's to see.
    pub async fn preview(
        &self,
        actor: &Actor,
        agent: &str,
        port: &str,
        changes: bool,
    ) -> Result<Target, Problem> {
        let verb = if changes {
            Verb::PreviewUse
        } else {
            Verb::Preview
        };
        let handle = self.find(actor, agent, verb)?;
        let published = handle.now();
        let record = &published.record;
        let ports = &record.resolved.ports;
        let by_number = || {
            let number: u16 = port.parse().ok()?;
            ports.iter().find(|(_, one)| one.inside == number)
        };
        let found = ports.get_key_value(port).or_else(by_number);
        let Some((name, found)) = found.filter(|(_, one)| one.publish) else {
            let message = format!("{} has no published port {port:?}", record.name);
            let hint = format!("see `wsm ports {}`", record.name);
            return Err(Problem::new(Code::NotFound, message, hint));
        };
        if found.protocol != Protocol::Http {
            let message = format!("port {name} of {} speaks no plain HTTP", record.name);
            let hint = "its template says so: protocol = \"http\" is shown";
            return Err(Problem::new(Code::Invalid, message, hint));
        }
        let (name, inside) = (name.clone(), found.inside);
        let sockets = handle.ask(|reply| Message::Sockets { reply }).await?;
        Ok(Target {
            agent: record.id.to_string(),
            name: record.name.to_string(),
            port: name,
            inside,
            sockets,
        })
    }
}
