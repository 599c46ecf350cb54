//! What git inside is told to do when the human's commits are ahead of the agent's.

/// A shell line whose `$1` is the commit and `$2` the branch: HEAD and index go there, if the agent is
/// on that branch, staged nothing and committed nothing itself; the files stay as they are. The index is locked all the while, as by any
/// git command that changes it, so that what the agent stages or commits meanwhile is refused to it
/// and not taken away.
pub(super) const LINE: &str = r#"
lock=$(git rev-parse --absolute-git-dir)/index.lock || exit 1
(set -C; : >"$lock") 2>/dev/null || exit 1
new=${lock%.lock}.wsm
trap 'rm -f "$lock" "$new"' EXIT
trap 'exit 1' HUP INT TERM
[ "$(git symbolic-ref -q HEAD)" = "refs/heads/$2" ] || exit 1
git merge-base --is-ancestor HEAD "$1" && git diff --cached --quiet || exit 1
cp "${lock%.lock}" "$new" && GIT_INDEX_FILE=$new git reset -q --mixed "$1" && mv "$new" "${lock%.lock}"
"#;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::LINE;

    fn sh(dir: &Path, argv: &[&str]) -> (bool, String) {
        let mut command = Command::new("/bin/sh");
        command.args(["-c"]).args(argv).current_dir(dir);
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@example.com"),
            ("GIT_COMMITTER_NAME", "a"),
            ("GIT_COMMITTER_EMAIL", "a@example.com"),
        ] {
            command.env(name, value);
        }
        let output = command.output().expect("sh runs");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success(), text)
    }

    fn follow(dir: &Path, ahead: &str) -> bool {
        sh(dir, &[LINE, "sh", ahead, "wsm/fix"]).0
    }

    /// A repository whose HEAD is one commit behind; gives the commit ahead.
    fn behind(dir: &Path) -> String {
        let made = "git init -q -b wsm/fix . && echo 1 >a && git add a && git commit -qm one \
                    && echo 2 >a && git commit -qam two && git rev-parse HEAD \
                    && git reset -q --soft HEAD~ && git reset -q";
        let (done, ahead) = sh(dir, &[made]);
        assert!(done);
        ahead
    }

    #[test]
    fn head_and_index_follow_and_files_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let ahead = behind(dir.path());
        fs::write(dir.path().join("b"), "mine").expect("it writes");
        assert!(follow(dir.path(), &ahead));
        assert_eq!(sh(dir.path(), &["git rev-parse HEAD"]).1, ahead);
        assert_eq!(sh(dir.path(), &["git status --porcelain"]).1, "?? b");
        assert_eq!(sh(dir.path(), &["ls .git | grep index"]).1, "index");
    }

    #[test]
    fn what_is_staged_stays_staged_and_head_where_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let ahead = behind(dir.path());
        let (_, before) = sh(
            dir.path(),
            &["echo x >b && git add b && git rev-parse HEAD"],
        );
        assert!(!follow(dir.path(), &ahead));
        assert_eq!(sh(dir.path(), &["git rev-parse HEAD"]).1, before);
        assert!(sh(dir.path(), &["git diff --cached --name-only | grep -x b"]).0);
        assert_eq!(sh(dir.path(), &["ls .git | grep index"]).1, "index");
    }

    #[test]
    fn what_was_committed_meanwhile_stays_where_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let ahead = behind(dir.path());
        let commit = "echo x >b && git add b && git commit -qm mine && git rev-parse HEAD";
        let (_, own) = sh(dir.path(), &[commit]);
        assert!(!follow(dir.path(), &ahead));
        assert_eq!(sh(dir.path(), &["git rev-parse HEAD"]).1, own);
    }

    /// A bisect, a rebase that stopped, a branch of the agent's own: HEAD is not ours to move then.
    #[test]
    fn another_branch_and_no_branch_stay_where_they_are() {
        for away in ["git checkout -q -b own", "git checkout -q --detach"] {
            let dir = tempfile::tempdir().expect("a directory");
            let ahead = behind(dir.path());
            let (_, before) = sh(dir.path(), &[&format!("{away}; git rev-parse HEAD")]);
            assert!(!follow(dir.path(), &ahead), "{away}");
            assert_eq!(sh(dir.path(), &["git rev-parse HEAD"]).1, before, "{away}");
        }
    }

    #[test]
    fn a_git_command_at_work_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let ahead = behind(dir.path());
        let (_, before) = sh(dir.path(), &["touch .git/index.lock; git rev-parse HEAD"]);
        assert!(!follow(dir.path(), &ahead));
        assert_eq!(sh(dir.path(), &["git rev-parse HEAD"]).1, before);
        assert!(
            dir.path().join(".git/index.lock").exists(),
            "it is another's"
        );
    }

    /// While it looks, nothing can be staged that it would take away.
    #[test]
    fn what_is_staged_meanwhile_is_never_taken_away() {
        let dir = tempfile::tempdir().expect("a directory");
        let ahead = behind(dir.path());
        let race = "for i in 1 2 3 4 5 6 7 8; do echo $i >f$i; \
                    git add f$i 2>/dev/null && echo f$i >>staged; done";
        fs::write(dir.path().join("staged"), "").expect("it writes");
        std::thread::scope(|scope| {
            scope.spawn(|| sh(dir.path(), &[race]));
            follow(dir.path(), &ahead);
        });
        let lost = "for f in $(cat staged); do git ls-files --error-unmatch $f >/dev/null || echo $f; done";
        assert_eq!(sh(dir.path(), &[lost]).1, "");
    }
}
