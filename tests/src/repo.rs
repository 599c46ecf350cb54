//! Git repositories as people have them.

use std::path::{Path, PathBuf};

use crate::cli;
use crate::persona::Persona;

/// A repository of a persona, made and asked with real git.
#[derive(Debug)]
pub struct Repo<'a> {
    owner: &'a Persona,
    path: PathBuf,
}

impl<'a> Repo<'a> {
    /// An empty directory that is not a repository.
    #[must_use]
    pub fn nothing(owner: &'a Persona, name: &str) -> Repo<'a> {
        let path = owner.home().join(name);
        let mut mkdir = owner.command("mkdir");
        mkdir.arg("-p").arg(&path);
        cli::run(mkdir, b"").ok();
        Repo { owner, path }
    }

    /// A repository without a commit.
    #[must_use]
    pub fn unborn(owner: &'a Persona, name: &str) -> Repo<'a> {
        let repo = Repo::nothing(owner, name);
        repo.git(&["init", "-q", "-b", "main"]).ok();
        repo.git(&["config", "user.name", "Test Person"]).ok();
        repo.git(&["config", "user.email", "person@example.com"])
            .ok();
        repo
    }

    /// A small one: a few files, two commits, clean.
    #[must_use]
    pub fn small(owner: &'a Persona, name: &str) -> Repo<'a> {
        let repo = Repo::unborn(owner, name);
        repo.write("README.md", "# A small project\n");
        repo.write("src/main.py", "print('hello')\n");
        repo.write(".gitignore", "node_modules\n.env.local\n");
        repo.commit("start");
        repo.write("src/main.py", "print('hello, world')\n");
        repo.commit("greet everybody");
        repo
    }

    /// `files` files in directories of a hundred, one commit.
    #[must_use]
    pub fn large(owner: &'a Persona, name: &str, files: usize) -> Repo<'a> {
        let repo = Repo::unborn(owner, name);
        let script = r#"i=0; while [ $i -lt "$1" ]; do
            d=src/module$((i / 100)); [ $((i % 100)) -eq 0 ] && mkdir -p $d
            printf 'file %s\nwith a few\nlines of text\n' $i >$d/file$i.txt; i=$((i + 1)); done"#;
        let mut fill = owner.command("sh");
        fill.args(["-c", script, "sh", &files.to_string()])
            .current_dir(&repo.path);
        cli::run(fill, b"").ok();
        repo.commit("start");
        repo
    }

    /// A bare one, with a commit.
    #[must_use]
    pub fn bare(owner: &'a Persona, name: &str) -> Repo<'a> {
        let source = Repo::small(owner, &format!("{name}-source"));
        let path = owner.home().join(name);
        source
            .git(&["clone", "-q", "--bare", ".", &path.to_string_lossy()])
            .ok();
        Repo { owner, path }
    }

    /// One whose HEAD is detached.
    #[must_use]
    pub fn detached(owner: &'a Persona, name: &str) -> Repo<'a> {
        let repo = Repo::small(owner, name);
        repo.git(&["checkout", "-q", "--detach", "HEAD~1"]).ok();
        repo
    }

    /// One with a submodule at `lib`.
    #[must_use]
    pub fn with_submodule(owner: &'a Persona, name: &str) -> Repo<'a> {
        let library = Repo::small(owner, &format!("{name}-lib"));
        let repo = Repo::small(owner, name);
        let from = library.path.to_string_lossy().into_owned();
        repo.git(&[
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            &from,
            "lib",
        ])
        .ok();
        repo.commit("use the library");
        repo
    }

    /// Its working tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file as the owner.
    pub fn write(&self, file: &str, text: &str) {
        let mut write = self.owner.command("sh");
        write.args([
            "-c",
            r#"mkdir -p "$(dirname "$1")" && cat >"$1""#,
            "sh",
            file,
        ]);
        write.current_dir(&self.path);
        cli::run(write, text.as_bytes()).ok();
    }

    /// Reads a file.
    ///
    /// # Panics
    /// If it can't be read.
    #[must_use]
    pub fn read(&self, file: &str) -> String {
        let path = self.path.join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
    }

    /// Adds everything and commits.
    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A"]).ok();
        self.git(&["commit", "-q", "-m", message]).ok();
    }

    /// Runs git in the working tree as the owner.
    #[must_use = "say what you expect"]
    pub fn git(&self, args: &[&str]) -> cli::Output {
        self.git_in(&self.path, args)
    }

    /// Runs git in another directory as the owner.
    #[must_use = "say what you expect"]
    pub fn git_in(&self, directory: &Path, args: &[&str]) -> cli::Output {
        let mut git = self.owner.command("git");
        git.args(args).current_dir(directory);
        git.env("GIT_AUTHOR_NAME", "Test Person")
            .env("GIT_AUTHOR_EMAIL", "person@example.com");
        git.env("GIT_COMMITTER_NAME", "Test Person");
        git.env("GIT_COMMITTER_EMAIL", "person@example.com");
        cli::run(git, b"")
    }

    /// Commit that `name` stands for, `""` if it stands for none.
    #[must_use]
    pub fn commit_of(&self, name: &str) -> String {
        let found = self.git(&[
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("{name}^{{commit}}"),
        ]);
        found.text().to_owned()
    }

    /// Everything that git says is wrong with it, `""` if nothing is.
    #[must_use]
    pub fn fsck(&self) -> String {
        let found = self.git(&["fsck", "--full", "--no-dangling", "--no-progress"]);
        let worth = |line: &&str| !line.starts_with("notice:");
        let said = format!("{}{}", found.stdout, found.stderr);
        let said: Vec<_> = said.lines().filter(worth).map(str::to_owned).collect();
        if found.code == 0 && said.is_empty() {
            String::new()
        } else {
            said.join("\n")
        }
    }
}
