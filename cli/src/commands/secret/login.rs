//! `wsm secret login`: a program's own login, read from where the program keeps it.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use wsm_api::problem::Code;
use wsm_api::secret::NewSecret;
use wsm_egress::login::forms::{self, TEXT_BYTES_MAX};
use wsm_egress::login::{Kind, Login};
use wsm_egress::protocol::{Brought, Gift};
use wsm_egress::secret::Value;
use zeroize::Zeroizing;

use super::{failed, give, told};
use crate::commands::Context;
use crate::failure::{Failure, Outcome};
use crate::render::{self, clean};

pub(super) const HELP: &str = "A refresh token is good once: from the first renewal on the login is \
wsm's, and the program whose file it was has to log in again. So give wsm one of its own: log in with \
another directory (CLAUDE_CONFIG_DIR=DIR claude, then /login; CODEX_HOME=DIR codex login), bring that \
file with --from, and remove it.\n\n\
gemini and opencode work only with their own file, so their agents would see it: --visible, and a \
template with `visible = true`.";

/// Kinds that can't work with a placeholder: name, secret, and file below the home.
const SEEN: [(&str, &str, &str); 2] = [
    ("gemini", "gemini-login", ".gemini/oauth_creds.json"),
    (
        "opencode",
        "opencode-login",
        ".local/share/opencode/auth.json",
    ),
];

/// Options of `secret login`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose login: claude or codex; gemini or opencode with --visible.
    kind: String,
    /// The file that the program wrote, or - for standard input. Left out: where it keeps it.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Agents have the login itself, where your templates say `visible = true`.
    #[arg(long)]
    visible: bool,
}

pub(super) async fn run(context: &Context, args: &Args) -> Outcome {
    let kind = Kind::named(&args.kind);
    let (secret, brought) = match (kind, args.visible) {
        (Some(kind), false) => {
            let facts = kind.facts();
            let login = read(args, facts.file)?;
            let login = forms::import(kind, &login, now_ms()).map_err(|bad| {
                let hint = format!("log in first: {}", facts.how);
                Failure::new(
                    Code::Invalid,
                    format!("no {} login: {bad}", facts.name),
                    hint,
                )
            })?;
            fresh(&login)?;
            (facts.secret, Brought::Login(Box::new(login)))
        }
        (Some(kind), true) => {
            let message = format!("a {} login is never visible", kind.facts().name);
            return Err(Failure::new(Code::Invalid, message, "leave out --visible"));
        }
        (None, visible) => {
            let known = SEEN.iter().find(|(name, ..)| *name == args.kind);
            let Some((name, secret, file)) = known else {
                let message = format!("{:?} is no kind of login", clean(&args.kind));
                let hint = "claude or codex; gemini or opencode with --visible";
                return Err(Failure::new(Code::Invalid, message, hint));
            };
            if !visible {
                let message =
                    format!("{name} works only with its own login, which its agents would see");
                let hint = format!(
                    "if they may: `wsm secret login {name} --visible`, and `visible = true` in the template"
                );
                return Err(Failure::new(Code::Refused, message, hint));
            }
            (*secret, Brought::Value(compact(&read(args, file)?)?))
        }
    };
    let new = NewSecret::default();
    let ticket = context.client.secret_ticket(secret, &new).await?.ticket;
    let rotates = matches!(&brought, Brought::Login(login) if login.refresh.is_some());
    let gift = Gift {
        ticket,
        hosts: Vec::new(),
        visible: args.visible,
        brought,
    };
    give(context, gift)?;
    if rotates && !context.output.json && !context.output.quiet {
        let note = "it is wsm's from now on: what else uses this login will have to log in again\n";
        render::print(note)?;
    }
    told(context, secret, "is set")
}

/// A login that has ended and can't be renewed is of no use.
fn fresh(login: &Login) -> Result<(), Failure> {
    if login.refresh.is_none() && login.until_ms <= now_ms() {
        let hint = format!("log in again: {}", login.kind.facts().how);
        return Err(Failure::new(Code::Invalid, "this login has ended", hint));
    }
    Ok(())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// The whole file, by whoever asks: the daemon never opens it.
fn read(args: &Args, file: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let most = TEXT_BYTES_MAX + 1;
    let bound = u64::try_from(most).unwrap_or(u64::MAX);
    // Room for all of it: a buffer that grows would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(most));
    let got = match &args.from {
        Some(path) if path.as_os_str() == "-" => {
            io::stdin().lock().take(bound).read_to_end(&mut text)
        }
        from => {
            let home = std::env::var_os("HOME").map(PathBuf::from);
            let own = from.clone().or_else(|| home.map(|home| home.join(file)));
            let Some(path) = own else {
                return Err(Failure::new(
                    Code::Invalid,
                    "there is no HOME",
                    "say --from FILE",
                ));
            };
            let opened = File::open(&path).and_then(|f| f.take(bound).read_to_end(&mut text));
            opened.map_err(|error| {
                let what = format!("read {}", clean(&path.display().to_string()));
                failed(&what, &error)
            })?;
            return Ok(text);
        }
    };
    got.map_err(|error| failed("read it", &error))?;
    Ok(text)
}

/// JSON on one line, as a value that a file can be made of.
fn compact(text: &[u8]) -> Result<Value, Failure> {
    let bad = |why: String| Failure::new(Code::Invalid, why, "");
    let mut line = Zeroizing::new(String::with_capacity(text.len()));
    let (mut quoted, mut escaped) = (false, false);
    let text = std::str::from_utf8(text).map_err(|_| bad("it is no text".into()))?;
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map_err(|e| bad(format!("it is no JSON (line {})", e.line())))?;
    for c in text.chars() {
        if quoted || !c.is_ascii_whitespace() {
            line.push(c);
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    Value::new(line).map_err(|e| bad(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_put_on_one_line_and_else_kept() {
        let text = "{\n  \"a b\": \"c \\\" d\",\n\t\"e\": [1, 2]\n}\n";
        let value = compact(text.as_bytes()).unwrap_or_else(|_| panic!("it is JSON"));
        assert_eq!(value.reveal(), r#"{"a b":"c \" d","e":[1,2]}"#);
        for bad in ["", "{", "{\"a\": \"\u{e4}\"}"] {
            assert!(compact(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
