//! What stands around the agents: the ground on the host, the template, a process to be hunted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use wsm_api::agent::Agent;
use wsm_tests::instance::Instance;
use wsm_tests::persona::Persona;
use wsm_tests::{cli, host, wait};

use crate::guarded::PROTECTED;
use crate::listeners::Listeners;
use crate::world::NEIGHBOUR;

/// A directory of the host, readable by everybody, and parts of it that the template shows.
pub(crate) struct Ground(pub(crate) PathBuf);

impl Ground {
    /// Where nothing is shown inside.
    pub(crate) fn hidden(&self, name: &str) -> String {
        self.0.join("hidden").join(name).display().to_string()
    }

    /// What the template shows, read-only.
    pub(crate) fn shown(&self, name: &str) -> String {
        self.0.join("shown").join(name).display().to_string()
    }

    /// Gives its sockets to their owner.
    pub(crate) fn give_sockets(&self, owner: &Persona) {
        for socket in [
            "hidden/socket",
            "hidden/datagrams",
            "shown/socket",
            "shown/datagrams",
        ] {
            let path = self.0.join(socket);
            std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid())).expect("root may");
        }
    }

    /// Makes it as it was at first.
    pub(crate) fn lay(&self, owner: &Persona, secret: &str) {
        for part in ["hidden", "hidden/dir", "hidden/w", "shown", "shown/dir"] {
            let dir = self.0.join(part);
            fs::create_dir_all(&dir).expect("root writes");
            fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).expect("root may");
        }
        let own =
            |path: &Path| std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()));
        for (name, text) in [
            ("hidden/secret", secret),
            ("hidden/writable", "precious"),
            ("hidden/w/.git", "gitdir: /somewhere"),
            ("shown/file", "precious"),
            ("shown/program", "#!/bin/sh\n"),
        ] {
            let path = self.0.join(name);
            fs::write(&path, text).expect("root writes");
            fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).expect("root may");
            own(&path).expect("root may");
        }
        own(&self.0.join("shown")).expect("root may");
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A process of the host.
pub(crate) fn prey() -> Child {
    let mut sleep = Command::new("sleep");
    sleep.arg("100000").stdin(Stdio::null());
    sleep.spawn().expect("sleep starts")
}

/// Ends it, if it is there.
pub(crate) fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        // What ended with its sandbox is gone already.
        drop(child.kill());
        drop(child.wait());
    }
}

/// PID 1 of an agent's sandbox.
pub(crate) fn init_of(agent: &Agent) -> i32 {
    let look = || {
        let all = host::processes_of(&agent.id);
        let named = |pid: &i32| {
            let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
            comm.is_ok_and(|comm| comm.trim() == "wsm-init")
        };
        all.iter().map(|p| p.pid).find(named)
    };
    let all = || format!("{:?}", host::processes_of(&agent.id));
    wait::until("the sandbox's PID 1", wait::PATIENCE, look, all)
}

/// What [`configure`] wrote.
pub(crate) fn configured(wsm: &Instance) -> Vec<(PathBuf, String)> {
    let paths =
        ["config.toml", "templates/attacked.toml"].map(|name| wsm.dir().join("etc").join(name));
    let texts = paths.into_iter();
    texts
        .map(|path| {
            (
                path.clone(),
                fs::read_to_string(path).expect("root wrote it"),
            )
        })
        .collect()
}

/// Configuration and template of the instance.
pub(crate) fn configure(wsm: &Instance, ground: &Ground, listeners: &Listeners, egress: bool) {
    let config = "[egress]\n\
        permit = [{ names = [\"allowed.example\"], cidr = \"127.0.0.0/8\" }]\n\
        [egress.hosts]\n\
        \"allowed.example\" = [\"127.0.0.1\"]\n\"evil.example\" = [\"127.0.0.1\"]\n\
        \"inner.example\" = [\"127.0.0.1\"]\n";
    fs::write(wsm.dir().join("etc/config.toml"), config).expect("root writes");
    let port = listeners.allowed;
    let network = if egress {
        format!(
            "[network]\negress = \"allow\"\nallow = [\"allowed.example:{port}\", \"inner.example:{port}\", \"*.wild.example:{port}\"]\n"
        )
    } else {
        String::new()
    };
    let text = format!(
        "schema = 1\nname = \"attacked\"\ndescription = \"x\"\nextends = [\"shell\"]\n\
         [filesystem]\nread = [\"{}\"]\nprotect = {PROTECTED:?}\n\
         {network}[limits]\nmemory = \"256M\"\npids = 100\n",
        ground.0.join("shown").display()
    );
    wsm.host_template("attacked", &text);
}

/// What a breach changed of these.
pub(crate) fn put_back(written: &[(PathBuf, String)]) {
    for (path, text) in written {
        if fs::read_to_string(path).ok().as_ref() != Some(text) {
            fs::write(path, text).expect("root writes");
        }
    }
}

/// The neighbour listens on a port and on an abstract name of its own.
pub(crate) fn neighbour_listens(wsm: &Instance, ann: &Persona, workspace: &str) {
    let program = "import socket, threading\n\
        def serve(s):\n while True:\n  c, _ = s.accept()\n  open('heard', 'ab').write(c.recv(99) + b' ')\n\
        a = socket.create_server(('127.0.0.1', 8123))\n\
        b = socket.socket(1); b.bind('\\0neighbours'); b.listen()\n\
        open('heard', 'w').close()\n\
        threading.Thread(target=serve, args=(b,)).start(); serve(a)\n";
    let line = format!(
        "cat >~/serve.py <<'END'\n{program}END\nnohup python3 ~/serve.py >/dev/null 2>&1 &"
    );
    cli::run(
        wsm.command(ann, &["exec", NEIGHBOUR, "--", "sh", "-c", &line]),
        b"",
    )
    .ok();
    let heard = Path::new(workspace).join("heard");
    wait::until_true("the neighbour to listen", || heard.exists());
}

/// Places where an attack may leave a file, none of which are there.
pub(crate) const PLACES: [&str; 9] = [
    "/", "/usr", "/usr/bin", "/etc", "/opt", "/var/lib", "/dev", "/root", "/srv",
];
/// What it is called there; another run of the suite has another name.
pub(crate) fn left() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| format!("wsm-attack-left-{}", std::process::id()))
}

/// Removes what attacks left.
pub(crate) fn clear() {
    for place in PLACES {
        let left = Path::new(place).join(left());
        drop(fs::remove_dir(&left).or_else(|_| fs::remove_file(&left)));
    }
}

/// Variables that programs obey, or that hold keys; who starts an attacker has them all.
pub(crate) const VARIABLES: [&str; 22] = [
    "ATTACK_SECRET",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PERL5LIB",
    "BASH_ENV",
    "ENV",
    "GIT_ASKPASS",
    "GIT_SSH_COMMAND",
    "EDITOR",
    "PROMPT_COMMAND",
    "GITHUB_TOKEN",
    "ANTHROPIC_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "SSH_AUTH_SOCK",
    "GPG_AGENT_INFO",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR",
    "DOCKER_HOST",
    "KUBECONFIG",
    "VSCODE_IPC_HOOK",
];

/// All of them, each with the secret in it.
pub(crate) fn poisoned(secret: &str) -> impl Iterator<Item = (&'static str, String)> {
    VARIABLES
        .map(|name| (name, format!("/nowhere/{secret}")))
        .into_iter()
}
