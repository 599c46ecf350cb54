//! Agents of a repository that was registered, made from elsewhere.

use wsm_tests::cli;
use wsm_tests::instance::Part;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;

use super::Served;

#[test]
fn a_registered_repository_is_named_from_elsewhere() {
    let served = Served::start("");
    let (ann, eve) = (Persona::new("ann"), Persona::new("eve"));
    let repo = Repo::small(&ann, "project");
    let path = repo.path().to_string_lossy().into_owned();
    let token = served.token(&ann, "own");
    let there = |args: &[&str]| served.there(&eve, &token, args);
    let new = ["new", "shop", "-t", "shell", "--name", "far", "-d"];
    let _ = there(&new).fails(4).says("repo add");
    // It takes the directory itself: a path is nothing, and neither is somebody else's.
    let _ = there(&["repo", "add", &path]).fails(3);
    let theirs = served.wsm.wsm_as(&eve, &["repo", "add", &path]);
    assert_ne!(theirs.code, 0, "{theirs}");
    let add = ["repo", "add", &path, "--name", "shop"];
    let added = served.wsm.wsm_as(&ann, &[&add[..], &["--json"]].concat());
    assert_eq!(added.ok().json()["path"], *path);
    served.wsm.wsm_as(&ann, &add).ok();
    let _ = served
        .wsm
        .wsm_as(&ann, &["repo", "add", &path, "--name", "a b"])
        .fails(2);
    let for_eve = ["repo", "add", &path, "--for", eve.name()];
    let _ = served.wsm.wsm_as(&ann, &for_eve).fails(3).says("account");

    // The grant is the broker's, and stands when all was started again.
    served.wsm.kill_and_recover(&[Part::Daemon, Part::Broker]);
    let listed = there(&["repo", "ls", "-q"]).ok();
    assert_eq!(listed.text(), "shop");
    let made = there(&new).ok();
    served.wsm.remember_agents();
    let agent = served.wsm.agent("far");
    assert_eq!(agent.repository, path, "{made}");
    assert_eq!((&*agent.owner, &*agent.account), (ann.name(), ann.name()));
    let view = served.token(&ann, "view");
    let _ = served.there(&eve, &view, &["new", "shop", "-d"]).fails(3);
    let mine = served.token(&eve, "own");
    let _ = served.there(&eve, &mine, &["new", "shop", "-d"]).fails(4);
    assert_eq!(
        served.there(&eve, &mine, &["repo", "ls", "-q"]).ok().text(),
        ""
    );
    let _ = served.there(&eve, &mine, &["repo", "rm", "shop"]).fails(4);
    let _ = there(&["new", ".", "-d"]).fails(2);

    there(&["repo", "rm", "shop"]).ok();
    let _ = there(&["new", "shop", "-d"]).fails(4);
    assert_eq!(served.wsm.agent("far").state, agent.state, "it stays");
    let audit = ["audit", "query", "--verb", "repository.", "--json"];
    let rows = served.wsm.wsm_as(&ann, &audit).ok();
    let verbs: Vec<_> = rows
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|row| row["verb"].clone())
        .collect();
    assert_eq!(
        verbs,
        ["repository.added", "repository.removed"],
        "once each"
    );
}

#[test]
fn an_admins_word_maps_a_remote_user_to_an_account() {
    let served = Served::start("");
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    let path = repo.path().to_string_lossy().into_owned();
    let user = ["user", "add", "carl", "--account", ann.name()];
    served.wsm.wsm(&user).ok();
    let add = ["repo", "add", &path, "--for", "carl"];
    served.wsm.wsm_as(&ann, &add).ok();
    let token = [
        "token", "new", "t", "--scope", "own", "--user", "carl", "-q",
    ];
    let token = served.wsm.wsm(&token).ok().text().to_owned();
    let new = ["new", "project", "-t", "shell", "--name", "carls", "-d"];
    served.there(&ann, &token, &new).ok();
    served.wsm.remember_agents();
    let agent = served.wsm.agent("carls");
    assert_eq!((&*agent.owner, &*agent.account), ("carl", ann.name()));
    // A form knows what a template asks for.
    let mut curl = std::process::Command::new("curl");
    let url = format!("{}/v1/templates?repository=project", served.url());
    let bearer = format!("Authorization: Bearer {token}");
    curl.args(["-sk", "-H", &bearer, &url]);
    let templates = cli::run(curl, b"").ok().json();
    let templates = templates.as_array().expect("a list").clone();
    let claude = templates.iter().find(|one| one["name"] == "claude");
    let claude = claude.expect("it is built in");
    assert_eq!(
        (&claude["kind"], &claude["prompt"]),
        (&"claude".into(), &true.into())
    );
    assert!(claude["params"].is_array(), "{claude}");
}
