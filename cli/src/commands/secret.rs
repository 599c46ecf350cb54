//! `wsm secret`: values and logins that agents use and never see. They go from here to `wsm egress`
//! itself; the daemon hears of their names alone.

mod login;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use wsm_api::problem::{Code, Problem};
use wsm_api::secret::{NewSecret, Secret};
use wsm_egress::protocol::{Answer, Brought, Gift, LINE_BYTES_MAX, Order, SOCKET_NAME, Word};
use wsm_egress::secret::{VALUE_BYTES_MAX, Value};
use zeroize::Zeroizing;

use crate::commands::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::render::{self, clean};
use crate::screen;

/// How long egress may take to keep it: it writes and syncs one file.
const KEEP_TIMEOUT: Duration = Duration::from_secs(15);

/// What to do with secrets.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Set a secret; its value comes from standard input, or is asked for.
    #[command(
        after_help = "The value never stands in the command line. Templates name secrets in \
        [credentials.*]; the owner's own come before those for everyone."
    )]
    Set {
        /// Name: a-z, 0-9, - . _
        name: String,
        /// For every user's agents (an admin's to set; needs --to).
        #[arg(long, requires = "to")]
        everyone: bool,
        /// Where alone it may go: HOST or *.SUFFIX. Left out: wherever your own templates say.
        #[arg(long, value_name = "HOST")]
        to: Vec<String>,
        /// Not to be used any more after this long (90d, 12h, 30m).
        #[arg(long, value_name = "DURATION", value_parser = lifetime)]
        expires: Option<u64>,
        /// Agents may have the value itself, where your templates say `visible = true`.
        #[arg(long, conflicts_with = "everyone")]
        visible: bool,
    },
    /// Take over a program's login: its access token is put in outside, and renewed.
    #[command(after_help = login::HELP)]
    Login(login::Args),
    /// List secrets: names and times, never values.
    #[command(visible_alias = "list")]
    Ls,
    /// Forget a secret; requests that need it are refused from then on.
    Rm {
        /// Name.
        name: String,
        /// The one for everyone.
        #[arg(long)]
        everyone: bool,
    },
}

pub(crate) async fn run(context: &Context, verb: &Verb) -> Outcome {
    match verb {
        Verb::Set {
            name,
            everyone,
            to,
            expires,
            visible,
        } => {
            if context.place.sockets().is_none() {
                let hint = "a value goes to egress itself: use --host ssh://…, or the machine";
                context.place.only_here("`secret set`", hint)?;
            }
            let value = read_value(context, name)?;
            let new = NewSecret {
                everyone: *everyone,
                expires_s: *expires,
            };
            let ticket = context.client.secret_ticket(name, &new).await?.ticket;
            give(
                context,
                Gift {
                    ticket,
                    hosts: to.clone(),
                    visible: *visible,
                    brought: Brought::Value(value),
                },
            )?;
            told(context, name, "is set")
        }
        Verb::Login(args) => login::run(context, args).await,
        Verb::Ls => list(context, &context.client.secrets().await?),
        Verb::Rm { name, everyone } => {
            let removed = context.client.secret_remove(name, *everyone).await?;
            told(context, &removed.name, "is forgotten")
        }
    }
}

fn told(context: &Context, name: &str, what: &str) -> Outcome {
    let text = if context.output.json {
        render::json(&serde_json::json!({ "name": name }))
    } else if context.output.quiet {
        String::new()
    } else {
        format!("{} {what}\n", clean(name))
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

fn list(context: &Context, secrets: &[Secret]) -> Outcome {
    let text = if context.output.json {
        render::json(&secrets)
    } else if context.output.quiet {
        let lines = secrets.iter().map(|secret| clean(&secret.name) + "\n");
        lines.collect()
    } else {
        let never = |text: &str| match text {
            "" => "never".to_owned(),
            time => time.to_owned(),
        };
        let row = |secret: &Secret| {
            let owner = match secret.owner.as_str() {
                "" => "everyone",
                owner => owner,
            };
            let expires = if !secret.refused.is_empty() {
                format!("REFUSED ({})", secret.refused)
            } else if secret.expired {
                format!("EXPIRED {}", secret.expires)
            } else if secret.login.is_empty() || !secret.expires.is_empty() {
                never(&secret.expires)
            } else {
                format!("renewed by {}", secret.token_until)
            };
            let hosts = match secret.hosts.join(" ") {
                _ if !secret.login.is_empty() => format!("where {} goes", secret.login),
                none if none.is_empty() && secret.visible => "agents that may see it".to_owned(),
                none if none.is_empty() => "wherever a template says".to_owned(),
                hosts => hosts,
            };
            let (set, used) = (secret.set.clone(), never(&secret.used));
            vec![secret.name.clone(), owner.into(), set, expires, used, hosts]
        };
        let rows: Vec<_> = secrets.iter().map(row).collect();
        render::table(
            &["NAME", "OF", "SET", "EXPIRES", "LAST USED", "GOES TO"],
            &rows,
        )
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

/// From a terminal without echo, else all of standard input but its last line break.
fn read_value(context: &Context, name: &str) -> Result<Value, Failure> {
    let text = if io::stdin().is_terminal() {
        if !context.input {
            let hint = format!("give it on standard input: wsm secret set {name} < FILE");
            return Err(Failure::new(Code::Invalid, "there is no value", hint));
        }
        let prompt = format!("value of {} (it is not shown): ", clean(name));
        screen::ask_hidden(&prompt, VALUE_BYTES_MAX).map_err(|e| failed("ask for it", &e))?
    } else {
        // Room for all of it: a text that grows would leave copies behind.
        let most = VALUE_BYTES_MAX + 3;
        let mut text = Zeroizing::new(String::with_capacity(most));
        let bound = u64::try_from(most).unwrap_or(u64::MAX);
        let read = io::stdin().lock().take(bound).read_to_string(&mut text);
        read.map_err(|e| failed("read it", &e))?;
        let length = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(length);
        text
    };
    Value::new(text).map_err(|bad| Failure::new(Code::Invalid, bad.to_string(), ""))
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::new(Code::Failed, format!("{what}: {error}"), "")
}

/// Gives it to egress.
fn give(context: &Context, gift: Gift) -> Result<(), Failure> {
    let broken = |e: io::Error| {
        let hint = "is `wsm up` running? its messages say what egress does";
        Failure::new(Code::Failed, format!("reach wsm egress: {e}"), hint)
    };
    match exchange(context, gift).map_err(broken)? {
        Answer::Done => Ok(()),
        Answer::Failed(why) => Err(Problem::new(Code::Invalid, why, "").into()),
        other => Err(broken(io::Error::other(format!("it answered {other:?}")))),
    }
}

fn exchange(context: &Context, gift: Gift) -> io::Result<Answer> {
    // Through the descriptor: a socket address holds 107 bytes, a directory's path may be longer.
    let run = context.place.sockets().ok_or(io::ErrorKind::Unsupported)?;
    let dir = File::open(run)?;
    let path = format!("/proc/self/fd/{}/{SOCKET_NAME}", dir.as_raw_fd());
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(KEEP_TIMEOUT))?;
    stream.set_write_timeout(Some(KEEP_TIMEOUT))?;
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX));
    serde_json::to_writer(&mut *line, &Order::Give(gift))?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    let bound = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    BufReader::new(stream)
        .take(bound)
        .read_until(b'\n', &mut answer)?;
    match serde_json::from_slice(&answer)? {
        Word::Answer(answer) => Ok(answer),
        other => Err(io::Error::other(format!("it said {other:?}"))),
    }
}

/// Seconds in `90d`, `12h`, `30m`, `45s`.
pub(super) fn lifetime(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a duration such as 90d, 12h, 30m or 45s");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(unit).filter(|seconds| *seconds > 0);
    seconds.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        assert_eq!(lifetime("90d"), Ok(90 * 86_400));
        assert_eq!(lifetime("12h"), Ok(43_200));
        for bad in [
            "",
            "d",
            "0d",
            "-1d",
            "1.5h",
            "5",
            "5w",
            "99999999999999999999d",
            "ä",
        ] {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
    }
}
