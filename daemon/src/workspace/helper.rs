//! The helper process: `wsm git-helper`, started by the broker with the account's uid, confined by
//! Landlock, without network. Reads requests from standard input until it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};

use super::check::Limits;
use super::checkout::Progress;
use super::protocol::{Envelope, Failure, FailureKind, Line, REQUEST_BYTES_MAX, Reply, Request};
use super::{compare, create, import, inspect, landed, libgit, merge, remove, turn};

/// Heap of the helper: hostile deltas end here. Mapped packs do not count (getrlimit(2)).
const HEAP_BYTES_MAX: u64 = 3 << 30;

/// No request may take longer; the process ends then, so that nothing hangs on a FIFO or a disk.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(600);

/// Serves requests until standard input ends. The value is the exit code.
#[must_use]
pub fn helper_main() -> i32 {
    for (resource, bytes_max) in [
        (Resource::RLIMIT_DATA, HEAP_BYTES_MAX),
        (Resource::RLIMIT_CORE, 0),
    ] {
        if let Err(error) = setrlimit(resource, bytes_max, bytes_max) {
            eprintln!("wsm git-helper: failed to limit {resource:?}: {error}");
            return 1;
        }
    }
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    libgit::settle();
    let pulse = watchdog();
    match serve(
        BufReader::new(std::io::stdin().lock()),
        std::io::stdout().lock(),
        &pulse,
        // What is half made is removed before it is made again; a merge tells before it changes
        // anything. Nothing else reports progress.
        || std::process::abort(),
    ) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("wsm git-helper: {error}");
            1
        }
    }
}

enum Pulse {
    Begun,
    Ended,
}

/// A thread that ends the process when a request takes too long.
fn watchdog() -> Sender<Pulse> {
    let (pulse, pulses) = channel();
    std::thread::spawn(move || {
        while let Ok(Pulse::Begun | Pulse::Ended) = pulses.recv() {
            if let Err(RecvTimeoutError::Timeout) = pulses.recv_timeout(REQUEST_TIME_MAX) {
                eprintln!("wsm git-helper: a request took longer than {REQUEST_TIME_MAX:?}");
                std::process::abort();
            }
        }
    });
    pulse
}

fn serve(
    mut input: impl BufRead,
    mut output: impl Write,
    pulse: &Sender<Pulse>,
    abandoned: fn(),
) -> std::io::Result<()> {
    loop {
        let mut line = Vec::new();
        let bounded = REQUEST_BYTES_MAX as u64 + 1;
        if (&mut input).take(bounded).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() > REQUEST_BYTES_MAX {
            return Err(std::io::Error::other("a request is too long"));
        }
        let Envelope { id, request } = serde_json::from_slice(&line)?;
        // The watchdog lives as long as the process, so sending can't fail.
        pulse.send(Pulse::Begun).map_err(std::io::Error::other)?;
        let reply = answer(&request, &mut |phase, done, total| {
            let progress = Line::Progress {
                id,
                phase: phase.to_owned(),
                done,
                total,
            };
            if let Err(error) = tell(&mut output, &progress) {
                tracing::debug!(%error, "nobody hears the progress");
                abandoned();
            }
        });
        pulse.send(Pulse::Ended).map_err(std::io::Error::other)?;
        tell(&mut output, &Line::Answer { id, reply })?;
    }
}

/// Serves one end of a socket, as [`helper_main`] does with its standard streams.
#[cfg(test)]
pub(super) fn serve_socket(socket: &std::os::unix::net::UnixStream) -> std::io::Result<()> {
    let (pulse, _pulses) = channel();
    serve(BufReader::new(socket), socket, &pulse, || {})
}

fn tell(output: &mut impl Write, line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    output.write_all(&text)?;
    output.flush()
}

/// Does what a request asks.
pub(super) fn answer(request: &Request, progress: &mut Progress<'_>) -> Reply {
    libgit::settle();
    let done = turn::take(request, turn::PATIENCE).and_then(|turn| {
        let done = carry_out(request, progress);
        drop(turn);
        done
    });
    done.unwrap_or_else(|failure| {
        let hintless = failure.hint.is_empty() && failure.kind == FailureKind::Busy;
        Reply::Failed(if hintless {
            failure.hint("try again")
        } else {
            failure
        })
    })
}

fn carry_out(request: &Request, progress: &mut Progress<'_>) -> Result<Reply, Failure> {
    match request {
        Request::Inspect { git_dir, work_tree } => {
            inspect::inspect(git_dir, work_tree.as_deref()).map(Reply::Inspected)
        }
        Request::ReadFiles {
            git_dir,
            rev,
            prefix,
            suffix,
        } => inspect::read_files(git_dir, rev, prefix, suffix),
        Request::BranchFree { git_dir, branch } => {
            create::is_branch_free(git_dir, branch).map(|()| Reply::Free)
        }
        Request::CreateWorkspace(create) => create::create(create, progress).map(Reply::Workspace),
        Request::Import(import) => import::import(import, Limits::default()).map(Reply::Imported),
        Request::Diff {
            place,
            target,
            uncommitted,
            patch,
        } => compare::diff(place, target.as_deref(), *uncommitted, *patch).map(Reply::Diff),
        Request::State { place, target } => {
            compare::state(place, target.as_deref()).map(Reply::State)
        }
        Request::Merge(merge) => merge::merge(merge, progress).map(Reply::Merge),
        Request::Apply {
            place,
            work_tree,
            mark,
            guarded,
        } => merge::apply(place, work_tree, *mark, guarded, progress).map(Reply::Merge),
        Request::Landed { place, mark } => landed::landed(place, *mark).map(Reply::Landed),
        Request::RemoveWorkspace { place, branches } => remove::remove(place, *branches),
    }
}
