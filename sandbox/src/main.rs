//! `wsm-sandbox`: the broker, and the start of the daemon as its own user.

use std::os::fd::AsFd;
use std::process::ExitCode;

use serde::de::DeserializeOwned;
use wsm_sandbox::cgroup::Tree;
use wsm_sandbox::config::{BrokerConfig, EnterConfig};
use wsm_sandbox::{broker, enter};

const USAGE: &str = "usage: wsm-sandbox broker [--die-with-parent] --config FILE|-
       wsm-sandbox enter --config FILE|-
       wsm-sandbox sweep INSTANCE
       wsm-sandbox doctor DIR
       wsm-sandbox version";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["version" | "--version"] => {
            println!("wsm-sandbox {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        ["broker", "--config", file] => run_broker(file, false),
        ["broker", "--die-with-parent", "--config", file] => run_broker(file, true),
        ["enter", "--config", file] => run_enter(file),
        ["sweep", instance] => sweep(instance),
        ["doctor", directory] => doctor(directory),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("wsm-sandbox: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run_broker(file: &str, die_with_parent: bool) -> Result<(), String> {
    let config: BrokerConfig = read(file)?;
    broker::run(config, die_with_parent).map_err(|failed| {
        if failed.hint.is_empty() {
            failed.to_string()
        } else {
            format!("{failed} ({})", failed.hint)
        }
    })
}

fn run_enter(file: &str) -> Result<(), String> {
    let config: EnterConfig = read(file)?;
    match enter::enter(&config) {
        Err(error) => Err(error.to_string()),
        Ok(never) => match never {},
    }
}

/// Prints what this host can enforce, as JSON: what the broker would answer if it ran. `directory`
/// lies where the state would.
fn doctor(directory: &str) -> Result<(), String> {
    let opened = std::fs::File::open(directory);
    let opened = opened.map_err(|error| format!("open {directory}: {error}"))?;
    let checks = wsm_sandbox::host::checks(opened.as_fd());
    let text = serde_json::to_string(&checks).map_err(|error| error.to_string())?;
    println!("{text}");
    Ok(())
}

/// Removes what an instance leaves when no agent of it is left; success where one is.
fn sweep(instance: &str) -> Result<(), String> {
    let swept = Tree::open(instance).and_then(Tree::close);
    swept.map_err(|error| error.to_string())
}

fn read<T: DeserializeOwned>(file: &str) -> Result<T, String> {
    let text = if file == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| format!("read {file}: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("read {file}: {error}"))
}
