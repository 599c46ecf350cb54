//! `wsm rec`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use wsm_api::problem::Code;
use wsm_api::recording::{RecordInput, Recording};
use wsm_terminal::recording::cast::Cast;
use wsm_terminal::recording::{self, SEGMENT_BYTES};

use crate::commands::Context;
use crate::commands::wait::duration;
use crate::failure::{Exit, Failure, Outcome};
use crate::player::{self, Pace};
use crate::render::{self, clean};
use crate::screen;

/// Verbs of `rec`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// List recordings, the oldest first.
    #[command(visible_alias = "list")]
    Ls(Ls),
    /// Play one: space pauses, q leaves.
    Play(Play),
    /// Write one as asciicast v3, which asciinema plays.
    Export(Export),
    /// Have what people type recorded, too, or tell whether it is.
    Input(Input),
}

/// Options of `input`.
#[derive(Debug, clap::Args)]
pub(crate) struct Input {
    /// Name or id of the agent.
    agent: String,
    /// `on`: until the agent stops or is handed over, without lines that are not echoed, as
    /// passwords are; `off`: no longer. Left out: tells whether it is.
    on: Option<Switch>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// Options of `ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// Name or id of the agent.
    agent: String,
}

/// Which one.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Name or id of the agent.
    agent: String,
    /// Id of the recording, or a terminal for its newest.
    #[arg(default_value = "main")]
    recording: String,
}

/// Options of `play`.
#[derive(Debug, clap::Args)]
pub(crate) struct Play {
    #[command(flatten)]
    which: Which,
    /// How many times as fast.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Begin there.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    from: Duration,
    /// Longest pause.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    idle: Duration,
}

/// Options of `export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    #[command(flatten)]
    which: Which,
    /// File to write. Left out: standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (0.01..=1000.0).contains(&factor) => Ok(factor),
        _ => Err(format!("{text:?} is not a factor from 0.01 to 1000")),
    }
}

pub(crate) async fn run(context: &Context, verb: &Verb) -> Outcome {
    match verb {
        Verb::Ls(args) => ls(context, args).await,
        Verb::Play(args) => play(context, args).await,
        Verb::Export(args) => export(context, args).await,
        Verb::Input(args) => input(context, args).await,
    }
}

async fn input(context: &Context, args: &Input) -> Outcome {
    let client = &context.client;
    let on = match args.on {
        Some(wish) => {
            client
                .record_input(&args.agent, wish == Switch::On)
                .await?
                .on
        }
        None => client
            .who(&args.agent)
            .await?
            .leases
            .iter()
            .any(|it| it.recorded),
    };
    let text = match (context.output.json, on) {
        (true, on) => render::json(&RecordInput { on }),
        (false, true) => "what people type is recorded\n".to_owned(),
        (false, false) => "what people type is not recorded\n".to_owned(),
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

async fn ls(context: &Context, args: &Ls) -> Outcome {
    let found = context.client.recordings(&args.agent).await?;
    let text = if context.output.json {
        render::json(&found)
    } else if context.output.quiet {
        found
            .iter()
            .map(|it| format!("{}\n", clean(&it.id)))
            .collect()
    } else {
        let now = jiff::Timestamp::now();
        let rows: Vec<_> = found.iter().map(|it| row(it, now)).collect();
        render::table(&["ID", "TERMINAL", "BEGAN", "LENGTH", "SIZE", "KIB"], &rows)
    };
    render::print(&text)?;
    Ok(Exit::DONE)
}

fn row(it: &Recording, now: jiff::Timestamp) -> Vec<String> {
    let seconds = it.length_ms / 1000;
    vec![
        it.id.clone(),
        it.terminal.clone(),
        format!("{} ago", render::age(&it.begun, now)),
        format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        ),
        format!("{}x{}", it.cols, it.rows),
        it.bytes.div_ceil(1024).to_string(),
    ]
}

/// The bytes of the one that is meant.
async fn fetch(context: &Context, which: &Which) -> Result<Vec<u8>, Failure> {
    let found = context.client.recordings(&which.agent).await?;
    let wanted = |it: &&Recording| it.id == which.recording || it.terminal == which.recording;
    let Some(newest) = found.iter().rfind(wanted) else {
        let (agent, name) = (clean(&which.agent), clean(&which.recording));
        let message = format!("{agent} has no recording of {name}");
        let hint = format!(
            "there may be others: {}",
            context.typed(&format!("rec ls {agent}"))
        );
        return Err(Failure::new(Code::NotFound, message, hint));
    };
    let bytes = context.client.recording(&which.agent, &newest.id).await?;
    if bytes.len() < recording::HEAD_BYTES || recording::Recording::all(&bytes).is_empty() {
        let message = format!("the recording {} can't be read", clean(&newest.id));
        let hint = "was it written by a newer wsm?";
        return Err(Failure::new(Code::Failed, message, hint));
    }
    Ok(bytes)
}

async fn play(context: &Context, args: &Play) -> Outcome {
    if !screen::is_interactive() {
        let export = context.typed(&format!("rec export {}", clean(&args.which.agent)));
        let hint = format!("without one: {export}");
        return Err(Failure::new(
            Code::Invalid,
            "play: this is not a terminal",
            hint,
        ));
    }
    let bytes = fetch(context, &args.which).await?;
    let all = recording::Recording::all(&bytes);
    let (cols, rows) = (all[0].meta.cols, all[0].meta.rows);
    let own = screen::size();
    if own.0 < cols || own.1 < rows {
        render::say(&format!(
            "it was {cols}x{rows}, and this terminal is {}x{}: it will not look right",
            own.0, own.1
        ));
    }
    let pace = Pace {
        from: args.from,
        speed: args.speed,
        idle: args.idle,
    };
    let title = format!("{} (recorded) · q leaves", clean(&args.which.agent));
    let played = player::play(&all[0], pace, &title).await;
    played.map_err(|e| Failure::new(Code::Failed, format!("use the terminal: {e}"), ""))?;
    Ok(Exit::DONE)
}

async fn export(context: &Context, args: &Export) -> Outcome {
    let bytes = fetch(context, &args.which).await?;
    let all = recording::Recording::all(&bytes);
    let mut text = Cast::header(&all[0], &args.which.agent);
    let mut cast = Cast::default();
    let Some(path) = &args.output else {
        for event in all[0].events() {
            cast.event(&event, &mut text);
            if text.len() > SEGMENT_BYTES {
                render::print(&text)?;
                text.clear();
            }
        }
        render::print(&text)?;
        return Ok(Exit::DONE);
    };
    all[0]
        .events()
        .for_each(|event| cast.event(&event, &mut text));
    let written = std::fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written
        .map_err(|e| Failure::new(Code::Failed, format!("write {}: {e}", path.display()), ""))?;
    Ok(Exit::DONE)
}
