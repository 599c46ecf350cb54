//! The templates that come with wsm, each started to readiness as a person would.

use wsm_api::service::ServiceState;
use wsm_tests::cli;
use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;

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

/// Vite is installed in the source checkout by npm, as people do, and comes in by `copy`.
#[test]
fn frontend_serves_pages_with_vite() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "site");
    repo.write(
        "package.json",
        r#"{"name":"site","private":true,"scripts":{"dev":"vite"},"devDependencies":{"vite":"7"}}"#,
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
