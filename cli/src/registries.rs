//! Which hosts npm, pip, cargo and apt of this machine ask for packages: the groups of a new
//! `config.toml`. Read from their own files, settings first and the default that came with the
//! program after them, so that mirrors work and no name is compiled in here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use wsm_api::problem::Code;

use crate::failure::{Exit, Failure, Outcome};

/// Longest file that is read: npm's own definitions are 70 KiB.
const BYTES_MAX: u64 = 1 << 20;

/// Hosts by group.
type Groups = BTreeMap<&'static str, BTreeSet<String>>;

/// Options of `write-config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the configuration lies.
    #[arg(long)]
    etc: PathBuf,
}

pub(crate) fn run(args: &Args) -> Outcome {
    write_config(&args.etc).map_err(|e| {
        let message = format!("write {}: {e}", args.etc.display());
        Failure::new(Code::Failed, message, "")
    })?;
    Ok(Exit::DONE)
}

/// Writes `config.toml`, if there is none.
pub(crate) fn write_config(etc: &Path) -> io::Result<()> {
    let path = etc.join(wsm_egress::config::CONFIG_FILE);
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let file = fs::File::options().write(true).create_new(true).open(path);
    match file {
        Ok(mut file) => {
            // The daemon and egress read it, who are not root; whoever starts this may have a umask.
            file.set_permissions(fs::Permissions::from_mode(0o644))?;
            io::Write::write_all(&mut file, text(&found(Path::new("/"), &home)).as_bytes())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn text(groups: &Groups) -> String {
    let mut text = String::from(
        "# docs/config.md says what may stand here. What agents may reach:\n\n[egress]\n\
         # Private addresses are refused, but for these names:\n\
         # permit = [{ names = [\"registry.internal.example\"], cidr = \"10.1.0.0/16\" }]\n\n\
         # `@NAME` of a template's network.allow. Found when wsm was set up, in what the programs\n\
         # here are configured to use; change it as you like.\n[egress.groups]\n",
    );
    for (name, hosts) in groups {
        let hosts: Vec<_> = hosts.iter().map(|host| format!("{host:?}")).collect();
        text.push_str(&format!("{name} = [{}]\n", hosts.join(", ")));
    }
    text
}

/// Looks below `root`, so that a test has a machine of its own.
fn found(root: &Path, home: &Path) -> Groups {
    let groups = [
        ("npm", npm(root, home)),
        ("pypi", pypi(root, home)),
        ("crates", crates(home)),
        ("debian", debian(root)),
    ];
    let named = groups.into_iter().filter(|(_, hosts)| !hosts.is_empty());
    named.collect()
}

fn read(path: &Path) -> String {
    // A file that is not there, or not readable, configures nothing.
    match fs::metadata(path) {
        Ok(found) if found.len() <= BYTES_MAX => fs::read_to_string(path).unwrap_or_default(),
        _ => String::new(),
    }
}

/// Rules for every `http(s)://HOST[:PORT]` in a text.
fn hosts(text: &str) -> BTreeSet<String> {
    let mut hosts = BTreeSet::new();
    for (scheme, port) in [("https://", 443), ("http://", 80)] {
        for (at, _) in text.match_indices(scheme) {
            let rest = &text[at + scheme.len()..];
            let end = rest.find(|c: char| c.is_whitespace() || "/\"'`,;)?#".contains(c));
            let authority = &rest[..end.unwrap_or(rest.len())];
            let authority = authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host);
            let rule = match authority.contains(':') || port == 443 {
                true => authority.to_owned(),
                false => format!("{authority}:{port}"),
            };
            if let Ok(rule) = wsm_egress::rule::Rule::parse(&rule) {
                hosts.insert(rule.to_string());
            }
        }
    }
    hosts
}

/// Values of `key = value` lines, comments left out.
fn values(text: &str, wanted: impl Fn(&str) -> bool) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    let found = pairs.filter(|(key, _)| wanted(key.trim()));
    found.map(|(_, value)| format!("{value}\n")).collect()
}

fn npm(root: &Path, home: &Path) -> BTreeSet<String> {
    let files = [
        home.join(".npmrc"),
        root.join("etc/npmrc"),
        root.join("usr/etc/npmrc"),
    ];
    // Only where packages come from; the other lines of such a file are none of ours.
    let registry = |key: &str| key == "registry" || key.ends_with(":registry");
    let set: BTreeSet<_> = files
        .iter()
        .flat_map(|file| hosts(&values(&read(file), registry)))
        .collect();
    let has_default = |key: &str| key == "registry";
    if files
        .iter()
        .any(|file| !values(&read(file), has_default).is_empty())
    {
        return set;
    }
    // npm since 10, and before (Debian 12).
    let definitions = [
        "npm/node_modules/@npmcli/config/lib/definitions/definitions.js",
        "npm/lib/utils/config/definitions.js",
    ];
    let places = [
        "usr/lib/node_modules",
        "usr/local/lib/node_modules",
        "usr/share/nodejs",
    ];
    let mut found = places
        .iter()
        .flat_map(|place| definitions.map(|file| root.join(place).join(file)));
    let default = found.find_map(|file| {
        let text = read(&file);
        let after = text.split_once("('registry',")?.1;
        let default = after.split_once("default:")?.1.lines().next()?.to_owned();
        Some(default)
    });
    let default = default.map(|line| hosts(&line)).unwrap_or_default();
    set.into_iter().chain(default).collect()
}

fn pypi(root: &Path, home: &Path) -> BTreeSet<String> {
    let files = [
        home.join(".config/pip/pip.conf"),
        home.join(".pip/pip.conf"),
        root.join("etc/pip.conf"),
    ];
    let index = |key: &str| matches!(key, "index-url" | "extra-index-url" | "find-links");
    let set: BTreeSet<_> = files
        .iter()
        .flat_map(|file| hosts(&values(&read(file), index)))
        .collect();
    if files
        .iter()
        .any(|file| !values(&read(file), |key| key == "index-url").is_empty())
    {
        return set;
    }
    let model = "pip/_internal/models/index.py";
    let mut places = vec![root.join("usr/lib/python3/dist-packages")];
    for python in fs::read_dir(root.join("usr/local/lib"))
        .into_iter()
        .flatten()
        .flatten()
    {
        places.extend(["site-packages", "dist-packages"].map(|name| python.path().join(name)));
    }
    let default = places.iter().find_map(|place| {
        let text = read(&place.join(model));
        let line = text.lines().find(|line| line.starts_with("PyPI = "))?;
        let mut found = hosts(line);
        // Files lie on a host of their own.
        let files = line
            .split_once("file_storage_domain=\"")
            .map(|(_, rest)| rest);
        if let Some((domain, _)) = files.and_then(|rest| rest.split_once('"')) {
            found.extend(hosts(&format!("https://{domain}/")));
        }
        Some(found)
    });
    set.into_iter().chain(default.unwrap_or_default()).collect()
}

/// A replaced source if there is one, and every index that cargo has asked: each says where its
/// files are.
fn crates(home: &Path) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let set = |name: &str| {
        let key = |key: &str| matches!(key, "registry" | "index");
        hosts(&values(&read(&cargo.join(name)), key))
    };
    let mut found: BTreeSet<_> = ["config.toml", "config"]
        .into_iter()
        .flat_map(set)
        .collect();
    for index in fs::read_dir(cargo.join("registry/index"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = index.file_name().to_string_lossy().into_owned();
        if let Some((host, _)) = name.rsplit_once('-') {
            found.extend(hosts(&format!("https://{host}/")));
        }
        found.extend(hosts(&read(&index.path().join("config.json"))));
    }
    found
}

fn debian(root: &Path) -> BTreeSet<String> {
    let mut files = vec![root.join("etc/apt/sources.list")];
    let parts = fs::read_dir(root.join("etc/apt/sources.list.d"))
        .into_iter()
        .flatten()
        .flatten();
    files.extend(parts.map(|part| part.path()).filter(|path| {
        path.extension()
            .is_some_and(|end| end == "list" || end == "sources")
    }));
    let lines = |file: &PathBuf| {
        let text = read(file);
        let kept = text
            .lines()
            .filter(|line| line.starts_with("deb") || line.starts_with("URIs:"));
        hosts(&kept.map(|line| format!("{line}\n")).collect::<String>())
    };
    files.iter().flat_map(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn settings_win_over_defaults_and_only_hosts_are_taken() {
        let top = tempfile::tempdir().unwrap();
        let (root, home) = (top.path(), top.path().join("home"));
        put(
            root,
            "home/.npmrc",
            "//npm.mirror.example/:_authToken=secret\n@us:registry=https://us.example:8443/npm/\n",
        );
        put(
            root,
            "usr/lib/node_modules/npm/node_modules/@npmcli/config/lib/definitions/definitions.js",
            "x: new Definition('registry', {\n  default: `https://packages.example/`,\n",
        );
        put(
            root,
            "etc/pip.conf",
            "[global]\nindex-url = http://user:word@pip.mirror.example/simple\n# extra-index-url = https://no.example/\n",
        );
        put(
            root,
            "usr/lib/python3/dist-packages/pip/_internal/models/index.py",
            "PyPI = PackageIndex(\"https://py.example/\", file_storage_domain=\"files.example\")\n",
        );
        put(
            root,
            "etc/apt/sources.list.d/a.sources",
            "Types: deb\n# http://old.example/\nURIs: http://deb.example/debian https://sec.example/\n",
        );
        put(
            root,
            "etc/apt/sources.list.d/b.list.off",
            "deb http://off.example/ x\n",
        );
        let groups = text(&found(root, &home));
        assert!(
            groups.contains("npm = [\"packages.example\", \"us.example:8443\"]\n"),
            "{groups}"
        );
        assert!(
            groups.contains("pypi = [\"pip.mirror.example:80\"]\n"),
            "{groups}"
        );
        assert!(
            groups.contains("debian = [\"deb.example:80\", \"sec.example\"]\n"),
            "{groups}"
        );
        assert!(
            !groups.contains("secret") && !groups.contains("word"),
            "{groups}"
        );
        assert!(
            wsm_egress::config::HostConfig::parse(&groups).is_ok(),
            "{groups}"
        );
    }

    #[test]
    fn defaults_are_those_of_the_programs() {
        let top = tempfile::tempdir().unwrap();
        put(
            top.path(),
            "usr/lib/python3/dist-packages/pip/_internal/models/index.py",
            "PyPI = PackageIndex(\"https://py.example/\", file_storage_domain=\"files.example\")\n",
        );
        let found = pypi(top.path(), top.path());
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["files.example", "py.example"]
        );
    }
}
