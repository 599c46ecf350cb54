//! What programs would copy (OSC 52): told to those who may type, who do it themselves or don't.

use std::rc::Rc;
use std::time::Instant;

use super::Shim;
use super::client::{Client, Role};
use super::viewer::OUT_HIGH;
use crate::protocol::Frame;

/// From which [`crate::protocol::SPEAKS`] on a viewer knows copies.
const COPIES: u32 = 5;

impl Shim {
    /// Tells what came since the last turn: the last one of each terminal.
    pub(super) fn tell_copies(&mut self, now: Instant) {
        let take = |(name, text)| Some((Rc::clone(name), text?));
        let terminals = self.terminals.values_mut();
        let copies: Vec<(Rc<str>, String)> = terminals
            .filter_map(|it| take((&it.name, it.copy.take())))
            .collect();
        for (name, text) in copies {
            let Some(terminal) = self.terminals.get(&*name) else {
                continue;
            };
            for client in self.clients.values_mut() {
                if terminal.lease.admits(&client.person.user) {
                    tell(client, &name, &text, now);
                }
            }
        }
    }
}

/// Tells one viewer, if it could type there. Where the shim draws there is nothing to tap on.
fn tell(client: &mut Client, terminal: &str, text: &str, now: Instant) {
    let full = client.pending() > OUT_HIGH;
    let Role::Viewer(viewer) = &mut client.role else {
        return;
    };
    if viewer.terminal != terminal || viewer.read_only {
        return;
    }
    if viewer.fit {
        let bytes = text.len();
        viewer.notify(
            &format!("it wants to copy {bytes} bytes: its page in a browser can"),
            now,
        );
    } else if client.speaks >= COPIES && !full {
        let text = text.to_owned();
        client.send(&Frame::Copy { text });
    }
}
