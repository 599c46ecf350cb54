//! What a person has to agree to: directories that a template writes to, and what a repository's own
//! template brings.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use wsm_tests::cli::Output;
use wsm_tests::instance::Instance;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;

fn new(wsm: &Instance, who: &Persona, repo: &Repo<'_>, name: &str, more: &[&str]) -> Output {
    let path = repo.path().to_string_lossy().into_owned();
    let args = ["new", &path, "--name", name, "--detach", "--no-input"];
    let made = wsm.wsm_as(who, &[&args[..], more].concat());
    wsm.remember_agents();
    made
}

fn mkdir(who: &Persona, directory: &Path) {
    let mut mkdir = who.command("mkdir");
    mkdir.arg(directory);
    wsm_tests::cli::run(mkdir, b"").ok();
}

/// A template that writes to `directory`.
fn writes_to(wsm: &Instance, name: &str, directory: &Path) {
    let text = format!(
        "schema = 1\nname = \"{name}\"\ndescription = \"x\"\n[agent]\nkind = \"shell\"\n\
         [filesystem]\nwrite = [\"{}\"]\n",
        directory.display()
    );
    wsm.host_template(name, &text);
}

#[test]
fn granted_directory_is_written_as_the_account() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    let out = ann.home().join("out");
    mkdir(&ann, &out);
    writes_to(&wsm, "writer", &out);
    let dir = out.to_string_lossy().into_owned();

    let refused = new(&wsm, &ann, &repo, "w", &["-t", "writer"]);
    let refused = refused.fails(3).says("--grant");
    assert!(refused.stderr.contains(&dir), "{refused}");
    let wrong = ann.home().to_string_lossy().into_owned();
    let _ = new(&wsm, &ann, &repo, "w", &["-t", "writer", "--grant", &wrong]).fails(3);
    assert!(wsm.find("w").is_none());

    new(&wsm, &ann, &repo, "w", &["-t", "writer", "--grant", &dir]).ok();
    let line = format!("echo inside >{dir}/note && mkdir {dir}/sub && cat {dir}/note");
    let inside = wsm.wsm_as(&ann, &["exec", "w", "--", "sh", "-c", &line]);
    assert_eq!(inside.ok().text(), "inside");
    for path in [out.join("note"), out.join("sub")] {
        let made = std::fs::metadata(&path).expect("it was written");
        assert_eq!((made.uid(), made.gid()), (ann.uid(), ann.gid()), "{path:?}");
    }
    // Nothing else of the home is there.
    let beside = format!("cat {}/README.md", repo.path().display());
    let inside = wsm.wsm_as(&ann, &["exec", "w", "--", "sh", "-c", &beside]);
    assert_ne!(inside.code, 0, "{inside}");
    assert_eq!(wsm.end(), Vec::<String>::new());
}

#[test]
fn directories_of_others_are_not_granted() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let bob = Persona::new("bob");
    let repo = Repo::small(&ann, "project");
    let of_root = wsm.dir().with_file_name("of-root");
    std::fs::create_dir(&of_root).expect("root writes");
    let of_bob = bob.home().join("open");
    mkdir(&bob, &of_bob);
    for (name, dir) in [("rooted", &of_root), ("bobs", &of_bob)] {
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o777)).expect("root may");
        std::fs::set_permissions(bob.home(), PermissionsExt::from_mode(0o755)).expect("root may");
        writes_to(&wsm, name, dir);
        let path = dir.to_string_lossy();
        let refused = new(&wsm, &ann, &repo, name, &["-t", name, "--grant", &path]);
        let _ = refused.fails(3).says("it belongs to uid");
        assert!(wsm.find(name).is_none());
    }
    // wsm's own directories are nobody's to give, not even root's.
    let own = wsm.dir().join("state");
    writes_to(&wsm, "own", &own);
    let rooted = Repo::small(wsm.root(), "project");
    let path = own.to_string_lossy();
    let refused = new(
        &wsm,
        wsm.root(),
        &rooted,
        "own",
        &["-t", "own", "--grant", &path],
    );
    let _ = refused.fails(3);
    assert_eq!(wsm.end(), Vec::<String>::new());
}

const BRINGS: &str = r#"schema = 1
name = "brought"
description = "what the repository brings"
extends = ["shell"]
[workspace]
setup = ["echo SAID >~/said"]
"#;

/// The digest that a refusal named.
fn digest(refused: &Output) -> String {
    let mut words = refused.stderr.split_whitespace();
    words
        .find(|word| *word == "digest")
        .expect("a digest is named");
    words.next().expect("it follows").to_owned()
}

#[test]
fn what_a_repository_brings_is_trusted_once_and_again_when_it_changes() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let bob = Persona::new("bob");
    let repo = Repo::small(&ann, "project");
    repo.write(".wsm/brought.toml", &BRINGS.replace("SAID", "one"));
    repo.commit("a template");

    let first = new(&wsm, &ann, &repo, "a", &["-t", "brought"]).fails(3);
    assert!(first.stderr.contains("echo one"), "it is shown: {first}");
    assert!(wsm.find("a").is_none(), "nothing was made");
    let one = digest(&first);
    let _ = new(
        &wsm,
        &ann,
        &repo,
        "a",
        &["-t", "brought", "--trust", "0123"],
    )
    .fails(3);
    new(&wsm, &ann, &repo, "a", &["-t", "brought", "--trust", &one]).ok();
    let said = wsm.wsm_as(&ann, &["exec", "a", "--", "sh", "-c", "cat ~/said"]);
    assert_eq!(said.ok().text(), "one");
    new(&wsm, &ann, &repo, "b", &["-t", "brought"]).ok();

    repo.write(".wsm/brought.toml", &BRINGS.replace("SAID", "two"));
    repo.commit("another template");
    let changed = new(&wsm, &ann, &repo, "c", &["-t", "brought"]).fails(3);
    assert!(changed.stderr.contains("echo two"), "{changed}");
    assert_ne!(digest(&changed), one);
    let _ = new(&wsm, &ann, &repo, "c", &["-t", "brought", "--trust", &one]).fails(3);
    // What was trusted stays so: the old commit brings what it brought.
    new(
        &wsm,
        &ann,
        &repo,
        "c",
        &["-t", "brought", "--base", "HEAD~1"],
    )
    .ok();

    // A trust is its owner's own.
    let others = Repo::small(&bob, "project");
    others.write(".wsm/brought.toml", &BRINGS.replace("SAID", "one"));
    others.commit("the same template");
    let _ = new(&wsm, &bob, &others, "d", &["-t", "brought"]).fails(3);
    assert_eq!(wsm.end(), Vec::<String>::new());
}
