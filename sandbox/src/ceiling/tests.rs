//! What is admitted, what is refused, and with which words.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use super::*;
use crate::spec::{AgentId, Extras, GrantId, Guard, Network, Requirement, SPEC_VERSION};

fn spec() -> SandboxSpec {
    SandboxSpec {
        version: SPEC_VERSION,
        agent: AgentId::try_from("agent0001".to_owned()).unwrap(),
        repository: GrantId("g1".into()),
        hostname: "fix-login".into(),
        read: vec![],
        write: vec![],
        services: BTreeMap::new(),
        limits: Limits::default(),
        network: Network::Loopback,
        landlock: Requirement::Required,
        debug: false,
        extras: Extras::default(),
        authority: None,
    }
}

fn ceiling() -> Ceiling {
    Ceiling {
        limits_max: Limits {
            cpu_milli: Some(4000),
            memory_bytes: Some(8 << 30),
            pids: None,
            disk_bytes: Some(1 << 40),
        },
        limits_default: Limits {
            cpu_milli: Some(8000),
            memory_bytes: Some(2 << 30),
            pids: Some(4096),
            disk_bytes: None,
        },
        read_deny: vec!["/srv/secret".into()],
        ..Ceiling::default()
    }
}

fn error_of(change: impl FnOnce(&mut SandboxSpec)) -> Failure {
    let mut spec = spec();
    change(&mut spec);
    ceiling().admit(spec).unwrap_err()
}

#[test]
fn fills_defaults_in_and_keeps_what_was_asked() {
    let mut asked = spec();
    asked.limits.memory_bytes = Some(1 << 30);
    asked.read = vec![
        "/opt/b".into(),
        "/opt/a".into(),
        "/opt/b".into(),
        "/etc/ssl".into(),
    ];
    let admitted = ceiling().admit(asked).unwrap();
    let limits = Limits {
        cpu_milli: Some(4000), // the default, bounded by the maximum
        memory_bytes: Some(1 << 30),
        pids: Some(4096),
        disk_bytes: Some(1 << 40), // no default: the maximum
    };
    assert_eq!(admitted.spec().limits, limits);
    assert_eq!(admitted.spec().read, ["/etc/ssl", "/opt/a", "/opt/b"]);
}

#[test]
fn limits_hold_at_the_limit_and_one_past() {
    let mut most = spec();
    most.limits.cpu_milli = Some(4000);
    assert!(ceiling().admit(most).is_ok());
    let above = error_of(|spec| spec.limits.cpu_milli = Some(4001));
    assert_eq!(above.kind, FailureKind::Refused);
    assert_eq!(
        above.to_string(),
        "admit limits.cpu_milli of the spec: 4001 is above the ceiling of 4000"
    );
    let service = error_of(|spec| {
        let limits = Limits {
            memory_bytes: Some((8 << 30) + 1),
            ..Limits::default()
        };
        spec.services.insert("db".into(), limits);
    });
    assert_eq!(service.kind, FailureKind::Refused);
    assert!(
        service.what.contains("services.db.limits.memory_bytes"),
        "{service}"
    );
    let low = error_of(|spec| spec.limits.pids = Some(7));
    assert_eq!(low.kind, FailureKind::Invalid);
}

#[test]
fn unknown_versions_and_bad_names_are_invalid() {
    let bad = [
        error_of(|spec| spec.version = SPEC_VERSION + 1),
        error_of(|spec| spec.hostname = String::new()),
        error_of(|spec| spec.hostname = "a".repeat(64)),
        error_of(|spec| spec.hostname = "-a".into()),
        error_of(|spec| spec.hostname = "a.b".into()),
        error_of(|spec| spec.repository = GrantId("../x".into())),
        error_of(|spec| spec.write = vec![GrantId(String::new())]),
        error_of(|spec| {
            spec.services.insert("../x".into(), Limits::default());
        }),
        error_of(|spec| {
            spec.services.insert("a/b".into(), Limits::default());
        }),
        error_of(|spec| {
            spec.services = (0..33)
                .map(|n| (format!("s{n}"), Limits::default()))
                .collect();
        }),
        error_of(|spec| spec.read = (0..65).map(|n| format!("/opt/{n}")).collect()),
        error_of(|spec| spec.write = (0..17).map(|n| GrantId(format!("g{n}"))).collect()),
    ];
    for failure in bad {
        assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
    }
}

#[test]
fn read_paths_touch_nothing_reserved() {
    let refused = [
        "",
        "/",
        "opt",
        "/opt/../root",
        "/opt//x",
        "/opt/./x",
        "/opt/",
        "/opt/\n",
        "/proc",
        "/sys/fs",
        "/dev/shm",
        "/run/dbus",
        "/var/run",
        "/var",
        "/tmp/x",
        "/root/sdk",
        "/home",
        "/home/agent",
        "/home/agent/x",
        "/var/lib",
        "/var/lib/agent/db",
        "/etc",
        "/usr",
    ];
    for path in refused {
        let failure = error_of(|spec| spec.read = vec![path.into()]);
        assert_eq!(failure.kind, FailureKind::Invalid, "{path:?}: {failure}");
    }
    for path in ["/srv/secret", "/srv/secret/x", "/srv"] {
        let failure = error_of(|spec| spec.read = vec![path.into()]);
        assert_eq!(failure.kind, FailureKind::Refused, "{path}");
    }
    for path in [
        "/opt/sdk",
        "/srv/secrets",
        "/home/agents",
        "/runtime",
        "/usr/share/x",
        "/etc/ssl",
    ] {
        let mut spec = spec();
        spec.read = vec![path.into()];
        assert!(ceiling().admit(spec).is_ok(), "{path}");
    }
}

fn load(dir: &Path) -> Result<Ceiling, Failure> {
    Ceiling::load(fs::File::open(dir).unwrap().as_fd())
}

#[test]
fn the_file_is_read_and_a_missing_one_is_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let built_in = load(dir.path()).unwrap();
    assert_eq!(built_in.limits_default.pids, Some(PIDS_DEFAULT));
    assert!(built_in.limits_default.memory_bytes.unwrap() > 0);
    assert!(!built_in.allow_root_account);
    let file = dir.path().join(CEILING_FILE);
    let text = r#"{"allow_root_account": true, "limits_max": {"memory_bytes": 1073741824}}"#;
    fs::write(&file, text).unwrap();
    let read = load(dir.path()).unwrap();
    assert!(read.allow_root_account);
    assert_eq!(read.limits_max.memory_bytes, Some(1 << 30));
    assert_eq!(read.agents_max, AGENTS_MAX_DEFAULT);
    for bad in [
        "{",
        r#"{"unknown": 1}"#,
        r#"{"read_deny": ["opt"]}"#,
        r#"{"agents_max": -1}"#,
    ] {
        fs::write(&file, bad).unwrap();
        assert_eq!(
            load(dir.path()).unwrap_err().kind,
            FailureKind::Refused,
            "{bad}"
        );
    }
    fs::write(&file, " ".repeat(70_000)).unwrap();
    assert!(load(dir.path()).unwrap_err().why.contains("longer than"));
}

#[test]
fn only_roots_own_file_counts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(CEILING_FILE);
    fs::write(&file, "{}").unwrap();
    load(dir.path()).unwrap();
    for mode in [0o664, 0o646, 0o666] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            load(dir.path()).unwrap_err().kind,
            FailureKind::Refused,
            "{mode:o}"
        );
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    chown(&file, Some(1000), None).unwrap();
    let failure = load(dir.path()).unwrap_err();
    assert!(failure.why.contains("uid 1000"), "{failure}");
    fs::remove_file(&file).unwrap();
    symlink("/etc/passwd", &file).unwrap();
    assert!(load(dir.path()).is_err());
    fs::remove_file(&file).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(load(dir.path()).unwrap_err().why.contains("directory"));
}

#[test]
fn settings_stand_where_agents_look_for_them_and_are_short() {
    for bad in [
        "/etc/passwd",
        "/etc/codex",
        "/etc/codexx/a",
        "etc/codex/a",
        "/usr/a",
    ] {
        let error = error_of(|spec| spec.extras.settings = [(bad.into(), String::new())].into());
        assert_eq!(error.kind, FailureKind::Invalid, "{bad}");
    }
    let long = "x".repeat(70_000);
    let at = "/etc/claude-code/managed-settings.json";
    let error = error_of(|spec| spec.extras.settings = [(at.into(), long.clone())].into());
    assert!(error.why.contains("more than"), "{error:?}");
}

#[test]
fn extras_are_checked() {
    let guard = |path: &str| Guard {
        path: path.into(),
        hide: false,
        directory: false,
    };
    let mut good = spec();
    good.extras = Extras {
        guards: vec![guard(".mcp.json"), guard("a/b c"), guard("/srv/x/y")],
        tools: Some(vec!["git".into(), "g++".into(), "[".into()]),
        devices: vec!["/dev/kvm".into()],
        reports: true,
        settings: [("/etc/codex/requirements.toml".into(), "x".into())].into(),
    };
    let ceiling = Ceiling {
        devices: vec!["/dev/kvm".into()],
        ..ceiling()
    };
    ceiling.admit(good.clone()).unwrap();
    let refused = super::tests::ceiling().admit(good).unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    assert!(refused.why.contains("/dev/kvm"), "{refused:?}");
    for bad in [
        "",
        "/",
        "..",
        "a/../b",
        "a//b",
        ".git",
        ".GIT/hooks",
        "a\nb",
        "./a",
    ] {
        let settings = || [(format!("/etc/codex/{bad}"), String::new())].into();
        if bad != "a\nb" && !bad.starts_with(".g") && !bad.starts_with(".G") {
            let error = error_of(|spec| spec.extras.settings = settings());
            assert_eq!(error.kind, FailureKind::Invalid, "{bad}");
        }
        let error = error_of(|spec| spec.extras.guards = vec![guard(bad)]);
        assert_eq!(error.kind, FailureKind::Invalid, "{bad}");
    }
    for bad in ["", "..", "a/b", "/usr/bin/git", "a b", "a\n"] {
        let error = error_of(|spec| spec.extras.tools = Some(vec![bad.into()]));
        assert_eq!(error.kind, FailureKind::Invalid, "{bad}");
    }
    for bad in ["kvm", "/dev", "/dev/../etc/x", "/etc/passwd"] {
        let error = error_of(|spec| spec.extras.devices = vec![bad.into()]);
        assert_eq!(error.kind, FailureKind::Invalid, "{bad}");
    }
    let error = error_of(|spec| spec.extras.guards = vec![guard("a"); 65]);
    assert_eq!(error.kind, FailureKind::Invalid);
}

#[test]
fn an_authority_is_one_certificate_and_nothing_else() {
    let text =
        |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    let admitted = |authority: String| {
        let spec = SandboxSpec {
            authority: Some(authority),
            ..spec()
        };
        ceiling().admit(spec).is_ok()
    };
    assert!(admitted(text("MIIB+/8=")));
    for bad in ["", "x", &text("../-"), &text(&"A".repeat(33_000))] {
        assert!(!admitted(bad.to_owned()), "{bad}");
    }
    assert!(!admitted(text("QQ==") + &text("QQ==")));
}

#[test]
fn every_key_is_in_the_page() {
    let page = include_str!("../../../docs/config.md");
    let all = serde_json::to_value(ceiling()).unwrap();
    let limits = all["limits_max"].as_object().unwrap().keys();
    for key in all.as_object().unwrap().keys().chain(limits) {
        let shown = [format!("\"{key}\""), format!("`{key}`")];
        assert!(shown.iter().any(|text| page.contains(text)), "{key}");
    }
}
