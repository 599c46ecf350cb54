//! What becomes of commits, and of the human's checkout, while something dies.

use wsm_tests::cli::Output;
use wsm_tests::wait;

use super::Chaos;
use super::scene::EXEC_FAILED;
use super::strike::Blow;

impl Chaos<'_> {
    /// Commits made inside arrive, all of them.
    pub(super) fn commit(&mut self, blow: &Blow) {
        let name = self.any_running();
        let script = "for i in 1 2 3 4 5 6; do echo $i-$$ >>work-$0; git add work-$0; \
                      git commit -q -m \"commit $i\" || echo failed >>~/failed; sleep 0.1; done; \
                      touch ~/committed";
        let line =
            format!("rm -f ~/committed; (sh -c '{script}' {name}) >/dev/null 2>&1 </dev/null &");
        let line = self.line(&["exec", &name, "--", "sh", "-c", &line]);
        let fails = if blow.hits_daemon() { EXEC_FAILED } else { 0 };
        let told = self.strike_at(blow, &[fails], line);
        wait::until_true("the commits inside", || {
            let test = "test ! -e ~/failed -a -e ~/committed";
            let ran = self.wsm.inside(&name, test);
            // The order itself may have died with the daemon before anything was begun.
            let none = || self.wsm.inside(&name, &format!("test -e work-{name}")).code != 0;
            ran.code == 0 || told.code != 0 && none()
        });
    }

    /// A human commits in the worktree; the agent follows.
    pub(super) fn human(&mut self, blow: &Blow) {
        let name = self.any_running();
        let worktree = self.wsm.agent(&name).workspace;
        let script =
            "git -C \"$worktree\" commit -q --allow-empty -m human && \"$@\" diff \"$name\"";
        let mut line = self.every(script);
        line.env("name", &name).env("worktree", &worktree);
        self.strike_at(blow, &[], line);
        let there = std::path::Path::new(&worktree);
        let last = self.repo.git_in(there, &["log", "-1", "--format=%s"]).ok();
        assert_eq!(last.text(), "human");
    }

    /// Agent and human commit at the same time: both are kept, wherever the branch stands.
    pub(super) fn diverge(&mut self, blow: &Blow) {
        let name = self.any_running();
        let worktree = self.wsm.agent(&name).workspace;
        // git refuses a commit if the branch moved since it looked (`cannot lock ref`), as it does
        // when the agent's commit arrives in between: a person tries again.
        let script = "human() { git -C \"$worktree\" commit -q --allow-empty -m human; }; \
                      \"$@\" exec \"$name\" -- git commit -q --allow-empty -m agent && \
                      { human || human; } && \
                      \"$@\" diff \"$name\"";
        let mut line = self.every(script);
        line.env("name", &name).env("worktree", &worktree);
        let fails = if blow.hits_daemon() { EXEC_FAILED } else { 0 };
        let told = self.strike_at(blow, &[fails], line);
        let inside = self.wsm.inside(&name, "git log -1 --format=%s:%H").ok();
        // Before its end the line may have died with the daemon.
        assert!(
            inside.text().starts_with("agent:") || told.code != 0,
            "{inside}"
        );
        self.wsm.wsm(&["diff", &name]).ok();
        let oid = inside
            .text()
            .split(':')
            .next_back()
            .unwrap_or_default()
            .to_owned();
        let refs = ["for-each-ref", "--contains", &oid, "--format=%(refname)"];
        assert_ne!(
            self.repo.git(&refs).ok().text(),
            "",
            "{oid} is nowhere: {told}"
        );
        let there = std::path::Path::new(&worktree);
        let human = self.repo.git_in(there, &["log", "-1", "--format=%s"]).ok();
        assert!(human.text() == "human" || told.code != 0, "{told}");
        // The agent takes the human's side, so that they are one again.
        let branch = self.repo.commit_of(&format!("wsm/{name}"));
        let line = format!("git reset -q --hard {branch}");
        self.wsm.inside(&name, &line).ok();
        self.wsm.wsm(&["diff", &name]).ok();
        assert!(!self.wsm.agent(&name).sync.diverged);
    }

    /// The branch is in main or it is not, and can be brought there.
    pub(super) fn merge(&mut self, blow: &Blow) {
        let name = self.any_running();
        let mark = self.commit_inside(&name);
        let told = self.strike(blow, &["merge", &name]);
        self.wait_clean(&told);
        if told.code != 0 {
            self.wsm.wsm(&["merge", &name]).ok();
        }
        self.wait_clean(&told);
        assert_eq!(self.repo.read(&mark).trim(), mark, "{told}");
        let branch = format!("wsm/{name}");
        let merged = self
            .repo
            .git(&["merge-base", "--is-ancestor", &branch, "main"]);
        merged.ok();
    }

    /// The work is staged in main or it is not, and can be.
    pub(super) fn apply(&mut self, blow: &Blow) {
        let name = self.any_running();
        let file = self.fresh_name();
        self.wsm.inside(&name, &format!("echo {file} >{file}")).ok();
        let told = self.strike(blow, &["apply", &name]);
        wait::until_true("nobody to be at the main checkout", || {
            !self.repo.path().join(".git/index.lock").exists()
        });
        let staged = |chaos: &Self| {
            let changed = chaos.repo.git(&["diff", "--cached", "--name-only"]).ok();
            changed.stdout.lines().any(|line| line == file)
        };
        assert!(
            staged(self) || told.code != 0,
            "an acknowledged apply: {told}"
        );
        if !staged(self) {
            self.wsm.wsm(&["apply", &name]).ok();
            assert!(staged(self));
        }
        assert_eq!(self.repo.read(&file).trim(), file, "{told}");
        self.repo.git(&["reset", "-q", "--hard"]).ok();
        self.wsm.inside(&name, &format!("rm {file}")).ok();
    }

    /// A commit with a file of its own name.
    pub(super) fn commit_inside(&mut self, name: &str) -> String {
        let mark = format!("file-{}-{}-{name}", self.kills, self.rng.below(1 << 30));
        let line = format!("echo {mark} >{mark} && git add {mark} && git commit -q -m {mark}");
        self.wsm.inside(name, &line).ok();
        mark
    }

    /// The main checkout is clean, once whoever is at it has ended.
    pub(super) fn wait_clean(&self, told: &Output) {
        let status = || self.repo.git(&["status", "--porcelain"]);
        wait::until(
            "the main checkout to be clean",
            wait::PATIENCE,
            || status().stdout.is_empty().then_some(()),
            || format!("{told}\n{}", status()),
        );
    }
}
