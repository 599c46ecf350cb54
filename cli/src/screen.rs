//! The user's own terminal: raw while attached, as it was afterwards.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use wsm_terminal::protocol::{REDRAW, RESET};
use zeroize::Zeroizing;

/// Size of a terminal that does not say.
const SIZE_DEFAULT: (u16, u16) = (80, 24);

/// Whether both standard input and output are terminals.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Columns and rows of the terminal at standard output.
pub(crate) fn size() -> (u16, u16) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
        _ => SIZE_DEFAULT,
    }
}

/// The terminal in raw mode; dropping it restores everything.
#[derive(Debug)]
pub(crate) struct Screen {
    out: File,
    before: Termios,
}

impl Screen {
    /// Goes raw. What the terminal shows moves up into its scrollback first.
    pub(crate) fn enter(title: &str) -> io::Result<Screen> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let away = "\n".repeat(usize::from(size().1));
        write!(out, "\x1b[22;0t\x1b]0;{title}\x1b\\\x1b[999;1H{away}")?;
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Screen { out, before })
    }

    /// Writes what the agent's terminal shows, as it is.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody who shares the terminal made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.out, PollFlags::OUT)], None)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Draws a whole screen: bytes that want a freshly reset terminal.
    pub(crate) fn draw(&mut self, snapshot: &[u8]) -> io::Result<()> {
        let (begin, end) = REDRAW;
        let parts = [RESET.as_bytes(), begin.as_bytes(), snapshot, end.as_bytes()];
        self.write(&parts.concat())
    }

    /// A line at the bottom that says why nothing moves; the next [`Screen::draw`] removes it.
    pub(crate) fn notice(&mut self, text: &str) -> io::Result<()> {
        self.write(format!("\x1b7\x1b[999;1H\x1b[0;7m {text} \x1b[m\x1b8").as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let leave = format!("{RESET}\x1b[999;1H\r\n\x1b[23;0t");
        let drawn = self.write(leave.as_bytes());
        let restored = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
        // The terminal may be gone, and then there is nothing to restore.
        drop((drawn, restored));
    }
}

/// Standard input, read when there is something; its descriptor stays as blocking as it was,
/// because others share it.
#[derive(Debug)]
pub(crate) struct Keyboard {
    fd: AsyncFd<OwnedFd>,
    file: File,
}

impl Keyboard {
    #[expect(
        deprecated,
        reason = "its successor is unsafe, for descriptors that may be closed elsewhere; this one \
                  is owned by the registration itself"
    )]
    pub(crate) fn open() -> io::Result<Keyboard> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        let file = File::from(fd.try_clone()?);
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Keyboard { fd, file })
    }

    /// Bytes typed; 0 when the terminal is gone.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut guard = self.fd.readable().await?;
            if !has_input(&self.file)? {
                guard.clear_ready();
                continue;
            }
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                // EIO: the terminal hung up.
                Err(error) if error.raw_os_error() == Some(5) => return Ok(0),
                read => return read,
            }
        }
    }
}

fn has_input(file: &File) -> io::Result<bool> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(file, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&now))? > 0)
}

/// Asks at the terminal for a line that is not shown. Ctrl-C, Ctrl-D or an empty line give up.
pub(crate) fn ask_hidden(prompt: &str, most: usize) -> io::Result<Zeroizing<String>> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut hidden = before.clone();
    hidden.make_raw();
    let mut err = io::stderr();
    write!(err, "{prompt}")?;
    err.flush()?;
    tcsetattr(&stdin, OptionalActions::Now, &hidden)?;
    let line = read_hidden(&mut stdin.lock(), most);
    tcsetattr(&stdin, OptionalActions::Now, &before)?;
    writeln!(err)?;
    line
}

/// Reads to the end of a line, as a terminal in raw mode sends it.
fn read_hidden(input: &mut impl Read, most: usize) -> io::Result<Zeroizing<String>> {
    let gone = || io::Error::new(io::ErrorKind::Interrupted, "nothing was given");
    // Room for all of it: a text that grows would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(most + 1));
    loop {
        let mut byte = [0];
        if input.read(&mut byte)? == 0 {
            return Err(gone());
        }
        match byte[0] {
            b'\r' | b'\n' if text.is_empty() => return Err(gone()),
            b'\r' | b'\n' => break,
            3 | 4 => return Err(gone()),
            8 | 0x7f => drop(text.pop()),
            _ if text.len() >= most => {
                return Err(io::Error::other(format!("it is longer than {most} bytes")));
            }
            byte => text.push(byte),
        }
    }
    let text = std::str::from_utf8(&text).map_err(io::Error::other)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_line_ends_where_the_person_says() {
        let read = |keys: &[u8]| read_hidden(&mut &keys[..], 8).map(|text| text.to_string());
        assert_eq!(read(b"abc\rrest").unwrap(), "abc");
        assert_eq!(read(b"abX\x7fc\n").unwrap(), "abc");
        for gone in [&b"abc\x03"[..], b"\r", b"abc", b"\x04", b"123456789\r"] {
            assert!(read(gone).is_err(), "{gone:?}");
        }
    }
}
