//! What an object may look like before it enters the main repository. Pure; the rules are those of
//! `git fsck` with every warning that lets a checkout write outside its tree made an error.

use std::collections::HashSet;
use std::time::Duration;

use git2::Oid;

/// Bounds of one import.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Objects taken at once.
    pub(super) objects_max: usize,
    /// One blob, unpacked.
    pub(super) blob_bytes_max: usize,
    /// One tree or commit, unpacked.
    pub(super) node_bytes_max: usize,
    /// All objects together, unpacked, and all files copied, packed.
    pub(super) total_bytes_max: u64,
    /// Directories in directories.
    pub(super) depth_max: usize,
    /// The whole import.
    pub(super) time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            objects_max: 1_000_000,
            blob_bytes_max: 512 << 20,
            node_bytes_max: 32 << 20,
            total_bytes_max: 4 << 30,
            depth_max: 512,
            time_max: Duration::from_secs(120),
        }
    }
}

/// Why an object is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("is cut off or not of its format")]
    Malformed,
    #[error("has an entry named {name:?}: {why}")]
    Name { name: String, why: &'static str },
    #[error("has an entry {name:?} of mode {mode:o}")]
    Mode { name: String, mode: u32 },
    #[error("has two entries named {0:?}")]
    Duplicate(String),
    #[error("is not sorted at {0:?}")]
    Unsorted(String),
    #[error("names the null object")]
    NullId,
    #[error("has a .gitmodules that {0}")]
    Modules(&'static str),
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) mode: u32,
    pub(super) name: &'a [u8],
    pub(super) oid: Oid,
}

impl Entry<'_> {
    pub(super) fn is_tree(&self) -> bool {
        self.mode == 0o040_000
    }

    pub(super) fn is_submodule(&self) -> bool {
        self.mode == 0o160_000
    }

    pub(super) fn is_symlink(&self) -> bool {
        self.mode == 0o120_000
    }
}

/// Parses a tree and checks each entry.
pub(super) fn tree(data: &[u8]) -> Result<Vec<Entry<'_>>, Flaw> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut names = HashSet::new();
    let mut rest = data;
    while !rest.is_empty() {
        let (entry, tail) = entry(rest)?;
        rest = tail;
        if let Some(why) = dangerous(entry.name) {
            return Err(Flaw::Name {
                name: lossy(entry.name),
                why,
            });
        }
        if entry.is_symlink() && is_modules_file(entry.name) {
            return Err(Flaw::Modules("is a symbolic link"));
        }
        if !names.insert(entry.name) {
            return Err(Flaw::Duplicate(lossy(entry.name)));
        }
        if entries.last().is_some_and(|last| !in_order(last, &entry)) {
            return Err(Flaw::Unsorted(lossy(entry.name)));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn entry(data: &[u8]) -> Result<(Entry<'_>, &[u8]), Flaw> {
    let space = data
        .iter()
        .take(8)
        .position(|b| *b == b' ')
        .ok_or(Flaw::Malformed)?;
    let nul = data.iter().position(|b| *b == 0).ok_or(Flaw::Malformed)?;
    if nul <= space || data.len() < nul + 21 || data[0] == b'0' {
        return Err(Flaw::Malformed);
    }
    let digits = std::str::from_utf8(&data[..space]).map_err(|_| Flaw::Malformed)?;
    let mode = u32::from_str_radix(digits, 8).map_err(|_| Flaw::Malformed)?;
    let name = &data[space + 1..nul];
    // 100664 was written by old versions of git, which still accepts it.
    if !matches!(
        mode,
        0o040_000 | 0o100_644 | 0o100_664 | 0o100_755 | 0o120_000 | 0o160_000
    ) {
        return Err(Flaw::Mode {
            name: lossy(name),
            mode,
        });
    }
    let oid = Oid::from_bytes(&data[nul + 1..nul + 21]).map_err(|_| Flaw::Malformed)?;
    if oid.is_zero() {
        return Err(Flaw::NullId);
    }
    Ok((Entry { mode, name, oid }, &data[nul + 21..]))
}

/// git sorts a directory as if its name ended in a slash.
fn in_order(a: &Entry<'_>, b: &Entry<'_>) -> bool {
    let key = |e: &Entry<'_>| {
        let mut key = e.name.to_vec();
        if e.is_tree() {
            key.push(b'/');
        }
        key
    };
    key(a) < key(b)
}

/// Why no file may bear this name, if so.
pub(super) fn dangerous(name: &[u8]) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > 255 {
        return Some("it is longer than 255 bytes");
    }
    if name == b"." || name == b".." {
        return Some("it names a directory itself or its parent");
    }
    if name.contains(&b'/') {
        return Some("it holds a slash");
    }
    let is_git = |part: &[u8]| is_ntfs(part, b".git") || is_ntfs(part, b"git~1");
    if is_git(name) || name.split(|b| *b == b'\\').any(is_git) || hfs_folded(name) == b".git" {
        return Some("some file systems take it for .git");
    }
    None
}

/// Whether NTFS would take `name` for `wanted`: case, trailing dots and spaces, streams.
fn is_ntfs(name: &[u8], wanted: &[u8]) -> bool {
    let Some(head) = name.get(..wanted.len()) else {
        return false;
    };
    if !head.eq_ignore_ascii_case(wanted) {
        return false;
    }
    for byte in &name[wanted.len()..] {
        match byte {
            b'\\' | b':' => return true,
            b' ' | b'.' => {}
            _ => return false,
        }
    }
    true
}

/// As HFS+ compares: without the code points that it ignores, in lower case.
fn hfs_folded(name: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(name);
    let ignored = |c: char| {
        matches!(u32::from(c),
            0x200c..=0x200f | 0x202a..=0x202e | 0x206a..=0x206f | 0xfeff)
    };
    text.chars()
        .filter(|c| !ignored(*c))
        .flat_map(char::to_lowercase)
        .collect::<String>()
        .into_bytes()
}

/// Whether some file system takes this for `.gitmodules`.
pub(super) fn is_modules_file(name: &[u8]) -> bool {
    if is_ntfs(name, b".gitmodules") || hfs_folded(name) == b".gitmodules" {
        return true;
    }
    is_ntfs(name, b"gi7eba~1")
        || (b'1'..=b'4').any(|n| is_ntfs(name, &[b"gitmod~", &[n][..]].concat()))
}

/// What a commit names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Links {
    pub(super) tree: Oid,
    pub(super) parents: Vec<Oid>,
}

/// Parses the header of a commit.
pub(super) fn commit(data: &[u8]) -> Result<Links, Flaw> {
    let end = data
        .windows(2)
        .position(|w| w == b"\n\n")
        .unwrap_or(data.len());
    let header = &data[..end];
    if header.contains(&0) {
        return Err(Flaw::Malformed);
    }
    let mut lines = header.split(|b| *b == b'\n').peekable();
    let mut field = |name: &str| -> Option<&[u8]> {
        lines
            .next_if(|line| line.starts_with(name.as_bytes()))
            .map(|line| &line[name.len()..])
    };
    let tree = hex(field("tree ").ok_or(Flaw::Malformed)?)?;
    let mut parents = Vec::new();
    while let Some(parent) = field("parent ") {
        parents.push(hex(parent)?);
    }
    for person in ["author ", "committer "] {
        person_line(field(person).ok_or(Flaw::Malformed)?)?;
    }
    Ok(Links { tree, parents })
}

/// `Name <address> seconds zone`.
fn person_line(line: &[u8]) -> Result<(), Flaw> {
    let open = line
        .iter()
        .position(|b| *b == b'<')
        .ok_or(Flaw::Malformed)?;
    let close = line
        .iter()
        .position(|b| *b == b'>')
        .ok_or(Flaw::Malformed)?;
    let rest = line.get(close + 1..).unwrap_or_default();
    let mut time = rest.split(|b| *b == b' ').skip(1);
    let seconds = time.next().ok_or(Flaw::Malformed)?;
    let digits =
        !seconds.is_empty() && seconds.len() < 19 && seconds.iter().all(u8::is_ascii_digit);
    if open > close || !digits || time.next().is_none_or(|zone| zone.len() != 5) {
        return Err(Flaw::Malformed);
    }
    Ok(())
}

/// Forty hex digits.
pub(super) fn hex(digits: &[u8]) -> Result<Oid, Flaw> {
    let text = std::str::from_utf8(digits).map_err(|_| Flaw::Malformed)?;
    if text.len() != 40 || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(Flaw::Malformed);
    }
    let oid = Oid::from_str(text).map_err(|_| Flaw::Malformed)?;
    if oid.is_zero() {
        Err(Flaw::NullId)
    } else {
        Ok(oid)
    }
}

/// Longest `.gitmodules` that is looked through.
const MODULES_BYTES_MAX: usize = 1 << 20;

/// Checks a `.gitmodules`: no commands, no options, no names that leave `modules/`.
pub(super) fn modules(data: &[u8]) -> Result<(), Flaw> {
    if data.len() > MODULES_BYTES_MAX {
        return Err(Flaw::Modules("is longer than 1 MiB"));
    }
    for line in String::from_utf8_lossy(data).lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            if section.split(['/', '\\', '"']).any(|part| part == "..") {
                return Err(Flaw::Modules("names a submodule outside of modules/"));
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        match key.trim().to_ascii_lowercase().as_str() {
            "update" if value.starts_with('!') => {
                return Err(Flaw::Modules("would run a command on update"));
            }
            "url" | "path" if value.starts_with('-') => {
                return Err(Flaw::Modules("has a url or path that is an option"));
            }
            "url" if value.starts_with("ext::") || value.contains("\\n") => {
                return Err(Flaw::Modules("has a url that runs a command"));
            }
            "path" if value.split('/').any(|part| part == "..") => {
                return Err(Flaw::Modules("has a path outside of the tree"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(255)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut data = Vec::new();
        for (mode, name) in entries {
            data.extend_from_slice(mode.as_bytes());
            data.push(b' ');
            data.extend_from_slice(name);
            data.push(0);
            data.extend_from_slice(&[7; 20]);
        }
        data
    }

    #[test]
    fn names_that_some_file_system_takes_for_git_are_refused() {
        for name in [
            &b".git"[..],
            b".GIT",
            b".Git",
            b"git~1",
            b"GIT~1",
            b".git ",
            b".git.",
            b".git . .",
            b".git::$INDEX_ALLOCATION",
            b".git\\hooks",
            b"a\\.git",
            "\u{200c}.git".as_bytes(),
            ".g\u{feff}it".as_bytes(),
            ".gi\u{200d}T".as_bytes(),
            b"",
            b".",
            b"..",
            b"a/b",
            &[b'a'; 256],
        ] {
            assert!(
                tree(&raw(&[("100644", name)])).is_err(),
                "{:?}",
                lossy(name)
            );
        }
        for name in [
            &b".gitignore"[..],
            b".gitattributes",
            b"git",
            b"...",
            b".git-x",
            b"a\\b",
            &[b'a'; 255],
        ] {
            assert!(tree(&raw(&[("100644", name)])).is_ok(), "{:?}", lossy(name));
        }
    }

    #[test]
    fn malformed_trees_are_refused() {
        assert_eq!(
            tree(&raw(&[("100644", b"a"), ("40000", b"a")])),
            Err(Flaw::Duplicate("a".into()))
        );
        assert_eq!(
            tree(&raw(&[("100644", b"b"), ("100644", b"a")])),
            Err(Flaw::Unsorted("a".into()))
        );
        assert!(tree(&raw(&[("100644", b"a.b"), ("40000", b"a")])).is_ok());
        assert!(tree(&raw(&[("40000", b"a"), ("100644", b"a.b")])).is_err());
        assert!(matches!(
            tree(&raw(&[("104755", b"a")])),
            Err(Flaw::Mode { .. })
        ));
        assert_eq!(tree(&raw(&[("040000", b"a")])), Err(Flaw::Malformed));
        assert_eq!(tree(&raw(&[("100644", b"a")])[..20]), Err(Flaw::Malformed));
        assert_eq!(
            tree(b"100644 a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            Err(Flaw::NullId)
        );
        assert!(tree(b"").unwrap().is_empty());
        assert_eq!(
            tree(&raw(&[("120000", b".gitmodules")])),
            Err(Flaw::Modules("is a symbolic link"))
        );
        assert!(tree(&raw(&[("120000", b"GITMOD~1")])).is_err());
    }

    #[test]
    fn commits_name_their_tree_and_parents() {
        let good = format!(
            "tree {0}\nparent {0}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nm\0",
            "1".repeat(40)
        );
        assert_eq!(commit(good.as_bytes()).unwrap().parents.len(), 1);
        for bad in [
            "",
            "tree 1\n",
            &good.replace("author A", "auth A"),
            &good.replace("<a@b>", "a@b"),
            &good.replace("+0000", ""),
            &good.replace("author A", "author A\0"),
            &good.replacen(&"1".repeat(40), &"0".repeat(40), 1),
        ] {
            assert!(commit(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn submodule_tricks_are_refused() {
        assert!(modules(b"[submodule \"a\"]\n\tpath = a\n\turl = https://x/a\n").is_ok());
        for bad in [
            "[submodule \"../../x\"]",
            "[submodule \"a\"]\nupdate = !touch x",
            "url = -oProxy",
            "url = ext::sh -c x",
            "path = -x",
            "path = ../x",
            "UPDATE=!x",
        ] {
            assert!(modules(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
