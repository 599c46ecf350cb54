//! The host's configuration while the daemon runs: what changes in it holds at once.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use wsm_egress::config::{CONFIG_FILE, HostConfig};

use crate::engine::{Engine, WSM, row};
use crate::store::Change;

/// Between two looks at the file; it must be the same twice, so that none is read half written.
const LOOK: Duration = Duration::from_millis(250);

/// Tells egress of every change, as long as the engine is there.
pub fn follow_config(engine: &Arc<Engine>) {
    let path = engine.etc_dir.join(CONFIG_FILE);
    let before = stamp(&path);
    let engine = Arc::downgrade(engine);
    tokio::spawn(async move { follow(engine, &path, before).await });
}

/// What tells one state of a file from another.
type Stamp = Option<(u64, u64, i64, i64)>;

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    let changed = found.ctime().wrapping_mul(1_000_000_000) + found.ctime_nsec();
    Some((found.ino(), found.size(), found.mtime(), changed))
}

async fn follow(engine: Weak<Engine>, path: &Path, mut known: Stamp) {
    let mut before = known;
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(engine) = engine.upgrade() else {
            return;
        };
        let now = stamp(path);
        let settled = now == before;
        before = now;
        if !settled || now == known {
            continue;
        }
        known = now;
        let message = reload(&engine).await;
        tracing::info!(message, "the host's configuration changed");
        let change = Change::new(row(WSM, "egress.config", "host", message));
        if let Err(error) = engine.store.commit(&change) {
            tracing::error!(%error, "can't write down that the configuration changed");
        }
    }
}

/// Says every agent's policy again; what is no longer allowed is closed. One sentence of what
/// became of it.
async fn reload(engine: &Engine) -> String {
    if let Err(bad) = HostConfig::load(&engine.etc_dir) {
        return format!("{bad}; the former configuration stays in force");
    }
    let (mut told, mut failed) = (0, Vec::new());
    for handle in engine.handles() {
        let record = &handle.now().record;
        if !engine.egress.knows(&record.id) {
            continue;
        }
        match engine.egress.serve(&engine.etc_dir, record).await {
            Ok(()) => told += 1,
            Err(problem) => failed.push(format!("{}: {problem}", record.name)),
        }
    }
    let mut message = format!("{CONFIG_FILE} changed: it holds for {told} agents");
    if !failed.is_empty() {
        message.push_str(&format!("; not for {}", failed.join(", ")));
    }
    message
}
