//! What the plan says, and what it refuses.

use super::*;
use crate::spec::{AgentId, Extras, GrantId, Guard, Limits, Network, Requirement, SPEC_VERSION};

fn spec() -> SandboxSpec {
    SandboxSpec {
        version: SPEC_VERSION,
        agent: AgentId::try_from("agent0001".to_owned()).unwrap(),
        repository: GrantId("g1".into()),
        hostname: "fix-login".into(),
        read: vec!["/opt/sdk".into(), "/usr/share".into()],
        write: vec![GrantId("g2".into())],
        services: [("db".to_owned(), Limits::default())].into(),
        limits: Limits {
            memory_bytes: Some(64 << 20),
            ..Limits::default()
        },
        network: Network::Loopback,
        landlock: Requirement::Required,
        debug: false,
        extras: Extras::default(),
        authority: None,
    }
}

fn facts() -> Facts {
    let state = "/var/lib/wsm/agents/agent0001";
    Facts {
        account: Account {
            uid: 1000,
            gid: 1000,
        },
        paths: AgentPaths {
            workspace: "/var/lib/wsm/workspaces/1000/agent0001".into(),
            git_private: format!("{state}/git"),
            git_admin: "/home/ann/shop/.git/worktrees/wsm-agent0001".into(),
            home: format!("{state}/home"),
            state: format!("{state}/state"),
            log: format!("{state}/log"),
        },
        git_dir: "/home/ann/shop/.git".into(),
        write: vec!["/srv/shared".into()],
        host: HostLayout {
            links: vec![("/bin".into(), "usr/bin".into())],
            shown: vec!["/usr".into(), "/etc/ssl".into()],
            etc_links: vec![(
                "/etc/localtime".into(),
                "/usr/share/zoneinfo/Etc/UTC".into(),
            )],
            programs: vec!["/usr/bin".into()],
            hook: "/usr/lib/wsm/wsm-shim".into(),
        },
        tools: None,
        devices: Vec::new(),
    }
}

#[test]
fn a_plan_in_words() {
    let text = plan(&spec(), &facts()).unwrap().to_string();
    let expected = "\
tmpfs     / (4096 KiB, mode 755)
link      /bin -> usr/bin
read      /usr (nobody's)
read      /etc/ssl (nobody's)
file      /etc/passwd (145 bytes)
file      /etc/group (50 bytes)
file      /etc/hostname (10 bytes)
file      /etc/hosts (68 bytes)
file      /etc/resolv.conf (34 bytes)
file      /etc/nsswitch.conf (107 bytes)
file      /etc/machine-id (33 bytes)
file      /etc/profile (62 bytes)
file      /etc/bash.bashrc (173 bytes)
file      /etc/shells (69 bytes)
link      /etc/mtab -> /proc/self/mounts
link      /etc/os-release -> ../usr/lib/os-release
link      /etc/localtime -> /usr/share/zoneinfo/Etc/UTC
tmpfs     /tmp (65536 KiB, mode 1777)
tmpfs     /run (65536 KiB, mode 1777)
tmpfs     /dev (64 KiB, mode 755)
device    /dev/null (1:3)
device    /dev/zero (1:5)
device    /dev/full (1:7)
device    /dev/random (1:8)
device    /dev/urandom (1:9)
device    /dev/tty (5:0)
link      /dev/ptmx -> pts/ptmx
link      /dev/fd -> /proc/self/fd
link      /dev/stdin -> /proc/self/fd/0
link      /dev/stdout -> /proc/self/fd/1
link      /dev/stderr -> /proc/self/fd/2
devpts    /dev/pts
tmpfs     /dev/shm (65536 KiB, mode 1777)
directory /proc
directory /var/lib
link      /var/run -> ../run
link      /var/tmp -> ../tmp
write     /home/agent (the agent's) from /var/lib/wsm/agents/agent0001/home
read      /opt/sdk (the agent's)
write     /srv/shared (the agent's)
write     /var/lib/agent (the agent's) from /var/lib/wsm/agents/agent0001/state
pin       /home/ann/shop/.git/objects (the agent's)
write     /var/lib/wsm/workspaces/1000/agent0001 (the agent's)
write     /home/ann/shop/.git/worktrees/wsm-agent0001 (the agent's) from /var/lib/wsm/agents/agent0001/git
pin       /var/lib/wsm/workspaces/1000/agent0001/.git (the agent's)
";
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (line, wanted) in lines(&text).iter().zip(lines(expected)) {
        assert_eq!(*line, wanted, "{text}");
    }
    assert_eq!(lines(&text).len(), lines(expected).len());
}

#[test]
fn what_lies_below_var_tmp_finds_a_directory_there() {
    let mut facts = facts();
    facts.git_dir = "/var/tmp/shop/.git".into();
    let plan = plan(&spec(), &facts).unwrap();
    let at = |wanted: &str| {
        let line = plan.ops.iter().map(|op| format!("{op:#}"));
        line.clone().position(|line| line.starts_with(wanted))
    };
    assert!(at("tmpfs     /var/tmp").unwrap() < at("pin       /var/tmp/shop").unwrap());
    assert_eq!(at("link      /var/tmp"), None);
    assert!(plan.rules.write.contains(&"/var/tmp".into()));
}

#[test]
fn the_second_wall_has_the_same_places_as_the_first() {
    let plan = plan(&spec(), &facts()).unwrap();
    for op in &plan.ops {
        let Op::Bind {
            at,
            access,
            optional,
            ..
        } = op
        else {
            continue;
        };
        let listed = match access {
            Access::Write => &plan.rules.write,
            Access::Read | Access::Pin => &plan.rules.read,
        };
        // All of /etc is the sandbox's own or the host's to read: one rule.
        if at.starts_with("/etc") {
            assert!(*access == Access::Read && listed.contains(&"/etc".into()));
            continue;
        }
        assert!(listed.contains(at), "{}", at.display());
        assert_eq!(
            plan.rules.optional.contains(at),
            *optional,
            "{}",
            at.display()
        );
    }
    assert_eq!(plan.rules.list, [PathBuf::from("/")]);
}

#[test]
fn places_of_the_sandboxs_own_are_not_given_away() {
    let refused = |change: &dyn Fn(&mut SandboxSpec, &mut Facts)| {
        let (mut spec, mut facts) = (spec(), facts());
        change(&mut spec, &mut facts);
        let failed = plan(&spec, &facts).unwrap_err();
        assert_eq!(failed.kind, FailureKind::Refused, "{failed}");
    };
    for path in NEVER_SHOWN
        .iter()
        .chain(&["/", "relative", "/opt/../etc", "/run/user/1000"])
    {
        refused(&|spec, _| spec.read.push((*path).to_owned()));
        refused(&|_, facts| facts.write.push(PathBuf::from(path)));
    }
    // A mount point would have to be made in a directory of the host.
    refused(&|_, facts| facts.git_dir = "/home/agent/shop/.git".into());
    refused(&|_, facts| facts.paths.git_admin = "/usr/src/shop/.git/worktrees/x".into());
    refused(&|spec, _| spec.read.push("/home/agent/x".into()));
    refused(&|_, facts| facts.write.push("/home/agent".into()));
    // The same place twice.
    refused(&|spec, _| spec.read.push("/srv/shared".into()));
}

#[test]
fn a_helper_sees_the_repository_at_its_own_place() {
    let reach = [(PathBuf::from("/home/ann/shop"), Access::Pin)];
    let plan = helper(
        &facts().host,
        Path::new("/usr/bin/wsm"),
        &reach,
        "/home/nobody-here",
    );
    let text = plan.to_string();
    assert!(
        text.contains("read      /wsm (nobody's) from /usr/bin/wsm\n"),
        "{text}"
    );
    assert!(
        text.ends_with("pin       /home/ann/shop (the agent's)\n"),
        "{text}"
    );
    assert!(!text.contains("/home/agent"), "{text}");
}

fn guard(path: &str, hide: bool) -> Guard {
    Guard {
        path: path.into(),
        hide,
        directory: false,
    }
}

/// The steps that a plan has with these guards and does not have without.
fn guard_steps(guards: &[Guard]) -> Result<Vec<String>, Failure> {
    let mut guarded = spec();
    guarded.extras.guards = guards.to_vec();
    let without = plan(&spec(), &facts()).unwrap().to_string();
    let with = plan(&guarded, &facts())?.to_string();
    let new = with.lines().filter(|line| !without.contains(line));
    let short = |line: &str| line.replace("/var/lib/wsm/workspaces/1000/agent0001", "W");
    Ok(new.map(short).collect())
}

#[test]
fn what_is_guarded_is_covered_and_what_is_above_it_held() {
    let steps = guard_steps(&[
        guard(".mcp.json", false),
        guard(".claude/settings.json", false),
        guard("a/b/keys", true),
        guard("a/b/keys/deeper", true),
        guard("a/b/x", false),
        guard(".claude/settings.json", true),
        guard("/srv/shared/sub/x", false),
        guard("/opt/sdk/key", true),
    ]);
    let expected = [
        "hold      /srv/shared/sub",
        "hide      /opt/sdk/key",
        "protect   /srv/shared/sub/x",
        "protect   W/.mcp.json",
        "hold      W/a",
        "hold      W/.claude",
        "hold      W/a/b",
        "hide      W/.claude/settings.json",
        "hide      W/a/b/keys",
        "protect   W/a/b/x",
    ];
    assert_eq!(steps.unwrap(), expected);
}

#[test]
fn below_a_protected_directory_things_may_be_hidden() {
    let steps = guard_steps(&[
        guard("config", false),
        guard("config/key", true),
        guard("config/x", false),
    ]);
    let expected = ["protect   W/config", "hide      W/config/key"];
    assert_eq!(steps.unwrap(), expected);
}

#[test]
fn what_is_not_shown_is_not_guarded() {
    for (path, hide) in [
        ("/etc/passwd", false),
        ("/srv/shared", false),
        ("/opt/sdk/x", false),
        ("/home/ann/x", true),
    ] {
        let refused = guard_steps(&[guard(path, hide)]).unwrap_err();
        assert_eq!(refused.kind, FailureKind::Refused, "{path}");
    }
}

#[test]
fn only_named_programs_are_in_the_directories_of_programs() {
    let mut chosen = facts();
    let tool = |at: &str, link: Option<&str>| Tool {
        at: at.into(),
        link: link.map(PathBuf::from),
    };
    chosen.tools = Some(vec![
        tool("/usr/bin/git", None),
        tool("/usr/bin/sh", Some("dash")),
    ]);
    chosen.devices = vec![("/dev/kvm".into(), 10, 232)];
    let text = plan(&spec(), &chosen).unwrap().to_string();
    let steps: Vec<&str> = text.lines().collect();
    let from = steps
        .iter()
        .position(|step| step.contains("tmpfs     /usr/bin"));
    let from = from.unwrap();
    assert_eq!(
        steps[from..from + 4],
        [
            "tmpfs     /usr/bin (64 KiB, mode 755)",
            "read      /usr/bin/git (nobody's)",
            "link      /usr/bin/sh -> dash",
            "close     /usr/bin",
        ]
    );
    assert!(steps.contains(&"device    /dev/kvm (10:232)"));
}

#[test]
fn what_reports_is_there_whatever_the_tools_are() {
    let mut asked = spec();
    let at = "/etc/claude-code/managed-settings.json".to_owned();
    asked.extras.reports = true;
    asked.extras.settings = [(at.clone(), "{}".to_owned())].into();
    let chosen = Facts {
        tools: Some(Vec::new()),
        ..facts()
    };
    let steps = plan(&asked, &chosen).unwrap().to_string();
    let hook = steps.lines().find(|line| line.contains("/etc/wsm/hook"));
    let hook = hook.expect("the helper");
    assert!(
        hook.contains("/usr/lib/wsm/wsm-shim") && hook.starts_with("read"),
        "{hook}"
    );
    assert!(steps.contains(&at), "{steps}");
    let none = plan(&spec(), &facts()).unwrap().to_string();
    assert!(!none.contains("/etc/wsm/hook"), "{none}");
}

#[test]
fn an_own_authority_is_trusted_besides_the_hosts() {
    let spec = SandboxSpec {
        authority: Some("CERTIFICATE\n".to_owned()),
        ..spec()
    };
    let plan = plan(&spec, &facts()).unwrap();
    let bundle = plan.ops.iter().find_map(|op| match op {
        Op::File { at, after, text } => after.as_ref().map(|after| (at, after, text)),
        _ => None,
    });
    let (at, after, text) = bundle.expect("a bundle");
    assert_eq!(at, Path::new(crate::spec::INSIDE_AUTHORITIES));
    assert!(after.starts_with("/etc/ssl"));
    assert!(text.ends_with("CERTIFICATE\n"));
}
