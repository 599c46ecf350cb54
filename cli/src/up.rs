//! `wsm up`: broker, egress and daemon in the foreground; they die with it, agents live on.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use wsm_api::client::Client;
use wsm_api::problem::{Code, Problem};
use wsm_sandbox::config::{BrokerConfig, EnterConfig, VIEW};

use crate::place::Place;

/// Uid and gid of the daemon where the user `wsm` does not exist: above every range that systemd,
/// distributions and wsm's own pool use (uids from 0x7fff0000 are nobody's).
const DAEMON_ID: u32 = 0x7fff_0001;

/// The same for `wsm-egress`.
const EGRESS_ID: u32 = 0x7fff_0002;

/// A part that ends sooner than this after its start is started again only after a pause.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// Far below the 10 s for which the daemon waits for a broker, and `attach` for a daemon.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long the daemon may take to answer first.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How often the parts are looked at.
const TICK: Duration = Duration::from_millis(20);

/// Runs until SIGTERM or SIGINT. Must be awaited on the main thread: the parts die with the
/// thread that started them (`PR_SET_PDEATHSIG`, prctl(2)).
pub(crate) async fn up(place: &Place, quiet: bool) -> Result<(), Problem> {
    if !rustix::process::geteuid().is_root() {
        return Err(Problem::new(
            Code::Refused,
            "start wsm: only root can build sandboxes",
            "run `sudo wsm up`; everything else is for every user",
        ));
    }
    let made = |e: io::Error, what: &Path| {
        Problem::new(Code::Failed, format!("make {}: {e}", what.display()), "")
    };
    let daemon = ids("wsm", DAEMON_ID);
    let egress = ids("wsm-egress", EGRESS_ID);
    let (uid, gid) = daemon;
    prepare(place, daemon, egress).map_err(|(path, e)| made(e, &path))?;
    let _lock = lock(place)?;
    crate::registries::write_config(&place.etc()).map_err(|e| made(e, &place.etc()))?;
    let programs = Programs::find()?;
    let stop = [
        caught(SignalKind::terminate())?,
        caught(SignalKind::interrupt())?,
    ];

    let broker = broker_command(place, &programs, daemon, egress)?;
    let parts = [
        Part::new("broker", broker),
        Part::new("egress", egress_command(place, &programs, uid, egress)?),
        Part::new("daemon", daemon_command(place, &programs, uid, gid)?),
    ];
    let result = supervise(place, parts, stop, quiet).await;
    // Agents live on, and their control groups with them; without any nothing stays.
    let mut sweep = Command::new(&programs.sandbox);
    if let Err(e) = sweep.arg("sweep").arg(place.instance()).status() {
        say(&format!("sweep: {e}"));
    }
    result
}

struct Programs {
    wsm: PathBuf,
    sandbox: PathBuf,
    shim: PathBuf,
}

impl Programs {
    fn find() -> Result<Programs, Problem> {
        Ok(Programs {
            sandbox: program("wsm-sandbox")?,
            shim: program("wsm-shim")?,
            wsm: own_program()?,
        })
    }
}

fn own_program() -> Result<PathBuf, Problem> {
    std::env::current_exe()
        .map_err(|e| Problem::new(Code::Failed, format!("find my own program: {e}"), ""))
}

/// Another program of wsm, beside this one or in the package's libexec directory.
pub(crate) fn program(name: &str) -> Result<PathBuf, Problem> {
    let wsm = own_program()?;
    let beside = wsm.parent().unwrap_or(Path::new("/"));
    let mut places = [beside.join(name), Path::new("/usr/libexec/wsm").join(name)].into_iter();
    places.find(|path| path.is_file()).ok_or_else(|| {
        Problem::new(
            Code::Failed,
            format!("find {name}: it is not beside {}", wsm.display()),
            "build all programs with `make build`",
        )
    })
}

/// A user's uid and gid if the package made it, else a fixed number.
fn ids(user: &str, fixed: u32) -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let named = fields.next()? == user;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        named.then_some((uid, gid))
    });
    entry.unwrap_or((fixed, fixed))
}

/// The instance's directories: root's, but for the daemon's own corner of the state.
fn prepare(
    place: &Place,
    (uid, gid): (u32, u32),
    egress: (u32, u32),
) -> Result<(), (PathBuf, io::Error)> {
    let dirs = [
        (place.etc(), 0o755),
        (place.run(), 0o755),
        (place.state(), 0o711),
        (place.state().join("daemon"), 0o700),
        (place.state().join("egress"), 0o700),
    ];
    let make = |dir: &Path| {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(dir)
    };
    if place.is_own() {
        let root = place.root();
        let made = make(root).and_then(|()| check_roots(root, &[0]));
        made.map_err(|e| (root.to_owned(), e))?;
    }
    for (dir, mode) in dirs {
        let made = make(&dir)
            .and_then(|()| check_roots(&dir, &[0, uid, egress.0]))
            .and_then(|()| fs::set_permissions(&dir, fs::Permissions::from_mode(mode)));
        made.map_err(|e| (dir, e))?;
    }
    for (name, (uid, gid)) in [("daemon", (uid, gid)), ("egress", egress)] {
        let own = place.state().join(name);
        chown(&own, Some(uid), Some(gid)).map_err(|e| (own, e))?;
    }
    // Root that starts an instance of its own may use its own files in it.
    let ceiling = place.etc().join("ceiling.json");
    if place.is_own() && !ceiling.exists() {
        fs::write(&ceiling, "{ \"allow_root_account\": true }\n").map_err(|e| (ceiling, e))?;
    }
    Ok(())
}

/// Refuses a directory that somebody else may change: what root makes and gives away in it would
/// be led elsewhere by a symlink.
fn check_roots(dir: &Path, owners: &[u32]) -> io::Result<()> {
    let found = fs::symlink_metadata(dir)?;
    let (owner, mode) = (found.uid(), found.mode());
    // In a sticky one others may make things, but not put them in the place of ours.
    let closed = mode & 0o022 == 0 || mode & 0o1000 != 0;
    if found.is_dir() && owners.contains(&owner) && closed {
        return Ok(());
    }
    let why = "it is not a directory that root alone may write (chown root, chmod go-w)";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

fn lock(place: &Place) -> Result<File, Problem> {
    let path = place.run().join("up.lock");
    let failed =
        |e: io::Error| Problem::new(Code::Failed, format!("lock {}: {e}", path.display()), "");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Problem::new(
            Code::Conflict,
            format!("wsm is up already in {}", place.run().display()),
            "use it as it is, or stop the other `wsm up` first",
        )),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

fn text(path: &Path) -> Result<String, Problem> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("use {}: the path is not UTF-8", path.display());
        Problem::new(Code::Invalid, message, "choose another --dir")
    })
}

fn config_file<T: serde::Serialize>(
    place: &Place,
    name: &str,
    value: &T,
) -> Result<PathBuf, Problem> {
    let path = place.run().join(name);
    let failed =
        |e: io::Error| Problem::new(Code::Failed, format!("write {}: {e}", path.display()), "");
    let json = serde_json::to_vec_pretty(value).map_err(|e| failed(e.into()))?;
    fs::write(&path, json).map_err(failed)?;
    Ok(path)
}

fn broker_command(
    place: &Place,
    programs: &Programs,
    (uid, gid): (u32, u32),
    egress: (u32, u32),
) -> Result<Command, Problem> {
    let config = BrokerConfig {
        state_dir: text(&place.state())?,
        run_dir: text(&place.run())?,
        etc_dir: text(&place.etc())?,
        instance: place.instance(),
        daemon_uid: uid,
        daemon_gid: gid,
        egress_uid: egress.0,
        wsm_program: text(&programs.wsm)?,
        shim_program: text(&programs.shim)?,
    };
    let path = config_file(place, "broker.json", &config)?;
    let mut command = Command::new(&programs.sandbox);
    command
        .arg("broker")
        .arg("--die-with-parent")
        .arg("--config")
        .arg(path)
        .env_clear();
    Ok(command)
}

fn daemon_command(
    place: &Place,
    programs: &Programs,
    uid: u32,
    gid: u32,
) -> Result<Command, Problem> {
    let argv = ["wsm", "daemon", "--state", &format!("{VIEW}/state/daemon")].map(str::to_owned);
    let more = [
        "--run",
        &format!("{VIEW}/run"),
        "--etc",
        &format!("{VIEW}/etc"),
    ]
    .map(str::to_owned);
    let socket = ["--listen-fd", "{fd}"].map(str::to_owned);
    let config = EnterConfig {
        state_dir: text(&place.state())?,
        run_dir: text(&place.run())?,
        etc_dir: text(&place.etc())?,
        socket: "wsm.sock".to_owned(),
        uid,
        gid,
        program: text(&programs.wsm)?,
        argv: argv.into_iter().chain(more).chain(socket).collect(),
        env: environment(),
        lock_memory: false,
    };
    let path = config_file(place, "daemon.json", &config)?;
    let mut command = Command::new(&programs.sandbox);
    command.arg("enter").arg("--config").arg(path).env_clear();
    Ok(command)
}

/// Egress sees no state but its own corner.
fn egress_command(
    place: &Place,
    programs: &Programs,
    daemon_uid: u32,
    (uid, gid): (u32, u32),
) -> Result<Command, Problem> {
    let argv = [
        "wsm",
        "egress",
        "--state",
        &format!("{VIEW}/state"),
        "--run",
        &format!("{VIEW}/run"),
        "--etc",
        &format!("{VIEW}/etc"),
        "--daemon-uid",
        &daemon_uid.to_string(),
        "--listen-fd",
        "{fd}",
    ];
    let config = EnterConfig {
        state_dir: text(&place.state().join("egress"))?,
        run_dir: text(&place.run())?,
        etc_dir: text(&place.etc())?,
        socket: "egress.sock".to_owned(),
        uid,
        gid,
        program: text(&programs.wsm)?,
        argv: argv.map(str::to_owned).into(),
        env: environment(),
        lock_memory: true,
    };
    let path = config_file(place, "egress.json", &config)?;
    let mut command = Command::new(&programs.sandbox);
    command.arg("enter").arg("--config").arg(path).env_clear();
    Ok(command)
}

fn environment() -> Vec<(String, String)> {
    let mut env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
    if let Ok(level) = std::env::var("WSM_LOG") {
        env.push(("WSM_LOG".to_owned(), level));
    }
    env
}

/// One supervised program.
struct Part {
    name: &'static str,
    command: Command,
    child: Option<Child>,
    started: Instant,
    pause: Duration,
    next: Instant,
}

impl Part {
    fn new(name: &'static str, mut command: Command) -> Part {
        // A group of its own: a Ctrl-C at the terminal reaches `up` alone, which ends them in order.
        command.process_group(0);
        let now = Instant::now();
        Part {
            name,
            command,
            child: None,
            started: now,
            pause: Duration::ZERO,
            next: now,
        }
    }

    /// Starts it when it is due, notes when it ended.
    fn tend(&mut self) -> io::Result<()> {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait()?
        {
            self.child = None;
            let short = self.started.elapsed() < SHORT_LIFE;
            self.pause = if short {
                (self.pause * 2).clamp(Duration::from_millis(100), RESTART_PAUSE_MAX)
            } else {
                Duration::ZERO
            };
            self.next = Instant::now() + self.pause;
            say(&format!(
                "the {} ended ({status}); it is started again",
                self.name
            ));
        }
        if self.child.is_none() && Instant::now() >= self.next {
            self.child = Some(self.command.spawn()?);
            self.started = Instant::now();
        }
        Ok(())
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both are made to be killed at any instruction; there is nothing to say goodbye to.
            let killed = child.kill().and_then(|()| child.wait());
            if let Err(e) = killed {
                say(&format!("end the {}: {e}", self.name));
            }
        }
    }
}

async fn supervise(
    place: &Place,
    mut parts: [Part; 3],
    [mut term, mut int]: [Signal; 2],
    quiet: bool,
) -> Result<(), Problem> {
    let begun = Instant::now();
    let mut ready = false;
    let result = loop {
        for part in &mut parts {
            if let Err(e) = part.tend() {
                say(&format!("start the {}: {e}", part.name));
                part.next = Instant::now() + RESTART_PAUSE_MAX;
            }
        }
        if !ready && Client::new(&place.run()).status().await.is_ok() {
            ready = true;
            if !quiet {
                say(&format!(
                    "wsm is up in {}; Ctrl-C stops it",
                    place.root().display()
                ));
            }
        }
        if !ready && begun.elapsed() > READY_TIMEOUT {
            break Err(Problem::new(
                Code::TimedOut,
                format!("start wsm: the daemon does not answer after {READY_TIMEOUT:?}"),
                "the lines above say why; WSM_LOG=debug says more",
            ));
        }
        tokio::select! {
            _ = term.recv() => break Ok(()),
            _ = int.recv() => break Ok(()),
            () = tokio::time::sleep(TICK) => {}
        }
    };
    for part in parts.iter_mut().rev() {
        part.end();
    }
    result
}

fn caught(kind: SignalKind) -> Result<Signal, Problem> {
    signal(kind).map_err(|e| Problem::new(Code::Failed, format!("catch signals: {e}"), ""))
}

fn say(line: &str) {
    // A closed standard error is no reason to stop agents.
    drop(writeln!(io::stderr(), "{line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: (u32, u32) = (0, 0);

    #[test]
    fn root_makes_nothing_where_others_may_write() {
        let top = tempfile::tempdir().unwrap();
        let place = |name: &str| Place::new(Some(&top.path().join(name)));
        prepare(&place("fresh/below"), ROOT, ROOT).unwrap();
        prepare(&place("fresh/below"), ROOT, ROOT).unwrap();
        let open = top.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(prepare(&place("open"), ROOT, ROOT).is_err());
        let linked = top.path().join("linked");
        fs::create_dir(&linked).unwrap();
        let victim = top.path().join("victim");
        fs::create_dir(&victim).unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(&victim, linked.join("run")).unwrap();
        assert!(prepare(&place("linked"), ROOT, ROOT).is_err());
        assert_eq!(victim.metadata().unwrap().mode() & 0o777, 0o700);
        let foreign = top.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        chown(&foreign, Some(4242), Some(4242)).unwrap();
        assert!(prepare(&place("foreign"), ROOT, ROOT).is_err());
    }
}
