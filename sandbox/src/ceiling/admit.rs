//! The checks of a spec, pure.

use std::collections::BTreeMap;

use crate::protocol::{Failure, FailureKind};
use crate::spec::{
    Extras, GrantId, INSIDE_HOME, INSIDE_STATE, Limits, SETTINGS, SPEC_VERSION, SandboxSpec,
};

use super::{CEILING_FILE, Ceiling};

/// Services of one agent: each costs control groups and a state directory.
const SERVICES_MAX: usize = 32;
/// Extra read-only paths: each costs a mount.
const READ_MAX: usize = 64;
/// Granted directories beyond the repository.
const WRITE_MAX: usize = 16;
/// Guarded names: each costs a mount, and one per directory above it.
const GUARDS_MAX: usize = 64;
/// Programs by name: each costs a mount.
const TOOLS_MAX: usize = 256;
const DEVICES_MAX: usize = 16;
/// Texts of settings: they lie in the root's own memory.
const SETTINGS_MAX: usize = 16;
const SETTINGS_BYTES_MAX: usize = 64 << 10;
/// A certificate with one elliptic key has 1 KiB, and 40 bytes for each host that it may speak for.
const AUTHORITY_BYTES_MAX: usize = 32 << 10;
/// `PATH_MAX` without its NUL.
const PATH_BYTES_MAX: usize = 4095;

/// Least that a shell and a service manager need: less is a mistake, not a wish.
const MEMORY_BYTES_MIN: u64 = 16 << 20;
const PIDS_MIN: u32 = 8;
const CPU_MILLI_MIN: u32 = 10;

/// Never shown, nor anything below, nor anything above: sockets and devices of the host live
/// there, or the sandbox has its own.
const RESERVED: &[&str] = &[
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/run",
    "/tmp",
    "/var/tmp",
    "/root",
    "/boot",
    INSIDE_HOME,
    INSIDE_STATE,
];
/// Made by wsm; single directories below may be shown.
const SYNTHETIC: &[&str] = &["/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64"];

pub(super) fn admit(ceiling: &Ceiling, mut spec: SandboxSpec) -> Result<SandboxSpec, Failure> {
    if spec.version != SPEC_VERSION {
        return Err(invalid(
            "version",
            format!(
                "{} is not {SPEC_VERSION}, which this broker speaks",
                spec.version
            ),
        ));
    }
    check_hostname(&spec.hostname)?;
    check_grant("repository", &spec.repository)?;
    check_count("write", spec.write.len(), WRITE_MAX)?;
    for grant in &spec.write {
        check_grant("write", grant)?;
    }
    check_count("services", spec.services.len(), SERVICES_MAX)?;
    for (name, limits) in &spec.services {
        check_service_name(name)?;
        check_limits(ceiling, &format!("services.{name}.limits"), limits)?;
    }
    check_count("read", spec.read.len(), READ_MAX)?;
    for path in &spec.read {
        check_read(ceiling, path)?;
    }
    spec.read.sort();
    spec.read.dedup();
    spec.write.sort();
    spec.write.dedup();
    if let Some(authority) = &spec.authority {
        check_authority(authority)?;
    }
    check_limits(ceiling, "limits", &spec.limits)?;
    check_extras(ceiling, &spec.extras)?;
    spec.extras.guards.sort();
    spec.extras.guards.dedup();
    spec.limits = with_defaults(ceiling, &spec.limits);
    Ok(spec)
}

fn invalid(field: &str, why: String) -> Failure {
    Failure {
        kind: FailureKind::Invalid,
        what: format!("admit {field} of the spec"),
        why,
        hint: String::new(),
    }
}

fn refused(field: &str, why: String) -> Failure {
    Failure {
        kind: FailureKind::Refused,
        what: format!("admit {field} of the spec"),
        why,
        hint: format!("ask for less, or have root change {CEILING_FILE}"),
    }
}

fn check_count(field: &str, count: usize, most: usize) -> Result<(), Failure> {
    if count > most {
        return Err(invalid(
            field,
            format!("{count} entries are more than {most}"),
        ));
    }
    Ok(())
}

/// One certificate as text. It is shown to the one sandbox alone; what it certifies is not looked at.
fn check_authority(pem: &str) -> Result<(), Failure> {
    let body = pem
        .strip_prefix("-----BEGIN CERTIFICATE-----\n")
        .and_then(|rest| rest.strip_suffix("-----END CERTIFICATE-----\n"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'\n');
    match body {
        Some(body) if pem.len() <= AUTHORITY_BYTES_MAX && body.bytes().all(plain) => Ok(()),
        _ => Err(invalid("authority", "it is no certificate".to_owned())),
    }
}

/// One DNS label.
fn check_hostname(name: &str) -> Result<(), Failure> {
    if (1..=63).contains(&name.len()) && is_label(name) {
        return Ok(());
    }
    Err(invalid(
        "hostname",
        format!("{name:?} is not 1 to 63 of a-z, 0-9 and inner -"),
    ))
}

fn check_service_name(name: &str) -> Result<(), Failure> {
    if (1..=40).contains(&name.len()) && is_label(name) {
        return Ok(());
    }
    Err(invalid(
        "services",
        format!("{name:?} is not 1 to 40 of a-z, 0-9 and inner -"),
    ))
}

fn is_label(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.bytes().all(plain) && !name.starts_with('-') && !name.ends_with('-')
}

/// Grants are looked up, never made into paths; this only bounds what is looked up.
fn check_grant(field: &str, grant: &GrantId) -> Result<(), Failure> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if (1..=64).contains(&grant.0.len()) && grant.0.bytes().all(plain) {
        return Ok(());
    }
    Err(invalid(field, format!("{:?} is not a grant's id", grant.0)))
}

fn check_read(ceiling: &Ceiling, path: &str) -> Result<(), Failure> {
    if !is_normal(path) {
        let why = "is not an absolute path without empty, . and .. parts";
        return Err(invalid("read", format!("{path:?} {why}")));
    }
    let reserved = RESERVED
        .iter()
        .find(|kept| is_below(path, kept) || is_below(kept, path));
    if let Some(kept) = reserved {
        return Err(invalid(
            "read",
            format!("{path} touches {kept}, which is never shown"),
        ));
    }
    if SYNTHETIC.contains(&path) {
        return Err(invalid("read", format!("{path} inside is made by wsm")));
    }
    let denied = ceiling
        .read_deny
        .iter()
        .find(|kept| is_below(path, kept) || is_below(kept, path));
    if let Some(kept) = denied {
        return Err(refused(
            "read",
            format!("{path} touches {kept}, which the ceiling denies"),
        ));
    }
    Ok(())
}

fn check_extras(ceiling: &Ceiling, extras: &Extras) -> Result<(), Failure> {
    check_count("guards", extras.guards.len(), GUARDS_MAX)?;
    for guard in &extras.guards {
        let path = &guard.path;
        let absolute = if path.starts_with('/') {
            path.clone()
        } else {
            format!("/{path}")
        };
        if !is_normal(&absolute) {
            let why = "is not a path without empty, . and .. parts";
            return Err(invalid("guards", format!("{path:?} {why}")));
        }
        let mut parts = path.split('/');
        if parts.any(|part| part.eq_ignore_ascii_case(".git")) {
            return Err(invalid("guards", format!("{path:?} is git's own")));
        }
    }
    let tools = extras.tools.as_deref().unwrap_or_default();
    check_count("tools", tools.len(), TOOLS_MAX)?;
    for name in tools {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-[".contains(&b);
        let fits = (1..=255).contains(&name.len()) && !name.starts_with('.');
        if !fits || !name.bytes().all(plain) {
            return Err(invalid(
                "tools",
                format!("{name:?} is not a program's name"),
            ));
        }
    }
    check_count("devices", extras.devices.len(), DEVICES_MAX)?;
    for path in &extras.devices {
        if !is_normal(path) || !is_below(path, "/dev") || path == "/dev" {
            return Err(invalid("devices", format!("{path:?} is not below /dev")));
        }
        if !ceiling.devices.contains(path) {
            let why = format!("{path} is not among the ceiling's devices");
            return Err(refused("devices", why));
        }
    }
    check_settings(&extras.settings)
}

/// Texts where agents look for settings, and nowhere else.
fn check_settings(settings: &BTreeMap<String, String>) -> Result<(), Failure> {
    check_count("settings", settings.len(), SETTINGS_MAX)?;
    for (path, text) in settings {
        let fits = SETTINGS
            .iter()
            .any(|place| is_below(path, place) && path != place);
        if !is_normal(path) || !fits {
            let why = format!("{path:?} is no place for settings");
            return Err(invalid("settings", why));
        }
        if text.len() > SETTINGS_BYTES_MAX {
            let why = format!("{path} has more than {SETTINGS_BYTES_MAX} bytes");
            return Err(invalid("settings", why));
        }
    }
    Ok(())
}

/// Absolute, no empty, `.` or `..` part, no control character, bounded; `/` is not normal either.
pub(super) fn is_normal(path: &str) -> bool {
    path.len() <= PATH_BYTES_MAX
        && !path.contains(char::is_control)
        && path.strip_prefix('/').is_some_and(|rest| {
            rest.split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..")
        })
}

/// Whether `path` is `top` or lies below it; both normal.
fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Above the ceiling is refused, not clamped: what is asked for is what is enforced.
fn check_limits(ceiling: &Ceiling, field: &str, limits: &Limits) -> Result<(), Failure> {
    let max = &ceiling.limits_max;
    let checks = [
        (
            "cpu_milli",
            wide(limits.cpu_milli),
            u64::from(CPU_MILLI_MIN),
            wide(max.cpu_milli),
        ),
        (
            "memory_bytes",
            limits.memory_bytes,
            MEMORY_BYTES_MIN,
            max.memory_bytes,
        ),
        (
            "pids",
            wide(limits.pids),
            u64::from(PIDS_MIN),
            wide(max.pids),
        ),
        ("disk_bytes", limits.disk_bytes, 1, max.disk_bytes),
    ];
    for (name, asked, least, most) in checks {
        let Some(asked) = asked else { continue };
        let field = format!("{field}.{name}");
        if asked < least {
            return Err(invalid(&field, format!("{asked} is less than {least}")));
        }
        if let Some(most) = most
            && asked > most
        {
            let why = format!("{asked} is above the ceiling of {most}");
            return Err(refused(&field, why));
        }
    }
    Ok(())
}

fn wide(value: Option<u32>) -> Option<u64> {
    value.map(u64::from)
}

/// What was not asked for comes from the default, which the maximum bounds too.
fn with_defaults(ceiling: &Ceiling, asked: &Limits) -> Limits {
    fn pick<T: Ord + Copy>(asked: Option<T>, default: Option<T>, max: Option<T>) -> Option<T> {
        asked.or(match (default, max) {
            (Some(default), Some(max)) => Some(default.min(max)),
            (default, max) => default.or(max),
        })
    }
    let (default, max) = (&ceiling.limits_default, &ceiling.limits_max);
    Limits {
        cpu_milli: pick(asked.cpu_milli, default.cpu_milli, max.cpu_milli),
        memory_bytes: pick(asked.memory_bytes, default.memory_bytes, max.memory_bytes),
        pids: pick(asked.pids, default.pids, max.pids),
        disk_bytes: pick(asked.disk_bytes, default.disk_bytes, max.disk_bytes),
    }
}
