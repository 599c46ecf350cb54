//! I: git, where the host's own git is the victim. J: files that others trust later.

use std::path::Path;

use crate::attacker::Outcome;
use crate::case::{Case, Sign, case, q, read, sh, sys};
use crate::world::World;

/// All of I and J.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = repository(world);
    cases.extend(executed(world));
    cases.extend(homes(world));
    cases.extend(own_files(world));
    cases
}

/// What of a git directory host git trusts, or the daemon writes: there or not.
pub(crate) const TRUSTED: [&str; 18] = [
    "hooks/post-commit",
    "hooks/pre-commit",
    "config",
    "info/attributes",
    "info/exclude",
    "info/grafts",
    "HEAD",
    "refs/heads/main",
    "refs/heads/evil",
    "packed-refs",
    "logs/HEAD",
    "config.worktree",
    "commondir",
    "shallow",
    "objects/info/alternates",
    "refs/replace/x",
    "refs/tags/evil",
    "refs/heads/wsm/neighbour",
];

/// Appends to a file, or makes it.
fn append(path: &str) -> String {
    sh(&format!(
        "mkdir -p \"$(dirname {path})\" 2>/dev/null; echo x >>{path}"
    ))
}

/// The main repository: nothing of it can be written but by the helper.
fn repository(world: &World) -> Vec<Case> {
    let git = world.repository.join(".git").display().to_string();
    let mut cases: Vec<_> = TRUSTED
        .iter()
        .enumerate()
        .map(|(number, name)| {
            case(
                &format!("I01.{number}"),
                &format!("write {name} of the main repository"),
                append(&format!("{git}/{name}")),
                Sign::Facts,
            )
        })
        .collect();
    let pointer = format!("{}/.git", world.agent.workspace);
    let w = &world.agent.workspace;
    for (number, name) in ["commondir", "gitdir", "locked", "config.worktree"]
        .iter()
        .enumerate()
    {
        // Inside, what is written is the agent's own git directory, which the host never reads.
        cases.push(case(&format!("I02.{number}"), &format!("forge {name} of its worktree"),
            sh(&format!("cd {w} && echo {w}/forged >$(git -c safe.directory='*' rev-parse --absolute-git-dir)/{name}")), Sign::Look(|world, _| forged(world))));
    }
    cases.extend([
        case("I07", "put a directory in the pointer's place", sh(&format!("mv {pointer} {w}/x && mkdir {pointer}")), Sign::Facts),
        case("I07b", "write another pointer", sh(&format!("echo 'gitdir: /tmp/x' >{pointer}")), Sign::Facts),
        case("I07c", "rename over it", sh(&format!("echo x >{w}/x; mv -f {w}/x {pointer}")), Sign::Facts),
        case("I07d", "remove it", sh(&format!("rm -f {pointer}")), Sign::Facts),
        case("I07e", "put another workspace in its place", sh(&format!("mv {w} {w}.old && mkdir {w}")), Sign::Facts),
        case("I14", "write into an object of everybody", sh(&format!("f=$(find {git}/objects -type f -path '*/??/*' | sort | head -1); chmod u+w $f; echo x >>$f")), Sign::Facts),
        case("I13", "move main by git", sh(&format!("cd {w} && git -c safe.directory='*' update-ref refs/heads/main $(git -c safe.directory='*' commit-tree -m x HEAD^{{tree}})")), Sign::Facts),
    ]);
    cases
}

/// What the host believes of the worktree.
fn forged(world: &World) -> Option<String> {
    let worktrees = world.repository.join(".git/worktrees");
    let entries = std::fs::read_dir(worktrees).into_iter().flatten().flatten();
    for entry in entries {
        for name in ["commondir", "gitdir", "locked", "config.worktree"] {
            let path = entry.path().join(name);
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if text.contains("/forged") {
                let undone = if name == "commondir" {
                    "../..\n".to_owned()
                } else {
                    String::new()
                };
                match name {
                    "commondir" => std::fs::write(&path, undone).expect("root writes"),
                    "gitdir" => std::fs::write(&path, format!("{}/.git\n", world.agent.workspace))
                        .expect("root writes"),
                    _ => std::fs::remove_file(&path).expect("root writes"),
                }
                return Some(format!("{name} is the agent's"));
            }
        }
    }
    None
}

/// Where what the agent wants executed leaves a trace.
fn canary(world: &World) -> std::path::PathBuf {
    Path::new(&world.ground.hidden("dir")).join("executed")
}

/// The person's git in the worktree, and what came of it.
fn git_of_the_host(world: &World, _: &Outcome) -> Option<String> {
    for arguments in [
        &["status"][..],
        &["diff"],
        &["log", "-3", "-p"],
        &["stash", "list"],
        &["add", "-n", "."],
        &["diff", "--cached"],
        &["submodule", "status"],
    ] {
        let mut git = world.ann.command("git");
        git.args(arguments).current_dir(&world.agent.workspace);
        drop(wsm_tests::cli::run(git, b""));
    }
    let canary = canary(world);
    let mut clean = world.ann.command("git");
    clean
        .args(["checkout", "-q", "."])
        .current_dir(&world.agent.workspace);
    drop(wsm_tests::cli::run(clean, b""));
    canary.exists().then(|| {
        std::fs::remove_file(&canary).expect("root may");
        "the host's git executed it".to_owned()
    })
}

fn executed(world: &World) -> Vec<Case> {
    let w = &world.agent.workspace;
    let evil = format!("{w}/evil");
    let prologue = format!(
        "cd {w}; g() {{ git -c safe.directory='*' \"$@\"; }}; printf '#!/bin/sh\\ntouch {}\\ncat\\n' >evil; chmod 755 evil; ",
        canary(world).display()
    );
    let table = [
        ("I11", "core.fsmonitor", format!("g config core.fsmonitor {evil}")),
        ("I11b", "core.hooksPath", format!("g config core.hooksPath {w}/h; mkdir -p h; cp evil h/post-index-change; touch README.md; echo x >>README.md; g update-index --refresh")),
        ("I11c", "diff.external", format!("g config diff.external {evil}; echo x >>README.md")),
        ("I11d", "an include", format!("printf '[core]\\n fsmonitor = {evil}\\n' >c; g config include.path {w}/c")),
        ("I11e", "a worktree's own configuration", format!("g config extensions.worktreeConfig true; g config --worktree core.fsmonitor {evil}")),
        ("I09", "a filter", format!("g config filter.x.clean {evil}; echo '* filter=x' >.gitattributes; echo x >>README.md")),
        ("I09b", "a text conversion", format!("g config diff.x.textconv {evil}; echo '* diff=x' >.gitattributes; echo x >>README.md")),
        ("I09c", "a process filter", format!("g config filter.x.process {evil}; echo '* filter=x' >.gitattributes; echo x >>README.md")),
        ("I08", "a hook in its git directory", "d=$(g rev-parse --git-common-dir)/hooks; mkdir -p $d; cp evil $d/post-index-change; echo x >>README.md; g update-index --refresh".to_owned()),
    ];
    let cases: Vec<_> = table
        .into_iter()
        .map(|(id, what, script)| {
            case(
                id,
                &format!("have the host's git execute something by {what}"),
                sh(&format!("{prologue}{script}")),
                Sign::Look(git_of_the_host),
            )
        })
        .collect();
    cases
}

/// Files that a login shell, an agent or a tool of the person reads.
fn homes(world: &World) -> Vec<Case> {
    let home = world.ann.home().display().to_string();
    let names = [
        ".bashrc",
        ".profile",
        ".ssh/authorized_keys",
        ".gitconfig",
        ".npmrc",
        ".cargo/config.toml",
        ".config/systemd/user/x.service",
        ".config/autostart/x.desktop",
        ".local/bin/ls",
        ".claude/settings.json",
        ".codex/config.toml",
        ".netrc",
    ];
    names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            case(
                &format!("J01.{number}"),
                &format!("write the person's {name}"),
                append(&format!("{home}/{name}")),
                Sign::Look(|world, _| in_the_home(world)),
            )
        })
        .collect()
}

/// Whether something of ours is in the person's home; takes it away.
fn in_the_home(world: &World) -> Option<String> {
    let mut find = std::process::Command::new("grep");
    find.args(["-rlx", "--exclude-dir=project", "x"])
        .arg(world.ann.home());
    let found = wsm_tests::cli::run(find, b"").stdout;
    for path in found.lines() {
        std::fs::remove_file(path).expect("root may");
    }
    (!found.is_empty()).then_some(found)
}

/// wsm's own files.
fn own_files(world: &World) -> Vec<Case> {
    let dir = world.wsm.dir();
    let name = |part: &str| dir.join(part).display().to_string();
    let mut cases = vec![
        case(
            "J06",
            "read wsm's configuration",
            read(&name("etc/config.toml")),
            Sign::Success,
        ),
        case(
            "J06b",
            "write it",
            append(&name("etc/config.toml")),
            Sign::Facts,
        ),
        case(
            "J06c",
            "write a template",
            append(&name("etc/templates/attacked.toml")),
            Sign::Facts,
        ),
    ];
    for (number, part) in [
        "state/daemon",
        "state/broker",
        "state/logs",
        "run",
        "etc",
        "state/homes",
        "state/trash",
    ]
    .iter()
    .enumerate()
    {
        if dir.join(part).exists() {
            let stat = sys(
                libc::SYS_newfstatat,
                &format!("-100 {} @144 0", q(&name(part))),
            );
            cases.push(case(
                &format!("J07.{number}"),
                &format!("find wsm's {part}"),
                stat,
                Sign::Exists,
            ));
        }
    }
    cases
}
