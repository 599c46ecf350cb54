//! Measures what the shim costs: bulk output with the screen on, and memory.
//!
//! `cargo run --release -p wsm-terminal --example bulk` prints MB per processor second of the engine alone (tokenizer,
//! screen, history, ring; 16 KiB writes of 120 × 40) per kind of output, and memory per history.

use std::time::Instant;

use wsm_terminal::ring::Ring;
use wsm_terminal::screen::{Fed, PIECE_BYTES, Screen};
use wsm_terminal::snapshot::snapshot;

const BYTES: usize = 64 * 1024 * 1024;

fn main() {
    println!("resident before anything: {} KiB", resident_kib());
    let log: String = (0..20_000)
        .map(|n| format!("2026-11-20T18:{:02}:00 INFO server::http request {n} took {} ms from 10.0.0.{}\r\n", n % 60, n % 977, n % 255))
        .collect();
    let sgr: String = (0..20_000)
        .map(|n| {
            format!(
                "\x1b[38;5;{}mcolour {n}\x1b[0m and \x1b[1;3{}mbold {n}\x1b[m some text\r\n",
                n % 256,
                n % 8
            )
        })
        .collect();
    let tui: String = (0..400)
        .map(|n| {
            let rows: String = (1..40)
                .map(|row| format!("\x1b[{row};1H\x1b[2K\x1b[36m│\x1b[m row {row} frame {n}"))
                .collect();
            format!("\x1b[?2026h{rows}\x1b[?2026l")
        })
        .collect();
    let cjk: String = (0..10_000)
        .map(|n| format!("漢字かな混じり文 {n} 👍🏽 日本語の行\r\n"))
        .collect();
    for (name, text) in [
        ("ascii log", log),
        ("256 colours", sgr),
        ("tui redraw", tui),
        ("cjk and emoji", cjk),
    ] {
        measure(name, text.as_bytes());
    }
}

fn measure(name: &str, text: &[u8]) {
    let before = resident_kib();
    let mut screen = Screen::new(120, 40);
    let mut ring = Ring::default();
    let mut fed = Fed::default();
    let began = processor_seconds();
    let mut bytes = 0;
    while bytes < BYTES {
        for piece in text.chunks(PIECE_BYTES) {
            fed.forward.clear();
            fed.signals.clear();
            screen.feed(piece, &mut fed);
            ring.push(&fed.forward);
        }
        bytes += text.len();
    }
    let seconds = processor_seconds() - began;
    let grown = resident_kib().saturating_sub(before);
    let began = Instant::now();
    let drawn = snapshot(&mut screen, 0).len();
    let first = began.elapsed();
    let began = Instant::now();
    let with_history = snapshot(&mut screen, 10_000).len();
    println!(
        "{name:14} {:6.1} MB/s; {} lines of history, {grown} KiB more with the ring; snapshot {drawn} B in {first:?}, with history {with_history} B in {:?}",
        bytes as f64 / seconds / 1e6,
        screen.history().lines(),
        began.elapsed(),
    );
}

/// Time on a processor, so that other work on the machine does not count.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = text
        .split_whitespace()
        .next()
        .and_then(|nanos| nanos.parse::<f64>().ok());
    nanos.unwrap_or(0.0) / 1e9
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}
