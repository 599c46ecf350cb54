//! What a hostile program prints: it can't make its shim grow or hang.

use std::time::{Duration, Instant};

use wsm_terminal::protocol::{Attach, Io, Reply};

use crate::harness::Shim;
use crate::viewer::{Viewer, attach};

/// Memory of a terminal, its screen, its history and what is on its way included.
const TERMINAL_KIB_MAX: u64 = 8 * 1024;

/// What `research/terminal.md` 2c found to break others.
const HOSTILE: [(&str, &str); 13] = [
    (
        "osc",
        r"printf '\033]0;'; head -c 48M /dev/zero | tr '\0' x",
    ),
    ("dcs", r"printf '\033Pq'; head -c 48M /dev/zero | tr '\0' x"),
    (
        "marks",
        r"printf e; yes $'\xcc\x81' | tr -d '\n' | head -c 16M",
    ),
    (
        "repeat",
        r"printf x; yes $'a\e[65535b' | tr -d '\n' | head -c 400K",
    ),
    (
        "lines",
        r"yes $'\e[65535L\e[65535@\e[65535S\e[65535T' | tr -d '\n' | head -c 400K",
    ),
    ("titles", r"yes $'\e[22t\e]2;x\a' | tr -d '\n' | head -c 4M"),
    ("keys", r"yes $'\e[>31u' | tr -d '\n' | head -c 400K"),
    (
        "asks",
        r"stty raw -echo; yes $'\e[c\e[6n\e[>q\e]11;?\a' | tr -d '\n' | head -c 2M",
    ),
    (
        "links",
        r"for i in $(seq 20000); do printf '\e]8;id=%d;https://%0900d\aab' $i $i; done",
    ),
    (
        "other strings",
        r"for kind in X ^ _; do printf '\033'$kind; head -c 8M /dev/zero | tr '\0' x; done",
    ),
    (
        "full cells",
        r"yes $'\e[4:3;58;5;3me\xcc\x81\xcc\x82\xcc\x83\xcc\x84\xcc\x85\xcc\x86\xcc\x87\xcc\x88\xcc\x89\xcc\x8a\xcc\x8b\xcc\x8c\xcc\x8d\xcc\x8e\xcc\x8f\xcc\x90' | tr -d '\n' | head -c 400K",
    ),
    ("noise", r"head -c 8M /dev/urandom"),
    (
        "screens",
        r"yes $'\e[?1049h\e[31mx\e[?1049l' | tr -d '\n' | head -c 4M",
    ),
];

/// What a stream leaves behind is ended, and said to be over.
fn ended(script: &str) -> String {
    format!("{script}; printf '\\033\\\\\\033cstill\\n'; echo alive")
}

#[test]
fn hostile_output_cannot_make_it_grow_or_hang() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    let mut viewer_of = |name: &str, script: &str| {
        let started = daemon.start_terminal(name, script);
        assert!(matches!(started, Reply::Started { .. }), "{started:?}");
        let mut viewer = Viewer::attach(&shim, attach());
        viewer.until("end", |viewer| viewer.exit.is_some());
        viewer.text()
    };
    // Its program is in memory then, and hardly any history.
    viewer_of("warm", r"printf '\e[31m漢字\e[m'; seq 1 100");
    let (idle, _) = shim.memory_kib();
    for (name, script) in HOSTILE {
        shim.forget_peak();
        let began = Instant::now();
        viewer_of(name, &ended(script));
        let took = began.elapsed();
        assert!(took < Duration::from_secs(15), "{name}: {took:?}");
        let (_, peak) = shim.memory_kib();
        assert!(
            peak < idle + TERMINAL_KIB_MAX,
            "{name}: {idle} KiB idle, {peak} KiB at most"
        );
    }
    let text = viewer_of("after", r"echo fine");
    assert!(
        text.contains("still\nalive\n") && text.ends_with("fine\n"),
        "{text}"
    );
}

/// Several at once, each in a terminal of its own, and one beside them that is answered.
#[test]
fn hostile_terminals_take_what_they_may_and_another_answers() {
    let shim = Shim::start();
    let mut daemon = shim.connect();
    let watch = |terminal: &str| Attach {
        terminal: terminal.into(),
        ..attach()
    };
    let mut open = |terminal: &str, argv: &[&str]| {
        let io = Io::Terminal {
            terminal: terminal.into(),
            cols: 80,
            rows: 24,
            record: None,
        };
        let started = daemon.start(&format!("{terminal}#1"), argv, io);
        assert!(matches!(started, Reply::Started { .. }), "{started:?}");
        Viewer::attach(&shim, watch(terminal))
    };
    let mut calm = open("calm", &["cat"]);
    calm.turn();
    let (idle, _) = shim.memory_kib();
    let mut hostile: Vec<_> = HOSTILE[..6]
        .iter()
        .map(|(name, script)| open(name, &["bash", "-c", &ended(script)]))
        .collect();
    for number in 1..=20 {
        let text = format!("{number};");
        let typed = Instant::now();
        calm.input(number, &text);
        calm.until_text(&text);
        assert!(
            typed.elapsed() < Duration::from_secs(2),
            "{text} took {:?}",
            typed.elapsed()
        );
    }
    for viewer in &mut hostile {
        viewer.until("end", |viewer| viewer.exit.is_some());
    }
    let (_, peak) = shim.memory_kib();
    let most = idle + TERMINAL_KIB_MAX * 6;
    assert!(peak < most, "{idle} KiB idle, {peak} KiB at most");
}
