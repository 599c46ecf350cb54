//! Templates of the host, as files.

use wsm_api::problem::{Code, Problem};
use wsm_template::{Source, Sources};

use crate::engine::Engine;

/// The host's own templates.
pub(super) async fn host(engine: &Engine) -> Result<Sources, Problem> {
    let dir = engine.etc_dir.join("templates");
    let read = tokio::task::spawn_blocking(move || read_dir(&dir)).await;
    let host = read.map_err(|e| Problem::new(Code::Failed, e.to_string(), ""))??;
    Ok(Sources {
        host,
        ..Sources::default()
    })
}

fn read_dir(dir: &std::path::Path) -> Result<Vec<Source>, Problem> {
    let failed = |what: &std::path::Path, e: std::io::Error| {
        Problem::new(Code::Failed, format!("read {}: {e}", what.display()), "")
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(dir, e)),
    };
    let mut sources = Vec::new();
    for entry in entries.take(wsm_template::FILES_MAX) {
        let Ok(path) = entry.map(|entry| entry.path()) else {
            continue;
        };
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        match read_file(&path) {
            Ok(bytes) => sources.push(Source::new(path.display().to_string(), &bytes)),
            // One that can't be read is no reason to do without the others.
            Err(error) => tracing::warn!(file = %path.display(), %error, "a template is left out"),
        }
    }
    sources.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(sources)
}

/// One byte more than a template may have is enough to be refused for it.
fn read_file(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let limit = u64::try_from(wsm_template::TEMPLATE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, limit + 1), &mut bytes)?;
    Ok(bytes)
}
