//! The templates that come with wsm, each started to readiness as a person would.

use std::time::Duration;

use wsm_api::service::ServiceState;
use wsm_tests::cli;
use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;
use wsm_tests::wait;

use crate::services::fetch;

#[test]
fn templates_are_listed_and_valid() {
    let wsm = Instance::start();
    let listed = wsm.wsm(&["template", "ls"]).ok().stdout;
    for name in [
        "shell", "node", "frontend", "backend", "data", "claude", "codex", "opencode", "gemini",
        "aider",
    ] {
        assert!(listed.contains(name), "{listed}");
        wsm.wsm(&["template", "show", name]).ok();
        wsm.wsm(&["template", "validate", name]).ok();
    }
}

#[test]
fn node_has_node() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "node", "js");
    wsm.inside("js", "node --version && npm --version").ok();
}

#[test]
fn backend_has_a_postgres_of_its_own() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "backend", "api");
    assert!(
        agent
            .services
            .iter()
            .all(|s| s.state == ServiceState::Ready),
        "{agent:?}"
    );
    let asked = wsm
        .inside("api", r#"psql "$DATABASE_URL" -Atc 'select 6 * 7'"#)
        .ok();
    assert_eq!(asked.text(), "42");
}

/// Vite 6 is the newest that Debian 12's node runs. It is installed in the source checkout by npm, as people do, and comes in by `copy`.
#[test]
fn frontend_serves_pages_with_vite() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "site");
    repo.write(
        "package.json",
        r#"{"name":"site","private":true,"scripts":{"dev":"vite"},"devDependencies":{"vite":"6"}}"#,
    );
    repo.write(
        "index.html",
        "<!doctype html><title>Site</title><p>hello from vite</p>\n",
    );
    let mut install = wsm.root().command("npm");
    install
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(repo.path());
    cli::run(install, b"").ok();
    repo.commit("a site");
    let agent = wsm.new_agent(&repo, "frontend", "ui");
    wsm_tests::wait::until_true("vite to be ready", || {
        wsm.agent("ui")
            .services
            .iter()
            .all(|s| s.state == ServiceState::Ready)
    });
    let port = agent
        .ports
        .iter()
        .find_map(|port| port.outside)
        .expect("a published port");
    let page = fetch(port, "/").expect("vite answers");
    assert!(page.contains("hello from vite"), "{page}");
}

/// Its API's packages come from the source checkout, as its database's address from the template.
#[test]
fn backend_runs_an_api_with_the_packages_of_the_checkout() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    repo.write(".gitignore", "node_modules\n");
    repo.write("node_modules/greet/index.js", "module.exports = 'hello';\n");
    repo.write(
        "api.js",
        "require('http').createServer((_, answer) => \
         answer.end(`${require('greet')} ${process.env.DATABASE_URL}`)\
         ).listen(process.env.PORT, '127.0.0.1');\n",
    );
    repo.commit("an api");
    let path = repo.path().to_string_lossy();
    let set = "api=node api.js";
    wsm.wsm(&[
        "new", &path, "-t", "backend", "--name", "api", "--set", set, "--detach",
    ])
    .ok();
    wsm.remember_agents();
    let agent = wsm.agent("api");
    let port = agent.ports.iter().find_map(|port| port.outside);
    let page = fetch(port.expect("a published port"), "/").expect("the api answers");
    assert!(
        page.contains("hello postgresql://postgres@127.0.0.1:5432/"),
        "{page}"
    );
}

#[test]
fn data_serves_jupyter() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "data", "notes");
    let ready = || {
        let agent = wsm.agent("notes");
        let all = agent
            .services
            .iter()
            .all(|s| s.state == ServiceState::Ready);
        all.then_some(agent)
    };
    let agent = wait::until("Jupyter", CLI_PATIENCE, ready, || {
        wsm.wsm(&["logs", "notes", "notebook"]).to_string()
    });
    let port = agent.ports.iter().find_map(|port| port.outside);
    let answer = fetch(port.expect("a published port"), "/api").expect("Jupyter answers");
    assert!(answer.contains("\"version\""), "{answer}");
}

/// The test of opencode took 68 s on two busy cores (load 22 to 25).
const CLI_PATIENCE: Duration = Duration::from_secs(150);

/// The real CLI starts under its template and draws its first screen; it has no network yet.
fn draws(kind: &str, text: &str) {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, kind, "it");
    let drawn = || {
        let seen = wsm.wsm(&["capture", "it"]);
        (seen.code == 0 && seen.stdout.contains(text)).then_some(())
    };
    wait::until(text, CLI_PATIENCE, drawn, || {
        format!("{}\n{:?}", wsm.wsm(&["capture", "it"]), wsm.agent("it"))
    });
}

#[test]
fn claude_draws_its_first_screen() {
    draws("claude", "Welcome to Claude Code");
}

#[test]
fn codex_draws_its_first_screen() {
    draws("codex", "Welcome to Codex");
}

#[test]
fn opencode_draws_its_first_screen() {
    draws("opencode", "Ask anything");
}

#[test]
fn a_cli_that_is_not_installed_is_told_with_how_to() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let path = repo.path().to_string_lossy();
    let kinds = [
        ("gemini", "npm install -g @google/gemini-cli"),
        ("aider", "pip install aider-chat"),
    ];
    for (kind, how) in kinds {
        let template = format!(
            "schema = 1\nname = \"no-{kind}\"\ndescription = \"a host without it\"\n\
             [agent]\nkind = \"{kind}\"\ncommand = [\"no-such-{kind}\"]\n"
        );
        let name = format!("no-{kind}");
        wsm.host_template(&name, &template);
        let made = wsm.wsm(&["new", &path, "-t", &name, "--name", &name, "--detach"]);
        wsm.remember_agents();
        made.fails(1)
            .says("no such program in the sandbox")
            .says(how);
    }
}
