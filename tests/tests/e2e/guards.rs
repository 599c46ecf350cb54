//! `protect`, `hide`, `[tools]`, devices and `debug`, from the template to what stands on the disk.

use std::path::PathBuf;

use wsm_tests::instance::{Instance, Part};
use wsm_tests::repo::Repo;
use wsm_tests::wait;

const CAREFUL: &str = r#"schema = 1
name = "careful"
description = "a template that guards"
[workspace]
copy = [".env.production"]
[agent]
kind = "shell"
[files]
".mcp.json" = "{}"
[filesystem]
protect = [".vscode/", ".mcp.json", ".claude/settings.json", ".envrc"]
hide = [".env.production"]
[tools]
allow = ["git", "cat", "ls", "rm", "mv", "mkdir", "sed", "test"]
"#;

fn repository(wsm: &Instance) -> Repo<'_> {
    let repo = Repo::small(wsm.root(), "project");
    repo.write(".gitignore", ".env.production\n");
    repo.write(".vscode/tasks.json", "human\n");
    repo.write("src/main.c", "int main;\n");
    repo.commit("files that tools trust");
    repo.write(".env.production", "SECRET\n");
    repo
}

#[test]
fn an_agent_works_around_what_is_guarded_and_the_human_never_sees_it() {
    let wsm = Instance::start();
    wsm.host_template("careful", CAREFUL);
    let repo = repository(&wsm);
    let agent = wsm.new_agent(&repo, "careful", "g");
    let workspace = PathBuf::from(agent.workspace);
    let guarded = |when: &str| {
        let script = "cat .mcp.json .vscode/tasks.json; cat .env.production .envrc; \
            for n in .mcp.json .vscode/tasks.json .vscode/new .claude/settings.json .envrc .env.production; do \
            (echo evil > $n) 2>/dev/null && echo wrote $n; rm -f $n 2>/dev/null; mv $n x 2>/dev/null && echo moved $n; done; \
            mv .claude x 2>/dev/null && echo moved; ls -A .claude/settings.json";
        let script = format!("cd {}; {script}", workspace.display());
        let said = wsm.inside("g", &script).ok();
        assert_eq!(said.text(), "{}human\n.claude/settings.json", "{when}");
    };
    guarded("new");
    assert_eq!(
        wsm.inside("g", "command -v perl gcc; echo none")
            .ok()
            .text(),
        "none"
    );
    let shown = wsm.wsm(&["show", "g"]).ok();
    for line in ["protected names", "hidden names", "programs"] {
        assert!(shown.stdout.contains(line), "{shown}");
    }

    // The everyday things go on: on both sides git sees neither masks nor what holds their places.
    let work = format!(
        "cd {} && echo '// more' >> src/main.c && echo x > .claude/notes && git add -A && \
         git -c user.name=a -c user.email=a@b commit -qm work && git status --porcelain",
        workspace.display()
    );
    assert_eq!(wsm.inside("g", &work).ok().text(), "");
    let branch = || repo.git(&["ls-tree", "-r", "--name-only", "wsm/g"]).stdout;
    wait::until_true("the commit comes over", || {
        branch().contains(".claude/notes")
    });
    // `.mcp.json` is the template's own file.
    for name in [".envrc", "settings.json", ".env.production"] {
        assert!(!branch().contains(name), "{}", branch());
    }
    let status = || {
        repo.git_in(&workspace, &["status", "--porcelain"])
            .ok()
            .stdout
    };
    wait::until_true("the human's status is clean", || status().is_empty());
    wsm.wsm(&["diff", "g"]).ok();

    wsm.kill_and_recover(&[Part::Broker, Part::Daemon]);
    guarded("after wsm died");
    wsm.wsm(&["stop", "g"]).ok();
    for (name, there) in [
        (".envrc", false),
        (".claude/settings.json", false),
        (".claude/notes", true),
    ] {
        let found = workspace.join(name).symlink_metadata().is_ok();
        assert_eq!(found, there, "{name} while it is stopped");
    }
    wsm.wsm(&["start", "g"]).ok();
    wsm.wait_state("g", "working,idle");
    guarded("started again");
    wsm.wsm(&["stop", "g"]).ok();
    wsm.wsm(&["merge", "g"]).ok();
    assert_eq!(repo.read(".vscode/tasks.json"), "human\n");

    wsm.wsm(&["start", "g"]).ok();
    wsm.wait_state("g", "working,idle");
    forged_names_are_not_merged(&wsm, &repo, &workspace);
    assert_eq!(wsm.end(), Vec::<String>::new());
}

/// By git's own means the agent can write any name into a commit: it is not merged by wsm.
fn forged_names_are_not_merged(wsm: &Instance, repo: &Repo<'_>, workspace: &std::path::Path) {
    let forge = format!(
        "cd {} && for n in .Envrc .vscode/new; do h=$(echo evil | git hash-object -w --stdin) && \
         git update-index --add --cacheinfo 100644,$h,$n || exit 1; done; \
         git -c user.name=a -c user.email=a@b commit -qm forged",
        workspace.display()
    );
    wsm.inside("g", &forge).ok();
    wait::until_true("it comes over", || {
        let names = repo.git(&["ls-tree", "-r", "--name-only", "wsm/g"]).stdout;
        names.contains(".vscode/new")
    });
    let refused = wsm.wsm(&["merge", "g"]).fails(1);
    assert!(refused.stderr.contains(".Envrc"), "{refused}");
    assert!(!repo.path().join(".vscode/new").exists());
}

#[test]
fn what_can_not_be_held_is_refused_with_the_reason() {
    let wsm = Instance::start();
    let repo = repository(&wsm);
    let template = |name: &str, more: &str| {
        let head =
            format!("schema = 1\nname = \"{name}\"\ndescription = \"x\"\nagent.kind = \"shell\"\n");
        wsm.host_template(name, &format!("{head}{more}\n"));
    };
    template("committed", "filesystem.hide = [\".vscode/tasks.json\"]");
    template("device", "sandbox.devices = [\"/dev/kmsg\"]");
    template("missing", "tools.allow = [\"no-such-program\"]");
    template("pattern", "filesystem.protect = [\"*.env\"]");
    for (name, why) in [
        ("committed", "it is committed"),
        ("device", "/dev/kmsg is not among the ceiling's devices"),
        ("missing", "no such program"),
        ("pattern", "is a pattern"),
    ] {
        let path = repo.path().to_string_lossy().into_owned();
        let made = wsm.wsm(&["new", &path, "-t", name, "--name", name, "--detach"]);
        wsm.remember_agents();
        assert_ne!(made.code, 0, "{made}");
        let _ = made.says(why);
    }
    assert_eq!(wsm.end(), Vec::<String>::new());
}

#[test]
fn a_debugger_works_where_the_template_says_so() {
    let wsm = Instance::start();
    let repo = repository(&wsm);
    wsm.host_template(
        "traced",
        "schema = 1\nname = \"traced\"\ndescription = \"x\"\nagent.kind = \"shell\"\nsandbox.debug = true\n",
    );
    wsm.new_agent(&repo, "traced", "t");
    let script = "strace -f -o /tmp/t sh -c 'true; true' && grep -c 'exited with 0' /tmp/t && \
        gdb -batch -ex starti -ex 'info registers rip' --args cat /dev/null 2>&1 | grep -c rip";
    let traced = wsm.inside("t", script).ok();
    assert!(traced.text().lines().count() == 2, "{traced}");
    wsm.new_agent(&repo, "shell", "s");
    assert_ne!(wsm.inside("s", "strace -o /tmp/t true").code, 0);
    assert!(wsm.wsm(&["show", "t"]).ok().stdout.contains("tracing"));
    assert_eq!(wsm.end(), Vec::<String>::new());
}
