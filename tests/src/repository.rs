//! Our own repository, for the tests of the house rules.

use std::path::PathBuf;
use std::process::Command;

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests/ lies in the repository")
        .to_owned()
}

/// Files that git knows and that exist, as paths from the root, sorted.
#[must_use]
pub fn tracked() -> Vec<String> {
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .current_dir(root())
        .output()
        .expect("git lists our files");
    assert!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let text = String::from_utf8(listed.stdout).expect("our file names are UTF-8");
    let names = text
        .split('\0')
        .filter(|name| !name.is_empty() && root().join(name).exists());
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names
}
