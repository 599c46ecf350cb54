//! Ends the process that was asked to end and can't: a terminal that takes no output holds whoever
//! writes on it, be it a picture, the way it was before or the last words.

use std::io;
use std::process;
use std::thread;
use std::time::Duration;

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::Quit;

/// How long the orderly way may take: letting the shim go takes a second at most, and the machine
/// may be busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Exit code of one that left without a word.
const GONE: i32 = 1;

#[expect(
    clippy::exit,
    reason = "whoever would return the code is held, as everything that a return waits for"
)]
/// From now on whoever is asked to end does, with the modes of the terminal as they are now.
pub(super) fn start() -> io::Result<()> {
    let before = tcgetattr(io::stdin())?;
    // Its own thread and its own runtime: the others may be held.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut quit = {
        let _inside = runtime.enter();
        Quit::catch()?
    };
    thread::Builder::new().spawn(move || {
        runtime.block_on(quit.asked());
        thread::sleep(PATIENCE);
        // Not even `Flush` may wait: what is still to be written may wait for ever.
        let _restored = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        process::exit(GONE);
    })?;
    Ok(())
}
