//! What stands in the main checkout where the agent's work shall come.

use std::os::unix::fs::symlink;

use super::*;

/// Files and links of the main checkout, with what they hold.
fn tree(world: &World) -> Vec<String> {
    fn walk(at: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_symlink() {
                found.push(format!("{path:?} -> {:?}", fs::read_link(&path).unwrap()));
            } else if kind.is_file() {
                found.push(format!("{path:?} {:?}", fs::read(&path).unwrap()));
            } else if entry.file_name() != ".git" {
                found.push(format!("{path:?}/"));
                walk(&path, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&world.main(), &mut found);
    found.sort();
    found
}

/// The agent commits what `work` makes of a directory `d` with one file and a file `f`; meanwhile
/// the human has done `mine`. Gives what the merge and the apply say.
fn brought(mine: impl Fn(&Path), work: impl Fn(&Path)) -> (World, [Reply; 2]) {
    let world = World::new();
    world.write("d/x", "x\n");
    world.write("f", "f\n");
    world.write(".gitignore", "*.log\nlocal\n");
    world.git(["add", "."]);
    world.git(["commit", "-qm", "more"]);
    let base = world.create().base;
    work(&world.place().workspace);
    world.agent(["add", "-Af", "."]);
    world.agent(["commit", "-qm", "work"]);
    world.import(&base);
    mine(&world.main());
    let before = tree(&world);
    let status = world.git(["status", "--porcelain"]);
    let apply = ask(Request::Apply {
        guarded: Vec::new(),
        place: world.place(),
        work_tree: world.main(),
        mark: 1,
    });
    let merge = ask(Request::Merge(Box::new(Merge {
        guarded: Vec::new(),
        place: world.place(),
        work_tree: world.main(),
        squash: false,
        message: "m".into(),
        author: Identity {
            name: "a".into(),
            email: "a".into(),
        },
        mark: 2,
        uncommitted: Uncommitted::Refuse,
    })));
    let done = |reply: &Reply| matches!(reply, Reply::Merge(MergeReply::Done { .. }));
    if !done(&apply) && !done(&merge) {
        assert_eq!(tree(&world), before, "{merge:?}");
        assert_eq!(world.git(["status", "--porcelain"]), status, "{merge:?}");
    }
    (world, [apply, merge])
}

fn refused(what: &str, mine: impl Fn(&Path), work: impl Fn(&Path)) {
    let (_, replies) = brought(mine, work);
    for reply in replies {
        match reply {
            Reply::Merge(MergeReply::Dirty { paths }) => assert_eq!(paths, [what]),
            other => panic!("{what}: {other:?}"),
        }
    }
}

fn directory_becomes_file(tree: &Path) {
    fs::remove_dir_all(tree.join("d")).unwrap();
    put(&tree.join("d"), "now a file\n");
}

fn directory_becomes_link(tree: &Path) {
    fs::remove_dir_all(tree.join("d")).unwrap();
    symlink("/etc", tree.join("d")).unwrap();
}

#[test]
fn what_lies_in_a_directory_that_goes_is_never_taken_away() {
    for work in [directory_becomes_file, directory_becomes_link] {
        refused("d/my.log", |tree| put(&tree.join("d/my.log"), "m\n"), work);
        refused("d/new", |tree| put(&tree.join("d/new"), "m\n"), work);
        refused(
            "d/sub/new",
            |tree| put(&tree.join("d/sub/new"), "m\n"),
            work,
        );
        let empty = |tree: &Path| fs::create_dir(tree.join("d/empty")).unwrap();
        refused("d/empty", empty, work);
        let nested = |tree: &Path| {
            ok(git(&tree.join("d"), ["init", "-q", "own"], &[]));
        };
        refused("d/own/.git", nested, work);
    }
}

#[test]
fn what_stands_where_a_directory_shall_come_is_never_taken_away() {
    let work = |tree: &Path| put(&tree.join("local/deep/new"), "n\n");
    refused("local", |tree| put(&tree.join("local"), "mine\n"), work);
    let elsewhere = |tree: &Path| symlink("/etc", tree.join("local")).unwrap();
    refused("local", elsewhere, work);
    let deeper = |tree: &Path| put(&tree.join("local/deep"), "mine\n");
    refused("local/deep", deeper, work);
    let ignored = |tree: &Path| put(&tree.join("local/deep/new"), "mine\n");
    refused("local/deep/new", ignored, work);
}

#[test]
fn what_is_committed_may_change_its_kind() {
    let file_becomes_directory = |tree: &Path| {
        fs::remove_file(tree.join("f")).unwrap();
        put(&tree.join("f/g"), "g\n");
    };
    let file_becomes_link = |tree: &Path| {
        fs::remove_file(tree.join("f")).unwrap();
        symlink("d/x", tree.join("f")).unwrap();
    };
    let beside = |tree: &Path| put(&tree.join("my.log"), "m\n");
    let works: [&dyn Fn(&Path); 4] = [
        &directory_becomes_file,
        &directory_becomes_link,
        &file_becomes_directory,
        &file_becomes_link,
    ];
    for work in works {
        let (world, [apply, _]) = brought(beside, work);
        let staged = matches!(
            apply,
            Reply::Merge(MergeReply::Done {
                how: MergeKind::Staged,
                ..
            })
        );
        assert!(staged, "{apply:?}");
        world.git(["diff", "--exit-code"]);
        world.git(["diff", "--cached", "--exit-code", "wsm/fix"]);
    }
}

/// What a link that the agent commits leads elsewhere is changed like what it writes.
#[test]
fn a_guarded_name_is_not_led_elsewhere_by_what_stands_above_it() {
    for (guarded, refused) in [
        ("e/settings", true),
        ("E/settings/", true),
        ("other/x", false),
    ] {
        let (world, base) = World::with_workspace();
        world.agent_writes("evil/settings", "x\n");
        symlink("evil", world.place().workspace.join("e")).unwrap();
        world.agent(["add", "-A"]);
        world.agent(["commit", "-qm", "work"]);
        world.import(&base);
        let reply = ask(Request::Apply {
            guarded: vec![guarded.to_owned()],
            place: world.place(),
            work_tree: world.main(),
            mark: 1,
        });
        match reply {
            Reply::Merge(MergeReply::Guarded { paths }) if refused => assert_eq!(paths, ["e"]),
            Reply::Merge(MergeReply::Done { .. }) if !refused => {}
            other => panic!("{guarded}: {other:?}"),
        }
    }
}
