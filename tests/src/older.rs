//! An agent's shim as one of the first version: before leases, presence, recordings and reports.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

const RELAY: &str = include_str!("older.py");

/// Stands before the shim's socket.
#[derive(Debug)]
pub struct Older {
    relay: Child,
    said: Receiver<String>,
}

impl Older {
    /// Takes the place of this socket; whoever was connected before still is.
    ///
    /// # Panics
    /// There is no such socket, or no python3.
    #[must_use]
    pub fn before(socket: &Path) -> Older {
        let mut relay = Command::new("python3")
            .args(["-c", RELAY])
            .arg(socket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let lines = BufReader::new(relay.stdout.take().expect("asked for a pipe")).lines();
        let (say, said) = channel();
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| say.send(line))
        });
        assert_eq!(said.recv().as_deref(), Ok("ready"), "{}", socket.display());
        Older { relay, said }
    }

    /// What was said until now that it does not know.
    #[must_use]
    pub fn not_known(&self) -> Vec<String> {
        self.said.try_iter().collect()
    }
}

impl Drop for Older {
    fn drop(&mut self) {
        drop(self.relay.kill());
        drop(self.relay.wait());
    }
}
