//! The work comes back: diff, merge, apply; and removal never loses any of it.

use std::path::Path;

use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;
use wsm_tests::wait;

/// Commits inside and waits until the host has it.
fn commit_inside(wsm: &Instance, repo: &Repo<'_>, agent: &str, file: &str, text: &str) -> String {
    let before = repo.commit_of(&format!("wsm/{agent}"));
    let script = format!("printf '{text}' >{file} && git add -A && git commit -q -m 'add {file}'");
    wsm.inside(agent, &script).ok();
    let look = || Some(repo.commit_of(&format!("wsm/{agent}"))).filter(|now| *now != before);
    wait::until("the commit to arrive", wait::PATIENCE, look, || wsm.log())
}

#[test]
fn commits_come_back_by_merge() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "author");
    let first = commit_inside(&wsm, &repo, "author", "one.txt", "1\n");
    let second = commit_inside(&wsm, &repo, "author", "two.txt", "2\n");

    let diff = wsm.wsm(&["diff", "author", "--json"]).ok().json();
    assert_eq!(diff["commits"], 2, "{diff}");
    assert!(wsm.wsm(&["diff", "author"]).ok().stdout.contains("two.txt"));

    let merged = wsm.wsm(&["merge", "author", "--json"]).ok().json();
    assert_eq!(merged["commits"], 2, "{merged}");
    assert_eq!(repo.commit_of("main"), second);
    let log = repo.git(&["log", "--format=%H", "main"]).ok().stdout;
    assert!(log.contains(&first), "both commits are kept: {log}");
    assert_eq!(repo.read("two.txt"), "2\n");
    assert_eq!(repo.git(&["status", "--porcelain"]).ok().stdout, "");
    assert_eq!(repo.fsck(), "");
    assert_eq!(
        wsm.wsm(&["merge", "author", "--json"]).ok().json()["how"],
        "nothing"
    );
}

#[test]
fn squash_makes_one_commit() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "author");
    commit_inside(&wsm, &repo, "author", "one.txt", "1\n");
    commit_inside(&wsm, &repo, "author", "two.txt", "2\n");
    let before = repo.commit_of("main");
    wsm.wsm(&["merge", "author", "--squash"]).ok();
    assert_eq!(repo.commit_of("main~1"), before);
    assert_eq!(repo.read("one.txt") + &repo.read("two.txt"), "1\n2\n");
}

#[test]
fn conflicts_are_told_before_anything_changes() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "author");
    commit_inside(&wsm, &repo, "author", "src/main.py", "theirs\n");
    repo.write("src/main.py", "ours\n");
    repo.commit("ours");
    let before = repo.commit_of("main");
    for verb in ["merge", "apply"] {
        let _ = wsm.wsm(&[verb, "author"]).fails(1).says("src/main.py");
        assert_eq!(repo.commit_of("main"), before);
        assert_eq!(
            repo.git(&["status", "--porcelain"]).ok().stdout,
            "",
            "after {verb}"
        );
        assert_eq!(repo.read("src/main.py"), "ours\n");
    }
}

#[test]
fn files_that_are_being_edited_are_not_overwritten() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "author");
    commit_inside(&wsm, &repo, "author", "src/main.py", "theirs\n");
    repo.write("src/main.py", "being edited\n");
    let _ = wsm.wsm(&["merge", "author"]).fails(1).says("src/main.py");
    assert_eq!(repo.read("src/main.py"), "being edited\n");
}

#[test]
fn uncommitted_work_counts() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "author");
    commit_inside(&wsm, &repo, "author", "done.txt", "done\n");
    wsm.inside("author", "echo half >half.txt; echo more >>README.md")
        .ok();

    let diff = wsm.wsm(&["diff", "author"]).ok().stdout;
    for file in ["done.txt", "half.txt", "README.md"] {
        assert!(diff.contains(file), "{diff}");
    }
    let _ = wsm.wsm(&["merge", "author"]).fails(1).says("uncommitted");

    wsm.wsm(&["apply", "author"]).ok();
    let staged = repo.git(&["diff", "--cached", "--name-only"]).ok().stdout;
    assert_eq!(staged, "README.md\ndone.txt\nhalf.txt\n", "staged only");
}

#[test]
fn removal_keeps_what_is_not_merged() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "author");
    let commit = commit_inside(&wsm, &repo, "author", "kept.txt", "kept\n");
    wsm.inside("author", "echo draft >draft.txt").ok();

    let removed = wsm.wsm(&["rm", "author", "--json"]).ok().json();
    assert_eq!(removed["agents"][0]["purged"], false, "{removed}");
    assert_ne!(removed["agents"][0]["unmerged"], "", "{removed}");
    assert_eq!(repo.commit_of("wsm/author"), commit);
    assert!(Path::new(&agent.workspace).join("draft.txt").exists());

    wsm.wsm(&["restore", "author"]).ok();
    wsm.wsm(&["start", "author"]).ok();
    wsm.wait_state("author", "working,idle");
    wsm.inside("author", "cat kept.txt draft.txt").ok();

    wsm.wsm(&["rm", "author"]).ok();
    let kept = wsm.wsm(&["prune", "--no-input"]);
    assert_eq!(
        repo.commit_of("wsm/author"),
        commit,
        "prune loses no work: {kept}"
    );
    wsm.wsm(&["rm", "--purge", "author"]).ok();
    assert!(!Path::new(&agent.workspace).exists());
    assert_eq!(repo.fsck(), "");
}

/// Agents make branches of their own; what lies there is work like any other.
#[test]
fn prune_keeps_what_lies_beside_the_branch() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let aside = |name: &str, script: &str| {
        wsm.new_agent(&repo, "shell", name);
        wsm.inside(name, script).ok();
        wsm.wsm(&["rm", name]).ok();
    };
    aside(
        "brancher",
        "git switch -qc feature && echo f >f && git add f && git commit -qm f && \
         git switch -q wsm/brancher",
    );
    aside("stasher", "echo s >>README.md && git stash -q");
    aside("idler", "true");

    let pruned = wsm.wsm(&["prune", "--no-input"]).ok().stdout;
    assert!(pruned.contains("branch feature"), "{pruned}");
    assert!(pruned.contains("a stash"), "{pruned}");
    assert!(wsm.find("idler").is_none(), "control: {pruned}");
    for name in ["brancher", "stasher"] {
        wsm.wsm(&["restore", name]).ok();
        wsm.wsm(&["start", name]).ok();
    }
    wsm.inside("brancher", "git show feature:f").ok();
    wsm.inside("stasher", "git stash pop -q && grep -x s README.md")
        .ok();
    let said = wsm.wsm(&["merge", "brancher"]).ok();
    assert!(
        said.stderr.contains("branch feature at refs/wsm/"),
        "{said}"
    );
}

#[test]
fn a_repository_that_is_gone_does_not_keep_prune_from_the_others() {
    let wsm = Instance::start();
    let gone = Repo::small(wsm.root(), "gone");
    let here = Repo::small(wsm.root(), "here");
    wsm.new_agent(&gone, "shell", "a-gone");
    wsm.new_agent(&here, "shell", "b-here");
    for name in ["a-gone", "b-here"] {
        wsm.wsm(&["rm", name]).ok();
    }
    let away = gone.path().with_extension("away");
    std::fs::rename(gone.path(), &away).expect("it can be renamed");
    let pruned = wsm.wsm(&["prune", "--no-input"]).ok().stdout;
    assert!(pruned.contains("a-gone: stays"), "{pruned}");
    assert!(pruned.contains("b-here: removed for good"), "{pruned}");
    std::fs::rename(&away, gone.path()).expect("it can be renamed");
}

/// Whoever took something away is told what is missing; what is left goes with a purge.
#[test]
fn branch_tree_or_repository_taken_away() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "robbed");
    let commit = commit_inside(&wsm, &repo, "robbed", "one.txt", "1\n");
    repo.git(&["branch", "-m", "wsm/robbed", "mine"]).ok();
    let aside = "refs/wsm/robbed/heads/wsm/robbed";
    wsm.inside("robbed", "git commit -q --allow-empty -m more")
        .ok();
    wait::until_true("its commits beside", || {
        repo.git(&["rev-parse", "-q", "--verify", aside]).code == 0
    });
    let back = format!("git branch wsm/robbed {aside}");
    let _ = wsm.wsm(&["merge", "robbed"]).fails(4).says(&back);
    assert_eq!(repo.commit_of("mine"), commit);

    wsm.wsm(&["stop", "robbed"]).ok();
    std::fs::remove_dir_all(&agent.workspace).expect("root removes");
    wsm.wsm(&["rm", "--purge", "robbed"]).ok();
    let left = repo.git(&["worktree", "list"]).ok().stdout;
    assert_eq!(left.lines().count(), 1, "{left}");

    wsm.new_agent(&repo, "shell", "stranded");
    wsm.wsm(&["stop", "stranded"]).ok();
    let away = repo.path().with_extension("away");
    std::fs::rename(repo.path(), &away).expect("it can be renamed");
    let purged = wsm.wsm(&["rm", "--purge", "stranded"]).ok().stdout;
    std::fs::rename(&away, repo.path()).expect("it can be renamed");
    let (_, way) = purged.split_once("`git ").expect(&purged);
    let (way, _) = way.split_once('`').expect(&purged);
    let words: Vec<_> = way.split(' ').collect();
    repo.git(&words).ok();
    let left = repo.git(&["worktree", "list"]).ok().stdout;
    assert_eq!(left.lines().count(), 1, "{left}");
}

/// Verbs and messages of the agent's rows that tell of work, oldest first.
fn work_rows(wsm: &Instance, agent: &str) -> Vec<(String, String)> {
    let told = wsm.wsm(&["explain", agent, "--json"]).ok().json();
    let rows = told["evidence"].as_array().cloned().unwrap_or_default();
    let text =
        |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let rows = rows
        .iter()
        .rev()
        .map(|row| (text(row, "verb"), text(row, "message")));
    rows.filter(|(verb, _)| {
        verb.starts_with("work.m") || verb.starts_with("work.a") || verb.starts_with("work.n")
    })
    .collect()
}

fn verbs(rows: &[(String, String)]) -> Vec<&str> {
    rows.iter().map(|(verb, _)| verb.as_str()).collect()
}

/// A daemon that dies between the change and its row leaves the row to the next one.
#[test]
fn what_a_killed_daemon_brought_has_its_row() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let fault = wsm.dir().join("state/daemon/fault");
    let (merging, applying, not) = ("work.merging", "work.applying", "work.not-brought");
    for (verb, point, began, ends) in [
        ("merge", "before git.Merge", merging, not),
        ("merge", "after git.Merge", merging, "work.merged"),
        ("merge", "before commit.work.merged", merging, "work.merged"),
        ("apply", "before git.Apply", applying, not),
        ("apply", "after git.Apply", applying, "work.applied"),
    ] {
        let name = point.to_lowercase().replace([' ', '.'], "-");
        wsm.new_agent(&repo, "shell", &name);
        commit_inside(&wsm, &repo, &name, &name, "work\n");
        std::fs::write(&fault, point).expect("root writes");
        assert_ne!(wsm.wsm(&[verb, &name]).code, 0, "{point}");
        wsm.wait_ready();
        assert!(!fault.exists(), "{point} was not reached");
        let rows = work_rows(&wsm, &name);
        assert_eq!(verbs(&rows), [began, ends], "{point}: {rows:?}");
        let there = repo.path().join(&name).exists();
        assert_eq!(there, ends != not, "{point}");
        repo.git(&["reset", "-q", "--hard"]).ok();
        wsm.wsm(&[verb, &name]).ok();
        let all = work_rows(&wsm, &name);
        assert!(all.len() > rows.len(), "it can be asked again: {all:?}");
        repo.git(&["reset", "-q", "--hard"]).ok();
    }
}

/// Whoever asked may go away: what is under way ends with its row.
#[test]
fn a_client_that_goes_away_leaves_no_merge_without_its_row() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "author");
    let commit = commit_inside(&wsm, &repo, "author", "one.txt", "1\n");
    // As if another helper were at the main checkout.
    let git_dir = std::fs::File::open(repo.path().join(".git")).expect("it is there");
    git_dir.lock().expect("nobody is at it");
    let mut client = wsm.command(wsm.root(), &["merge", "author"]);
    let mut client = client.spawn().expect("it starts");
    wait::until_true("the merge to begin", || {
        verbs(&work_rows(&wsm, "author")) == ["work.merging"]
    });
    client.kill().expect("it runs");
    client.wait().expect("it ended");
    git_dir.unlock().expect("it is ours");
    wait::until_true("the end of the merge", || {
        verbs(&work_rows(&wsm, "author")) == ["work.merging", "work.merged"]
    });
    assert_eq!(repo.commit_of("main"), commit);
}
