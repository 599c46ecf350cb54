//! Unix accounts of this machine: names and uids.

use std::io::Read;

/// Longest account file that is read.
const PASSWD_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The account's name, `uid-N` for a uid without an account.
#[must_use]
pub fn name(uid: u32) -> String {
    let passwd = passwd();
    let found = accounts(&passwd).find(|(_, found)| *found == uid);
    found.map_or_else(|| format!("uid-{uid}"), |(name, _)| name.to_owned())
}

/// The account's uid, if there is one of this name.
#[must_use]
pub fn uid(name: &str) -> Option<u32> {
    let passwd = passwd();
    let found = accounts(&passwd).find(|(found, _)| *found == name);
    found.map(|(_, uid)| uid)
}

fn passwd() -> String {
    let mut bytes = Vec::new();
    let read = std::fs::File::open("/etc/passwd")
        .and_then(|file| file.take(PASSWD_BYTES_MAX).read_to_end(&mut bytes));
    if let Err(error) = read {
        tracing::warn!(%error, "/etc/passwd could not be read");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn accounts(passwd: &str) -> impl Iterator<Item = (&str, u32)> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some((name, fields.nth(1)?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_uid_and_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\n# odd\nbad:x:y:0\n:x:7:7\nann:x:1000:1000::/:\n";
        let found: Vec<_> = accounts(passwd).collect();
        assert_eq!(found, [("root", 0), ("ann", 1000)]);
        assert_eq!((name(0).as_str(), uid("root")), ("root", Some(0)));
        assert_eq!(name(4_000_000_001), "uid-4000000001");
        assert_eq!(uid("no-such-account"), None);
    }
}
