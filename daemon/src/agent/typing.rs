//! Whether what people type is recorded: from when the owner asks for it to when the owner ends it, or
//! the agent is another's, or stops.

use wsm_api::problem::{Code, Problem};
use wsm_terminal::protocol::{Reply, Request};

use super::driver::Driver;
use crate::actor::Who;
use crate::engine::row;
use crate::shim::{INPUTS, Shim, odd, shim_problem};

impl Driver {
    /// As the owner wants it.
    pub(super) async fn on_record_input(&mut self, actor: &Who, on: bool) -> Result<(), Problem> {
        let name = &self.record.name;
        if self.shim.is_none() {
            let message = format!("{name} does not run");
            return Err(Problem::new(Code::Conflict, message, ""));
        }
        self.record_input(actor, on).await?;
        let shim = self.shim.clone().filter(|_| on);
        let Some(shim) = shim else {
            return Ok(());
        };
        if is_recorded(&shim).await? {
            return Ok(());
        }
        // A terminal that is opened later would be.
        self.switch_input(actor, &shim, true, false).await?;
        let name = &self.record.name;
        let message = format!("{name} was started when nothing was recorded");
        let hint = format!("`wsm restart {name}` when it may be interrupted");
        Err(Problem::new(Code::NotAvailable, message, hint))
    }

    /// A change is written down before it is done; whoever could type is told by the shim.
    pub(super) async fn record_input(&mut self, actor: &Who, on: bool) -> Result<(), Problem> {
        let Some(shim) = self.shim.clone().filter(|it| it.speaks() >= INPUTS) else {
            return Ok(());
        };
        let was = is_recorded(&shim).await?;
        self.switch_input(actor, &shim, was, on).await
    }

    async fn switch_input(
        &mut self,
        actor: &Who,
        shim: &Shim,
        was: bool,
        on: bool,
    ) -> Result<(), Problem> {
        if was != on {
            let word = |on| if on { "on" } else { "off" };
            let message = match on {
                true => "what people type is recorded",
                false => "what people type is not recorded any more",
            };
            let told = row(actor, "recording.input", self.record.id.as_str(), message);
            let told = told.changed(word(was), word(on));
            match on {
                true => self.try_commit(self.record.clone(), told)?,
                false => self.commit(told),
            }
        }
        // Also where it seems to be so: no terminal that is there tells of those to come.
        let done = shim.request(Request::RecordInput { on }).await;
        match done.map_err(|e| shim_problem(&e))? {
            Reply::Done => Ok(()),
            other => Err(odd(&other)),
        }
    }
}

/// Whether what is typed into a terminal is recorded.
async fn is_recorded(shim: &Shim) -> Result<bool, Problem> {
    let who = shim.request(Request::Who { terminal: None }).await;
    match who.map_err(|e| shim_problem(&e))? {
        Reply::Who { leases, .. } => Ok(leases.iter().any(|(_, lease)| lease.recorded)),
        other => Err(odd(&other)),
    }
}
