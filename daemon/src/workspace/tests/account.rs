//! The helper as it really runs: with the uid of an account, and with a git directory of which it
//! may write only what its rights name.

use std::os::unix::fs::{PermissionsExt, chown};

use super::*;

/// An account that exists nowhere else.
const UID: u32 = 23_456;

/// Answers one request from a file; [`World::as_account`] starts it with the account's uid.
#[test]
#[ignore = "a helper process of another test, not a test"]
fn act() {
    let dir = PathBuf::from(std::env::var_os("WSM_ACT").expect("as_account sets it"));
    let request = serde_json::from_slice(&fs::read(dir.join("request")).unwrap()).unwrap();
    let reply = serde_json::to_vec(&ask(request)).unwrap();
    fs::write(dir.join("reply"), reply).unwrap();
}

impl World {
    /// Gives everything to the account, and leaves of the git directory and the main checkout only
    /// that writable which creation and import need.
    fn belongs_to_account(&self) {
        fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let git_dir = self.main().join(".git");
        for name in ["worktrees", "logs"] {
            fs::create_dir_all(git_dir.join(name)).unwrap();
        }
        let place = self.place();
        for path in [
            &place.workspace,
            &place.private_git_dir,
            &self.dir.path().join("act"),
        ] {
            fs::create_dir(path).unwrap();
            chown(path, Some(UID), Some(UID)).unwrap();
        }
        own(&self.main());
        for path in [&self.main(), &git_dir] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
        }
        fs::copy(
            std::env::current_exe().unwrap(),
            self.dir.path().join("exe"),
        )
        .unwrap();
    }

    fn as_account(&self, request: &Request) -> Reply {
        let act = self.dir.path().join("act");
        put(&act.join("request"), serde_json::to_vec(request).unwrap());
        let mut command = account_command(&self.dir.path().join("exe"));
        let name = "workspace::tests::account::act";
        ok(command
            .args(["--ignored", "--exact", name])
            .env("WSM_ACT", &act)
            .output()
            .unwrap());
        serde_json::from_slice(&fs::read(act.join("reply")).unwrap()).unwrap()
    }

    fn account_git<const N: usize>(&self, private: bool, args: [&str; N]) -> String {
        let place = self.place();
        let mut command = account_command(Path::new("git"));
        command
            .current_dir(&place.workspace)
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        if private {
            command
                .env("GIT_DIR", place.private_git_dir)
                .env("GIT_WORK_TREE", place.workspace);
        }
        ok(command.output().unwrap())
    }
}

fn account_command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args([
            format!("--reuid={UID}"),
            format!("--regid={UID}"),
            "--clear-groups".to_owned(),
        ])
        .arg(program)
        // As the broker starts the helper.
        .env("HOME", "/nonexistent");
    command
}

fn own(path: &Path) {
    chown(path, Some(UID), Some(UID)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            own(&entry.unwrap().path());
        }
    }
}

#[test]
fn the_account_needs_no_more_than_its_rights() {
    let world = World::new();
    world.belongs_to_account();
    let mut creation = world.creation();
    creation.inside_uid = UID;
    creation.inside_gid = UID;
    let base = match world.as_account(&Request::CreateWorkspace(Box::new(creation))) {
        Reply::Workspace(created) => created.base,
        other => panic!("{other:?}"),
    };
    assert_eq!(world.account_git(false, ["status", "--porcelain"]), "");
    put(&world.place().workspace.join("a"), "a\n");
    own(&world.place().workspace);
    world.account_git(true, ["add", "a"]);
    world.account_git(true, ["commit", "-qm", "a"]);
    let import = Import {
        place: world.place(),
        last: Some(base),
        check_index: false,
    };
    match world.as_account(&Request::Import(Box::new(import))) {
        Reply::Imported(imported) => {
            assert!(matches!(imported.outcome, Outcome::TookOver { .. }));
            assert_eq!(imported.index, IndexState::Refreshed);
            assert!(imported.warnings.is_empty(), "{:?}", imported.warnings);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.account_git(false, ["status", "--porcelain"]), "");
    assert_eq!(
        world.account_git(false, ["log", "--format=%an %s"]),
        "Hanna a\nHanna start"
    );
    assert_eq!(world.account_git(false, ["fsck", "--no-dangling"]), "");
    let remove = Request::RemoveWorkspace {
        place: world.place(),
        branches: Branches::DeleteAll,
    };
    match world.as_account(&remove) {
        Reply::Removed { deleted, .. } => assert_eq!(deleted, ["refs/heads/wsm/fix"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_repository_that_the_account_may_not_read_says_so() {
    let world = World::new();
    world.belongs_to_account();
    let git_dir = world.main().join(".git");
    chown(&git_dir, Some(0), Some(0)).unwrap();
    fs::set_permissions(&git_dir, fs::Permissions::from_mode(0o700)).unwrap();
    let request = Request::Inspect {
        git_dir,
        work_tree: Some(world.main()),
    };
    let failure = failed(world.as_account(&request));
    assert_eq!(failure.kind, FailureKind::Unreadable, "{failure}");
    assert!(!failure.hint.is_empty());
}
