//! What hangs on the way in or out ends in its time, and says which line it was and what to do.

use std::time::{Duration, Instant};

use wsm_api::service::ServiceState;
use wsm_tests::instance::{Instance, Part};
use wsm_tests::repo::Repo;
use wsm_tests::wait;

/// Far longer than any test waits.
const HANGS: &str = "sleep 100000";

#[test]
fn a_line_of_setup_that_hangs_is_killed_in_its_time_also_under_a_new_daemon() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let template = |limit: &str| {
        format!(
            "schema = 1\nname = \"hangs\"\nextends = [\"shell\"]\n[workspace]\n\
             setup = [\"echo first\", \"echo waits for a lock; {HANGS} & wait\"]\n\
             setup_timeout = \"{limit}\"\n"
        )
    };
    wsm.host_template("hangs", &template("2s"));
    let path = repo.path().display().to_string();
    let new = |name: &'static str| {
        vec![
            "new",
            &path,
            "--template",
            "hangs",
            "--name",
            name,
            "--detach",
            "--no-input",
        ]
    };
    let begun = Instant::now();
    let refused = wsm.wsm(&new("late"));
    wsm.remember_agents();
    assert_eq!(refused.code, 1, "{refused}");
    let said = &refused.stderr;
    assert!(
        said.contains(&format!(
            "{HANGS} & wait` did not end within 2s and was killed"
        )),
        "{said}"
    );
    let hint = said.contains("wsm logs late setup") && said.contains("workspace.setup_timeout");
    assert!(hint, "{said}");
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let log = wsm.wsm(&["logs", "late", "setup"]).ok().stdout;
    let whole = log.contains("first") && log.contains("waits for a lock");
    assert!(whole, "{log}");

    // Its time counts from its start, whoever waits for its end.
    wsm.host_template("hangs", &template("15s"));
    let mut waits = wsm
        .command(wsm.root(), &new("long"))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("wsm starts");
    let hangs = || {
        wsm.find("long")
            .is_some_and(|agent| agent.reason.contains("setup 2 of 2"))
    };
    wait::until_true("the line that hangs", hangs);
    let begun = Instant::now();
    wsm.kill_and_recover(&[Part::Daemon]);
    waits.wait().expect("it ends with its daemon");
    let failed = wsm.wait_state("long", "failed");
    assert!(
        failed.reason.contains("did not end within 15s"),
        "{failed:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(25),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(wsm.end(), Vec::<String>::new());
}

#[test]
fn a_line_of_teardown_that_hangs_does_not_keep_an_agent_from_being_removed() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.host_template(
        "hangs",
        &format!(
            "schema = 1\nname = \"hangs\"\nextends = [\"shell\"]\n[workspace]\n\
             teardown = [\"{HANGS}\", \"exit 3\"]\nteardown_timeout = \"1s\"\n"
        ),
    );
    wsm.new_agent(&repo, "hangs", "away");
    let removed = wsm.wsm(&["rm", "--purge", "away"]);
    let told = format!("{}{}", removed.stdout, removed.stderr);
    assert!(
        told.contains(&format!(
            "teardown `{HANGS}` did not end within 1s and was killed"
        )),
        "{removed}"
    );
    assert!(
        told.contains("teardown `exit 3`"),
        "the lines after it were run: {removed}"
    );
    assert!(wsm.find("away").is_none());
    assert_eq!(wsm.end(), Vec::<String>::new());
}

#[test]
fn an_init_that_hangs_fails_its_service_and_names_the_limit() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.host_template(
        "hangs",
        "schema = 1\nname = \"hangs\"\nextends = [\"shell\"]\n[services.db]\ncommand = [\"true\"]\n\
         init = [\"sleep\", \"100000\"]\ninit_timeout = \"1s\"\n",
    );
    wsm.new_agent(&repo, "hangs", "served");
    let failed = || {
        let agent = wsm.agent("served");
        let service = agent
            .services
            .into_iter()
            .find(|service| service.name == "db");
        service.filter(|service| service.state == ServiceState::Failed)
    };
    let all = || format!("{}", wsm.wsm(&["svc", "ls", "served"]));
    let db = wait::until("the service to fail", wait::PATIENCE, failed, all);
    assert!(
        db.reason
            .contains("did not end within its init_timeout of 1s"),
        "{db:?}"
    );
    assert!(wsm.inside("served", "true").code == 0, "its agent lives");
    assert_eq!(wsm.end(), Vec::<String>::new());
}
