//! What all agents use, in as many answers as it takes.

use super::setup::Host;
use crate::fail::Context;
use crate::protocol::{Failure, PACKET_BYTES_MAX, Reply};
use crate::spec::AgentId;

/// Room for what stands around the entries.
const AROUND_BYTES: usize = 1024;

/// Those after `after`, as many as fit into one packet.
pub(super) fn all(host: &Host, after: Option<&AgentId>) -> Result<Reply, Failure> {
    let mut ids = host.tree.agents()?;
    ids.retain(|id| after.is_none_or(|after| id > after));
    let mut room = PACKET_BYTES_MAX - AROUND_BYTES;
    let mut agents = Vec::new();
    for id in ids {
        // One that is half made, or gone by now, uses nothing.
        let Ok(used) = host.tree.usage(&id) else {
            continue;
        };
        let text = serde_json::to_vec(&used).map_err(std::io::Error::other);
        let text = text.what(|| format!("tell what {id} uses"))?;
        match room.checked_sub(text.len() + 1) {
            Some(left) => room = left,
            None => return Ok(Reply::Usage { agents, more: true }),
        }
        agents.push(used);
    }
    Ok(Reply::Usage {
        agents,
        more: false,
    })
}
