//! B13, B17: a file system that never answers, and a host full of mounts.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;
use wsm_tests::{cli, wait};

/// Mounts a FUSE file system that answers nothing, not even the first question.
const STALLED: &str = r#"
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
if libc.mount(b"stalled", sys.argv[1].encode(), b"fuse", 0, options): raise OSError(ctypes.get_errno())
print("mounted", flush=True)
time.sleep(100000)
"#;

/// Mounts a directory over 2,000 others.
const MANY: &str = r#"
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
for number in range(2000):
    at = f"{sys.argv[1]}/{number}"
    os.mkdir(at)
    if libc.mount(b"many", at.encode(), b"tmpfs", 0, b"size=4k,nr_inodes=2"): raise OSError(ctypes.get_errno())
print("mounted", flush=True)
time.sleep(100000)
"#;

/// Who mounted, until it is dropped.
struct Mounted<'a> {
    child: Child,
    at: &'a Path,
}

impl Mounted<'_> {
    fn new<'a>(wsm: &Instance, script: &str, at: &'a Path) -> Mounted<'a> {
        let mut python = wsm.root().command("python3");
        python.args(["-c", script]).arg(at).stdout(Stdio::piped());
        let mut child = python.spawn().expect("python runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a word");
        assert_eq!(line, "mounted\n");
        Mounted { child, at }
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Whoever waits for an answer is told that there will be none.
        drop(self.child.kill());
        drop(self.child.wait());
        let script = "grep -o \" $0[^ ]* \" /proc/self/mounts | sort -r | xargs -r umount -l";
        let mut umount = std::process::Command::new("sh");
        umount.args(["-c", script]).arg(self.at);
        cli::run(umount, b"").ok();
    }
}

#[test]
fn a_file_system_that_never_answers_stalls_its_own_agent_alone() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "stuck");
    wsm.wsm(&["stop", "stuck"]).ok();
    let workspace = Path::new(&agent.workspace);
    let stalled = Mounted::new(&wsm, STALLED, workspace);
    let mut start = wsm.command(wsm.root(), &["start", "stuck"]);
    start
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut start = start.spawn().expect("wsm starts");
    // Others are made, used and removed meanwhile.
    for name in ["one", "two"] {
        wsm.new_agent(&repo, "shell", name);
        assert_eq!(wsm.inside(name, "echo $((6 * 7))").ok().stdout, "42\n");
        wsm.wsm(&["rm", "--purge", name]).ok();
    }
    let ended = || start.try_wait().expect("our child");
    let explain = || wsm.wsm(&["explain", "stuck"]).to_string();
    let ended = wait::until(
        "the start to be given up",
        Duration::from_secs(100),
        ended,
        explain,
    );
    assert_ne!(ended.code(), Some(0));
    assert!(wsm.wsm(&["show", "stuck"]).code == 0);
    drop(stalled);
    // Nothing is left of the attempt: it starts as if it had never been.
    wsm.wsm(&["start", "stuck"]).ok();
    assert_eq!(wsm.inside("stuck", "cat README.md").code, 0);
    assert_eq!(wsm.end(), Vec::<String>::new());
}

#[test]
fn a_host_full_of_mounts_makes_a_start_no_slower_and_shows_none_of_them() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let start = |name: &str| {
        let begun = Instant::now();
        wsm.new_agent(&repo, "shell", name);
        begun.elapsed()
    };
    start("warm");
    let usual = start("before");
    let dir = wsm.root().home().join("many");
    std::fs::create_dir(&dir).expect("a new directory");
    let many = Mounted::new(&wsm, MANY, &dir);
    let then = start("among");
    let inside = wsm.inside("among", "cat /proc/self/mountinfo").ok().stdout;
    assert!(!inside.contains("many"), "{inside}");
    assert!(inside.lines().count() < 100, "{inside}");
    // `make bench` measures; a loaded machine keeps this.
    assert!(
        then < 3 * usual + Duration::from_secs(2),
        "{usual:?}, then {then:?}"
    );
    drop(many);
    assert_eq!(wsm.end(), Vec::<String>::new());
}
