//! `wsm doctor`: what this host can do, also before anything of wsm runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wsm_api::host::Check;
use wsm_api::problem::{Code, Problem};

use crate::commands::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::{render, up};

pub(crate) async fn run(context: &Context) -> Outcome {
    let checks = match context.client.doctor().await {
        Ok(checks) => checks,
        Err(error) if context.place.is_remote() => return Err(error.into()),
        Err(error) => return without_daemon(context, error.into()),
    };
    tell(context, &checks)
}

/// Tells what can be seen without a daemon, then that there is none.
fn without_daemon(context: &Context, failure: Failure) -> Outcome {
    let checks = look(&context.place.state())?;
    let told = tell(context, &checks)?;
    if !rustix::process::geteuid().is_root() {
        render::say("looked at as you: what only root may see counts as missing; try sudo");
    }
    // A host that can't do it is worse news than a daemon that is not started yet.
    if told == Exit::DONE {
        Err(failure)
    } else {
        Ok(told)
    }
}

/// Has the broker's program look, which knows what the broker needs.
fn look(state: &Path) -> Result<Vec<Check>, Failure> {
    let failed = |why: String| Problem::new(Code::Failed, format!("look at this host: {why}"), "");
    let mut command = Command::new(up::program("wsm-sandbox")?);
    command
        .arg("doctor")
        .arg(existing(state))
        .stdin(Stdio::null());
    let output = command.output().map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(said).into());
    }
    Ok(serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))?)
}

/// The state directory, or the first one above it that is there.
fn existing(state: &Path) -> PathBuf {
    let mut above = state.ancestors().filter(|path| path.is_dir());
    above.next().unwrap_or(Path::new("/")).to_owned()
}

fn tell(context: &Context, checks: &[Check]) -> Outcome {
    let fatal = checks.iter().any(|check| check.fatal && !check.ok);
    let text = if context.output.json {
        render::json(&checks)
    } else {
        let mut text = String::new();
        for check in checks {
            let mark = match (check.ok, check.fatal) {
                (true, _) => "ok  ",
                (false, true) => "FAIL",
                (false, false) => "warn",
            };
            let (name, found) = (render::clean(&check.name), render::clean(&check.found));
            text.push_str(&format!("{mark}  {name}: {found}\n"));
            if !check.ok && !check.fix.is_empty() {
                text.push_str(&format!("      fix: {}\n", render::clean(&check.fix)));
            }
        }
        text
    };
    render::print(&text)?;
    Ok(if fatal { Exit(1) } else { Exit::DONE })
}
