//! A: what is shown read-only, programs brought along, and what one wall lets in by mistake.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use crate::case::{Case, Control, Sign, case, create, q, read, sh, sys, then, write};
use crate::files::open;
use crate::planted::{DEVICE, MOUNT, PROGRAM};
use crate::world::World;

/// The second half of A.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = shown(world);
    cases.extend(programs(world));
    cases.extend(planted(world));
    cases
}

/// What the template shows: readable, and nothing else.
fn shown(world: &World) -> Vec<Case> {
    let file = world.ground.shown("file");
    let (f, dir) = (q(&file), world.ground.shown("dir"));
    let left = q(&world.ground.shown("left"));
    let reopen = format!("exec 3<{file}; echo x >/proc/self/fd/3");
    vec![
        case(
            "A03",
            "open it for writing",
            write(&file, Some("x")),
            Sign::Success,
        ),
        case(
            "A03b",
            "truncate it",
            sys(libc::SYS_truncate, &format!("{f} 0")),
            Sign::Success,
        ),
        case(
            "A03c",
            "truncate on open",
            open(&file, libc::O_TRUNC | libc::O_RDONLY),
            Sign::Facts,
        ),
        case(
            "A03d",
            "append to it",
            open(&file, libc::O_APPEND | libc::O_WRONLY),
            Sign::Success,
        ),
        case(
            "A03e",
            "make a file beside it",
            create(&world.ground.shown("left")),
            Sign::Success,
        ),
        case(
            "A03f",
            "remove it",
            sys(libc::SYS_unlink, &f),
            Sign::Success,
        ),
        case(
            "A03g",
            "rename it",
            sys(libc::SYS_rename, &format!("{f} {left}")),
            Sign::Success,
        ),
        case(
            "A03h",
            "put another in its place",
            then(&[
                create("/tmp/a03h"),
                sys(libc::SYS_rename, &format!("\"/tmp/a03h {f}")),
            ]),
            Sign::Success,
        )
        .control(Control::None(
            "/tmp and /srv are two file systems; A03g is its control",
        )),
        case(
            "A03i",
            "remove its directory",
            sys(libc::SYS_rmdir, &q(&dir)),
            Sign::Success,
        ),
        case(
            "A03j",
            "exchange it with a new one",
            sys(
                libc::SYS_renameat2,
                &format!("-100 {f} -100 {} 2", q(&world.ground.shown("program"))),
            ),
            Sign::Success,
        ),
        case(
            "A05",
            "link it into the home, write the link",
            sys(libc::SYS_link, &format!("{f} \"/home/agent/l")),
            Sign::Success,
        )
        .by(
            Control::Host,
            sys(
                libc::SYS_link,
                &format!("{f} {}", q(&world.ground.hidden("l"))),
            ),
        ),
        case(
            "A05b",
            "link it beside itself",
            sys(libc::SYS_link, &format!("{f} {left}")),
            Sign::Success,
        ),
        case(
            "A05c",
            "link it by descriptor",
            then(&[
                open(&file, libc::O_RDONLY),
                sys(libc::SYS_linkat, &format!("%0 \" -100 {left} 0x1000")),
            ]),
            Sign::Success,
        ),
        case(
            "A07",
            "change its mode",
            sys(libc::SYS_chmod, &format!("{f} 0600")),
            Sign::Success,
        ),
        case(
            "A07b",
            "change its owner",
            sys(libc::SYS_chown, &format!("{f} 4711 4711")),
            Sign::Facts,
        ),
        case(
            "A07c",
            "change its times",
            sys(
                libc::SYS_utimensat,
                &format!("-100 {f} #{} 0", "00".repeat(32)),
            ),
            Sign::Success,
        ),
        case(
            "A07d",
            "set an attribute",
            sys(libc::SYS_setxattr, &format!("{f} \"user.x \"y 1 0")),
            Sign::Success,
        ),
        case(
            "A07e",
            "make it immutable",
            then(&[
                open(&file, 0),
                sys(libc::SYS_ioctl, "%0 0x40086602 #1000000000000000"),
            ]),
            Sign::Success,
        )
        .by(
            Control::Host,
            then(&[
                open(&file, 0),
                sys(libc::SYS_ioctl, "%0 0x40086602 #1000000000000000"),
                sys(libc::SYS_ioctl, "%0 0x40086602 @8"),
                sys(libc::SYS_ioctl, "%0 0x40086602 @8"),
            ]),
        ),
        case(
            "A07f",
            "by fchmod",
            then(&[open(&file, 0), sys(libc::SYS_fchmod, "%0 0600")]),
            Sign::Success,
        ),
        case(
            "A09",
            "write through /proc/self/fd",
            sh(&reopen),
            Sign::Facts,
        ),
        case(
            "A09b",
            "through an O_PATH descriptor",
            then(&[
                open(&file, libc::O_PATH),
                sys(libc::SYS_openat, "-100 \"/proc/self/fd/3 1"),
                sys(libc::SYS_write, "%1 \"x 1"),
            ]),
            Sign::Facts,
        ),
        case(
            "A25",
            "clone over it",
            then(&[
                open(&file, libc::O_WRONLY),
                sys(libc::SYS_fallocate, "%0 0 0 4096"),
            ]),
            Sign::Facts,
        ),
    ]
}

fn programs(world: &World) -> Vec<Case> {
    let secret = world.ground.hidden("secret");
    let port = world.listeners.tcp;
    let memfd = format!(
        "import os; f = os.memfd_create('x'); os.write(f, open('/bin/cat','rb').read()); os.execv(f'/proc/self/fd/{{f}}', ['cat', '{secret}'])"
    );
    vec![
        case(
            "A11",
            "a copied program",
            sh(&format!("cp /bin/cat /tmp/c && /tmp/c {secret}")),
            Sign::Facts,
        ),
        case(
            "A11b",
            "a program by the loader",
            sh(&format!("/lib64/ld-linux-x86-64.so.2 /bin/cat {secret}")),
            Sign::Facts,
        ),
        case(
            "A11c",
            "a program in memory",
            sh(&format!("python3 -c \"{memfd}\"")),
            Sign::Facts,
        ),
        case(
            "A11d",
            "Perl",
            sh(&format!("perl -e 'open F, \"{secret}\"; print <F>'")),
            Sign::Facts,
        ),
        case(
            "A11e",
            "bash's own /dev/tcp",
            sh(&format!(
                "bash -c 'echo A11e-in A11e-out >/dev/tcp/127.0.0.1/{port}'"
            )),
            Sign::Facts,
        ),
        case(
            "A11f",
            "git reads it",
            sh(&format!(
                "cd /tmp && git diff --no-index /dev/null {secret}"
            )),
            Sign::Facts,
        ),
        case(
            "A11g",
            "git applies a patch outside",
            sh(&format!(
                "cd /tmp && printf -- '--- /dev/null\\n+++ b/x\\n@@ -0,0 +1 @@\\n+x\\n' | git apply --unsafe-paths --directory={}",
                world.ground.hidden("dir")
            )),
            Sign::Facts,
        ),
        case(
            "A11h",
            "tar with absolute names",
            sh(&format!(
                "cd /tmp && echo x >t && tar -cPf t.tar --transform 's,.*,{},' t && tar -xPf t.tar",
                world.ground.hidden("dir/t")
            )),
            Sign::Facts,
        ),
        case(
            "A11i",
            "Node",
            sh(&format!(
                "node -e 'process.stdout.write(require(\"fs\").readFileSync(\"{secret}\"))'"
            )),
            Sign::Facts,
        ),
    ]
}

/// What one wall lets in by mistake, the next keeps out.
fn planted(world: &World) -> Vec<Case> {
    let control = Control::Ablation;
    let run = |id, what, calls, sign| case(id, what, calls, sign).control(control);
    vec![
        run(
            "A30",
            "read what is mounted by mistake",
            read(&format!("{MOUNT}/secret")),
            Sign::Success,
        ),
        run(
            "A30b",
            "write it",
            write(&format!("{MOUNT}/writable"), Some("x")),
            Sign::Success,
        ),
        run(
            "A30c",
            "truncate it",
            sys(libc::SYS_truncate, &format!("\"{MOUNT}/writable 0")),
            Sign::Success,
        ),
        run(
            "A30d",
            "make a file there",
            create(&format!("{MOUNT}/dir/x")),
            Sign::Success,
        ),
        run(
            "A30e",
            "remove from there",
            sys(libc::SYS_unlink, &format!("\"{MOUNT}/writable")),
            Sign::Success,
        ),
        run(
            "A19",
            "open a device that the host left in the workspace",
            read(&format!("{}/{DEVICE}", world.agent.workspace)),
            Sign::Success,
        ),
        run(
            "A31",
            "a set-user-id program on a mount that honours it",
            sh(PROGRAM),
            Sign::Look(|_, outcome| outcome.text().contains("euid=0").then(|| outcome.text())),
        ),
    ]
}
