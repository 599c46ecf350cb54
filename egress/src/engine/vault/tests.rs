//! What is kept, and what of it can be read by whom.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use zeroize::Zeroizing;

const TEXT: &str = "sk-very-secret-\"\\-value";

fn value(text: &str) -> Value {
    Value::new(Zeroizing::new(text.to_owned())).unwrap()
}

fn open(dir: &Path) -> Vault {
    Vault::open(dir, None).unwrap()
}

fn host(name: &str) -> Host {
    Host::parse(name).unwrap()
}

fn new(owner: Option<&str>, name: &str, hosts: &[&str], text: &str) -> New {
    New {
        owner: owner.map(str::to_owned),
        name: name.to_owned(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        expires_ms: None,
        visible: false,
        content: Content::Plain(value(text)),
    }
}

fn set(vault: &Vault, owner: Option<&str>, name: &str, hosts: &[&str], text: &str) {
    vault.set(new(owner, name, hosts, text)).unwrap();
}

#[test]
fn what_was_set_is_there_after_a_restart_and_readable_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    set(&open(dir.path()), Some("ada"), "key", &[], TEXT);
    let vault = open(dir.path());
    let found = vault.value("ada", "key", &host("api.example.com")).unwrap();
    assert_eq!(found.reveal(), TEXT);
    for file in fs::read_dir(dir.path()).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let bytes = fs::read(&path).unwrap();
        for part in ["very-secret", "ada", "\"key\""] {
            let found = bytes.windows(part.len()).any(|w| w == part.as_bytes());
            assert!(!found, "{part} in {}", path.display());
        }
    }
    assert!(vault.remove(Some("ada".into()), "key".into()).unwrap());
    assert!(!vault.remove(Some("ada".into()), "key".into()).unwrap());
    assert!(open(dir.path()).list().is_empty());
}

#[test]
fn the_owners_comes_before_the_hosts() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(dir.path());
    set(&vault, None, "key", &["api.example.com"], "the-hosts");
    let to = host("api.example.com");
    assert_eq!(
        vault.value("ada", "key", &to).unwrap().reveal(),
        "the-hosts"
    );
    set(&vault, Some("ada"), "key", &[], "adas");
    assert_eq!(vault.value("ada", "key", &to).unwrap().reveal(), "adas");
    assert_eq!(
        vault.value("eve", "key", &to).unwrap().reveal(),
        "the-hosts"
    );
    assert!(matches!(
        vault.value("ada", "other", &to),
        Err(NoValue::Missing(..))
    ));
}

#[test]
fn a_bound_secret_goes_nowhere_else_and_the_hosts_must_be_bound() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(dir.path());
    set(&vault, None, "key", &["api.example.com"], TEXT);
    let refused = vault.value("eve", "key", &host("evil.example.net"));
    assert!(matches!(refused, Err(NoValue::Bound(..))), "{refused:?}");
    let unbound = vault.set(new(None, "wide", &[], TEXT));
    assert!(matches!(unbound, Err(VaultError::Bad(_))), "{unbound:?}");
}

#[test]
fn an_expired_one_is_not_used_and_use_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(dir.path());
    let to = host("api.example.com");
    vault
        .set(New {
            expires_ms: Some(1),
            ..new(Some("ada"), "old", &[], TEXT)
        })
        .unwrap();
    assert!(matches!(
        vault.value("ada", "old", &to),
        Err(NoValue::Expired(_))
    ));
    set(&vault, Some("ada"), "key", &[], TEXT);
    vault.value("ada", "key", &to).unwrap();
    vault.flush().unwrap();
    let used: Vec<_> = open(dir.path())
        .list()
        .into_iter()
        .map(|about| (about.name, about.used_ms.is_some()))
        .collect();
    assert_eq!(used, [("key".to_owned(), true), ("old".to_owned(), false)]);
}

#[test]
fn one_bit_is_enough_to_be_refused() {
    let dir = tempfile::tempdir().unwrap();
    set(&open(dir.path()), Some("ada"), "key", &[], TEXT);
    let path = dir.path().join("secrets");
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        let mut bent = whole.clone();
        bent[at] ^= 1;
        fs::write(&path, &bent).unwrap();
        assert!(Vault::open(dir.path(), None).is_err(), "byte {at}");
    }
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(Vault::open(dir.path(), None).is_err());
}

#[test]
fn a_lost_key_is_told_and_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    set(&open(dir.path()), Some("ada"), "key", &[], TEXT);
    fs::remove_file(dir.path().join("key")).unwrap();
    let error = Vault::open(dir.path(), None).unwrap_err();
    assert!(matches!(error, VaultError::NoKey(_)), "{error}");
    assert!(!dir.path().join("key").exists());
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path());
    let key = dir.path().join("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let error = Vault::open(dir.path(), None).unwrap_err();
    assert!(matches!(error, VaultError::BadKey(_)), "{error}");
}

#[test]
fn the_key_of_systemd_comes_first() {
    let (dir, given) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = given.path().join("wsm-secrets-key");
    fs::write(&key, [7; 32]).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
    let vault = Vault::open(dir.path(), Some(given.path())).unwrap();
    set(&vault, Some("ada"), "key", &[], TEXT);
    assert!(!dir.path().join("key").exists());
    assert!(Vault::open(dir.path(), Some(given.path())).is_ok());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, [8; 32]).unwrap();
    assert!(Vault::open(dir.path(), Some(given.path())).is_err());
}

#[test]
fn what_is_derived_depends_on_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(dir.path());
    let one = vault.derive("ca", "agent1");
    assert_eq!(one, open(dir.path()).derive("ca", "agent1"));
    assert_ne!(one, vault.derive("ca", "agent2"));
    assert_ne!(one, vault.derive("c", "aagent1"));
    let other = tempfile::tempdir().unwrap();
    assert_ne!(one, open(other.path()).derive("ca", "agent1"));
}

/// A disk that fills up while it is written: the old one stays, also in memory.
#[test]
fn a_writing_that_fails_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(dir.path());
    set(&vault, Some("ada"), "key", &[], TEXT);
    // The name of the new file is taken by a directory: it can't be written, by root neither.
    fs::create_dir(dir.path().join("secrets.new")).unwrap();
    let failed = vault.set(new(Some("ada"), "key", &[], "new"));
    assert!(failed.is_err());
    let found = vault.value("ada", "key", &host("a.example.com")).unwrap();
    assert_eq!(found.reveal(), TEXT);
    fs::remove_dir(dir.path().join("secrets.new")).unwrap();
    assert_eq!(open(dir.path()).list().len(), 1);
}

fn login(refresh: Option<&str>) -> Login {
    Login {
        kind: Kind::Claude,
        access: value("access"),
        refresh: refresh.map(value),
        since_ms: now_ms(),
        until_ms: now_ms() + 60_000,
        account: [("scopes".to_owned(), "user:inference".to_owned())].into(),
    }
}

fn brought(owner: Option<&str>, name: &str, login: Login) -> New {
    New {
        content: Content::Login(Box::new(login)),
        ..new(owner, name, &[], TEXT)
    }
}

#[test]
fn a_login_is_kept_and_renewed_and_is_no_secret_like_others() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(dir.path());
    let old = login(Some("once"));
    let bring = |login| vault.set(brought(Some("ada"), "claude-login", login));
    bring(old.clone()).unwrap();
    let next = Login {
        access: value("access 2"),
        ..login(Some("twice"))
    };
    vault.renewed("ada", &old, Ok(next.clone())).unwrap();
    let again = open(dir.path());
    assert_eq!(again.login("ada", Kind::Claude).unwrap().0, next);
    // What came of an older one changes nothing.
    vault.renewed("ada", &old, Err("too late".into())).unwrap();
    assert_eq!(
        vault.login("ada", Kind::Claude).unwrap(),
        (next.clone(), None)
    );
    vault.renewed("ada", &next, Err("revoked".into())).unwrap();
    let kept = open(dir.path()).login("ada", Kind::Claude).unwrap();
    assert_eq!(kept, (next, Some("revoked".into())));
    bring(old).unwrap();
    assert_eq!(vault.login("ada", Kind::Claude).unwrap().1, None);
    let as_secret = vault.value("ada", "claude-login", &host("evil.example.net"));
    assert!(
        matches!(as_secret, Err(NoValue::IsLogin(_))),
        "{as_secret:?}"
    );
    let others = vault.login("eve", Kind::Claude);
    assert!(matches!(others, Err(NoValue::NoLogin(..))), "{others:?}");
}

#[test]
fn a_login_is_a_users_own_under_a_name_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(dir.path());
    for new in [
        brought(None, "claude-login", login(None)),
        brought(Some("ada"), "codex-login", login(None)),
        brought(Some("ada"), "key", login(None)),
        new(Some("ada"), "claude-login", &[], TEXT),
    ] {
        let refused = vault.set(new);
        assert!(matches!(refused, Err(VaultError::Bad(_))), "{refused:?}");
    }
    let ended = Login {
        until_ms: 1,
        ..login(None)
    };
    vault
        .set(brought(Some("ada"), "claude-login", ended))
        .unwrap();
    let found = vault.login("ada", Kind::Claude);
    assert!(matches!(found, Err(NoValue::Ended(_))), "{found:?}");
    assert_eq!(vault.list()[0].expires_ms, Some(1));
}

#[test]
fn a_value_is_shown_only_if_it_was_brought_for_that() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(dir.path());
    set(&vault, Some("ada"), "key", &[], TEXT);
    let hidden = vault.reveal("ada", "key");
    assert!(matches!(hidden, Err(NoValue::Hidden(_))), "{hidden:?}");
    let shown = |owner| New {
        visible: true,
        ..new(owner, "key", &["api.example.com"], TEXT)
    };
    vault.set(shown(Some("ada"))).unwrap();
    assert_eq!(vault.reveal("ada", "key").unwrap().reveal(), TEXT);
    assert!(vault.list()[0].used_ms.is_some());
    assert!(vault.reveal("eve", "key").is_err());
    assert!(vault.set(shown(None)).is_err());
}

/// Whoever needs a value does not wait for the disk.
#[test]
fn values_are_read_while_the_file_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(dir.path());
    set(&vault, Some("ada"), "key", &[], TEXT);
    let writing = vault.writing();
    let to = host("a.example.com");
    assert_eq!(vault.value("ada", "key", &to).unwrap().reveal(), TEXT);
    assert_eq!(vault.list().len(), 1);
    drop(writing);
    vault.flush().unwrap();
    assert!(open(dir.path()).list()[0].used_ms.is_some());
}
