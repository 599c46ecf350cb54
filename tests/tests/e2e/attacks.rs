//! An agent that wants the host: what host git executes or trusts is out of its reach.
//! Numbers are those of `research/sandbox.md`, section 2.2.

use std::path::Path;

use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;

/// What a person does in both places afterwards.
fn host_git_everywhere(repo: &Repo<'_>, workspace: &str) {
    for directory in [Path::new(workspace), repo.path()] {
        for args in [
            &["status"][..],
            &["diff"],
            &["log", "--oneline", "-3"],
            &["stash", "list"],
            &["branch", "-a"],
            &["commit", "-q", "--allow-empty", "-m", "by the human"],
        ] {
            let done = repo.git_in(directory, args);
            assert_ne!(done.code, 128 + 9, "{done}");
        }
    }
}

fn attack(script: &str) {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "attacker");
    let canary = wsm.root().home().join("executed");
    let victim = wsm.root().home().join("victim");
    std::fs::create_dir(&victim).expect("a new directory");
    std::fs::write(victim.join("precious"), "precious\n").expect("our own file");
    std::fs::write(wsm.root().home().join("authorized_keys"), "key\n").expect("our own file");
    let main = repo.commit_of("main");

    // Every line may fail: being refused is the point.
    let home = wsm.root().home().display().to_string();
    let prologue = format!(
        "HOST={home}; REPO={}; ADMIN=$(git rev-parse --absolute-git-dir); cd {}; \
         printf '#!/bin/sh\\ntouch {}\\n' >/tmp/evil; chmod +x /tmp/evil; cp /tmp/evil evil; ",
        repo.path().display(),
        agent.workspace,
        canary.display()
    );
    let tried = wsm.inside("attacker", &format!("{prologue}{script}; true"));

    host_git_everywhere(&repo, &agent.workspace);
    let diff = wsm.wsm(&["diff", "attacker"]);
    wsm.wsm(&["rm", "attacker"]).ok();
    wsm.wsm(&["rm", "--purge", "attacker"]).ok();
    assert!(
        !canary.exists(),
        "the host executed the agent's program: {tried} {diff}"
    );
    assert!(
        victim.join("precious").exists(),
        "the victim was deleted: {tried}"
    );
    let keys = std::fs::read_to_string(wsm.root().home().join("authorized_keys"));
    assert_eq!(keys.expect("our own file"), "key\n", "{tried}");
    let log = repo.git(&["log", "--format=%H", "main"]).ok().stdout;
    assert!(log.contains(&main), "main lost a commit");
    assert_eq!(repo.fsck(), "");
}

#[test]
fn e5_commondir_that_leads_to_a_config() {
    attack(
        r#"mkdir -p fake/refs fake/objects; printf '[core]\n fsmonitor = %s/evil\n' "$PWD" >fake/config
           echo "$PWD/fake" >"$ADMIN/commondir"; echo "$PWD/fake" >"$REPO/.git/worktrees/x/commondir"
           printf 'gitdir: %s/fake\n' "$PWD" >.git"#,
    );
}

#[test]
fn e5_config_and_hooks_of_its_own() {
    attack(
        r#"git config core.fsmonitor "$PWD/evil"; git config core.hooksPath "$PWD"; git config core.pager "$PWD/evil"
           git config extensions.worktreeConfig true; git config --worktree core.fsmonitor "$PWD/evil"
           git config diff.external "$PWD/evil"; git config filter.x.clean "$PWD/evil"
           printf '* filter=x diff=x\n' >.gitattributes
           mkdir -p "$ADMIN/hooks"; for h in post-commit pre-commit post-checkout reference-transaction post-merge; do
             cp evil "$ADMIN/hooks/$h"; cp evil "$REPO/.git/hooks/$h"; done
           git add -A; git commit -q -m evil"#,
    );
}

#[test]
fn e6_reflog_that_is_a_link() {
    attack(
        r#"mkdir -p "$ADMIN/logs/refs/heads/wsm"; rm -f "$ADMIN/logs/HEAD"
           ln -sf "$HOST/authorized_keys" "$ADMIN/logs/HEAD"
           ln -sf "$HOST/authorized_keys" "$ADMIN/logs/refs/heads/wsm/attacker"
           ln -sf "$HOST/authorized_keys" "$REPO/.git/logs/refs/heads/wsm/attacker"
           echo x >x; git add x; git commit -q -m 'ssh-rsa evil'"#,
    );
}

#[test]
fn e7_gitdir_that_names_a_victim() {
    attack(
        r#"echo "$HOST/victim/.git" >"$ADMIN/gitdir"; for w in "$REPO"/.git/worktrees/*; do
             echo "$HOST/victim/.git" >"$w/gitdir"; done
           rm -rf .git; printf 'gitdir: %s\n' "$HOST/victim" >.git"#,
    );
}

#[test]
fn e8_objects_and_refs_that_are_links() {
    attack(
        r#"git commit -q --allow-empty -m one
           mv "$ADMIN/objects" "$ADMIN/o"; ln -s / "$ADMIN/objects"
           rm -rf "$ADMIN/refs"; ln -s "$REPO/.git/refs" "$ADMIN/refs"
           echo '0000000000000000000000000000000000000001 refs/heads/../../../../etc/x' >"$ADMIN/packed-refs"
           mkfifo "$ADMIN/HEAD.lock"; rm -f "$ADMIN/HEAD"; mkfifo "$ADMIN/HEAD"
           rm -rf "$REPO/.git/objects"/* "$REPO/.git/refs/heads/main""#,
    );
}

#[test]
fn trees_with_names_that_git_would_never_make() {
    attack(
        r#"blob=$(git hash-object -w evil)
           for name in .git .GIT 'git~1' .. ; do
             tree=$(printf "100755 blob $blob\t$name\n" | git mktree --missing 2>/dev/null) || continue
             commit=$(git commit-tree -m bad "$tree") && git update-ref HEAD "$commit"; done
           printf "40000 tree $(printf "100755 blob $blob\thooks\n" | git mktree)\t.git\n" | git mktree"#,
    );
}
