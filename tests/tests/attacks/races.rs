//! B: what the host meets when it looks at what an agent left, or changes what an agent sees.
//! L: what a person is shown of it. M: what other people of the host may do.

use std::fs;
use std::path::Path;
use std::process::Command;

use wsm_tests::cli;
use wsm_tests::persona::Persona;

use crate::attacker::Outcome;
use crate::case::{Case, Control, Sign, case, read, sh, write};
use crate::report::{Ending, Verdict};
use crate::world::{ATTACKER, World};

/// What a person asks wsm about an agent.
const QUESTIONS: [&[&str]; 5] = [
    &["diff", ATTACKER],
    &["show", ATTACKER],
    &["explain", ATTACKER],
    &["ls"],
    &["logs", ATTACKER, "setup"],
];

/// Everything that wsm says of the agent.
fn said_of_it(world: &World) -> String {
    let said = QUESTIONS.map(|line| {
        let said = world.wsm.wsm_as(&world.ann, line);
        said.stdout + &said.stderr
    });
    said.concat()
}

/// All that the attacker does by itself.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = links(world);
    cases.extend(shown(world));
    cases
}

/// Links in what the host reads: the control is a reader that follows them.
fn links(world: &World) -> Vec<Case> {
    let secret = world.ground.hidden("secret");
    let w = &world.agent.workspace;
    let git = "d=$(git -c safe.directory='*' rev-parse --absolute-git-dir)";
    let swap = "python3 -c \"import os,sys,time\nend = time.time() + 4\nwhile time.time() < end:\n \
        open('x1', 'w').write('0' * 40); os.replace('x1', sys.argv[1]); os.symlink(sys.argv[2], 'x2'); os.replace('x2', sys.argv[1])\"";
    let table = [
        (
            "B01",
            "a file of the workspace",
            format!("ln -sfn {secret} README.md"),
        ),
        ("B01b", "a new file", format!("ln -sfn {secret} new.md")),
        (
            "B01c",
            "a directory",
            "ln -sfn $(dirname SECRET) sub".to_owned(),
        ),
        (
            "B01d",
            "a reference",
            format!("{git}; ln -sfn {secret} $d/refs/heads/x"),
        ),
        (
            "B01e",
            "the packed references",
            format!("{git}; ln -sfn {secret} $d/packed-refs"),
        ),
        ("B01f", "modules", format!("ln -sfn {secret} .gitmodules")),
        (
            "B01g",
            "attributes",
            format!("ln -sfn {secret} .gitattributes"),
        ),
        (
            "B01h",
            "what is ignored",
            format!("ln -sfn {secret} .gitignore"),
        ),
        (
            "B02",
            "a file that is a link every other moment",
            format!("{swap} new.md {secret} >/dev/null 2>&1 &"),
        ),
        (
            "B02b",
            "a reference that is one",
            format!("{git}; {swap} $d/refs/heads/x {secret} >/dev/null 2>&1 &"),
        ),
    ];
    let cases = table.into_iter();
    cases
        .map(|(id, what, script)| {
            let script = script.replace("SECRET", &secret);
            let control = format!(
                "ln -sfn {secret} {0} && cat {0}",
                world.ground.hidden("w/l")
            );
            case(
                id,
                &format!("have wsm follow a link: {what}"),
                sh(&format!("cd {w} && {{ {script}; }}")),
                Sign::Look(follows),
            )
            .by(Control::Host, sh(&control))
        })
        .collect()
}

/// Whether wsm tells the secret; puts the workspace back.
fn follows(world: &World, _: &Outcome) -> Option<String> {
    let told = said_of_it(world) + &world.wsm.log();
    restore(world);
    let found = told.lines().find(|line| line.contains(&world.secret))?;
    Some(format!("wsm says {found}"))
}

/// By the agent: what it made is its own.
fn restore(world: &World) {
    let script = "rm -rf new.md sub .gitmodules .gitattributes .gitignore x1 x2; git checkout -q . ; \
        d=$(git rev-parse --absolute-git-dir); rm -f $d/refs/heads/x; test -L $d/packed-refs && rm $d/packed-refs; true";
    let line = ["exec", ATTACKER, "--", "sh", "-c", script];
    drop(world.wsm.wsm_as(&world.ann, &line));
}

/// Texts that draw on a person's terminal.
fn shown(world: &World) -> Vec<Case> {
    let w = &world.agent.workspace;
    let tables = [
        ("L01", "the clipboard", "\\033]52;c;eA==\\007"),
        ("L01b", "the title", "\\033]0;t\\033\\\\"),
        ("L01c", "the screen", "\\033[2J\\033[H"),
        ("L01d", "a question", "\\033[6n"),
        ("L01e", "an 8-bit sequence", "\\302\\233\\062J"),
        ("L01f", "an endless string", "\\033P"),
    ];
    let cases = tables.into_iter();
    cases
        .map(|(id, what, text)| {
            let make = format!("f=$(printf 'a{text}b'); echo x >\"$f\"");
            let commit = "git config user.email a@b; git config user.name \"$f\"; git add -A; git commit -qm \"$f\"; sleep 1";
            case(
                id,
                &format!("draw on a person's terminal by names and messages: {what}"),
                sh(&format!("cd {w} && {{ {make}; {commit}; }} >/dev/null 2>&1")),
                Sign::Look(drawn),
            )
            .by(
                Control::Host,
                sh(&format!("cd {} && {make}; printf '%s\\n' a*", world.ground.hidden("w"))),
            )
        })
        .collect()
}

/// Whether bytes that a terminal obeys came through.
fn drawn(world: &World, outcome: &Outcome) -> Option<String> {
    let obeyed = |text: &str| {
        text.chars()
            .find(|c| c.is_control() && !"\n\t".contains(*c))
    };
    if let Some(found) = obeyed(&outcome.text()) {
        return Some(format!("{found:?} comes through"));
    }
    let found = obeyed(&said_of_it(world))?;
    Some(format!("wsm prints {found:?}"))
}

fn verdict(id: &str, what: &str, control: bool, breach: Option<String>) -> Verdict {
    let held = match (&breach, control) {
        (Some(_), _) => Ending::Escaped,
        (None, true) => Ending::Held,
        (None, false) => Ending::Inconclusive,
    };
    Verdict {
        id: id.into(),
        group: id[..1].into(),
        held,
        control,
        detail: format!("{what}: {}", breach.unwrap_or_else(|| "refused".into())),
        reason: String::new(),
    }
}

/// What needs the host's part first. The last of them takes the sandbox's pin away.
pub(crate) fn verdicts(world: &World) -> Vec<Verdict> {
    let mut all = strangers(world);
    all.push(mounted_later(world));
    all.push(replaced_later(world));
    all
}

/// Another account of the host; the control is the person itself.
fn strangers(world: &World) -> Vec<Verdict> {
    let eve = Persona::new("eve");
    let rule = "policy.example:443";
    let lines: [&[&str]; 8] = [
        &["exec", ATTACKER, "--", "true"],
        &["show", ATTACKER],
        &["explain", ATTACKER],
        &["diff", ATTACKER],
        &["capture", ATTACKER],
        &["policy", "show", ATTACKER],
        &["policy", "allow", ATTACKER, rule],
        &["pause", ATTACKER],
    ];
    let judge = |(number, line): (usize, &&[&str])| {
        let hers = world.wsm.wsm_as(&eve, line);
        let breach = (hers.code == 0).then(|| format!("{hers}"));
        let own = world.wsm.wsm_as(&world.ann, line);
        if own.code != 0 {
            println!("{own}");
        }
        verdict(
            &format!("M01.{number}"),
            &format!("as another account: wsm {}", line.join(" ")),
            own.code == 0,
            breach,
        )
    };
    let mut all: Vec<_> = lines.iter().enumerate().map(judge).collect();
    world.wsm.wsm_as(&world.ann, &["resume", ATTACKER]).ok();
    let path = world.agent.workspace.clone();
    for (id, what, program, path) in [
        ("M04", "list the workspace", "ls", path.clone()),
        ("M04b", "read from it", "cat", format!("{path}/README.md")),
    ] {
        let run = |who: &Persona| {
            let mut command = who.command(program);
            command.arg(&path);
            cli::run(command, b"")
        };
        let hers = run(&eve);
        let breach = (hers.code == 0).then(|| format!("{hers}"));
        let what = format!("as another account: {what}");
        all.push(verdict(id, &what, run(&world.ann).code == 0, breach));
    }
    all
}

/// B14: a mount that the host makes below what is shown stays the host's.
fn mounted_later(world: &World) -> Verdict {
    let place = world.ground.shown("dir");
    let file = format!("{place}/later");
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments);
        cli::run(command, b"").ok();
    };
    run("mount", &["-t", "tmpfs", "none", &place]);
    fs::write(&file, &world.secret).expect("root writes");
    world.look_again();
    let control = fs::read_to_string(&file).is_ok_and(|text| text == world.secret);
    let (_, breach) = world.run("inside", "B14-in", &read(&file), |_, outcome| {
        (outcome.last() >= 0).then(|| outcome.detail())
    });
    run("umount", &[&place]);
    world.look_again();
    verdict("B14", "see what the host mounts later", control, breach)
}

/// `chattr -i`.
const LET_GO: &str = "import fcntl, struct, sys
file = open(sys.argv[1])
flags, = struct.unpack('q', fcntl.ioctl(file, 0x80086601, bytes(8)))
fcntl.ioctl(file, 0x40086602, struct.pack('q', flags & ~0x10))";

/// B07: the host puts another pointer in its place, by renaming: nobody can while the agent runs. The
/// control is the same after root took the flag off: then the mount goes, and the agent writes.
fn replaced_later(world: &World) -> Verdict {
    let pointer = Path::new(&world.agent.workspace).join(".git");
    let (name, text) = (pointer.display().to_string(), "gitdir: /tmp/x");
    let beside = pointer.with_extension("new");
    let replace = || {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(&pointer).arg(&beside);
        cli::run(copy, b"").ok();
        let replaced = fs::rename(&beside, &pointer).is_ok();
        drop(fs::remove_file(&beside));
        world.look_again();
        replaced
    };
    let replaced = replace();
    let (_, written) = world.run("inside", "B07-in", &write(&name, Some(text)), |_, _| None);
    let mut verdict = if replaced {
        // A file system without the flag, or a root that may not set it.
        let shown = world.wsm.wsm_as(&world.ann, &["show", ATTACKER]).stdout;
        let mut verdict = verdict("B07", "replaced by the host", true, written);
        if shown.contains("git pointer") {
            verdict.held = Ending::Needs;
            verdict.reason = "this file system has no immutable files; `wsm show` tells it".into();
        }
        return verdict;
    } else {
        verdict("B07", "the host replaces the pointer", false, written)
    };
    let mut let_go = Command::new("python3");
    let_go.args(["-c", LET_GO]).arg(&pointer);
    cli::run(let_go, b"").ok();
    let replaced = replace();
    let (_, after) = world.run("inside", "B07b-in", &write(&name, Some(text)), |_, _| None);
    verdict.control = replaced && after.is_some();
    if verdict.held == Ending::Inconclusive && verdict.control {
        verdict.held = Ending::Held;
    }
    verdict
}
