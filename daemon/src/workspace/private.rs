//! The agent's git directory: refs, index, configuration and logs of its own, objects borrowed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use git2::{Config, Oid, Repository};

use super::beneath;
use super::index;
use super::protocol::{Create, Doing, Failure, FailureKind};

/// Keys of the main repository's own configuration that shape what a commit looks like. None of
/// them names a program.
const KEYS: &[&str] = &[
    "core.autocrlf",
    "core.eol",
    "core.safecrlf",
    "core.symlinks",
    "core.ignorecase",
    "merge.conflictstyle",
    "pull.rebase",
    "rebase.autostash",
    "user.name",
    "user.email",
];

/// Longest `info/exclude` and `shallow` that are copied.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Most refs of the main repository that the agent sees under `refs/remotes/host/` and `refs/tags/`.
const REFS_MAX: usize = 20_000;

/// Writes the git directory that the agent sees into an empty directory.
pub(super) fn write(
    repository: &Repository,
    create: &Create,
    base: Oid,
    index_path: &Path,
) -> Result<(), Failure> {
    let directory = &create.place.private_git_dir;
    let branch = &create.place.branch;
    let head = Path::new("refs/heads").join(branch);
    let log = Path::new("logs/refs/heads").join(branch);
    let parent = |path: &Path| path.parent().expect("both have several parts").to_owned();
    for below in [
        "objects/info".into(),
        "objects/pack".into(),
        "refs/tags".into(),
        "hooks".into(),
        "info".into(),
        parent(&head),
        parent(&log),
    ] as [std::path::PathBuf; 7]
    {
        let path = directory.join(below);
        fs::create_dir_all(&path).doing(|| format!("make {}", path.display()))?;
    }
    let objects = repository.commondir().join("objects");
    let mut alternates = objects.as_os_str().as_encoded_bytes().to_vec();
    if alternates.contains(&b'\n') {
        return Err(Failure::new(
            FailureKind::Unsupported,
            "share the objects",
            "their path has a line break",
        ));
    }
    alternates.push(b'\n');
    put(directory, "objects/info/alternates", &alternates)?;
    put(
        directory,
        "HEAD",
        format!("ref: refs/heads/{branch}\n").as_bytes(),
    )?;
    put(directory, &head, format!("{base}\n").as_bytes())?;
    let line = log_line(
        None,
        base,
        &create.identity,
        "branch: Created for the agent",
    );
    put(directory, "logs/HEAD", line.as_bytes())?;
    put(directory, &log, line.as_bytes())?;
    put(
        directory,
        "packed-refs",
        host_refs(repository, branch)?.as_bytes(),
    )?;
    copy_small(repository.commondir(), "shallow", directory, "shallow")?;
    copy_small(
        repository.commondir(),
        "info/exclude",
        directory,
        "info/exclude",
    )?;
    configure(repository, create, &directory.join("config"))?;
    let entries = index::entries_as(index_path, create.inside_uid, create.inside_gid)?;
    index::write(&directory.join("index"), &entries)
}

fn put(directory: &Path, name: impl AsRef<Path>, data: &[u8]) -> Result<(), Failure> {
    let path = directory.join(name);
    File::create_new(&path)
        .and_then(|mut file| file.write_all(data))
        .doing(|| format!("write {}", path.display()))
}

/// One line of a reflog.
pub(super) fn log_line(
    from: Option<Oid>,
    to: Oid,
    who: &Option<super::protocol::Identity>,
    message: &str,
) -> String {
    let (name, email) = who.as_ref().map_or(("wsm", "wsm@localhost"), |i| {
        (i.name.as_str(), i.email.as_str())
    });
    let clean = |text: &str| text.replace(['\n', '<', '>', '\0'], " ");
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let from = from.unwrap_or(Oid::ZERO_SHA1);
    format!(
        "{from} {to} {} <{}> {seconds} +0000\t{}\n",
        clean(name),
        clean(email),
        clean(message)
    )
}

/// The main repository's branches as `refs/remotes/host/*`, and its tags.
fn host_refs(repository: &Repository, own: &str) -> Result<String, Failure> {
    let doing = || "list the branches and tags".to_owned();
    let mut lines = Vec::new();
    for reference in repository.references().doing(doing)? {
        let Ok(reference) = reference else { continue };
        let (Ok(name), Some(oid)) = (reference.name(), reference.target()) else {
            continue;
        };
        let shown = match (
            name.strip_prefix("refs/heads/"),
            name.starts_with("refs/tags/"),
        ) {
            (Some(branch), _) if branch != own => format!("refs/remotes/host/{branch}"),
            (None, true) => name.to_owned(),
            (Some(_) | None, _) => continue,
        };
        lines.push((shown, oid));
        if lines.len() == REFS_MAX {
            break;
        }
    }
    lines.sort();
    let mut text = String::new();
    for (name, oid) in lines {
        writeln!(text, "{oid} {name}").expect("a string takes all");
    }
    Ok(text)
}

fn copy_small(from: &Path, name: &str, to: &Path, target: &str) -> Result<(), Failure> {
    let at = beneath::root(from).doing(|| format!("open {}", from.display()))?;
    match beneath::read(&at, Path::new(name), FILE_BYTES_MAX) {
        Ok(Some(data)) => put(to, target, &data),
        Ok(None) => Ok(()),
        // A link or something huge: the agent goes without its ignore rules, but not without the
        // cut of its history.
        Err(_) if name != "shallow" => Ok(()),
        Err(e) => Err(Failure::io(format!("read {name}"), &e)),
    }
}

fn configure(repository: &Repository, create: &Create, path: &Path) -> Result<(), Failure> {
    let doing = || format!("write {}", path.display());
    File::create_new(path).doing(doing)?;
    let mut config = Config::open(path).doing(doing)?;
    config
        .set_i32("core.repositoryformatversion", 0)
        .doing(doing)?;
    config.set_bool("core.filemode", true).doing(doing)?;
    config.set_bool("core.bare", false).doing(doing)?;
    config
        .set_bool("core.logallrefupdates", true)
        .doing(doing)?;
    if let Some(identity) = &create.identity {
        config.set_str("user.name", &identity.name).doing(doing)?;
        config.set_str("user.email", &identity.email).doing(doing)?;
    }
    let main = repository
        .config()
        .doing(|| "read the repository's configuration".into())?;
    for key in KEYS {
        if let Ok(value) = main.get_string(key) {
            config.set_str(key, &value).doing(doing)?;
        }
    }
    Ok(())
}

/// Whether a directory is empty or missing; anything else is an error.
pub(super) fn vacant(path: &Path) -> Result<bool, Failure> {
    let doing = || format!("use {}", path.display());
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Failure::io(doing(), &e)),
        Ok(meta) if !meta.is_dir() => {
            return Err(Failure::new(
                FailureKind::Exists,
                doing(),
                "it is not a directory",
            ));
        }
        Ok(_) => {}
    }
    if fs::read_dir(path).doing(doing)?.next().is_some() {
        return Err(Failure::new(
            FailureKind::Exists,
            doing(),
            "it is not empty",
        ));
    }
    Ok(true)
}
