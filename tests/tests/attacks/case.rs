//! What a case is, and the little language in which it says what to do.

use crate::attacker::Outcome;
use crate::world::World;

/// One attack.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// As in `research/sandbox.md` 2.3, with a letter or number for its neighbours.
    pub(crate) id: String,
    /// What is tried.
    pub(crate) what: String,
    /// What the attacker does; see `tests/attacker/attacker.c`.
    pub(crate) calls: String,
    /// What else than the facts of the host tells that it worked.
    pub(crate) sign: Sign,
    /// Where the same attack must work.
    pub(crate) control: Control,
    /// The same attack in the control's words, where paths or names differ there.
    pub(crate) there: Option<String>,
}

/// A sign that an attack worked. Besides it, every case is judged by the facts of process and
/// host, by the victims, by what listeners heard, and by secrets in what the attacker says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sign {
    /// None but those.
    Facts,
    /// The last call reached the kernel: it succeeded, or its arguments were looked at.
    Reached,
    /// It left a descriptor.
    Descriptor,
    /// The last call succeeded.
    Success,
    /// The last call's result is more than this.
    MoreThan(i64),
    /// It exists: the last call did not answer ENOENT, ESRCH or ENOTDIR.
    Exists,
    /// A look of the host's own, which says what happened.
    Look(fn(&World, &Outcome) -> Option<String>),
}

/// Where the positive control is run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Control {
    /// As root on the host, with mounts and host name of its own (so that nothing is broken).
    Host,
    /// As root in new namespaces of every kind: what would reach the machine.
    Apart,
    /// Inside the agent that is attacked.
    Neighbour,
    /// Inside, with the permitted name instead of the forbidden one.
    Permitted,
    /// It is planted in the sandbox alone: `make test-ablation` shows that it works without its wall.
    Ablation,
    /// It can not be had, because of this.
    None(&'static str),
}

/// A case with the control on the host.
pub(crate) fn case(id: &str, what: &str, calls: impl Into<String>, sign: Sign) -> Case {
    Case {
        id: id.into(),
        what: what.into(),
        calls: calls.into(),
        sign,
        control: Control::Host,
        there: None,
    }
}

impl Case {
    /// The same with another control.
    pub(crate) fn control(mut self, control: Control) -> Case {
        self.control = control;
        self
    }

    /// The same with another control, in other words.
    pub(crate) fn by(self, control: Control, there: impl Into<String>) -> Case {
        Case {
            there: Some(there.into()),
            control,
            ..self
        }
    }

    /// Its group: the letter.
    pub(crate) fn group(&self) -> &str {
        &self.id[..1]
    }
}

/// A text as an argument.
pub(crate) fn q(text: &str) -> String {
    let mut word = String::from('"');
    for byte in text.bytes() {
        if matches!(byte, b' ' | b'%' | b';' | b'\n' | b'\t') || !byte.is_ascii() {
            word.push_str(&format!("%{byte:02x}"));
        } else {
            word.push(char::from(byte));
        }
    }
    word
}

/// A system call with its arguments.
pub(crate) fn sys(number: i64, arguments: &str) -> String {
    format!("{number} {arguments}").trim().to_owned()
}

/// One call after the other.
pub(crate) fn then(calls: &[String]) -> String {
    calls.join(" ; ")
}

/// A line for the shell.
pub(crate) fn sh(line: &str) -> String {
    format!("run {}", q(line))
}

/// A program for Python.
pub(crate) fn python(program: &str) -> String {
    sh(&format!("exec python3 - <<'END'\n{program}\nEND\n"))
}

/// Bytes as an argument.
pub(crate) fn bytes(data: &[u8]) -> String {
    let digits: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("#{digits}")
}

/// Opens a file, and tells what it says.
pub(crate) fn read(path: &str) -> String {
    then(&[
        sys(
            libc::SYS_openat,
            &format!("-100 {} {}", q(path), libc::O_RDONLY | libc::O_NONBLOCK),
        ),
        sys(libc::SYS_read, "%0 ?4096 4096"),
    ])
}

/// Opens a file for writing, and writes if it says what.
pub(crate) fn write(path: &str, text: Option<&str>) -> String {
    let open = sys(
        libc::SYS_openat,
        &format!("-100 {} {}", q(path), libc::O_WRONLY),
    );
    match text {
        None => open,
        Some(text) => then(&[
            open,
            sys(libc::SYS_write, &format!("%0 {} {}", q(text), text.len())),
        ]),
    }
}

/// Makes a file.
pub(crate) fn create(path: &str) -> String {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
    sys(libc::SYS_openat, &format!("-100 {} {flags} 0644", q(path)))
}
