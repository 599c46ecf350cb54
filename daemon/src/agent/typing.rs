//! Whether what people type is recorded: from when the owner asks for it to when the owner ends it, or
//! the agent is another's, or stops.

use wsm_api::problem::Problem;
use wsm_terminal::protocol::{Reply, Request};

use super::driver::Driver;
use crate::actor::Who;
use crate::engine::row;
use crate::shim::{INPUTS, odd, shim_problem};

impl Driver {
    /// Written down before it is done. Whoever could type is told by the shim.
    pub(super) async fn on_record_input(&mut self, actor: &Who, on: bool) -> Result<(), Problem> {
        let Some(shim) = self.shim.clone().filter(|it| it.speaks() >= INPUTS) else {
            return Ok(());
        };
        let who = shim.request(Request::Who { terminal: None }).await;
        let was = match who.map_err(|e| shim_problem(&e))? {
            Reply::Who { leases, .. } => leases.iter().any(|(_, lease)| lease.recorded),
            other => return Err(odd(&other)),
        };
        if was == on {
            return Ok(());
        }
        let word = |on| if on { "on" } else { "off" };
        let message = match on {
            true => "what people type is recorded",
            false => "what people type is not recorded any more",
        };
        let told = row(actor, "recording.input", self.record.id.as_str(), message);
        self.commit(told.changed(word(was), word(on)));
        let done = shim.request(Request::RecordInput { on }).await;
        match done.map_err(|e| shim_problem(&e))? {
            Reply::Done => Ok(()),
            other => Err(odd(&other)),
        }
    }
}
