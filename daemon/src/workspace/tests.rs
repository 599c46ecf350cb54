//! Tests of the helper on real repositories, with the host's git as the oracle.
//!
//! The inside of a sandbox is played by git with the private git directory: there it is mounted
//! over the administrative directory, here `GIT_DIR` says the same.

mod account;
mod attacks;
mod beside;
mod bring_back;
mod creation;
mod importing;
mod objects;
mod refusal;
mod wire;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::helper;
use super::protocol::*;

/// A main repository and one agent's workspace of it.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(world.main()).unwrap();
        world.git(["init", "-q", "-b", "main"]);
        world.git(["config", "user.name", "Hanna"]);
        world.git(["config", "user.email", "hanna@example.com"]);
        world.write("readme", "one\n");
        world.write("src/lib.rs", "fn a() {}\n");
        world.git(["add", "."]);
        world.git(["commit", "-qm", "start"]);
        world
    }

    fn main(&self) -> PathBuf {
        self.dir.path().join("main")
    }

    fn write(&self, path: &str, text: &str) {
        put(&self.main().join(path), text);
    }

    fn place(&self) -> Place {
        Place {
            git_dir: self.main().join(".git"),
            admin_id: "wsm-a1".into(),
            workspace: self.dir.path().join("ws"),
            private_git_dir: self.dir.path().join("private"),
            agent: "fix".into(),
            branch: "wsm/fix".into(),
        }
    }

    fn creation(&self) -> Create {
        Create {
            hide: Vec::new(),
            files: Vec::new(),
            place: self.place(),
            base: "HEAD".into(),
            copy: Vec::new(),
            source_tree: Some(self.main()),
            identity: Some(Identity {
                name: "Hanna".into(),
                email: "hanna@example.com".into(),
            }),
            // The tests run as one uid, inside and outside.
            inside_uid: std::os::unix::fs::MetadataExt::uid(
                &fs::metadata(self.dir.path()).unwrap(),
            ),
            inside_gid: std::os::unix::fs::MetadataExt::gid(
                &fs::metadata(self.dir.path()).unwrap(),
            ),
        }
    }

    /// With the agent's workspace made.
    fn with_workspace() -> (Self, Oid) {
        let world = Self::new();
        let base = world.create().base;
        (world, base)
    }

    fn create(&self) -> Created {
        match ask(Request::CreateWorkspace(Box::new(self.creation()))) {
            Reply::Workspace(created) => created,
            other => panic!("{other:?}"),
        }
    }

    /// The human's git in the main checkout.
    fn git<const N: usize>(&self, args: [&str; N]) -> String {
        ok(git(&self.main(), args, &[]))
    }

    /// The human's git in the worktree.
    fn human<const N: usize>(&self, args: [&str; N]) -> String {
        ok(git(&self.place().workspace, args, &[]))
    }

    /// The agent's git.
    fn agent<const N: usize>(&self, args: [&str; N]) -> String {
        let place = self.place();
        let view: [(&str, &OsStr); 2] = [
            ("GIT_DIR", place.private_git_dir.as_os_str()),
            ("GIT_WORK_TREE", place.workspace.as_os_str()),
        ];
        ok(git(&place.workspace, args, &view))
    }

    /// A file of the agent.
    fn agent_writes(&self, path: &str, text: &str) {
        put(&self.place().workspace.join(path), text);
    }

    fn agent_commits(&self, path: &str, text: &str) -> String {
        self.agent_writes(path, text);
        self.agent(["add", "-A"]);
        self.agent(["commit", "-qm", path]);
        self.agent(["rev-parse", "HEAD"])
    }

    fn try_import(&self, last: Option<&Oid>) -> Reply {
        ask(Request::Import(Box::new(Import {
            place: self.place(),
            last: last.cloned(),
            check_index: false,
        })))
    }

    fn import(&self, last: &Oid) -> Imported {
        match self.try_import(Some(last)) {
            Reply::Imported(imported) => imported,
            other => panic!("{other:?}"),
        }
    }

    fn branch(&self) -> String {
        self.git(["rev-parse", "wsm/fix"])
    }

    fn sound(&self) {
        let out = self.git(["fsck", "--full", "--strict", "--no-dangling"]);
        assert_eq!(out, "", "git fsck");
        let left = fs::read_dir(self.main().join(".git/objects")).unwrap();
        for entry in left {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with("tmp_"), "{name} was left");
        }
    }
}

fn put(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn ask(request: Request) -> Reply {
    helper::answer(&request, &mut |_, _, _| {})
}

fn failed(reply: Reply) -> Failure {
    match reply {
        Reply::Failed(failure) => failure,
        other => panic!("should have failed: {other:?}"),
    }
}

fn git<const N: usize>(at: &Path, args: [&str; N], env: &[(&str, &OsStr)]) -> Output {
    Command::new("git")
        .current_dir(at)
        .args(args)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_EDITOR", "true")
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

fn ok(output: Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    assert!(
        output.status.success(),
        "{} {}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
