//! Objects that an agent can craft, and what must not enter the main repository: I14 and I15 of
//! `research/sandbox.md`.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::super::check::Limits;
use super::super::import;
use super::*;

#[test]
fn i14_corrupt_objects_are_found() {
    // A loose object that is another one.
    let (world, base) = World::with_workspace();
    let tip = world.agent_commits("a", "a\n");
    let objects = world.place().private_git_dir.join("objects");
    let file = |oid: &str| objects.join(&oid[..2]).join(&oid[2..]);
    let blob = world.agent(["rev-parse", "HEAD:a"]);
    let other = world.object("blob", b"b\n");
    fs::rename(file(&other), file(&blob)).unwrap();
    assert_eq!(
        failed(world.try_import(Some(&base))).kind,
        FailureKind::Hostile
    );
    fs::set_permissions(file(&tip), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(file(&tip), "garbage").unwrap();
    assert!(matches!(world.try_import(Some(&base)), Reply::Failed(_)));
    assert_eq!(world.branch(), base.as_str());
    world.sound();

    // A pack that is cut off, with its index still good; then an index that lies.
    let (world, base) = World::with_workspace();
    for n in 0..5 {
        world.agent_commits(&format!("f{n}"), "x\n");
    }
    world.agent(["repack", "-qadl"]);
    let packs = world.place().private_git_dir.join("objects/pack");
    let pack = fs::read_dir(&packs)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension() == Some("pack".as_ref()))
        .unwrap();
    let index = pack.with_extension("idx");
    fs::set_permissions(&index, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&pack, fs::Permissions::from_mode(0o644)).unwrap();
    let good = fs::read(&pack).unwrap();
    fs::write(&pack, &good[..good.len() - 30]).unwrap();
    assert_eq!(
        failed(world.try_import(Some(&base))).kind,
        FailureKind::Hostile
    );
    fs::write(&pack, &good).unwrap();
    fs::write(&index, "lies").unwrap();
    assert!(
        matches!(world.import(&base).outcome, Outcome::TookOver { .. }),
        "its index is never read"
    );
    world.sound();
}

#[test]
fn i15_trees_that_write_elsewhere_are_refused() {
    let (world, base) = World::with_workspace();
    let blob = world.object("blob", b"[core]\n\tfsmonitor = touch trap\n");
    for name in [
        &b".git"[..],
        b".GIT",
        b".Git",
        b"git~1",
        b".git ",
        b".git.",
        b".git::$INDEX_ALLOCATION",
        b"..",
        b".",
        b"a/b",
        b"",
        "\u{200c}.git".as_bytes(),
    ] {
        for mode in ["100644", "120000"] {
            let tree = world.tree(&[(mode, name, &blob)]);
            assert_eq!(
                world.refused(&base, &tree).kind,
                FailureKind::Hostile,
                "{}",
                String::from_utf8_lossy(name)
            );
        }
        let inner = world.tree(&[("100644", b"config", &blob)]);
        let tree = world.tree(&[("40000", name, &inner)]);
        assert_eq!(world.refused(&base, &tree).kind, FailureKind::Hostile);
        // Below a directory as well.
        let tree = world.tree(&[("40000", b"sub", &tree)]);
        assert_eq!(world.refused(&base, &tree).kind, FailureKind::Hostile);
    }
}

#[test]
fn i15_malformed_trees_and_forged_kinds_are_refused() {
    let (world, base) = World::with_workspace();
    let blob = world.object("blob", b"b\n");
    for entries in [
        &[
            ("100644", &b"a"[..], blob.as_str()),
            ("100644", b"a", &blob),
        ][..],
        &[("100644", b"b", &blob), ("100644", b"a", &blob)],
        &[("104755", b"a", &blob)],
        &[("120000", b".gitmodules", &blob)],
        &[("40000", b"a", &blob)],
    ] {
        let tree = world.tree(entries);
        assert_eq!(
            world.refused(&base, &tree).kind,
            FailureKind::Hostile,
            "{entries:?}"
        );
    }
    let modules = world.object(
        "blob",
        b"[submodule \"x\"]\n\tpath = x\n\turl = u\n\tupdate = !touch trap\n",
    );
    let tree = world.tree(&[("100644", b".gitmodules", &modules)]);
    assert_eq!(world.refused(&base, &tree).kind, FailureKind::Hostile);
    // A tree as branch, a commit as tree, an object that is not there.
    world.points_at(&tree);
    assert_eq!(
        failed(world.try_import(Some(&base))).kind,
        FailureKind::Hostile
    );
    world.points_at(&world.commit(base.as_str()));
    assert!(matches!(world.try_import(Some(&base)), Reply::Failed(_)));
    // One object in two roles, known and new.
    for known in [world.git(["rev-parse", "main:readme"]), blob.clone()] {
        let tree = world.tree(&[("100644", b"a", &known), ("40000", b"b", &known)]);
        assert_eq!(world.refused(&base, &tree).kind, FailureKind::Hostile);
    }
    world.points_at(&"1".repeat(40));
    assert!(matches!(world.try_import(Some(&base)), Reply::Failed(_)));
    assert_eq!(world.branch(), base.as_str());
    // A bad second branch does not stop the good first.
    put(
        &world.place().private_git_dir.join("refs/heads/bad"),
        world.commit(&tree),
    );
    world.points_at(base.as_str());
    world.agent(["reset", "-q", "--hard"]);
    world.agent_commits("good", "g\n");
    let imported = world.import(&base);
    assert!(matches!(imported.outcome, Outcome::TookOver { .. }));
    assert_eq!(imported.warnings.len(), 1, "{:?}", imported.warnings);
    world.sound();
}

#[test]
fn i15_bombs_meet_their_bounds() {
    let (world, base) = World::with_workspace();
    let small = Limits {
        objects_max: 20,
        blob_bytes_max: 1000,
        node_bytes_max: 1000,
        total_bytes_max: 3000,
        depth_max: 5,
        time_max: Duration::from_secs(60),
    };
    let request = Import {
        place: world.place(),
        last: Some(base.clone()),
        check_index: false,
    };
    let refused = |tree: &str, kind: FailureKind| {
        world.points_at(&world.commit(tree));
        let failure = import::import(&request, small).unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert_eq!(world.branch(), base.as_str());
        world.sound();
    };
    let blob = |n: usize| world.object("blob", &vec![u8::try_from(n % 200).unwrap(); n]);
    // At the limit and one past it. A bomb of zeros is small on disk.
    let tree = world.tree(&[("100644", b"a", &blob(1001))]);
    refused(&tree, FailureKind::TooLarge);
    let bomb = world.object("blob", &vec![0; 64 << 20]);
    refused(
        &world.tree(&[("100644", b"a", &bomb)]),
        FailureKind::TooLarge,
    );
    let many: Vec<String> = (0..30).map(blob).collect();
    let names: Vec<String> = (10..40).map(|n| format!("f{n}")).collect();
    let entries: Vec<_> = many
        .iter()
        .zip(&names)
        .map(|(oid, name)| ("100644", name.as_bytes(), oid.as_str()))
        .collect();
    refused(&world.tree(&entries), FailureKind::TooLarge);
    let some: Vec<_> = entries.iter().take(10).copied().collect();
    let mut deep = world.tree(&some);
    for _ in 0..7 {
        deep = world.tree(&[("40000", b"d", &deep)]);
    }
    refused(&deep, FailureKind::Hostile);
    let wide: Vec<String> = (100..160).map(|n| format!("f{n}")).collect();
    let wide: Vec<_> = wide
        .iter()
        .map(|name| ("100644", name.as_bytes(), many[0].as_str()))
        .collect();
    refused(&world.tree(&wide), FailureKind::TooLarge);
    let full: Vec<String> = (900..904).map(blob).collect();
    let full: Vec<_> = full
        .iter()
        .zip(&names)
        .map(|(oid, name)| ("100644", name.as_bytes(), oid.as_str()))
        .collect();
    refused(&world.tree(&full), FailureKind::TooLarge);
    let slow = Limits {
        time_max: Duration::ZERO,
        ..Limits::default()
    };
    assert_eq!(
        import::import(&request, slow).unwrap_err().kind,
        FailureKind::TooLarge
    );
    world.points_at(&world.commit(&world.tree(&[("100644", b"a", &blob(1000))])));
    assert!(import::import(&request, small).is_ok());
    world.sound();
}
