//! Real accounts: whose agent, whose files, and where the instance may lie.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use wsm_tests::instance::Instance;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

#[test]
fn files_belong_to_the_account_in_both_views() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    let agent = wsm.new_agent_as(&ann, &repo, "shell", "anns");
    assert_eq!(agent.owner, ann.name());
    let inside = wsm.wsm_as(
        &ann,
        &[
            "exec",
            "anns",
            "--",
            "sh",
            "-c",
            "echo x >x && stat -c %u x",
        ],
    );
    assert_eq!(inside.ok().text(), "1000");
    let outside = std::fs::metadata(Path::new(&agent.workspace).join("x")).expect("it was written");
    assert_eq!((outside.uid(), outside.gid()), (ann.uid(), ann.gid()));

    let commit = "git add x && git commit -q -m x && git rev-parse HEAD";
    let made = wsm
        .wsm_as(&ann, &["exec", "anns", "--", "sh", "-c", commit])
        .ok();
    wait::until_true("the commit", || repo.commit_of("wsm/anns") == made.text());
    let tree = Path::new(&agent.workspace);
    assert_eq!(
        repo.git_in(tree, &["status", "--porcelain"]).ok().stdout,
        ""
    );
    wsm.wsm_as(&ann, &["merge", "anns"]).ok();
    let foreign = format!(
        "find {} -not -user {} | head",
        repo.path().display(),
        ann.name()
    );
    let mut find = std::process::Command::new("sh");
    find.args(["-c", &foreign]);
    assert_eq!(
        wsm_tests::cli::run(find, b"").ok().stdout,
        "",
        "files of somebody else"
    );
}

#[test]
fn strangers_are_kept_out() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let bob = Persona::new("bob");
    let repo = Repo::small(&ann, "project");
    let agent = wsm.new_agent_as(&ann, &repo, "shell", "anns");

    for args in [
        &["exec", "anns", "--", "true"][..],
        &["send", "anns", "hello"],
        &["stop", "anns"],
        &["rm", "anns"],
        &["merge", "anns"],
        &["capture", "anns"],
    ] {
        let refused = wsm.wsm_as(&bob, args);
        assert!(matches!(refused.code, 3 | 4 | 125), "{refused}");
    }
    let mut look = bob.command("ls");
    look.arg(&agent.workspace);
    assert_ne!(
        wsm_tests::cli::run(look, b"").code,
        0,
        "the workspace is open to the account alone"
    );

    let path = repo.path().to_string_lossy();
    let args = [
        "new",
        &path,
        "--template",
        "shell",
        "--name",
        "bobs",
        "--detach",
        "--no-input",
    ];
    let refused = wsm.wsm_as(&bob, &args);
    assert!(
        matches!(refused.code, 2 | 3),
        "a repository that bob can't read: {refused}"
    );
    assert!(wsm.find("bobs").is_none());
}

/// Says hello to a shim with a ticket, asks for a screen, and prints what comes back.
const KNOCK: &str = r#"
import json, socket, struct, sys
def frame(kind, value):
    payload = bytes([kind]) + json.dumps(value).encode()
    return struct.pack("<I", len(payload)) + payload
door = socket.socket(socket.AF_UNIX)
door.connect(sys.argv[1])
door.settimeout(20)
hello = {"version": 1, "ticket": sys.argv[2]} if sys.argv[2] else {"version": 1}
try:
    door.sendall(frame(0x01, hello))
    door.sendall(frame(0x10, {"terminal": "main", "cols": 80, "rows": 24}))
    while True:
        got = door.recv(65536)
        if not got:
            break
        sys.stdout.buffer.write(got)
except (ConnectionResetError, BrokenPipeError):
    pass
"#;

#[test]
fn a_stranger_does_not_get_into_a_terminal() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let bob = Persona::new("bob");
    let repo = Repo::small(&ann, "project");
    let agent = wsm.new_agent_as(&ann, &repo, "shell", "anns");
    let door = wsm.dir().join(format!("run/shim-{}.sock", agent.id));
    for ticket in ["", "0123456789abcdef0123456789abcdef", "x"] {
        let mut knock = bob.command("python3");
        knock.args(["-c", KNOCK]).arg(&door).arg(ticket);
        let heard = wsm_tests::cli::run(knock, b"").ok();
        assert_eq!(heard.stdout, "", "with {ticket:?}");
    }
    // Nor does the daemon give bob a ticket; ann gets in by hers.
    let attach = |who| Term::start(&wsm.command(who, &["attach", "anns"]), 80, 24);
    assert!(matches!(attach(&bob).wait_end(), 3 | 4));
    let term = attach(&ann);
    term.wait_for("$");
    term.line("echo mine-$((6*7))");
    term.wait_for("mine-42");
}

#[test]
fn instance_below_a_private_home() {
    let wsm = Instance::start_private();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "hidden");
    assert!(agent.workspace.starts_with("/root/"), "{agent:?}");
    wsm.inside("hidden", "echo x >x && git add x && git commit -q -m x")
        .ok();
    let inside = wsm.inside("hidden", "git rev-parse HEAD").ok();
    wait::until_true("the commit", || {
        repo.commit_of("wsm/hidden") == inside.text()
    });
    let peek = wsm.inside("hidden", "ls /root");
    assert!(
        !peek.stdout.contains(".bash"),
        "root's home is not there: {peek}"
    );
    assert_eq!(wsm.end(), Vec::<String>::new());
}

#[test]
fn two_instances_do_not_know_each_other() {
    let one = Instance::start();
    let two = Instance::start();
    let repo = Repo::small(one.root(), "project");
    one.new_agent(&repo, "shell", "same");
    assert!(two.list().is_empty());
    let other = Repo::small(two.root(), "project");
    two.new_agent(&other, "shell", "same");
    drop(two);
    one.inside("same", "true").ok();
}

#[test]
fn local_user_can_not_use_up_the_broker_for_others() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let bob = Persona::new("bob");
    let repo = Repo::small(&ann, "project");
    let own = Repo::small(&bob, "project");
    // As many connections as the broker gives, all of them held.
    let script = "import socket, sys, time\nheld = []\nfor _ in range(200):\n    \
                  s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n    \
                  s.setblocking(False)\n    \
                  try: s.connect(sys.argv[1])\n    except OSError: pass\n    held.append(s)\n\
                  print('held', flush=True)\ntime.sleep(60)\n";
    let mut hold = bob.command("python3");
    hold.args(["-c", script])
        .arg(wsm.dir().join("run/broker.sock"));
    let mut hold = hold.stdout(Stdio::piped()).spawn().expect("python3 starts");
    let mut said = [0; 5];
    let out = hold.stdout.as_mut().expect("a pipe");
    out.read_exact(&mut said).expect("it says so");

    wsm.new_agent_as(&ann, &repo, "shell", "anns");
    wsm.wsm_as(&ann, &["stop", "anns"]).ok();
    let path = own.path().to_string_lossy().into_owned();
    let args = ["new", &path, "--name", "bobs", "--detach"];
    assert_ne!(wsm.wsm_as(&bob, &args).code, 0, "his own places are taken");
    hold.kill().and_then(|()| hold.wait()).expect("our child");
    wsm.new_agent_as(&bob, &own, "shell", "bobs");
    assert_eq!(wsm.end(), Vec::<String>::new());
}
