//! Another machine, as ssh sees one: an sshd of the test's own on loopback.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::cli;
use crate::host;
use crate::persona::Persona;
use crate::wait;

/// What `~/.ssh/config` of those who are let in calls it.
pub const NAME: &str = "there";

/// A running sshd; it ends with this, and so do its sessions.
#[derive(Debug)]
pub struct Sshd {
    base: tempfile::TempDir,
    port: u16,
    daemon: Option<Child>,
}

impl Sshd {
    /// Starts one with a host key of its own.
    ///
    /// # Panics
    /// If sshd is not installed.
    #[must_use]
    pub fn start() -> Sshd {
        let base = tempfile::Builder::new().prefix("wsmt-sshd-").tempdir();
        let base = base.expect("a temporary directory");
        // sshd wants it, and a test machine may never have started one.
        fs::create_dir_all("/run/sshd").expect("root writes");
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = probe.local_addr().expect("it is bound").port();
        drop(probe);
        let mut sshd = Sshd {
            base,
            port,
            daemon: None,
        };
        keygen(&sshd.base.path().join("host"));
        sshd.up();
        sshd
    }

    /// Starts it again where it was.
    ///
    /// # Panics
    /// If sshd is not installed.
    pub fn up(&mut self) {
        let base = self.base.path();
        let log = fs::File::create(base.join("log")).expect("our directory");
        let config = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\n",
            self.port,
            base.join("host").display()
        );
        fs::write(base.join("config"), config).expect("our directory");
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(base.join("config"));
        command.stdin(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().expect("sshd starts"));
        wait::until_true("sshd to listen", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
        });
    }

    /// Ends it and all its sessions: the machine is gone.
    pub fn down(&mut self) {
        let Some(mut daemon) = self.daemon.take() else {
            return;
        };
        let all = host::processes();
        let mut open = vec![i32::try_from(daemon.id()).expect("a pid")];
        while let Some(parent) = open.pop() {
            let children = all.iter().filter(|process| process.parent == parent);
            open.extend(children.map(|process| process.pid));
            host::signal(parent, "KILL");
        }
        drop(daemon.wait());
    }

    /// Ends the sessions; whoever comes again is let in.
    pub fn cut(&self) {
        let daemon = self.daemon.as_ref().map(|daemon| daemon.id());
        let daemon = daemon.and_then(|pid| i32::try_from(pid).ok());
        let all = host::processes();
        for session in all.iter().filter(|p| Some(p.parent) == daemon) {
            let below = all.iter().filter(|p| p.parent == session.pid);
            below.for_each(|process| host::signal(process.pid, "KILL"));
            host::signal(session.pid, "KILL");
        }
    }

    /// Lets `who` in, as themselves, by a key of their own, and tells them the host's.
    ///
    /// # Panics
    /// If the home can't be written.
    pub fn let_in(&self, who: &Persona) {
        let ssh = who.home().join(".ssh");
        fs::create_dir(&ssh).expect("a new home");
        let key = ssh.join("key");
        keygen(&key);
        fs::copy(key.with_extension("pub"), ssh.join("authorized_keys")).expect("it was made");
        let host = fs::read_to_string(self.base.path().join("host.pub")).expect("it was made");
        let known = format!("[127.0.0.1]:{} {host}", self.port);
        fs::write(ssh.join("known"), known).expect("a new directory");
        let mut config = fs::File::create(ssh.join("config")).expect("a new directory");
        write!(
            config,
            "Host {NAME}\n HostName 127.0.0.1\n Port {}\n IdentityFile {}\n IdentitiesOnly yes\n \
             UserKnownHostsFile {}\n StrictHostKeyChecking yes\n",
            self.port,
            key.display(),
            ssh.join("known").display()
        )
        .expect("a new file");
        for path in entries(&ssh).into_iter().chain([ssh]) {
            let mode = if path.is_dir() { 0o700 } else { 0o600 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is there");
            chown(&path, Some(who.uid()), Some(who.gid())).expect("it is there");
        }
        // An account without a password counts as locked.
        let mut usermod = Command::new("usermod");
        usermod.args(["-p", "*", who.name()]);
        cli::run(usermod, b"").ok();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.down();
    }
}

fn keygen(path: &Path) {
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path);
    cli::run(keygen, b"").ok();
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("it was made");
    entries.flatten().map(|entry| entry.path()).collect()
}
