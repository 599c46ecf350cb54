//! What must hold after every kill, asked of the kernel, the disk and git.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wsm_tests::host;
use wsm_tests::instance::Instance;
use wsm_tests::term::Term;
use wsm_tests::wait;

use super::Chaos;

/// Processes of an agent that must stay the same: its command, its service, and what holds them.
pub(super) fn pids(agent: &str) -> Vec<i32> {
    let lasting = ["main-ran", "http.server", "wsm-shim", "wsm-sandbox"];
    let all = host::processes_of(agent);
    let all = all
        .iter()
        .filter(|p| lasting.iter().any(|word| p.command.contains(word)));
    let mut pids: Vec<_> = all.map(|process| process.pid).collect();
    pids.sort_unstable();
    pids
}

/// What a viewer writes over the screen when the daemon is away for long.
const NOTICE: &str = "trying again";

/// Every line that the witness wrote was drawn in order, whatever happened in between, and it goes
/// on. Where a notice was drawn over the screen a new screen follows; the shim has the lines.
pub(super) fn output(wsm: &Instance, seen: &Path, viewer: &Term) {
    let look = || String::from_utf8_lossy(&fs::read(seen).unwrap_or_default()).into_owned();
    let before = numbers(&look()).last().copied().unwrap_or_default();
    wait::until(
        "the viewer to see more",
        wait::PATIENCE,
        || (numbers(&look()).last().copied() > Some(before + 2)).then_some(()),
        || viewer.screen(),
    );
    for part in look().split(NOTICE) {
        assert_eq!(
            gaps(part),
            Vec::<u64>::new(),
            "the viewer has not seen these"
        );
    }
    let kept = wsm
        .wsm(&["capture", super::WITNESS, "--history", "3000"])
        .ok();
    let kept = kept.stdout;
    assert_eq!(
        gaps(&kept),
        Vec::<u64>::new(),
        "the shim has not kept these"
    );
    assert!(numbers(&kept).last().copied() > Some(before), "{kept}");
}

/// `<1> <2> …` of a text, in order.
fn numbers(text: &str) -> BTreeSet<u64> {
    let found = text.split('<').filter_map(|part| part.split_once('>'));
    found
        .filter_map(|(number, _)| number.parse().ok())
        .collect()
}

fn gaps(text: &str) -> Vec<u64> {
    let all = numbers(text);
    let (first, last) = (all.first().copied(), all.last().copied());
    let whole = first.unwrap_or(1)..last.unwrap_or(0);
    whole.filter(|number| !all.contains(number)).collect()
}

/// Everything.
pub(super) fn everything(chaos: &Chaos<'_>) {
    agents(chaos);
    rests(chaos);
    git(chaos);
}

/// The agents of the test and no others, with the same processes, and reachable.
fn agents(chaos: &Chaos<'_>) {
    let listed = chaos.wsm.list();
    let names: BTreeSet<_> = listed.iter().map(|agent| agent.name.to_string()).collect();
    let known: BTreeSet<_> = chaos.agents.keys().cloned().collect();
    assert_eq!(names, known, "{}", chaos.wsm.log());
    for agent in &listed {
        let known = &chaos.agents[agent.name.as_str()];
        assert_eq!(agent.id, known.id);
        assert_eq!(
            pids(&agent.id),
            known.pids,
            "{}: the same processes",
            agent.name
        );
        let port = agent.ports.iter().find_map(|port| port.outside);
        let port = port.unwrap_or_else(|| panic!("{} has no leased port", agent.name));
        wait::until(
            &format!("{} to answer at its leased port {port}", agent.name),
            Duration::from_secs(15),
            || answers(port).then_some(()),
            || chaos.wsm.log(),
        );
    }
}

fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    ask().is_ok_and(|text| text.contains("200 OK"))
}

/// Nothing is there but what belongs to agents of the test; of those that rest no more than files.
pub(super) fn rests(chaos: &Chaos<'_>) {
    wait::until(
        "what is of nobody to be gone",
        Duration::from_secs(20),
        || left(chaos).is_empty().then_some(()),
        || format!("{:#?}\n{}", left(chaos), chaos.wsm.log()),
    );
}

fn left(chaos: &Chaos<'_>) -> Vec<String> {
    let dir = chaos.wsm.dir();
    let ids: Vec<&str> = chaos
        .agents
        .values()
        .map(|known| known.id.as_str())
        .collect();
    let running = chaos.agents.values().filter(|known| known.runs);
    let running: Vec<&str> = running.map(|known| known.id.as_str()).collect();
    let mut left = Vec::new();
    let mut judge = |what: &str, paths: Vec<PathBuf>, fine: &[&str]| {
        let name = |path: &PathBuf| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let odd = paths
            .iter()
            .filter(|path| !fine.iter().any(|id| name(path).contains(id)));
        left.extend(odd.map(|path| format!("{what} {}", path.display())));
    };
    judge("control group", groups(&ids), &running);
    let sockets = entries(&dir.join("run"));
    let sockets = sockets
        .into_iter()
        .filter(|p| p.to_string_lossy().contains("/shim-"));
    judge("socket", sockets.collect(), &running);
    for parent in ["state/agents", "state/broker/agents", "state/workspaces/0"] {
        judge("file", entries(&dir.join(parent)), &ids);
    }
    judge(
        "worktree",
        entries(&chaos.repo.path().join(".git/worktrees")),
        &ids,
    );
    let locks = find(&chaos.repo.path().join(".git"), &|name| {
        name.ends_with(".lock")
    });
    judge("lock", locks, &[]);
    let named: Vec<String> = chaos.agents.keys().cloned().collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    judge(
        "branch",
        entries(&chaos.repo.path().join(".git/refs/heads/wsm")),
        &named,
    );
    let text = dir.to_string_lossy().into_owned();
    for process in host::processes() {
        let mounts = || fs::read_to_string(format!("/proc/{}/mountinfo", process.pid));
        if process.command.contains("git-helper") && mounts().is_ok_and(|m| m.contains(&text)) {
            left.push(format!("git helper {}", process.pid));
        }
    }
    left
}

/// Control groups of agents of this instance, in every hierarchy.
fn groups(ids: &[&str]) -> Vec<PathBuf> {
    let own = ids.iter().flat_map(|id| host::cgroups_of(id));
    let parents: BTreeSet<PathBuf> = own.filter_map(|p| p.parent().map(Path::to_owned)).collect();
    let all = parents.iter().flat_map(|parent| entries(parent));
    let agent = |path: &PathBuf| path.to_string_lossy().contains("/agent-");
    all.filter(|path| path.is_dir() && agent(path)).collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn find(dir: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(dir) {
        if path.is_dir() && !path.is_symlink() {
            found.extend(find(&path, wanted));
        } else if path
            .file_name()
            .is_some_and(|name| wanted(&name.to_string_lossy()))
        {
            found.push(path);
        }
    }
    found
}

/// The repository is sound, and every commit made inside has arrived.
fn git(chaos: &Chaos<'_>) {
    for name in chaos.agents.keys() {
        let inside = chaos.wsm.inside(name, "git rev-parse HEAD").ok();
        let branch = format!("wsm/{name}");
        wait::until(
            &format!("the commits of {name}"),
            wait::PATIENCE,
            || (chaos.repo.commit_of(&branch) == inside.text()).then_some(()),
            || format!("{}\n{}", chaos.wsm.wsm(&["explain", name]), chaos.wsm.log()),
        );
        let status = chaos.wsm.inside(
            name,
            "git status --porcelain && git fsck --no-dangling 2>&1",
        );
        assert_eq!(status.ok().stdout.trim(), "", "{name}: git inside");
    }
    assert_eq!(chaos.repo.fsck(), "");
}
