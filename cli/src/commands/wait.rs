//! `wsm wait`.

use std::time::{Duration, Instant};

use wsm_api::agent::{Agent, State};
use wsm_api::client::ClientError;
use wsm_api::problem::Code;

use crate::commands::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::render;

/// One request waits so long, and the next goes on.
const ROUND: Duration = Duration::from_secs(60);

/// How long a daemon that is being restarted is waited for.
const AWAY_MAX: Duration = Duration::from_secs(15);

/// Pause between two attempts to reach it.
const AGAIN: Duration = Duration::from_millis(100);

/// Options of `wait`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// States, separated by commas.
    #[arg(long, value_name = "STATE", value_delimiter = ',', required = true)]
    until: Vec<State>,
    /// Give up after this long (30s, 10m, 2h); exit code 5 then.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    // A wrong name or a daemon that is not there is an error at once.
    let id = context.client.agent(&args.agent).await?.id;
    let agent = reach(context, &id, &args.until, args.timeout).await?;
    render::print(&super::act::outcome(context, &agent))?;
    Ok(Exit::DONE)
}

/// Waits until the agent is in one of the states, over restarts of the daemon.
pub(crate) async fn reach(
    context: &Context,
    agent: &str,
    until: &[State],
    timeout: Option<Duration>,
) -> Result<Agent, Failure> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut away: Option<Instant> = None;
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let round = left.map_or(ROUND, |left| left.min(ROUND));
        match context.client.wait(agent, until, Some(round)).await {
            Ok(agent) => return Ok(agent),
            Err(ClientError::Problem(problem))
                if problem.code == Code::TimedOut && left.is_none_or(|left| left > ROUND) =>
            {
                away = None;
            }
            Err(ClientError::Problem(mut problem)) => {
                if let Some(timeout) = timeout.filter(|_| problem.code == Code::TimedOut) {
                    let states: Vec<_> = until.iter().map(|state| state.as_str()).collect();
                    problem.message =
                        format!("still not {} after {timeout:?}", states.join(" or "));
                }
                return Err(problem.into());
            }
            // The daemon may be being restarted; the agent is not.
            Err(error) if away.get_or_insert_with(Instant::now).elapsed() > AWAY_MAX => {
                return Err(error.into());
            }
            Err(error) if left == Some(Duration::ZERO) => {
                return Err(Failure::new(Code::TimedOut, error.to_string(), ""));
            }
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// `500ms`, `30s`, `10m`, `2h`; a bare number counts seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("{text:?} is not a duration such as 500ms, 30s, 10m or 2h");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit_ms = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(unit_ms)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in [
            "",
            "s",
            "-1s",
            "1.5s",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
