//! One directory, two views: git inside, git outside, and nobody is overwritten.

use std::path::Path;
use std::time::{Duration, Instant};

use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;
use wsm_tests::wait;

#[test]
fn commit_inside_is_outside_within_a_second() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "author");
    wsm.inside(
        "author",
        "echo new >new.txt && git add -A && git commit -q -m new",
    )
    .ok();
    let inside = wsm.inside("author", "git rev-parse HEAD").ok();
    let made = Instant::now();
    wait::until_true("the commit", || {
        repo.commit_of("wsm/author") == inside.text()
    });
    assert!(
        made.elapsed() < Duration::from_secs(1),
        "it took {:?}",
        made.elapsed()
    );

    let tree = Path::new(&agent.workspace);
    let clean = || {
        repo.git_in(tree, &["status", "--porcelain"])
            .ok()
            .stdout
            .is_empty()
    };
    wait::until_true("a clean status in the worktree", clean);
    assert_eq!(
        repo.git_in(tree, &["log", "-1", "--format=%s"]).ok().text(),
        "new"
    );
    assert_eq!(repo.git(&["status", "--porcelain"]).ok().stdout, "");
    assert_eq!(
        repo.git(&["log", "-1", "--format=%s", "wsm/author"])
            .ok()
            .text(),
        "new"
    );
    assert_eq!(repo.fsck(), "");
}

/// Research I17 and I18: everything that people do in a checkout.
#[test]
fn normal_git_work_inside() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "author");
    let script = r"set -e
        git status --porcelain; git log --oneline | wc -l
        echo a >a && git add a && git commit -q -m a
        git branch side && git switch -q side && echo b >b && git add b && git commit -q -m b
        git switch -q wsm/author && echo c >c && git add c && git commit -q -m c
        git merge -q --no-edit side && test -f b
        echo d >>a && git stash -q && test -z $(git status --porcelain) && git stash pop -q
        git checkout -q a
        git switch -q -c feature HEAD~1 && echo e >e && git add e && git commit -q -m e
        git rebase -q wsm/author && git tag v1 && git switch -q wsm/author
        git worktree list >/dev/null
        git gc -q && git fsck --no-progress --no-dangling
        git init -q nested && (cd nested && echo n >n && git add n &&
            git -c user.name=N -c user.email=n@example.com commit -q -m n)
        git clone -q . /tmp/copy && test -f /tmp/copy/c
        rm -rf nested
        git -c protocol.file.allow=always submodule --quiet add /tmp/copy sub
        git commit -q -m 'with a submodule' && git submodule --quiet status";
    wsm.inside("author", script).ok();
    let inside = wsm
        .inside("author", "git rev-parse HEAD side feature")
        .ok()
        .stdout;
    let heads: Vec<_> = inside.lines().collect();
    wait::until_true("the branch", || repo.commit_of("wsm/author") == heads[0]);
    let others = || {
        let refs = repo
            .git(&["for-each-ref", "--format=%(objectname)", "refs/wsm/"])
            .ok()
            .stdout;
        heads[1..].iter().all(|head| refs.contains(head))
    };
    wait::until_true("the other branches below refs/wsm/", others);
    assert_eq!(repo.fsck(), "");
}

#[test]
fn repository_with_submodules() {
    let wsm = Instance::start();
    let repo = Repo::with_submodule(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "author");
    wsm.inside(
        "author",
        "test -d lib && git submodule status && test -f .gitmodules",
    )
    .ok();
    wsm.inside("author", "echo x >x && git add x && git commit -q -m x")
        .ok();
    let inside = wsm.inside("author", "git rev-parse HEAD").ok();
    wait::until_true("the commit", || {
        repo.commit_of("wsm/author") == inside.text()
    });
    assert_eq!(repo.fsck(), "");
}

#[test]
fn detached_and_dirty_checkouts_are_starting_points() {
    let wsm = Instance::start();
    let repo = Repo::detached(wsm.root(), "project");
    repo.write("README.md", "being edited\n");
    wsm.new_agent(&repo, "shell", "author");
    assert_eq!(repo.commit_of("wsm/author"), repo.commit_of("HEAD"));
    let inside = wsm.inside("author", "cat README.md").ok();
    assert_eq!(
        inside.stdout, "# A small project\n",
        "the agent starts from the commit"
    );
    assert_eq!(
        repo.read("README.md"),
        "being edited\n",
        "the human's edit stays with the human"
    );
}

#[test]
fn human_who_commits_too_is_never_overwritten() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "author");
    let tree = Path::new(&agent.workspace);
    // Who has staged something is not moved on to the human's commit.
    wsm.inside("author", "echo x >x && git add x").ok();
    // While wsm refreshes or looks at an index, it is locked; git does not wait.
    let words = ["commit", "-q", "--allow-empty", "-m", "by the human"];
    wait::until_true("the human's commit", || repo.git_in(tree, &words).code == 0);
    let human = repo.commit_of("wsm/author");
    let commit = "until git commit -q -m 'by the agent'; do sleep 0.05; done";
    wsm.inside("author", commit).ok();
    let agents = wsm
        .inside("author", "git rev-parse HEAD")
        .ok()
        .text()
        .to_owned();

    let settled = || {
        let branch = repo.commit_of("wsm/author");
        let all = repo
            .git(&["for-each-ref", "--format=%(objectname)", "refs/wsm/"])
            .ok()
            .stdout;
        let kept = all.contains(&agents) && wsm.agent("author").sync.diverged;
        (branch == human && kept).then_some(())
    };
    let told = || {
        let inside = wsm.inside(
            "author",
            "git log --oneline -3; git status --short; git reflog",
        );
        let refs = repo.git(&["for-each-ref"]).stdout;
        format!("{refs}{inside}{}", wsm.wsm(&["explain", "author"]))
    };
    wait::until(
        "both to be kept, and told as diverged",
        wait::PATIENCE,
        settled,
        told,
    );
    assert_eq!(repo.commit_of("wsm/author"), human);
}

#[test]
fn what_the_human_staged_stays_staged() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "author");
    let tree = Path::new(&agent.workspace);
    std::fs::write(tree.join("staged.txt"), "by the human\n").expect("root writes");
    repo.git_in(tree, &["add", "staged.txt"]).ok();
    wsm.inside(
        "author",
        "echo x >x && git add x && git commit -q -m 'by the agent'",
    )
    .ok();
    let inside = wsm
        .inside("author", "git rev-parse HEAD")
        .ok()
        .text()
        .to_owned();
    wait::until_true("the commit somewhere outside", || {
        repo.git(&["for-each-ref", "--format=%(objectname)"])
            .ok()
            .stdout
            .contains(&inside)
    });
    let cached = repo
        .git_in(tree, &["diff", "--cached", "--name-only"])
        .ok()
        .stdout;
    assert!(cached.contains("staged.txt"), "{cached}");
}

#[test]
fn commit_of_a_human_is_seen_inside_within_seconds() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "follower");
    let tree = Path::new(&agent.workspace);
    for _ in 0..3 {
        let commit = ["commit", "-q", "--allow-empty", "-m", "by the human"];
        wait::until_true("the human's commit", || {
            repo.git_in(tree, &commit).code == 0
        });
        let outside = repo.commit_of("wsm/follower");
        // A look every 20 s would find it too, but not every time within half of that.
        let seen = || {
            let inside = wsm.inside("follower", "git rev-parse HEAD").ok();
            (inside.text() == outside).then_some(())
        };
        let half = Duration::from_secs(10);
        wait::until("the agent to see it", half, seen, String::new);
        // Its own commits in between are no news from outside.
        wsm.inside("follower", "git commit -q --allow-empty -m inside")
            .ok();
        let inside = wsm.inside("follower", "git rev-parse HEAD").ok();
        wait::until_true("the commit", || {
            repo.commit_of("wsm/follower") == inside.text()
        });
    }
}
