//! `wsm wait`.

use std::time::Duration;

use wsm_api::agent::State;

use crate::commands::Context;
use crate::failure::{Exit, Outcome};
use crate::render;

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
    let agent = context
        .client
        .wait(&args.agent, &args.until, args.timeout)
        .await?;
    render::print(&super::act::outcome(context, &agent))?;
    Ok(Exit::DONE)
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
