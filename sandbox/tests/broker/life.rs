//! From a grant to a running command, and back to nothing.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use wsm_sandbox::protocol::{FailureKind, HelperRights, Reply, Request};
use wsm_sandbox::spec::LayerStatus;

use crate::harness::{ACCOUNT, World, command, until};

#[test]
fn a_command_runs_in_a_sandbox_and_nothing_is_left_of_it() {
    let world = World::new();
    let agent = world.prepare("agent0001");
    let (shim, _) = world.create(&agent);
    assert_eq!(
        shim.sh("id -u; id -un; hostname; pwd; echo $MARK"),
        ("1000\nagent\ninside\n/home/agent\ngiven".into(), 0)
    );
    let client = world.client();
    let deleted = client.ask(Request::Delete {
        agent: agent.id.clone(),
    });
    assert_eq!(deleted, Ok(Reply::Done));
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn the_agent_sees_its_own_files_and_nothing_of_the_host() {
    let world = World::new();
    let secret = world.path("secret");
    std::fs::write(&secret, "host").unwrap();
    let agent = world.prepare("agent0002");
    let (shim, _) = world.create(&agent);
    let workspace = &agent.paths.workspace;
    let admin = &agent.paths.git_admin;
    let git = world.path("repo/.git").display().to_string();
    for (script, expected) in [
        // Its own: workspace, home, state, private git directory.
        (format!("cd {workspace} && echo mine > new && stat -c %U new .git"), "agent\nagent"),
        ("echo x > ~/f && cat ~/f".into(), "x"),
        ("echo x > /var/lib/agent/db/f && cat /var/lib/agent/db/f".into(), "x"),
        (format!("cat {admin}/HEAD && echo y > {admin}/index && cat {admin}/index"), "ref: refs/heads/x\ny"),
        // Of the main repository its objects, to read.
        (format!("cat {git}/objects/info/marker"), "an object"),
        (format!("(touch {git}/objects/new) 2>/dev/null || echo refused"), "refused"),
        (format!("cat {git}/config 2>/dev/null || echo absent"), "absent"),
        (format!("ls {git}"), "objects\nworktrees"),
        // The pointer stays.
        (format!("cd {workspace}; rm -f .git 2>/dev/null || echo pinned"), "pinned"),
        (format!("cd {workspace}; mv .git x 2>/dev/null || echo pinned"), "pinned"),
        (format!("cd {workspace}; (echo x > .git) 2>/dev/null || echo pinned"), "pinned"),
        // Nothing of the host.
        (format!("cat {} 2>/dev/null || echo absent", secret.display()), "absent"),
        ("ls /".into(), "bin\ndev\netc\nhome\nlib\nlib64\nproc\nrun\nsbin\ntmp\nusr\nvar"),
        ("ls /root /sys /mnt /boot 2>/dev/null || echo absent".into(), "absent"),
        ("cat /etc/shadow 2>/dev/null || echo absent".into(), "absent"),
        ("cut -d: -f1 /etc/passwd | tr '\\n' ' '".into(), "root agent nobody"),
        ("touch /etc/x /usr/x /x 2>/dev/null || echo refused".into(), "refused"),
        // Its own processes only.
        ("set -- /proc/[0-9]*; echo $#".into(), "1"),
        ("cat /proc/1/environ 2>/dev/null || echo hidden".into(), "hidden"),
        ("cat /proc/self/cgroup | cut -d: -f3 | sort -u".into(), "/"),
        ("grep -c . /proc/net/dev; ip -o link 2>/dev/null | wc -l".into(), "3\n1"),
        ("grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status | tr -s '\\t0\\n' ' '".into(),
            "CapInh: CapPrm: CapEff: CapBnd: CapAmb: NoNewPrivs: 1 Seccomp: 2"),
        ("umask; ulimit -c".into(), "0022\n0"),
        ("echo hi > /dev/null; head -c 2 /dev/zero | wc -c; echo x > /dev/shm/f && cat /dev/shm/f".into(), "2\nx"),
    ] {
        let (out, _) = shim.sh(&script);
        assert_eq!(out, expected, "{script}");
    }
    let new = std::fs::metadata(std::path::Path::new(workspace).join("new")).unwrap();
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&new),
        crate::harness::ACCOUNT
    );
    let pointer = std::fs::read_to_string(std::path::Path::new(workspace).join(".git")).unwrap();
    assert_eq!(pointer, format!("gitdir: {admin}\n"));
    assert!(
        !world.path("repo/.git/worktrees").exists(),
        "nothing is made on the host"
    );
}

#[test]
fn starting_fails_with_a_reason_and_terminals_are_terminals() {
    let world = World::new();
    let agent = world.prepare("agent0003");
    let (shim, _) = world.create(&agent);
    let run = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut command = command("tty; stty size; test -t 0");
        change(&mut command);
        shim.ask(&json!({"Run": {"command": command, "terminal": true}}))
    };
    let told = run(&|_| {});
    assert_eq!(told["out"], "/dev/pts/0\r\n24 80\r\n");
    assert_eq!(told["exit"], json!({"code": 0}));
    let told = run(&|command| command["argv"] = json!(["no-such-program"]));
    assert_eq!(
        told["failed"],
        json!(["exec no-such-program", libc::ENOENT])
    );
    let told = run(&|command| command["argv"] = json!(["/etc/passwd"]));
    assert_eq!(told["failed"], json!(["exec /etc/passwd", libc::EACCES]));
    let told = run(&|command| command["cwd"] = json!("/nowhere"));
    assert_eq!(told["failed"], json!(["chdir /nowhere", libc::ENOENT]));
    let told = run(&|command| command["leaf"] = json!({"service": "none"}));
    assert_eq!(told["failed"][1], libc::ENOENT);
    let told = run(&|command| command["argv"] = json!(["sh", "-c", "kill -35 $$"]));
    assert_eq!(told["exit"], json!({"signal": 35}));
    let told = run(&|command| {
        command["leaf"] = json!({"service": "db"});
        command["argv"] = json!([
            "sh",
            "-c",
            "grep -o services/db /proc/self/cgroup | sort -u"
        ]);
    });
    assert_eq!(told["out"], "services/db\r\n");
}

#[test]
fn a_change_below_a_watched_directory_is_told_also_if_it_was_missing() {
    let world = World::new();
    let agent = world.prepare("agent0004");
    let (shim, _) = world.create(&agent);
    shim.ask(&json!({"Start": {"command": command("sleep 0.2; mkdir -p ~/late/deep")}}));
    let told = shim.ask(&json!({"Watch": {"directories": ["/home/agent/late"]}}));
    assert_eq!(told["changed"], true);
}

#[test]
fn what_holds_is_read_back_from_the_kernel() {
    let world = World::new();
    let agent = world.prepare("agent0005");
    let (_shim, pid) = world.create(&agent);
    let Ok(Reply::Inspected { layers, probes }) = world.client().ask(Request::Inspect {
        agent: agent.id.clone(),
    }) else {
        panic!("not inspected");
    };
    assert!(probes.len() > 50);
    let held = |name: &str| {
        let found = layers.iter().find(|layer| layer.layer == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {layers:?}"))
            .status
    };
    for name in [
        "user namespace",
        "mount namespace",
        "pid namespace",
        "network namespace",
        "ipc namespace",
        "uts namespace",
        "cgroup namespace",
        "capabilities",
        "no_new_privs",
        "seccomp",
        "landlock",
        "root file system",
        "file owners",
        "nosuid",
        "self-test",
    ] {
        assert_eq!(held(name), LayerStatus::Enforced, "{name}: {layers:#?}");
    }
    let Ok(Reply::Listed { sandboxes }) = world.client().ask(Request::List) else {
        panic!("not listed");
    };
    assert_eq!(sandboxes.len(), 1);
    assert_eq!(
        (&sandboxes[0].agent, sandboxes[0].shim_pid),
        (&agent.id, Some(pid))
    );
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let uids: Vec<&str> = status
        .lines()
        .find(|l| l.starts_with("Uid:"))
        .unwrap()
        .split('\t')
        .collect();
    let shim: u32 = uids[1].parse().unwrap();
    assert_eq!(shim % 65_536, 65_535, "the shim has the last id of a range");
    assert!(status.contains("CapEff:\t0000000000000000"));
}

#[test]
fn sockets_are_made_in_the_agents_network() {
    let world = World::new();
    let network = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_ne!(
        network(world.broker_pid()),
        network(std::process::id()),
        "the broker has none"
    );
    let agent = world.prepare("agent0006");
    let (shim, _) = world.create(&agent);
    let serve = "exec python3 -c 'import socket; s=socket.create_server((\"127.0.0.1\",8123)); \
                 c=s.accept()[0]; c.sendall(b\"from inside\"); c.close()'";
    shim.ask(&json!({"Start": {"command": command(serve)}}));
    let request = || Request::Sockets {
        agent: agent.id.clone(),
        count: 1,
    };
    assert!(
        std::net::TcpStream::connect("127.0.0.1:8123").is_err(),
        "the host has its own"
    );
    let mut text = String::new();
    until("the server answers", || {
        let (_, fds) = world.client().ask_with(request()).unwrap();
        // A socket of IPv6 reaches both families; 127.0.0.1 is mapped.
        let mapped = std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        let address = std::net::SocketAddrV6::new(mapped, 8123, 0, 0);
        let address = nix::sys::socket::SockaddrIn6::from(address);
        // The socket comes nonblocking; a loopback connect is done, or refused, at once.
        nix::sys::socket::connect(fds[0], &address).unwrap_or(());
        let mut bytes = [0; 64];
        for _ in 0..50 {
            match nix::sys::socket::recv(fds[0], &mut bytes, nix::sys::socket::MsgFlags::empty()) {
                Ok(length) => {
                    text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                    return true;
                }
                Err(nix::Error::EAGAIN) => std::thread::sleep(std::time::Duration::from_millis(2)),
                Err(_) => return false,
            }
        }
        false
    });
    assert_eq!(text, "from inside");
    let failed = world.client().ask(Request::Sockets {
        agent: agent.id.clone(),
        count: 33,
    });
    assert_eq!(failed.unwrap_err().kind, FailureKind::Invalid);
}

#[test]
fn what_a_service_leaves_behind_ends_with_it_and_what_a_command_leaves_does_not() {
    let world = World::new();
    let agent = world.prepare("agent0016");
    let (shim, _) = world.create(&agent);
    let ticks = |name: &str| std::path::Path::new(&agent.paths.home).join(name);
    let ended = |leaf: serde_json::Value, name: &str| {
        let script = format!("(while :; do date +%N > ~/{name}; done) >&- 2>&- & sleep 0.2");
        let mut command = command(&script);
        command["leaf"] = leaf;
        shim.ask(&json!({"Run": {"command": command, "terminal": false}}));
    };
    let read = |name: &str| std::fs::metadata(ticks(name)).unwrap().modified().unwrap();
    ended(json!("agent"), "command");
    ended(json!({"service": "db"}), "service");
    let stands_still = |name: &str| {
        let before = read(name);
        std::thread::sleep(std::time::Duration::from_millis(200));
        read(name) == before
    };
    until("the service's child is gone", || stands_still("service"));
    assert!(!stands_still("command"), "the command's child goes on");
}

#[test]
fn a_frozen_agent_stands_still_and_thaws() {
    let world = World::new();
    let agent = world.prepare("agent0007");
    let (shim, _) = world.create(&agent);
    shim.ask(&json!({"Start": {"command": command("while :; do date +%N > ~/tick; done")}}));
    let tick = std::path::Path::new(&agent.paths.home).join("tick");
    let read = || std::fs::read_to_string(&tick).unwrap_or_default();
    until("it ticks", || !read().is_empty());
    let freeze = |frozen| {
        world.client().ask(Request::Freeze {
            agent: agent.id.clone(),
            frozen,
        })
    };
    assert_eq!(freeze(true), Ok(Reply::Done));
    let before = std::fs::metadata(&tick).unwrap().modified().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(
        std::fs::metadata(&tick).unwrap().modified().unwrap(),
        before
    );
    assert_eq!(freeze(false), Ok(Reply::Done));
    until("it ticks again", || {
        std::fs::metadata(&tick).unwrap().modified().unwrap() != before
    });
}

#[test]
fn a_helper_has_the_accounts_uid_and_one_repository() {
    let world = World::new();
    let agent = world.prepare("agent0008");
    let request = Request::Helper {
        repository: agent.grant.clone(),
        agent: Some(agent.id.clone()),
        rights: HelperRights::Workspace,
    };
    // The test's helper says back what it hears.
    let (reply, fds) = world.client().ask_with(request).unwrap();
    assert_eq!(reply, Reply::Helper);
    let file = format!("/proc/self/fd/{}", fds[0]);
    assert!(
        std::fs::read_link(file)
            .unwrap()
            .to_string_lossy()
            .starts_with("socket:")
    );
    nix::sys::socket::send(fds[0], b"echo", nix::sys::socket::MsgFlags::empty()).unwrap();
    let mut bytes = [0; 16];
    let length =
        nix::sys::socket::recv(fds[0], &mut bytes, nix::sys::socket::MsgFlags::empty()).unwrap();
    assert_eq!(&bytes[..length], b"echo");
    let helper = helper_pid();
    let status = std::fs::read_to_string(format!("/proc/{helper}/status")).unwrap();
    for line in [
        "Uid:\t4242\t4242\t4242\t4242",
        "Gid:\t4242\t4242\t4242\t4242",
        "NoNewPrivs:\t1",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
    ] {
        assert!(status.contains(line), "{line} not in {status}");
    }
    let mounts = std::fs::read_to_string(format!("/proc/{helper}/mountinfo")).unwrap();
    let mode = |path: &str| {
        let line = mounts
            .lines()
            .find(|line| line.split(' ').nth(4) == Some(path));
        line.map(|line| line.split(' ').nth(5).unwrap()[..2].to_owned())
    };
    let repo = world.path("repo").display().to_string();
    assert_eq!(mode("/").as_deref(), Some("ro"));
    assert_eq!(mode(&repo).as_deref(), Some("ro"));
    assert_eq!(mode(&format!("{repo}/.git/objects")).as_deref(), Some("rw"));
    assert_eq!(mode(&agent.paths.workspace).as_deref(), Some("rw"));
    assert_eq!(mode(&agent.paths.home), None);
}

/// The helper of uid 4242.
fn helper_pid() -> i32 {
    let mut found = None;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let arguments = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if status.contains("Uid:\t4242") && arguments == "wsm\0git-helper\0" {
            found = Some(pid);
        }
    }
    found.expect("the helper runs")
}

#[test]
fn git_works_inside_and_what_it_makes_is_the_accounts() {
    let world = World::new();
    let repo = world.path("repo");
    let host = |script: &str| {
        let mut shell = std::process::Command::new("sh");
        let shell = std::os::unix::process::CommandExt::uid(shell.args(["-ec", script]), ACCOUNT);
        let shell = std::os::unix::process::CommandExt::gid(shell, ACCOUNT);
        let output = shell
            .current_dir(&repo)
            .env("HOME", "/nonexistent")
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    };
    std::fs::set_permissions(world.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    host(
        "rm -r .git; git init -qb main .; echo one > file; git add file; \
          git -c user.name=a -c user.email=a@b commit -qm one",
    );
    let agent = world.prepare("agent0017");
    let (workspace, private) = (&agent.paths.workspace, &agent.paths.git_private);
    // What the git helper does, by hand: a private directory over the main objects.
    let git = repo.join(".git");
    host(&format!(
        "rm -rf {private}/* ; git init -q --bare {private}; git -C {private} config core.bare false; \
         echo {}/objects > {private}/objects/info/alternates; \
         git --git-dir={private} update-ref refs/heads/x {}; \
         echo ref: refs/heads/x > {private}/HEAD; \
         git --git-dir={private} --work-tree={workspace} reset -q --hard",
        git.display(),
        host("git rev-parse main")
    ));
    let (shim, _) = world.create(&agent);
    let (out, code) = shim.sh(&format!(
        "cd {workspace} && git status --short && cat file && echo two >> file && \
         git config user.name agent && git config user.email a@b && git commit -qam two && \
         git log --format=%s && git switch -qc other && git branch && git stash list && git gc -q && \
         git fsck 2>&1 && git init -q nested && git clone -q . /tmp/clone && ls /tmp/clone"
    ));
    assert_eq!(
        (out.as_str(), code),
        ("one\ntwo\none\n* other\n  x\nfile", 0)
    );
    let seen = host(&format!("git --git-dir={private} log --format=%s x"));
    assert_eq!(seen, "two\none");
    let objects = std::fs::metadata(std::path::Path::new(private).join("objects")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&objects), ACCOUNT);
}
