//! The synthetic `/etc`: what programs look up, and nothing of the host's accounts.

use std::path::PathBuf;

use super::{HostLayout, Op};
use crate::spec::{
    INSIDE_AUTHORITIES, INSIDE_AUTHORITY, INSIDE_HOME, INSIDE_ID, INSIDE_KEY_STORE, INSIDE_USER,
    Network, SandboxSpec,
};

/// Entries of the host's `/etc` that are shown read-only where they exist: how to load libraries,
/// whom to trust in TLS, and what programs are called.
pub(crate) const SHOWN: [&str; 17] = [
    "ld.so.cache",
    "ssl",
    "ca-certificates",
    "ca-certificates.conf",
    "pki",
    "crypto-policies",
    "alternatives",
    "mime.types",
    "services",
    "protocols",
    "inputrc",
    "terminfo",
    "fonts",
    "magic",
    "python3",
    "postgresql-common",
    "chromium.d",
];

/// A prompt, and the completion of the commands; never touches PATH, which the template sets.
const BASHRC: &str = "[ -z \"$PS1\" ] && return\n\
    PS1='\\u@\\h:\\w\\$ '\n\
    shopt -s checkwinsize histappend\n\
    [ -r /usr/share/bash-completion/bash_completion ] && . /usr/share/bash-completion/bash_completion\n";

const PROFILE: &str = "[ -n \"$BASH_VERSION\" ] && [ -n \"$PS1\" ] && . /etc/bash.bashrc\n";

/// Any name server's address leads to `wsm egress`; this one is nobody's (RFC 2544). No options: an
/// answer comes at once or never.
fn resolv_conf(network: Network) -> &'static str {
    match network {
        Network::Loopback => "# this sandbox has no name server\n",
        Network::Egress => "nameserver 198.18.0.1\n",
    }
}

/// Everything of `/etc`.
pub(super) fn ops(spec: &SandboxSpec, host: &HostLayout) -> Vec<Op> {
    let hostname = &spec.hostname;
    let shells = "/bin/sh\n/bin/bash\n/usr/bin/bash\n/bin/dash\n/usr/bin/zsh\n/usr/bin/fish\n";
    let texts = [
        ("passwd", passwd()),
        ("group", group()),
        ("hostname", format!("{hostname}\n")),
        ("hosts", hosts(hostname)),
        ("resolv.conf", resolv_conf(spec.network).to_owned()),
        ("nsswitch.conf", NSSWITCH.to_owned()),
        ("machine-id", machine_id(spec.agent.as_str())),
        ("profile", PROFILE.to_owned()),
        ("bash.bashrc", BASHRC.to_owned()),
        ("shells", shells.to_owned()),
    ];
    let mut ops: Vec<Op> = texts
        .into_iter()
        .map(|(name, text)| Op::File {
            at: PathBuf::from("/etc").join(name),
            after: None,
            text,
        })
        .collect();
    if let Some(authority) = &spec.authority {
        ops.extend(authorities(authority));
    }
    let links = [
        ("/etc/mtab", "/proc/self/mounts"),
        ("/etc/os-release", "../usr/lib/os-release"),
    ];
    ops.extend(links.map(|(at, to)| Op::Link {
        at: at.into(),
        to: to.into(),
    }));
    ops.extend(host.etc_links.iter().map(|(at, to)| Op::Link {
        at: at.clone(),
        to: to.clone(),
    }));
    ops
}

/// Where the host keeps whom it trusts, as one file: Debian's place, a link on Fedora.
const HOST_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Whom TLS clients shall trust: the agent's own authority, alone and behind the host's.
fn authorities(own: &str) -> [Op; 3] {
    [
        Op::File {
            at: INSIDE_AUTHORITIES.into(),
            after: Some(HOST_AUTHORITIES.into()),
            text: format!("\n{own}"),
        },
        Op::KeyStore {
            at: INSIDE_KEY_STORE.into(),
            after: HOST_AUTHORITIES.into(),
            text: own.to_owned(),
        },
        Op::File {
            at: INSIDE_AUTHORITY.into(),
            after: None,
            text: own.to_owned(),
        },
    ]
}

const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n\
    networks: files\nprotocols: files\nservices: files\n";

fn passwd() -> String {
    format!(
        "root:x:0:0:root:/root:/usr/sbin/nologin\n\
         {INSIDE_USER}:x:{INSIDE_ID}:{INSIDE_ID}:{INSIDE_USER}:{INSIDE_HOME}:/bin/bash\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
}

fn group() -> String {
    format!("root:x:0:\ntty:x:5:\n{INSIDE_USER}:x:{INSIDE_ID}:\nnogroup:x:65534:\n")
}

fn hosts(hostname: &str) -> String {
    format!("127.0.0.1 localhost\n127.0.1.1 {hostname}\n::1 localhost ip6-localhost\n")
}

/// 32 hexadecimal digits made of the agent's id (FNV-1a, twice): stable, and not the host's.
fn machine_id(agent: &str) -> String {
    let hash = |seed: u64| {
        agent.bytes().fold(seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    format!(
        "{:016x}{:016x}\n",
        hash(0xcbf2_9ce4_8422_2325),
        hash(0x8422_2325_cbf2_9ce4)
    )
}
