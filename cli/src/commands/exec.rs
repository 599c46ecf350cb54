//! `wsm exec`: a command's streams and exit code, with or without a terminal here.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use wsm_api::client::{ClientError, Socket};
use wsm_api::problem::{Code, Problem};
use wsm_api::terminal::Exec;
use wsm_terminal::protocol::Frame;

use crate::commands::Context;
use crate::failure::{Exit, Failure, Outcome};

/// Exit code for failures of wsm itself.
const FAILED: u8 = 125;

/// Exit code when the command does not exist, as a shell has it.
const NO_SUCH_COMMAND: u8 = 127;

/// Read from standard input at once.
const READ_BYTES: usize = 64 * 1024;

/// Pieces of standard input that wait to be sent.
const PIECES_MAX: usize = 2;

/// Options of `exec`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id.
    agent: String,
    /// Set a variable for the command.
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = super::new::pair)]
    env: Vec<(String, String)>,
    /// Give it an empty standard input.
    #[arg(short = 'n', long)]
    no_stdin: bool,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Outcome {
    let env: BTreeMap<_, _> = args.env.iter().cloned().collect();
    let exec = Exec {
        argv: args.command.clone(),
        env,
    };
    let socket = context.client.exec(&args.agent, &exec).await.map_err(own)?;
    let input = if args.no_stdin { None } else { Some(stdin()?) };
    stream(socket, input).await
}

/// A failure of wsm, not of the command.
fn own(error: ClientError) -> Failure {
    Failure::from(error).with_code(FAILED)
}

/// A thread reads standard input, which may be anything: a file, a pipe, a terminal. It ends with
/// the program.
fn stdin() -> Result<mpsc::Receiver<Vec<u8>>, Failure> {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let read = move || {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match io::stdin().lock().read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    if sender.blocking_send(buffer[..read].to_vec()).is_err() {
                        return;
                    }
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(read)
        .map_err(|e| {
            Failure::new(Code::Failed, format!("read standard input: {e}"), "").with_code(FAILED)
        })?;
    Ok(receiver)
}

/// Both directions at once: a command that echoes must not wait for itself.
async fn stream(socket: Socket, input: Option<mpsc::Receiver<Vec<u8>>>) -> Outcome {
    let out = unbuffered(&io::stdout())?;
    let err = unbuffered(&io::stderr())?;
    let (sink, stream) = socket.split();
    tokio::select! {
        // Input ends well before the command does; only a broken connection ends it early, and
        // why it broke is known where answers are read.
        never = feed(sink, input) => match never {},
        outcome = answers(stream, out, err) => outcome,
    }
}

async fn feed(
    mut sink: SplitSink<Socket, Message>,
    mut input: Option<mpsc::Receiver<Vec<u8>>>,
) -> Infallible {
    while let Some(input) = &mut input
        && let Some(bytes) = input.recv().await
    {
        if sink.send(binary(&Frame::Stdin(bytes))).await.is_err() {
            break;
        }
    }
    drop(sink.send(binary(&Frame::StdinEnd)).await);
    // The sink stays open: closing it would end the connection.
    std::future::pending().await
}

async fn answers(mut stream: SplitStream<Socket>, mut out: File, mut err: File) -> Outcome {
    loop {
        let message = match stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(lost(&error.to_string())),
            None => return Err(lost("the connection was closed")),
        };
        if let Some(exit) = receive(&message, &mut out, &mut err)? {
            return Ok(exit);
        }
    }
}

fn receive(message: &Message, out: &mut File, err: &mut File) -> Result<Option<Exit>, Failure> {
    let frame = match message {
        Message::Binary(message) => Frame::decode_message(message),
        Message::Text(text) => return Err(refused(text)),
        _ => return Ok(None),
    };
    match frame.map_err(|error| lost(&error.to_string()))? {
        Some(Frame::Stdout(bytes)) => {
            out.write_all(&bytes)
                .map_err(|error| Failure::output(&error))?;
        }
        Some(Frame::Stderr(bytes)) => {
            err.write_all(&bytes)
                .map_err(|error| Failure::output(&error))?;
        }
        Some(Frame::Exited(exit)) => {
            let code = exit.shell_code() & 0xff;
            return Ok(Some(Exit(
                u8::try_from(code).expect("one byte after the mask"),
            )));
        }
        _ => {}
    }
    Ok(None)
}

/// The command could not be started.
fn refused(text: &str) -> Failure {
    let problem = serde_json::from_str::<Problem>(text)
        .unwrap_or_else(|_| Problem::new(Code::Failed, "the daemon said what can't be read", ""));
    let code = if problem.code == Code::NotFound {
        NO_SUCH_COMMAND
    } else {
        FAILED
    };
    Failure::from(problem).with_code(code)
}

fn lost(why: &str) -> Failure {
    let hint = "the command may run on; see what the agent does with `wsm show`";
    Failure::new(Code::Failed, format!("lost the command: {why}"), hint).with_code(FAILED)
}

/// Bytes go out as they come, whatever they are.
fn unbuffered(stream: &impl AsFd) -> Result<File, Failure> {
    let fd: io::Result<OwnedFd> = stream.as_fd().try_clone_to_owned();
    fd.map(File::from)
        .map_err(|error| Failure::output(&error).with_code(FAILED))
}

fn binary(frame: &Frame) -> Message {
    Message::Binary(frame.encode_message().into())
}
