//! What people type: held to the lease, given to the program, and recorded if its owner asks for that.

use std::rc::Rc;
use std::time::Instant;

use nix::errno::Errno;

use super::Shim;
use super::client::Role;
use super::share::{named, words};
use super::tty::Tty;
use crate::lease::Refusal;
use crate::protocol::{Frame, Person, Reply};

/// Terminal of the agent's own program.
const MAIN: &str = "main";
/// What people are told who type.
const RECORDED: &str = "what is typed here is recorded";

impl Shim {
    /// Types without being a viewer.
    pub(super) fn send(
        &mut self,
        terminal: &str,
        bytes: &[u8],
        person: Option<&Person>,
        now: Instant,
    ) -> Reply {
        let Some(known) = self.terminals.get_mut(terminal) else {
            return Reply::NotFound;
        };
        if let Some(held) = known.lease.user()
            && person.is_some_and(|person| !known.lease.admits(&person.user))
        {
            let reason = words(&Refusal::Held(held.to_owned()));
            return Reply::Refused { reason };
        }
        let name = person.map_or("wsm", |person| named(&person.user));
        let (what, errno) = if known.master.is_none() {
            (
                "type into a terminal whose program does not run",
                Errno::EIO,
            )
        } else if known.typed((name, self.record_input), bytes, now) {
            self.heard_keys(terminal);
            return Reply::Done;
        } else {
            ("type: the program does not read its input", Errno::EAGAIN)
        };
        Reply::Failed {
            what: what.to_owned(),
            errno: errno as i32,
        }
    }

    /// A viewer's keys.
    pub(super) fn typed(
        &mut self,
        id: u64,
        (epoch, number): (u64, u64),
        bytes: &[u8],
        now: Instant,
    ) {
        let clock = self.clock(now);
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let Role::Viewer(viewer) = &mut client.role else {
            return;
        };
        let Some(terminal) = self.terminals.get_mut(&viewer.terminal) else {
            return;
        };
        if number > 0 && number <= viewer.number {
            return;
        }
        viewer.number = viewer.number.max(number);
        let full = client.tty.as_ref().is_some_and(Tty::full);
        let busy = full || terminal.flood.on();
        let drives = terminal.driver == Some(id);
        let typed = terminal.lease.types(id, epoch, clock);
        if typed.is_ok() {
            viewer.typed(busy, terminal.ring.end(), now);
        }
        // The size first: what is typed may ask for it.
        match &typed {
            Ok(Some(news)) => {
                let name = Rc::clone(&terminal.name);
                self.spread(&name, news, now);
            }
            Ok(None) if !drives => self.drive(id),
            Ok(None) | Err(_) => {}
        }
        let taken = typed.map_err(|refusal| words(&refusal));
        if let Err(reason) = taken.and_then(|_| self.type_in(id, bytes, now)) {
            self.refuse_input(id, reason, now);
        }
    }

    /// Keys went to the agent's own program: what it asks elsewhere it asks there from now on.
    fn heard_keys(&mut self, terminal: &str) {
        if let Some(desk) = self.desk.as_mut().filter(|_| terminal == MAIN) {
            desk.typed();
        }
    }

    /// Gives it to the program.
    fn type_in(&mut self, id: u64, bytes: &[u8], now: Instant) -> Result<(), String> {
        let Some(client) = self.clients.get(&id) else {
            return Ok(());
        };
        let Role::Viewer(viewer) = &client.role else {
            return Ok(());
        };
        let Some(terminal) = self.terminals.get_mut(&viewer.terminal) else {
            return Ok(());
        };
        if terminal.master.is_none() {
            return Err("no program runs in this terminal".to_owned());
        }
        let name = named(&client.person.user);
        if !terminal.typed((name, self.record_input), bytes, now) {
            return Err("the program does not read its input".to_owned());
        }
        let name = Rc::clone(&terminal.name);
        if terminal.echo.due(bytes.len()) {
            self.echo = Some(Rc::clone(&name));
        }
        self.heard_keys(&name);
        Ok(())
    }

    fn refuse_input(&mut self, id: u64, reason: String, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if let Role::Viewer(viewer) = &mut client.role {
            viewer.notify(&reason, now);
        }
        client.send(&Frame::Refused { reason });
        if let Some(tty) = &mut client.tty {
            tty.ring();
        }
    }

    /// What is typed is recorded from now on, or no more: whoever could type is told.
    pub(super) fn set_record_input(&mut self, on: bool, now: Instant) -> Reply {
        if self.record_input == on {
            return Reply::Done;
        }
        self.record_input = on;
        let text = match on {
            true => RECORDED,
            false => "what is typed here is not recorded any more",
        };
        for id in self.clients.keys().copied().collect::<Vec<_>>() {
            self.tell(id);
            self.warn(id, text, now);
        }
        Reply::Done
    }

    /// Whether what is typed there is recorded.
    pub(super) fn recorded(&self, terminal: &str) -> bool {
        let known = self.terminals.get(terminal);
        self.record_input && known.is_some_and(|it| it.recorder.is_some())
    }

    /// Tells a viewer that came that it is recorded.
    pub(super) fn warn_of_recording(&mut self, id: u64, now: Instant) {
        if self.record_input {
            self.warn(id, RECORDED, now);
        }
    }

    /// Tells a viewer that could type where that would be recorded.
    fn warn(&mut self, id: u64, text: &str, now: Instant) {
        if let Some(client) = self.clients.get_mut(&id)
            && let Role::Viewer(viewer) = &mut client.role
            && let Some(terminal) = self.terminals.get(&viewer.terminal)
            && terminal.recorder.is_some()
            && !viewer.read_only
        {
            viewer.notify(text, now);
        }
    }
}
