//! What the shim costs. Not a test: `WSM_SHIM=… cargo nextest run -p wsm-terminal --run-ignored only
//! --no-capture` with a static release build prints memory, bulk throughput and echo.

use std::time::Instant;

use wsm_terminal::protocol::Frame;

use crate::harness::{Client, Shim};
use crate::viewer::attach;

const BULK_BYTES: usize = 128 * 1024 * 1024;

fn viewer(shim: &Shim) -> Client {
    let mut client = shim.connect();
    client.send(&Frame::Attach(attach()));
    assert!(matches!(client.receive(), Some(Frame::Snapshot { .. })));
    client
}

/// Takes frames, acknowledges them as the CLI does, until output ends in `text`.
fn until(client: &mut Client, text: &[u8]) -> usize {
    let mut received = 0;
    loop {
        let (seq, bytes) = match client.receive().unwrap() {
            Frame::Output { seq, bytes } => (seq + bytes.len() as u64, bytes),
            Frame::Snapshot { seq, bytes, .. } => (seq, bytes),
            other => panic!("{other:?}"),
        };
        received += bytes.len();
        client.send(&Frame::Ack { seq });
        if bytes.windows(text.len()).any(|part| part == text) {
            return received;
        }
    }
}

fn processor_seconds(shim: &Shim) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/schedstat", shim.pid())).unwrap();
    text.split_whitespace()
        .next()
        .unwrap()
        .parse::<f64>()
        .unwrap()
        / 1e9
}

#[test]
#[ignore = "it measures"]
fn what_it_costs() {
    let shim = Shim::start();
    let file = shim.dir.path().join("log");
    let line = "2026-11-20T18:30:00 INFO server::http request 123456 took 17 ms from 10.0.0.7 ok\n";
    std::fs::write(&file, line.repeat(BULK_BYTES / line.len())).unwrap();
    let mut daemon = shim.connect();
    println!("idle: {} KiB", shim.memory_kib().0);
    let script = format!(
        "stty raw -echo; printf ready; head -c 1 >/dev/null; cat {}; printf 'all over'; exec cat",
        file.display()
    );
    daemon.start_terminal("main#1", &script);
    daemon.wait_for_text("ready");
    let mut client = viewer(&shim);
    println!("one terminal, one viewer: {} KiB", shim.memory_kib().0);
    let (began, cost) = (Instant::now(), processor_seconds(&shim));
    type_byte(&mut client, 1);
    let received = until(&mut client, b"all over");
    let (wall, cost) = (
        began.elapsed().as_secs_f64(),
        processor_seconds(&shim) - cost,
    );
    let megabytes = BULK_BYTES as f64 / 1e6;
    println!(
        "bulk: {:.1} MB/s, {:.1} MB per processor second; the viewer got {:.1} of {megabytes:.1} MB",
        megabytes / wall,
        megabytes / cost,
        received as f64 / 1e6
    );
    println!(
        "10,000 lines of history and the ring: {} KiB",
        shim.memory_kib().0
    );
    let mut micros: Vec<u128> = (0..1000)
        .map(|number| {
            let began = Instant::now();
            type_byte(&mut client, number + 2);
            until(&mut client, b"x");
            began.elapsed().as_micros()
        })
        .collect();
    micros.sort_unstable();
    println!(
        "echo: p50 {} µs, p95 {} µs, p99 {} µs",
        micros[500], micros[950], micros[990]
    );
}

fn type_byte(client: &mut Client, number: u64) {
    client.send(&Frame::Input {
        epoch: 0,
        number,
        bytes: b"x".to_vec(),
    });
}
