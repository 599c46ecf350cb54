//! What the host plants inside the attacker's sandbox: a mistake of one wall, so that the wall
//! behind it is the only one.

use std::fs;
use std::process::{Command, Stdio};

use wsm_tests::{cli, host, wait};

use crate::world::World;

/// A mount that no rule names, with a readable secret and a writable file.
pub(crate) const MOUNT: &str = "/extra";
/// A set-user-id program of root inside, on a mount that honours it.
pub(crate) const PROGRAM: &str = "/tmp/planted-id";

/// A device in the workspace.
pub(crate) const DEVICE: &str = "planted-device";

fn nsenter(world: &World, flags: &[&str]) -> Command {
    let mut command = world.wsm.root().command("nsenter");
    command.current_dir("/");
    command
        .arg("--target")
        .arg(world.init.to_string())
        .args(flags)
        .arg("--");
    command
}

/// Plants everything.
pub(crate) fn plant(world: &World) {
    let script = format!(
        "set -e; mount -o remount,bind,rw /; mkdir {MOUNT}; mount -o remount,bind,ro /
         mount -t tmpfs -o mode=755 none {MOUNT}; echo {} >{MOUNT}/secret
         echo x >{MOUNT}/writable; chmod 666 {MOUNT}/writable; mkdir -m 777 {MOUNT}/dir
         mount -o remount,bind,suid,nodev /tmp; cp /usr/bin/id {PROGRAM}
         chown {root}:{root} {PROGRAM}; chmod 4755 {PROGRAM}",
        world.secret,
        root = root_of(world),
    );
    let mut plant = nsenter(world, &["--mount"]);
    plant.args(["sh", "-c", &script]);
    cli::run(plant, b"").ok();
    let mut device = Command::new("sh");
    let script = format!(
        "cd {} && mknod {DEVICE} c 1 5 && chmod 666 {DEVICE}",
        world.agent.workspace
    );
    device.args(["-c", &script]);
    cli::run(device, b"").ok();
    plant_process(world);
}

/// The host's uid of root inside.
pub(crate) fn root_of(world: &World) -> u32 {
    let status = fs::read_to_string(format!("/proc/{}/status", world.init)).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let uid = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    uid.expect("the kernel tells it")
}

/// In the attacker's pid and network namespaces, of its own uid, but outside its Landlock domain;
/// it listens on an abstract name.
pub(crate) fn plant_process(world: &World) {
    let uid = (root_of(world) + 1000).to_string();
    let name = format!("{}-planted", world.listeners.name);
    let program = format!(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.bind('\\0{name}')\ns.listen()\n\
         SECRET = '{}'\nprint('ready', flush=True)\nwhile True:\n c, _ = s.accept()\n \
         print(c.recv(999).decode(), flush=True)\n",
        world.secret
    );
    let heard = world.wsm.root().home().join("planted-heard");
    let mut command = nsenter(world, &["--pid", "--net"]);
    command.args([
        "setpriv",
        "--reuid",
        &uid,
        "--regid",
        &uid,
        "--clear-groups",
    ]);
    command
        .args(["python3", "-c", &program])
        .env("SECRET", &world.secret);
    command.stdin(Stdio::null());
    command.stdout(fs::File::create(&heard).expect("our own file"));
    let child = command.spawn().expect("nsenter starts");
    let parent = i32::try_from(child.id()).expect("a pid");
    let ready = || fs::read_to_string(&heard).is_ok_and(|text| text.contains("ready"));
    wait::until_true("the planted process to listen", ready);
    let all = host::processes();
    let found = all.iter().find(|p| p.parent == parent);
    let pid = found.expect("nsenter forked it").pid;
    world.planted_by(child, pid);
}

/// What the planted process heard.
pub(crate) fn heard(world: &World) -> String {
    fs::read_to_string(world.wsm.root().home().join("planted-heard")).unwrap_or_default()
}
