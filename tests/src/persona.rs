//! People of a story: real Unix accounts, made for one test and removed after it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cli;

/// A Unix account with a home of its own, or root.
#[derive(Debug)]
pub struct Persona {
    name: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
    made: bool,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Persona {
    /// Root, who runs the tests; its home is a directory of the test.
    #[must_use]
    pub fn root(home: &Path) -> Persona {
        Persona {
            name: "root".into(),
            uid: 0,
            gid: 0,
            home: home.to_owned(),
            made: false,
        }
    }

    /// A new account whose name starts with `who`.
    ///
    /// # Panics
    /// If the host does not let us make accounts: run the tests as root.
    #[must_use]
    pub fn new(who: &str) -> Persona {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wsmt-{who}-{}-{number}", std::process::id());
        let home = PathBuf::from(format!("/home/{name}"));
        let mut useradd = Command::new("useradd");
        useradd
            .args(["--create-home", "--shell", "/bin/bash", "--home-dir"])
            .arg(&home)
            .arg(&name);
        cli::run(useradd, b"").ok();
        let made = std::fs::metadata(&home).expect("useradd made the home");
        Persona {
            name,
            uid: made.uid(),
            gid: made.gid(),
            home,
            made: true,
        }
    }

    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its uid.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Its gid.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// Its home.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// `program` as this person would start it: own uid, groups and home, no privileges.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let program = program.as_ref();
        let mut command = if self.uid == 0 {
            Command::new(program)
        } else {
            let mut command = Command::new("setpriv");
            command
                .arg(format!("--reuid={}", self.uid))
                .arg(format!("--regid={}", self.gid));
            command
                .args(["--init-groups", "--inh-caps=-all", "--"])
                .arg(program);
            command
        };
        command.env_clear();
        command
            .env("HOME", &self.home)
            .env("USER", &self.name)
            .env("LOGNAME", &self.name);
        command.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .current_dir(&self.home);
        command
    }
}

impl Drop for Persona {
    fn drop(&mut self) {
        if self.made {
            let mut userdel = Command::new("userdel");
            userdel.args(["--remove", "--force", &self.name]);
            let done = cli::run(userdel, b"");
            if done.code != 0 {
                eprintln!("the account {} stays: {done}", self.name);
            }
        }
    }
}
