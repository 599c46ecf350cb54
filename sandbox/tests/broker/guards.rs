//! Guarded names, chosen programs, devices, tracing.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use wsm_sandbox::protocol::{FailureKind, Reply, Request};
use wsm_sandbox::spec::{Guard, LayerReport, LayerStatus, SandboxSpec};

use crate::harness::{Agent, Shim, World, give};

fn guard(path: &str, hide: bool) -> Guard {
    Guard {
        path: path.trim_end_matches('/').into(),
        hide,
        directory: path.ends_with('/'),
    }
}

fn guards(names: &[(&str, bool)]) -> impl Fn(&mut SandboxSpec) + use<> {
    let guards: Vec<Guard> = names
        .iter()
        .map(|(path, hide)| guard(path, *hide))
        .collect();
    move |spec| spec.extras.guards.clone_from(&guards)
}

/// Puts files into the workspace, as the account's.
fn put(agent: &Agent, files: &[(&str, &str)]) -> PathBuf {
    let workspace = PathBuf::from(&agent.paths.workspace);
    for (path, text) in files {
        let path = workspace.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    give(&workspace);
    workspace
}

/// Every path below, with the content of files; seen from the host.
fn tree(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let text = if kind.is_dir() {
                open.push(path.clone());
                "directory".to_owned()
            } else if kind.is_file() {
                std::fs::read_to_string(&path).unwrap()
            } else {
                format!("{kind:?}")
            };
            found.insert(path.strip_prefix(top).unwrap().to_owned(), text);
        }
    }
    found
}

fn delete(world: &World, agent: &Agent) {
    let agent = agent.id.clone();
    let deleted = world.client().ask(Request::Delete { agent });
    assert_eq!(deleted, Ok(Reply::Done));
}

fn layer(world: &World, agent: &Agent, name: &str) -> LayerReport {
    let agent = agent.id.clone();
    match world.client().ask(Request::Inspect { agent }) {
        Ok(Reply::Inspected { layers, .. }) => {
            let found = layers.iter().find(|report| report.layer == name);
            found
                .unwrap_or_else(|| panic!("no {name}: {layers:?}"))
                .clone()
        }
        other => panic!("{other:?}"),
    }
}

/// Ways to get something of one's own to stand at `$N`, or what stands there away or changed. Each
/// ends with 0 if it worked.
const ATTACKS: [&str; 22] = [
    "echo evil > $N",
    "echo evil >> $N",
    "rm -rf $N && test ! -e $N",
    "rm -rf $N; mkdir $N && echo evil > $N/x",
    "rmdir $N",
    "mv $N gone",
    "echo evil > mine && mv -fT mine $N",
    "echo evil > mine && ln -fT mine $N",
    "ln -sfT /etc/passwd $N",
    "ln -T $N alias && echo evil > alias",
    "echo evil > mine && cp --remove-destination -T mine $N",
    "echo evil > mine && perl -e '($a, $b) = @ARGV; exit !(syscall(316, -100, $a, -100, $b, 2) == 0)' mine $N",
    "echo evil > mine && perl -e '($a, $b) = @ARGV; exit !(syscall(316, -100, $a, -100, $b, 2) == 0)' $N mine",
    "truncate -s 0 $N && test ! -s $N && test -f $N",
    "chmod 777 $N",
    "touch -d 2001-01-01 $N",
    "ln -sfT . up && echo evil > up/$N",
    "cd / && echo evil > /proc/self/root/$W/$N",
    "exec 7< . && echo evil > /proc/self/fd/7/$N",
    "D=$(dirname $N); mv $D away && mkdir -p $D && echo evil > $N",
    "D=$(dirname $N); test $D != . && rm -rf $D && mkdir -p $D && echo evil > $N",
    "D=$(dirname $N); mv $D away && ln -s away $D && echo evil > $N",
];

#[test]
fn a_protected_name_stays_what_it_is_present_or_not() {
    let world = World::new();
    let agent = world.prepare("guard0001");
    let workspace = put(
        &agent,
        &[
            (".mcp.json", "old"),
            (".vscode/tasks.json", "old"),
            ("sub/dir/Makefile", "old"),
            ("free/file", "old"),
        ],
    );
    let names = [
        (".mcp.json", false),
        (".vscode/", false),
        (".envrc", false),
        (".idea/", false),
        (".claude/settings.json", false),
        ("sub/dir/Makefile", false),
        ("new/deep/hooks/", false),
    ];
    let before = tree(&workspace);
    let (shim, _) = world.create_with(&agent, guards(&names));
    let started = tree(&workspace);
    let place = &agent.paths.workspace;
    let attack = |name: &str, attack: &str| {
        let script = format!("export N={name} W={place}; cd $W; ({attack}) 2>/dev/null");
        let (_, code) = shim.sh(&script);
        shim.sh(&format!("cd {place} && rm -rf mine gone alias up away"));
        code == 0
    };
    let targets = names.iter().map(|(name, _)| name.trim_end_matches('/'));
    for name in targets.chain([".vscode/tasks.json", ".vscode/new", ".idea/new"]) {
        for script in ATTACKS {
            let worked = attack(name, script);
            // What is absent in a protected directory is as absent after an attempt to remove it.
            let absent = name.ends_with("/new") && script.starts_with("rm -rf $N &&");
            assert!(absent || !worked, "{name}: {script}");
            assert_eq!(tree(&workspace), started, "{name}: {script}");
        }
    }
    attacks_work_on_other_names(&shim, place, &attack);
    // Inside: what is there is read, what is absent is empty, and beside it there is room.
    for (script, expected) in [
        (
            "cat .mcp.json .vscode/tasks.json sub/dir/Makefile",
            "oldoldold",
        ),
        (
            "cat .envrc .claude/settings.json | wc -c; ls -A .idea new/deep/hooks | grep -c json",
            "0\n0",
        ),
        (
            "echo y > .claude/local.json && mv .claude/local.json .claude/x && cat .claude/x",
            "y",
        ),
        ("echo y > sub/dir/other && cat sub/dir/other", "y"),
    ] {
        assert_eq!(
            shim.sh(&format!("cd {place}; {script}")).0,
            expected,
            "{script}"
        );
    }
    let held = layer(&world, &agent, "protected names");
    assert_eq!(held.detail, "7 read-only mounts");
    shim.sh(&format!(
        "cd {place} && rm -rf free .claude/x sub/dir/other && mkdir free && printf old > free/file"
    ));
    delete(&world, &agent);
    assert_eq!(tree(&workspace), before, "nothing is left on the host");
}

/// The control.
fn attacks_work_on_other_names(shim: &Shim, place: &str, attack: &dyn Fn(&str, &str) -> bool) {
    for (number, script) in ATTACKS.iter().enumerate() {
        shim.sh(&format!(
            "cd {place} && rm -rf free && mkdir free && echo old > free/file"
        ));
        if *script == "rmdir $N" {
            shim.sh(&format!("cd {place} && rm free/file && mkdir free/file"));
        }
        assert!(attack("free/file", script), "control {number}: {script}");
    }
}

#[test]
fn git_sees_nothing_of_it_on_either_side() {
    let world = World::new();
    let agent = world.prepare("guard0002");
    let workspace = put(&agent, &[("kept", "x")]);
    let (shim, _) = world.create_with(
        &agent,
        guards(&[(".mcp.json", false), (".idea/", true), ("a/b", false)]),
    );
    let place = workspace.join(".mcp.json").symlink_metadata().unwrap();
    assert!(place.file_type().is_socket() && place.mode() & 0o777 == 0);
    let status = "git --git-dir=$D --work-tree=. -c safe.directory='*' status --porcelain -uall";
    let host = std::process::Command::new("sh")
        .args([
            "-c",
            &format!("D=$(mktemp -d) && git init -q --bare $D && {status}; rm -r $D"),
        ])
        .current_dir(&workspace)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&host.stdout),
        "?? kept\n",
        "{host:?}"
    );
    let script = format!(
        "cd {} && D=/tmp/d && git init -q --bare $D && {status}",
        workspace.display()
    );
    assert_eq!(shim.sh(&script).0, "?? kept");
    let (out, code) = shim.sh(&format!(
        "cd {} && git --git-dir=/tmp/d --work-tree=. add -A 2>&1 && {status}",
        workspace.display()
    )
    .replace("$D", "/tmp/d"));
    assert_eq!((out.as_str(), code), ("A  kept", 0));
}

#[test]
fn a_hidden_name_is_empty_and_stays() {
    let world = World::new();
    let agent = world.prepare("guard0003");
    let workspace = put(
        &agent,
        &[
            (".env.production", "SECRET"),
            ("keys/a", "SECRET"),
            ("config/app", "public"),
            ("config/key", "SECRET"),
            ("visible", "public"),
        ],
    );
    let (shim, _) = world.create_with(
        &agent,
        guards(&[
            (".env.production", true),
            ("keys", true),
            ("config", false),
            ("config/key", true),
            (".env.later", true),
        ]),
    );
    let place = &agent.paths.workspace;
    let search = format!("cd {place} && grep -rs . . | grep -v ^./.git: | sort");
    assert_eq!(shim.sh(&search).0, "./config/app:public\n./visible:public");
    // Another name, made on the host while it runs, is seen: the control. The hidden one is not, though
    // a person can put something there only after removing what holds the place.
    std::fs::write(workspace.join("later"), "later").unwrap();
    std::fs::write(workspace.join("keys/b"), "SECRET").unwrap();
    give(&workspace);
    let (out, _) = shim.sh(&format!(
        "cd {place}; cat later; ls -A keys; cat .env.later | wc -c"
    ));
    assert_eq!(out, "later0");
    for (name, attack) in ["keys", "config/key", ".env.production"]
        .iter()
        .flat_map(|name| ATTACKS.iter().map(move |attack| (name, attack)))
    {
        let script = format!("export N={name} W={place}; cd $W; ({attack}) 2>/dev/null");
        assert_ne!(shim.sh(&script).1, 0, "{name}: {attack}");
    }
    let held = layer(&world, &agent, "hidden names");
    assert_eq!(held.status, LayerStatus::Enforced, "{held:?}");
    delete(&world, &agent);
    let after = tree(&workspace);
    assert_eq!(after[Path::new("keys/a")], "SECRET");
    assert_eq!(after[Path::new("config/key")], "SECRET");
    assert!(!after.contains_key(Path::new(".env.later")));
}

#[test]
fn what_can_not_be_held_is_refused_and_leaves_nothing() {
    let world = World::new();
    let agent = world.prepare("guard0004");
    let workspace = put(&agent, &[("file", "x"), ("dir/one", "x")]);
    symlink("file", workspace.join("link")).unwrap();
    symlink("dir", workspace.join("to-dir")).unwrap();
    std::fs::hard_link(workspace.join("file"), workspace.join("twin")).unwrap();
    std::fs::hard_link(workspace.join("dir/one"), workspace.join("two")).unwrap();
    let before = tree(&workspace);
    for (name, word) in [
        ("link", "symbolic link"),
        ("to-dir/one", "symbolic link"),
        ("to-dir/absent", "symbolic link"),
        ("file", "hard link"),
        ("dir", "hard link"),
    ] {
        // The absent one is made first, and must go again.
        let change = guards(&[("aaa/absent", false), (name, false)]);
        let failed = world.create_in_vain_with(&agent, change);
        assert_eq!(failed.kind, FailureKind::Refused, "{name}: {failed:?}");
        assert!(failed.why.contains(word), "{name}: {failed:?}");
        assert_eq!(tree(&workspace), before, "{name}");
        assert_eq!(world.leftovers(), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_name_that_was_replaced_on_the_host_is_told() {
    let world = World::new();
    let agent = world.prepare("guard0005");
    let workspace = put(&agent, &[(".mcp.json", "old"), ("other", "x")]);
    let (_shim, _) = world.create_with(&agent, guards(&[(".mcp.json", false), ("other", false)]));
    std::fs::write(workspace.join("new"), "by an editor").unwrap();
    std::fs::rename(workspace.join("new"), workspace.join(".mcp.json")).unwrap();
    let told = layer(&world, &agent, "protected names");
    assert_eq!(told.status, LayerStatus::Reduced);
    assert!(
        told.detail.contains(".mcp.json: replaced on the host"),
        "{told:?}"
    );
    assert!(!told.detail.contains("other"), "{told:?}");
}

#[test]
fn a_place_that_a_killed_broker_left_is_used_and_removed() {
    let mut world = World::with_fault("spawn.mounted:kill");
    let agent = world.prepare("guard0006");
    let workspace = put(&agent, &[("kept", "x")]);
    let before = tree(&workspace);
    let names = [("a/absent", false), ("b/", true)];
    world.create_in_vain_with(&agent, guards(&names));
    assert_eq!(
        tree(&workspace),
        before,
        "a spawner that is killed leaves nothing"
    );
    world.kill_broker();
    world.start("");
    let (_shim, _) = world.create_with(&agent, guards(&names));
    assert!(workspace.join("b").is_dir());
    world.kill_broker();
    world.start("");
    delete(&world, &agent);
    assert_eq!(tree(&workspace), before);
}

#[test]
fn only_named_programs_exist() {
    let world = World::new();
    let agent = world.prepare("guard0007");
    let named = ["cat", "ls", "python3", "git"].map(str::to_owned).to_vec();
    let (shim, _) = world.create_with(&agent, |spec| spec.extras.tools = Some(named.clone()));
    for (script, expected) in [
        ("ls / > /dev/null && echo there", "there"),
        ("/usr/bin/python3 -c 'print(6*7)'", "42"),
        (
            "git --version | cat | { read a b c; echo $a $b; }",
            "git version",
        ),
        (
            "bash -c 'echo a shell'; env true 2>/dev/null || echo no true",
            "a shell\nno true",
        ),
        (
            "for p in perl gcc curl rm; do command -v $p; done; echo none",
            "none",
        ),
        ("/usr/bin/perl -v 2>/dev/null || echo absent", "absent"),
        ("(: > /usr/bin/new) 2>/dev/null || echo refused", "refused"),
    ] {
        assert_eq!(shim.sh(script).0, expected, "{script}");
    }
    let told = layer(&world, &agent, "programs");
    assert_eq!(told.status, LayerStatus::Enforced, "{told:?}");
    // The control: without the key they are there.
    let other = world.prepare("guard0008");
    let (shim, _) = world.create(&other);
    assert_eq!(shim.sh("/usr/bin/perl -e 'print 1'").0, "1");
    let third = world.prepare("guard0009");
    let failed = world.create_in_vain_with(&third, |spec| {
        spec.extras.tools = Some(vec!["git".into(), "no-such-program".into()]);
    });
    assert_eq!(failed.kind, FailureKind::Refused);
    assert!(
        failed.what.contains("no-such-program") && !failed.what.contains("git"),
        "{failed:?}"
    );
}

#[test]
fn a_device_is_there_if_the_ceiling_lists_it() {
    let world = World::new();
    let ceiling =
        r#"{"allow_root_account": true, "devices": ["/dev/kmsg", "/dev/null", "/dev/ptmx"]}"#;
    let agent = world.prepare("guard0010");
    let ask = |path: &'static str| {
        move |spec: &mut SandboxSpec| spec.extras.devices = vec![path.to_owned()]
    };
    let failed = world.create_in_vain_with(&agent, ask("/dev/kmsg"));
    assert_eq!(failed.kind, FailureKind::Refused);
    std::fs::write(world.path("etc/ceiling.json"), ceiling).unwrap();
    for bad in ["/dev/null", "/dev/kvm", "/dev/ptmx"] {
        let failed = world.create_in_vain_with(&agent, ask(bad));
        assert_eq!(failed.kind, FailureKind::Refused, "{bad}: {failed:?}");
    }
    let (shim, _) = world.create_with(&agent, ask("/dev/kmsg"));
    let node = std::fs::metadata("/dev/kmsg").unwrap().rdev();
    let expected = format!(
        "{:x}:{:x}",
        nix::sys::stat::major(node),
        nix::sys::stat::minor(node)
    );
    assert_eq!(shim.sh("stat -c %t:%T /dev/kmsg").0, expected);
    let told = layer(&world, &agent, "devices");
    assert_eq!(told.detail, "beyond the usual: /dev/kmsg");
    let other = world.prepare("guard0011");
    let (shim, _) = world.create(&other);
    assert_eq!(shim.sh("test -e /dev/kmsg || echo absent").0, "absent");
}

#[test]
fn tracing_is_of_the_agents_own_processes_alone() {
    let world = World::new();
    let agent = world.prepare("guard0012");
    let (shim, _) = world.create(&agent);
    let trace = "strace -o /tmp/t true 2>/dev/null && grep -c exited /tmp/t || echo refused";
    assert_eq!(shim.sh(trace).0, "refused");
    delete(&world, &agent);
    let (shim, _) = world.create_with(&agent, |spec| spec.debug = true);
    assert_eq!(shim.sh(trace).0, "1");
    for (script, expected) in [
        // Another process of the agent, running already.
        (
            "sleep 60 & gdb -p $! -batch -ex 'info proc' 2>/dev/null | grep -c ^process; kill $!",
            "1",
        ),
        // init and the launcher.
        (
            "for p in 1 $PPID; do timeout 5 strace -p $p 2>/dev/null || echo refused; done",
            "refused\nrefused",
        ),
        (
            "for p in 1 $PPID; do cat /proc/$p/mem 2>/dev/null || echo refused; done",
            "refused\nrefused",
        ),
        ("unshare -U true 2>/dev/null || echo refused", "refused"),
    ] {
        assert_eq!(shim.sh(script).0, expected, "{script}");
    }
    assert_eq!(
        layer(&world, &agent, "tracing").status,
        LayerStatus::Reduced
    );
}
