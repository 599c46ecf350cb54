//! What an agent can write into its git directory and its tree, and what must not follow from it.
//! The names are those of `research/sandbox.md`: E5 to E8, I02 to I06.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::stat::Mode;

use super::*;

impl World {
    /// A file that must stay as it is, and one that must never exist.
    fn victim(&self) -> PathBuf {
        let path = self.dir.path().join("victim");
        put(&path, "intact\n");
        path
    }

    fn trap(&self) -> PathBuf {
        self.dir.path().join("trap")
    }

    /// All that wsm and a human would do next.
    fn life_goes_on(&self, last: &Oid) {
        self.try_import(Some(last));
        let place = self.place();
        ask(Request::Diff {
            place: place.clone(),
            target: None,
            uncommitted: true,
            patch: true,
        });
        ask(Request::State {
            place,
            target: None,
        });
        self.human(["status"]);
        self.human(["log", "--oneline"]);
        self.human(["diff"]);
        put(&self.place().workspace.join("by-hand"), "h\n");
        self.human(["add", "by-hand"]);
        self.human(["commit", "-qm", "by hand"]);
        self.git(["status"]);
        self.git(["worktree", "list"]);
        self.git(["worktree", "prune"]);
        self.sound();
        assert!(!self.trap().exists(), "something of the agent was executed");
    }

    /// Writes an object as the agent can, without any check.
    pub(super) fn object(&self, kind: &str, data: &[u8]) -> String {
        let mut child = Command::new("git")
            .args(["hash-object", "-t", kind, "-w", "--literally", "--stdin"])
            .env("GIT_DIR", self.place().private_git_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(data).unwrap();
        ok(child.wait_with_output().unwrap())
    }

    pub(super) fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut data = Vec::new();
        for (mode, name, oid) in entries {
            data.extend_from_slice(mode.as_bytes());
            data.push(b' ');
            data.extend_from_slice(name);
            data.push(0);
            data.extend_from_slice(git2::Oid::from_str(oid).unwrap().as_bytes());
        }
        self.object("tree", &data)
    }

    pub(super) fn commit(&self, tree: &str) -> String {
        let who = "A <a@b> 1700000000 +0000";
        let parent = self.agent(["rev-parse", "host/main"]);
        self.object(
            "commit",
            format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nx\n")
                .as_bytes(),
        )
    }

    pub(super) fn points_at(&self, oid: &str) {
        put(
            &self.place().private_git_dir.join("refs/heads/wsm/fix"),
            format!("{oid}\n"),
        );
    }

    pub(super) fn refused(&self, base: &Oid, tree: &str) -> Failure {
        self.points_at(&self.commit(tree));
        let failure = failed(self.try_import(Some(base)));
        assert_eq!(self.branch(), base.as_str(), "{failure}");
        self.sound();
        failure
    }
}

#[test]
fn e5_i02_configuration_of_the_agent_is_never_read() {
    let (world, base) = World::with_workspace();
    let private = world.place().private_git_dir;
    let run = format!("touch {}", world.trap().display());
    let config = format!(
        "[core]\n\tfsmonitor = {run}\n\thooksPath = {}/hooks\n\tpager = {run}\n[diff]\n\texternal = {run}\n[extensions]\n\tworktreeConfig = true\n",
        private.display()
    );
    let evil = world.dir.path().join("ws/evil");
    world.agent_commits("a", "a\n");
    ok(git(world.dir.path(), ["init", "-q", "ws/evil"], &[]));
    for path in ["config", "config.worktree"] {
        put(&private.join(path), &config);
        put(&evil.join(".git").join(path), &config);
    }
    put(
        &private.join("commondir"),
        format!("{}/.git\n", evil.display()),
    );
    for hook in [
        "post-checkout",
        "pre-commit",
        "reference-transaction",
        "post-commit",
    ] {
        put(
            &private.join("hooks").join(hook),
            format!("#!/bin/sh\n{run}\n"),
        );
        fs::set_permissions(
            private.join("hooks").join(hook),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
    }
    world.life_goes_on(&base);
}

#[test]
fn e6_i05_i06_links_in_the_git_directory_are_not_followed() {
    for name in [
        "logs/HEAD",
        "logs/refs/heads/wsm/fix",
        "HEAD",
        "index",
        "index.lock",
        "COMMIT_EDITMSG",
        "ORIG_HEAD",
        "FETCH_HEAD",
        "packed-refs",
        "packed-refs.lock",
        "refs/heads/wsm/fix",
        "refs/heads/evil",
        "objects/info/alternates",
    ] {
        let (world, base) = World::with_workspace();
        let victim = world.victim();
        world.agent_commits("a", "a\n");
        let path = world.place().private_git_dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::remove_file(&path).ok();
        symlink(&victim, &path).unwrap();
        world.life_goes_on(&base);
        assert_eq!(fs::read_to_string(victim).unwrap(), "intact\n", "{name}");
    }
}

#[test]
fn e7_i03_a_forged_gitdir_deletes_nothing() {
    let (world, base) = World::with_workspace();
    let treasure = world.dir.path().join("treasure");
    put(&treasure.join("gold"), "");
    put(
        &world.place().private_git_dir.join("gitdir"),
        format!("{}/.git\n", treasure.display()),
    );
    world.import(&base);
    let at = world.main();
    assert!(
        !git(&at, ["worktree", "remove", "--force", "../ws"], &[])
            .status
            .success(),
        "it is locked"
    );
    ok(git(
        &at,
        ["worktree", "remove", "--force", "--force", "../ws"],
        &[],
    ));
    ask(Request::RemoveWorkspace {
        place: world.place(),
        branches: Branches::DeleteAll,
    });
    assert!(treasure.join("gold").exists());
}

#[test]
fn e8_nested_repositories_and_a_replaced_pointer_run_nothing() {
    let (world, base) = World::with_workspace();
    let run = format!("touch {}", world.trap().display());
    let ws = world.place().workspace;
    ok(git(&ws, ["init", "-q", "--bare", "nested"], &[]));
    ok(git(
        &ws,
        ["-C", "nested", "config", "core.fsmonitor", &run],
        &[],
    ));
    ok(git(&ws, ["init", "-q", "clone"], &[]));
    ok(git(
        &ws,
        ["-C", "clone", "config", "core.fsmonitor", &run],
        &[],
    ));
    world.life_goes_on(&base);
    // The pointer is pinned in the sandbox; even without that, the helper does not look at it.
    let tip = world.branch();
    fs::remove_file(ws.join(".git")).unwrap();
    fs::rename(ws.join("clone/.git"), ws.join(".git")).unwrap();
    let place = world.place();
    ask(Request::Diff {
        place: place.clone(),
        target: None,
        uncommitted: true,
        patch: true,
    });
    assert!(
        matches!(ask(Request::State { place: place.clone(), target: None }), Reply::State(s) if s.tip.as_str() == tip)
    );
    ask(Request::Apply {
        guarded: Vec::new(),
        place,
        work_tree: world.main(),
        mark: 1,
    });
    assert!(!world.trap().exists());
}

#[test]
fn fifos_and_foreign_object_directories_are_refused_at_once() {
    let begun = std::time::Instant::now();
    for name in [
        "HEAD",
        "packed-refs",
        "refs/heads/wsm/fix",
        "refs/heads/evil",
    ] {
        let (world, base) = World::with_workspace();
        let path = world.place().private_git_dir.join(name);
        fs::remove_file(&path).ok();
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        world.try_import(Some(&base));
        assert_eq!(world.branch(), base.as_str());
    }
    // The loose file of a new object is a FIFO or a link; so is `objects` itself.
    for kind in ["fifo", "link", "objects"] {
        let (world, base) = World::with_workspace();
        let tip = world.agent_commits("a", "a\n");
        let objects = world.place().private_git_dir.join("objects");
        let path = objects.join(&tip[..2]).join(&tip[2..]);
        let aside = world.dir.path().join("aside");
        if kind == "objects" {
            fs::rename(&objects, &aside).unwrap();
            symlink(&aside, &objects).unwrap();
        } else {
            fs::rename(&path, &aside).unwrap();
            if kind == "fifo" {
                nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
            } else {
                symlink(&aside, &path).unwrap();
            }
        }
        assert_eq!(
            failed(world.try_import(Some(&base))).kind,
            FailureKind::Hostile,
            "{kind}"
        );
        assert_eq!(world.branch(), base.as_str());
        world.sound();
    }
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "something blocked"
    );
}

#[test]
fn what_would_block_is_refused() {
    let (world, _) = World::with_workspace();
    let ws = world.place().workspace;
    nix::unistd::mkfifo(&ws.join("pipe"), Mode::S_IRWXU).unwrap();
    for name in [".gitattributes", ".gitignore", "src/.gitignore"] {
        for link in [false, true] {
            if link {
                symlink(ws.join("pipe"), ws.join(name)).unwrap();
            } else {
                nix::unistd::mkfifo(&ws.join(name), Mode::S_IRWXU).unwrap();
            }
            let failure = failed(ask(Request::State {
                place: world.place(),
                target: None,
            }));
            assert_eq!(failure.kind, FailureKind::Hostile, "{failure}");
            fs::remove_file(ws.join(name)).unwrap();
        }
    }
}

#[test]
fn a_tree_of_links_fifos_and_giants_can_be_compared() {
    let (world, base) = World::with_workspace();
    let ws = world.place().workspace;
    world.agent_commits("kept/file", "x\n");
    let last = world.import(&base).last.unwrap();
    // A directory becomes a link to where the agent can't look.
    let outside = world.dir.path().join("outside");
    put(&outside.join("file"), "secret\n");
    fs::remove_dir_all(ws.join("kept")).unwrap();
    symlink(&outside, ws.join("kept")).unwrap();
    fs::remove_file(ws.join("readme")).unwrap();
    nix::unistd::mkfifo(&ws.join("readme"), Mode::S_IRWXU).unwrap();
    fs::File::create(ws.join("giant"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let place = world.place();
    let (told, heard) = std::sync::mpsc::channel();
    let asking = place.clone();
    std::thread::spawn(move || {
        let place = asking;
        let diff = ask(Request::Diff {
            place: place.clone(),
            target: None,
            uncommitted: true,
            patch: true,
        });
        told.send((
            diff,
            ask(Request::State {
                place,
                target: None,
            }),
        ))
        .unwrap();
    });
    let (diff, state) = heard
        .recv_timeout(Duration::from_secs(20))
        .expect("something blocked");
    assert!(
        matches!(state, Reply::State(s) if s.uncommitted >= 2),
        "{diff:?}"
    );
    match diff {
        Reply::Diff(diff) => assert!(!diff.patch.contains("secret"), "{}", diff.patch),
        other => panic!("{other:?}"),
    }
    fs::remove_file(ws.join("giant")).unwrap();
    match ask(Request::Apply {
        guarded: Vec::new(),
        place,
        work_tree: world.main(),
        mark: 1,
    }) {
        Reply::Merge(MergeReply::Done { .. }) => {
            let kept = world.main().join("kept");
            assert_eq!(fs::read_link(kept).unwrap(), outside);
        }
        other => panic!("{other:?}"),
    }
    world.import(&last);
    world.sound();
}

#[test]
fn alternates_of_the_agent_open_nothing() {
    let (world, base) = World::with_workspace();
    // A repository that the agent may not read, say another account's.
    let secret = world.dir.path().join("secret");
    ok(git(world.dir.path(), ["init", "-q", "secret"], &[]));
    put(&secret.join("password"), "hunter2\n");
    ok(git(&secret, ["add", "."], &[]));
    ok(git(
        &secret,
        [
            "-c",
            "user.name=x",
            "-c",
            "user.email=x",
            "commit",
            "-qm",
            "x",
        ],
        &[],
    ));
    let tip = ok(git(&secret, ["rev-parse", "HEAD"], &[]));
    let alternates = format!("{}/.git/objects\n", secret.display());
    put(
        &world
            .place()
            .private_git_dir
            .join("objects/info/alternates"),
        alternates,
    );
    world.points_at(&tip);
    assert_eq!(
        failed(world.try_import(Some(&base))).kind,
        FailureKind::Busy
    );
    assert_eq!(world.branch(), base.as_str());
    world.sound();
}
