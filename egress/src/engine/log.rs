//! What an agent reached and what it was refused, by host and amount: a file per agent, of lines that
//! each sum up a few seconds. `wsm logs AGENT egress` shows it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use wsm_sandbox::spec::AgentId;

use super::ledger::News;

/// A file that is longer becomes the old one, whose former is gone.
const BYTES_MAX: u64 = 256 * 1024;

/// The logs of all agents.
#[derive(Debug)]
pub(super) struct Logs {
    dir: PathBuf,
    /// Held while a file is written or read: it may become the old one meanwhile.
    one: Mutex<()>,
}

impl Logs {
    pub(super) fn open(state: &Path) -> io::Result<Logs> {
        let dir = state.join("log");
        fs::create_dir_all(&dir)?;
        let one = Mutex::default();
        Ok(Logs { dir, one })
    }

    fn file(&self, agent: &str) -> PathBuf {
        self.dir.join(format!("{agent}.log"))
    }

    fn old(&self, agent: &str) -> PathBuf {
        self.dir.join(format!("{agent}.old"))
    }

    /// Adds what is new. A full disk loses lines, not connections.
    pub(super) fn write(&self, agent: &str, news: &[News]) {
        if news.is_empty() {
            return;
        }
        let now = format!("{:.0}", jiff::Timestamp::now());
        let text: String = news.iter().flat_map(|news| lines(&now, news)).collect();
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.file(agent);
        let written = || {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            if file.metadata()?.len() >= BYTES_MAX {
                fs::rename(&path, self.old(agent))?;
                file = OpenOptions::new().create(true).append(true).open(&path)?;
            }
            file.write_all(text.as_bytes())
        };
        if let Err(error) = written() {
            tracing::warn!(agent, %error, "write the log");
        }
    }

    /// From an offset, or the last lines; and the offset of what comes next.
    pub(super) fn read(
        &self,
        agent: &str,
        from: Option<u64>,
        lines: u32,
    ) -> io::Result<(String, u64)> {
        // An id is a file name; nothing else is.
        AgentId::try_from(agent.to_owned()).map_err(io::Error::other)?;
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let now = after(&self.file(agent), 0)?;
        let next = u64::try_from(now.len()).unwrap_or(u64::MAX);
        let text = match from {
            Some(from) if from <= next => after(&self.file(agent), from)?,
            // It became the old one since: its rest, and the new one.
            Some(from) => after(&self.old(agent), from)? + &now,
            None => last(&(after(&self.old(agent), 0)? + &now), lines),
        };
        Ok((text, next))
    }

    /// Removes the logs of all but these.
    pub(super) fn keep(&self, agents: &[String]) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let id = path.file_stem().and_then(|stem| stem.to_str());
            if !id.is_some_and(|id| agents.iter().any(|agent| agent == id)) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Removes the log of one.
    pub(super) fn erase(&self, agent: &str) -> io::Result<()> {
        AgentId::try_from(agent.to_owned()).map_err(io::Error::other)?;
        for path in [self.file(agent), self.old(agent)] {
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

fn lines(now: &str, news: &News) -> Vec<String> {
    let (target, since) = (&news.target, news.since);
    let mut lines = Vec::new();
    if (since.allowed, since.sent, since.received) != (0, 0, 0) {
        lines.push(format!(
            "{now} allowed {target} {} new, {} bytes sent, {} received\n",
            since.allowed, since.sent, since.received
        ));
    }
    if since.denied > 0 {
        let why: String = news.why.chars().filter(|c| !c.is_control()).collect();
        lines.push(format!(
            "{now} denied {target} {} times: {why}\n",
            since.denied
        ));
    }
    lines
}

fn after(path: &Path, from: u64) -> io::Result<String> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last(text: &str, lines: u32) -> String {
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    let lines = usize::try_from(lines).unwrap_or(usize::MAX);
    all[all.len().saturating_sub(lines)..].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Traffic;

    const ID: &str = "agent0001";

    fn news(target: &str) -> News {
        let since = Traffic {
            allowed: 1,
            denied: 2,
            sent: 3,
            received: 4,
        };
        let (target, why) = (target.to_owned(), "no\nrule".to_owned());
        News { target, since, why }
    }

    /// Whoever follows it sees every line once, also over the change of files; old ones go.
    #[test]
    fn a_log_is_bounded_and_followed_without_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs::open(dir.path()).unwrap();
        let (mut seen, mut next) = (String::new(), 0);
        for number in 0..12_000 {
            logs.write(ID, &[news(&format!("n{number}.example:443"))]);
            if number % 100 == 0 {
                let (text, then) = logs.read(ID, Some(next), 0).unwrap();
                seen.push_str(&text);
                next = then;
            }
        }
        seen.push_str(&logs.read(ID, Some(next), 0).unwrap().0);
        assert_eq!(seen.lines().count(), 24_000);
        for (number, pair) in seen.lines().collect::<Vec<_>>().chunks(2).enumerate() {
            let allowed = format!(" allowed n{number}.example:443 1 new, 3 bytes sent, 4 received");
            assert!(pair[0].ends_with(&allowed), "{pair:?}");
            assert!(pair[1].ends_with(" 2 times: norule"), "{pair:?}");
        }
        let size: u64 = ["agent0001.log", "agent0001.old"]
            .map(|name| dir.path().join("log").join(name).metadata().unwrap().len())
            .iter()
            .sum();
        assert!(size < 2 * BYTES_MAX + 1000, "{size}");
        assert_eq!(logs.read(ID, None, 3).unwrap().0.lines().count(), 3);
        assert!(logs.read("../a", None, 3).is_err());
        logs.keep(&[ID.into()]).unwrap();
        assert!(!logs.read(ID, None, 3).unwrap().0.is_empty());
        logs.keep(&[]).unwrap();
        assert_eq!(logs.read(ID, None, 3).unwrap(), (String::new(), 0));
        logs.write(ID, &[news("b")]);
        logs.erase(ID).unwrap();
        assert_eq!(logs.read(ID, None, 3).unwrap(), (String::new(), 0));
    }
}
