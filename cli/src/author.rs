//! Who the caller is to git: the name in commits that their agents make.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use wsm_api::agent::Author;

/// A `git config` under way; it runs while the repository is granted.
#[derive(Debug)]
pub(crate) struct Asking(Option<Child>);

/// Asks git, as the caller and in the caller's repository, so that every scope of its
/// configuration counts.
pub(crate) fn ask(repo: &Path) -> Asking {
    let child = Command::new("git")
        .arg("-C")
        .arg(repo)
        .args(["config", "--null", "--get-regexp", "^user\\.(name|email)$"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    // Without git there is no identity, and the sandbox has one of its own.
    Asking(child.ok())
}

impl Asking {
    /// The identity, if there is a whole one.
    pub(crate) fn answer(self) -> Option<Author> {
        let output = self.0?.wait_with_output().ok()?;
        read(&String::from_utf8_lossy(&output.stdout))
    }
}

/// Entries are `key\nvalue\0`; a later one wins.
fn read(config: &str) -> Option<Author> {
    let mut author = Author::default();
    for entry in config.split('\0') {
        match entry.split_once('\n') {
            Some(("user.name", name)) => author.name = name.to_owned(),
            Some(("user.email", email)) => author.email = email.to_owned(),
            _ => {}
        }
    }
    (!author.name.is_empty() && !author.email.is_empty()).then_some(author)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_wins_and_half_an_identity_is_none() {
        let config = "user.name\nAnn\0user.email\na@x\0user.name\nAnn B.\0";
        let author = Author {
            name: "Ann B.".into(),
            email: "a@x".into(),
        };
        assert_eq!(read(config), Some(author));
        assert_eq!(read("user.name\nAnn\0"), None);
        assert_eq!(read(""), None);
    }
}
