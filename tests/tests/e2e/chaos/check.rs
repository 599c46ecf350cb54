//! What must hold after every kill, asked of the kernel, the disk and git.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wsm_api::agent::Explanation;
use wsm_tests::host::{self, Process};
use wsm_tests::instance::Part;
use wsm_tests::wait;

use super::Chaos;

/// Processes of an agent that must stay the same: its command, its service, and what holds them.
pub(super) fn pids(agent: &str) -> Vec<i32> {
    let lasting = ["main-ran", "http.server", "wsm-shim", "wsm-sandbox"];
    let all = host::processes_of(agent);
    // Between fork and exec a child looks like its parent.
    let forked = |p: &Process| {
        let same = |other: &Process| other.pid == p.parent && other.command == p.command;
        all.iter().any(same)
    };
    let all = all
        .iter()
        .filter(|p| lasting.iter().any(|word| p.command.contains(word)) && !forked(p));
    let mut pids: Vec<_> = all.map(|process| process.pid).collect();
    pids.sort_unstable();
    pids
}

/// Everything.
pub(super) fn everything(chaos: &Chaos<'_>) {
    agents(chaos);
    rests(chaos);
    journal(chaos);
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

pub(super) fn answers(port: u16) -> bool {
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
    for parent in [
        "state/agents",
        "state/broker/agents",
        "state/workspaces/0",
        "state/daemon/screens",
    ] {
        judge("file", entries(&dir.join(parent)), &ids);
    }
    judge(
        "worktree",
        entries(&chaos.repo.path().join(".git/worktrees")),
        &ids,
    );
    let odd = find(&chaos.repo.path().join(".git"), &|name| {
        name.ends_with(".lock") || name.starts_with("tmp_objdir")
    });
    judge("lock or quarantine", odd, &[]);
    left.extend(refs(chaos));
    left.extend(orphans(chaos, &running));
    left.extend(held(chaos));
    left
}

/// Branches of agents that are not there.
fn refs(chaos: &Chaos<'_>) -> Vec<String> {
    let format = "--format=%(refname)";
    let refs = chaos
        .repo
        .git(&["for-each-ref", format, "refs/heads/wsm", "refs/wsm"]);
    let refs = refs.ok().stdout;
    let agent = |name: &&str| {
        let mut parts = name.trim_start_matches("refs/heads/wsm/").split('/');
        let first = parts.next().unwrap_or_default();
        let agent = if first == "refs" {
            parts.nth(1)
        } else {
            Some(first)
        };
        !chaos.agents.contains_key(agent.unwrap_or_default())
    };
    let odd = refs.lines().filter(agent);
    odd.map(|name| format!("ref {name}")).collect()
}

/// Processes of this instance, by their words or their mounts, that neither a running agent nor
/// `wsm up` accounts for: with them go leases of uids, mounts and namespaces. And mounts on the host.
fn orphans(chaos: &Chaos<'_>, running: &[&str]) -> Vec<String> {
    let text = chaos.wsm.dir().to_string_lossy().into_owned();
    let parts = chaos.wsm.descendants();
    let mut left = Vec::new();
    for process in host::processes() {
        let of_agent = |id: &&str| process.cgroup.contains(&format!("/agent-{id}/"));
        let words: Vec<_> = process.command.split(' ').collect();
        // What the test itself started: `up`, and the viewers.
        let own = words.contains(&"up") || process.command.contains("attach witness");
        if own || running.iter().any(of_agent) || parts.iter().any(|p| p.pid == process.pid) {
            continue;
        }
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", process.pid));
        let mounted = mounts.is_ok_and(|mounts| mounts.contains(&text));
        if mounted || process.command.contains(&text) {
            let Process { pid, command, .. } = &process;
            left.push(format!("process {pid} (mounts: {mounted}): {command}"));
        }
    }
    left
}

/// The broker itself holds no more leases and namespaces than its pool and what is being made.
const HELD_MAX: usize = 48;

fn held(chaos: &Chaos<'_>) -> Vec<String> {
    let mut left = Vec::new();
    for part in [Part::Broker, Part::Daemon] {
        let Some(pid) = chaos.wsm.try_pid_of(part) else {
            continue;
        };
        let links = entries(Path::new(&format!("/proc/{pid}/fd")));
        let links = links.iter().filter_map(|fd| fs::read_link(fd).ok());
        let links: Vec<_> = links
            .map(|link| link.to_string_lossy().into_owned())
            .filter(|link| link.starts_with("net:[") || link.contains("/wsm-uids/"))
            .collect();
        if links.len() > HELD_MAX {
            left.push(format!("{part:?} holds {links:?}"));
        }
    }
    left
}

/// Each state has its row: the newest row about an agent's state tells the state that it has.
fn journal(chaos: &Chaos<'_>) {
    for name in chaos.agents.keys() {
        let look = || {
            let told = chaos.wsm.wsm(&["explain", name, "--json"]).ok();
            let why: Explanation = serde_json::from_value(told.json()).expect("an explanation");
            let falling = why.evidence.windows(2).all(|two| two[0].seq > two[1].seq);
            assert!(falling, "{name}: {told}");
            let newest = why.evidence.iter().find(|row| row.verb == "agent.state");
            let state = format!("{}: {}", why.state, why.reason);
            // It may have gone out of the window; the window is full then.
            (newest.is_some_and(|row| row.message == state)
                || newest.is_none() && why.evidence.len() >= 20)
                .then_some(())
        };
        let patience = Duration::from_secs(5);
        wait::until("a state and its row to agree", patience, look, || {
            format!("{}\n{}", chaos.wsm.wsm(&["explain", name]), chaos.wsm.log())
        });
    }
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
