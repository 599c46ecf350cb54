//! `wsm audit`: who did what, when, from where; and whether that is as it was written.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use wsm_api::audit::{AuditRow, Rotate, Verified};
use wsm_api::client::AuditQuery;
use wsm_api::problem::Code;

use crate::commands::Context;
use crate::commands::secret::lifetime;
use crate::failure::{Exit, Failure, Outcome};
use crate::render::{self, clean};

/// Rows that are asked for at once.
const PAGE_ROWS: u32 = 1_000;

/// How long one request waits for the next row.
const FOLLOW: Duration = Duration::from_secs(30);

/// What to do with the audit log.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Print the newest rows.
    Tail {
        /// How many.
        #[arg(short = 'n', value_name = "ROWS", default_value_t = 20,
            value_parser = clap::value_parser!(u32).range(1..=1000))]
        rows: u32,
        /// Go on with what happens from now on.
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        filter: Filter,
    },
    /// Print all rows that a filter finds.
    Query {
        #[command(flatten)]
        filter: Filter,
    },
    /// Go through the whole journal: is every row as it was written, where it was written?
    #[command(
        after_help = "Exit code 1 if not. Rows are compared with each other, and with what \
        the broker wrote down of them at the time, where the daemon can't change it."
    )]
    Verify,
    /// Print rows as JSON lines with the names of OCSF (API Activity, 6003).
    Export {
        #[command(flatten)]
        filter: Filter,
        /// Into this new file.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Then take what was exported out of the journal; the next export goes on from there.
        #[arg(long, requires = "output",
            conflicts_with_all = ["actor", "subject", "verb", "since", "until"])]
        rotate: bool,
    },
}

/// Which rows.
#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// What this user did; `wsm` for what wsm did by itself.
    #[arg(long, value_name = "USER")]
    actor: Option<String>,
    /// What was done to an agent (name or id), a user (user:NAME) or the host (host).
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only this verb (agent.shared), or all that begin so (agent.).
    #[arg(long, value_name = "VERB")]
    verb: Option<String>,
    /// Not older than a time (2026-11-21T04:00:00Z) or a duration (2h).
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<u64>,
    /// Older than a time or a duration.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<u64>,
}

impl Filter {
    fn query(&self) -> AuditQuery {
        AuditQuery {
            after: 0,
            actor: self.actor.clone(),
            subject: self.subject.clone(),
            verb: self.verb.clone(),
            since_ms: self.since,
            until_ms: self.until,
            newest: false,
            limit: PAGE_ROWS,
        }
    }
}

pub(crate) async fn run(context: &Context, verb: &Verb) -> Outcome {
    match verb {
        Verb::Tail {
            rows,
            follow,
            filter,
        } => tail(context, *rows, *follow, filter).await,
        Verb::Query { filter } => {
            each(context, filter, |row| render::print(&line(context, row))).await?;
            Ok(Exit::DONE)
        }
        Verb::Verify => verify(context, &context.client.audit_verify().await?),
        Verb::Export {
            filter,
            output,
            rotate,
        } => export(context, filter, output.as_deref(), *rotate).await,
    }
}

/// Every row that the filter finds, oldest first; the newest of all that were looked at.
async fn each(
    context: &Context,
    filter: &Filter,
    mut row: impl FnMut(&AuditRow) -> Result<(), Failure>,
) -> Result<Option<AuditRow>, Failure> {
    let mut query = filter.query();
    let mut last = None;
    loop {
        let rows = context.client.audit(&query, Duration::ZERO).await?;
        rows.iter().try_for_each(&mut row)?;
        let Some(newest) = rows.into_iter().next_back() else {
            return Ok(last);
        };
        query.after = newest.seq;
        last = Some(newest);
    }
}

async fn tail(context: &Context, rows: u32, follow: bool, filter: &Filter) -> Outcome {
    let mut query = filter.query();
    (query.newest, query.limit) = (true, rows);
    let mut wait = Duration::ZERO;
    loop {
        let found = context.client.audit(&query, wait).await?;
        for row in &found {
            render::print(&line(context, row))?;
        }
        if !follow {
            return Ok(Exit::DONE);
        }
        if let Some(newest) = found.last() {
            query.after = newest.seq;
        }
        (query.newest, query.limit, wait) = (false, PAGE_ROWS, FOLLOW);
    }
}

/// A row for people, or one document.
fn line(context: &Context, row: &AuditRow) -> String {
    if context.output.json {
        let text = serde_json::to_string(row).expect("a row serializes");
        return text + "\n";
    }
    if context.output.quiet {
        return format!("{}\n", row.seq);
    }
    let mut who = row.actor.clone();
    if !row.via.is_empty() {
        who.push_str(&format!(" ({})", row.via));
    }
    if !row.address.is_empty() {
        who.push_str(&format!(" from {}", row.address));
    }
    let mut what = row.message.clone();
    if !(row.before.is_empty() && row.after.is_empty()) {
        what.push_str(&format!(" [{:?} -> {:?}]", row.before, row.after));
    }
    let (at, seq, verb, subject) = (stamp(row.at_ms), row.seq, &row.verb, &row.subject);
    clean(&format!("{seq} {at} {who} {verb} {subject}: {what}")) + "\n"
}

fn verify(context: &Context, verified: &Verified) -> Outcome {
    let text = if context.output.json {
        render::json(verified)
    } else {
        let mut text = String::new();
        for finding in &verified.findings {
            text += &clean(&format!("{}: {}", finding.wrong, finding.told));
            text.push('\n');
        }
        for note in &verified.notes {
            text += &clean(&format!("note: {note}"));
            text.push('\n');
        }
        let known = match verified.checkpoints {
            0 => "there is no checkpoint yet".to_owned(),
            count => format!("{count} checkpoints, the newest of {}", verified.checkpoint),
        };
        let verdict = match verified.findings.len() {
            0 => "as they were written".to_owned(),
            count => format!("{} found", render::count(count, "finding")),
        };
        text + &clean(&format!("{} rows: {verdict}; {known}", verified.rows)) + "\n"
    };
    render::print(&text)?;
    Ok(if verified.findings.is_empty() {
        Exit::DONE
    } else {
        Exit(1)
    })
}

async fn export(
    context: &Context,
    filter: &Filter,
    output: Option<&Path>,
    rotate: bool,
) -> Outcome {
    let Some(path) = output else {
        each(context, filter, |row| render::print(&exported(row))).await?;
        return Ok(Exit::DONE);
    };
    let failed = |e: std::io::Error| {
        let message = format!("write {}: {e}", path.display());
        Failure::new(Code::Failed, message, "")
    };
    if rotate {
        // What is taken out must be right, and all of it.
        let verified = context.client.audit_verify().await?;
        if !verified.findings.is_empty() {
            let hint = "see `wsm audit verify`; export it without --rotate to keep what there is";
            let message = "the journal is not as it was written: nothing is taken out";
            return Err(Failure::new(Code::Conflict, message, hint));
        }
    }
    let mut file = BufWriter::new(File::create_new(path).map_err(failed)?);
    let write = |row: &AuditRow| file.write_all(exported(row).as_bytes()).map_err(failed);
    let last = each(context, filter, write).await?;
    let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
    file.sync_all().map_err(failed)?;
    if let Some(last) = last.filter(|_| rotate) {
        let rotate = Rotate {
            through: last.seq,
            chain: last.chain,
        };
        context.client.audit_rotate(&rotate).await?;
    }
    Ok(Exit::DONE)
}

/// A line with OCSF's names for what has one; the rest, and all that the chain is made of, is
/// `unmapped`.
fn exported(row: &AuditRow) -> String {
    let activity = activity(&row.verb);
    let document: Value = json!({
        "category_uid": 6,
        "class_uid": 6003,
        "type_uid": 600_300 + activity,
        "activity_id": activity,
        "severity_id": 1,
        "status_id": 1,
        "time": row.at_ms,
        "message": row.message,
        "actor": { "user": { "name": row.actor }, "session": { "uid": row.via } },
        "src_endpoint": { "ip": row.address },
        "api": { "operation": row.verb },
        "resources": [{ "uid": row.subject }],
        "metadata": {
            "version": "1.3.0",
            "sequence": row.seq,
            "product": { "name": "wsm", "vendor_name": "wsm" },
        },
        "unmapped": {
            "before": row.before,
            "after": row.after,
            "prev": row.prev,
            "chain": row.chain,
        },
    });
    document.to_string() + "\n"
}

/// OCSF's activity: create, read, update, delete, or other.
fn activity(verb: &str) -> u32 {
    let last = verb.rsplit('.').next().unwrap_or_default();
    match last {
        "created" | "added" | "made" | "shared" | "given" => 1,
        "removed" | "revoked" | "unshared" | "purged" | "erased" => 4,
        "state" | "role" | "changed" | "set" | "wanted" | "restored" => 3,
        _ => 99,
    }
}

fn stamp(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

/// Milliseconds since the epoch: of a time, or so long ago.
fn time(text: &str) -> Result<u64, String> {
    let now = jiff::Timestamp::now().as_millisecond();
    let at = match lifetime(text) {
        Ok(seconds) => i64::try_from(seconds)
            .ok()
            .and_then(|s| now.checked_sub(s.checked_mul(1000)?)),
        Err(_) => {
            let wrong =
                |_| format!("{text:?} is no time (2026-11-21T04:00:00Z) and no duration (2h)");
            Some(
                text.parse::<jiff::Timestamp>()
                    .map_err(wrong)?
                    .as_millisecond(),
            )
        }
    };
    at.and_then(|at| u64::try_from(at).ok())
        .ok_or_else(|| format!("{text:?} is before 1970"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time("1970-01-01T00:00:05Z"), Ok(5_000));
        assert!(time("1h").expect("an hour ago") < time("1s").expect("a second ago"));
        for bad in ["", "yesterday", "1960-01-01T00:00:00Z", "99999999d"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
