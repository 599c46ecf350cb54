//! Who may ask for which route: the whole table, as a page that is committed.

use std::fmt::Write;

use wsm_daemon::actor::{Actor, Way};
use wsm_daemon::role::{AgentRole, HostRole, Scope, Subject, Verb, allows};

use super::ROUTES;

const HEAD: &str = "# Who may do what

Generated from `web/src/router.rs` and `daemon/src/role.rs`; `WSM_UPDATE=1 cargo nextest run -p \
wsm-web` rewrites it. `yes`, `no` (403), `-` (404: as if it were not there). What is listed is only \
what one may see. A token is its owner's here, with that scope; `limited` has the scope `own` on \
another agent alone; `lent session` is one that was made with the token `own`. `nobody` is who comes over the network and has not said who it is (401).

";

const ACTORS: [&str; 13] = [
    "stranger",
    "viewer",
    "approver",
    "driver",
    "owner",
    "admin",
    "token view",
    "token drive",
    "token own",
    "token admin",
    "limited",
    "lent session",
    "nobody",
];

fn actor(name: &str) -> (Actor, Option<AgentRole>) {
    let member = |user: &str| Actor::local(user, 1000, HostRole::Member);
    let token = |role, scope| Actor {
        way: Way::Token { id: "t".into() },
        scope,
        ..Actor::local("ada", 1000, role)
    };
    let shared = |role| (member("bob"), Some(role));
    match name {
        "viewer" => shared(AgentRole::Viewer),
        "approver" => shared(AgentRole::Approver),
        "driver" => shared(AgentRole::Driver),
        "owner" => (member("ada"), None),
        "admin" => (Actor::local("root", 0, HostRole::Admin), None),
        "token view" => (token(HostRole::Member, Scope::View), None),
        "token drive" => (token(HostRole::Member, Scope::Drive), None),
        "token own" => (token(HostRole::Member, Scope::Own), None),
        "token admin" => (token(HostRole::Admin, Scope::Admin), None),
        "limited" => {
            let mut limited = token(HostRole::Member, Scope::Own);
            limited.agents = Some(["another".to_owned()].into());
            (limited, None)
        }
        "lent session" => {
            let mut lent = token(HostRole::Member, Scope::Own);
            lent.way = Way::Device {
                id: "d".into(),
                name: String::new(),
                lent: true,
            };
            (lent, None)
        }
        _ => (member("eve"), None),
    }
}

/// What a verb is asked of: an agent of ada's, ada's own things, or the host.
fn answer(name: &str, verb: Verb) -> &'static str {
    if name == "nobody" {
        return if verb == Verb::Enter { "yes" } else { "401" };
    }
    let (actor, shared) = self::actor(name);
    let subjects = [
        Subject::Agent {
            id: "abcdefgh1234",
            owner: "ada",
            shared,
        },
        Subject::Person(&actor.user),
        Subject::Host,
    ];
    let owner = self::actor("owner").0;
    let of_agent = |subject: &Subject<'_>| matches!(subject, Subject::Agent { .. });
    // Which kind of subject it is for: the one that its owner or root may.
    let root = Actor::local("root", 0, HostRole::Admin);
    let for_it = |subject: &&Subject<'_>| {
        let asked = match subject {
            Subject::Person(_) => Subject::Person("ada"),
            Subject::Agent { id, owner, .. } => Subject::Agent {
                id,
                owner,
                shared: None,
            },
            Subject::Host => Subject::Host,
        };
        allows(&owner, verb, &asked).is_ok() || allows(&root, verb, &asked).is_ok()
    };
    let subject = subjects.iter().find(for_it).expect("it is for something");
    match allows(&actor, verb, subject) {
        Ok(()) => "yes",
        Err(wsm_daemon::role::Denial::Hidden) if of_agent(subject) => "-",
        Err(_) => "no",
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let rule = "| --- ".repeat(ACTORS.len() + 2);
    writeln!(page, "| route | asks | {} |\n{rule}|", ACTORS.join(" | ")).expect("a text");
    for route in ROUTES {
        let answers = ACTORS.map(|name| answer(name, route.verb));
        let method = route.method.to_uppercase();
        let (path, verb, answers) = (route.path, route.verb, answers.join(" | "));
        writeln!(page, "| {method} {path} | {verb:?} | {answers} |").expect("a text");
    }
    page
}

/// A route that is added, or a right that is changed, shows here. `WSM_UPDATE=1` rewrites it.
#[test]
fn the_table_is_committed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rights.md");
    let now = page();
    if std::env::var_os("WSM_UPDATE").is_some() {
        std::fs::write(path, &now).expect("it is written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        now == committed,
        "docs/rights.md is not what the code says; rewrite it with WSM_UPDATE=1 and look at the \
         difference"
    );
}

/// Whoever may do more may do all that those before may: roles and scopes are ladders.
#[test]
fn roles_and_scopes_are_ladders() {
    for verb in Verb::ALL {
        for ladder in [
            &ACTORS[..6],
            &[
                "token view",
                "token drive",
                "token own",
                "token admin",
                "admin",
            ],
        ] {
            // What is a person's own is everybody's own.
            let yes: Vec<_> = ladder
                .iter()
                .map(|name| answer(name, *verb) == "yes")
                .collect();
            assert!(yes.is_sorted(), "{verb:?}: {ladder:?} {yes:?}");
        }
        assert_eq!(answer("admin", *verb), "yes", "{verb:?}");
    }
}

/// No route lets a stranger, or a token for another agent, learn that an agent is there.
#[test]
fn what_one_may_not_see_is_not_there() {
    for route in ROUTES.iter().filter(|route| route.path.contains("{agent}")) {
        for name in ["stranger", "limited"] {
            assert_eq!(
                answer(name, route.verb),
                "-",
                "{} {}",
                route.method,
                route.path
            );
        }
    }
}

/// No token makes another way in.
#[test]
fn a_token_makes_no_token() {
    for verb in [Verb::TokenNew, Verb::DeviceNew] {
        for name in [
            "token view",
            "token drive",
            "token own",
            "token admin",
            "limited",
            "lent session",
        ] {
            assert_eq!(answer(name, verb), "no", "{name} {verb:?}");
        }
    }
}
