//! Bytes from one socket to another.
//!
//! Nothing is held while a connection is silent: all share one buffer per thread, and only what a
//! slow receiver has not taken yet is kept. Through pipes (splice(2)) it was slower: the server's
//! and the client's TLS read the same bytes, and a copy of 64 KiB leaves them in the cache.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{Shutdown, shutdown};
use tokio::net::TcpStream;

/// Bytes that one read takes.
const BUFFER: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
}

/// Carries one direction to its end; `passed` hears of every byte that went on.
pub(super) async fn one_way(
    from: &TcpStream,
    to: &TcpStream,
    passed: impl Fn(usize),
) -> io::Result<()> {
    loop {
        from.readable().await?;
        let rest = match once(from, to, &passed)? {
            Moved::End => break,
            Moved::All => continue,
            Moved::Rest(rest) => rest,
        };
        let mut rest = rest.as_slice();
        while !rest.is_empty() {
            to.writable().await?;
            match to.try_write(rest) {
                Ok(written) => {
                    passed(written);
                    rest = &rest[written..];
                }
                Err(error) => unless_blocked(error)?,
            }
        }
    }
    match shutdown(to.as_raw_fd(), Shutdown::Write) {
        // It is gone altogether: the other direction sees that.
        Err(nix::Error::ENOTCONN) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

enum Moved {
    /// The sender has ended.
    End,
    /// All that there was.
    All,
    /// What the receiver did not take.
    Rest(Vec<u8>),
}

/// One read and one write.
fn once(from: &TcpStream, to: &TcpStream, passed: &impl Fn(usize)) -> io::Result<Moved> {
    SCRATCH.with_borrow_mut(|buffer| {
        let length = match from.try_read(buffer) {
            Ok(0) => return Ok(Moved::End),
            Ok(length) => length,
            Err(error) => return unless_blocked(error).map(|()| Moved::All),
        };
        let bytes = &buffer[..length];
        let written = match to.try_write(bytes) {
            Ok(written) => written,
            Err(error) => unless_blocked(error).map(|()| 0)?,
        };
        passed(written);
        Ok(match &bytes[written..] {
            [] => Moved::All,
            rest => Moved::Rest(rest.to_vec()),
        })
    })
}

fn unless_blocked(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    /// A reader that stops now and then gets every byte, in order, and the end after the last.
    #[tokio::test]
    async fn every_byte_arrives_however_slow_the_reader_is() {
        let (mut sender, from) = pair().await;
        let (to, mut reader) = pair().await;
        let bytes: Vec<u8> = (0..6_000_000_u32).map(|n| (n % 251) as u8).collect();
        let counted = AtomicUsize::new(0);
        let passed = |length| {
            counted.fetch_add(length, Ordering::Relaxed);
        };
        let send = async {
            sender.write_all(&bytes).await.unwrap();
            sender.shutdown().await.unwrap();
        };
        let read = async {
            let (mut got, mut part) = (Vec::new(), vec![0; 100_000]);
            loop {
                let length = reader.read(&mut part).await.unwrap();
                if length == 0 {
                    return got;
                }
                got.extend_from_slice(&part[..length]);
                if got.len() % 7 == 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        };
        let ((), carried, got) = tokio::join!(send, one_way(&from, &to, passed), read);
        carried.unwrap();
        assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
        assert_eq!(counted.into_inner(), bytes.len());
    }

    /// A sender that is cut off ends it with an error, not with an end that looks complete.
    #[tokio::test]
    async fn a_reset_is_no_end() {
        let (sender, from) = pair().await;
        let (to, _reader) = pair().await;
        sender.set_zero_linger().unwrap();
        drop(sender);
        assert!(one_way(&from, &to, |_| {}).await.is_err());
    }
}
