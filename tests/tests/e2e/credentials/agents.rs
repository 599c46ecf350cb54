//! The agents themselves, each with its real program, its built-in template and a fake of its model
//! API: a file is edited, a command run, a commit made, with a key that is not in the sandbox.

use super::{VALUE, World, logins};

/// Tells the agent to do the task, and looks at everything afterwards.
fn works(kind: &str, secret: &str, header: &str, command: &str) {
    let world = World::new();
    world.set(&[secret]).ok();
    does_the_task(&world, kind, header, command);
}

fn does_the_task(world: &World, kind: &str, header: &str, command: &str) {
    // The command itself would show its first questions, and end where it can't ask its home.
    let template = format!(
        "schema = 1\nname = \"{kind}-task\"\nextends = [\"{kind}\"]\n\
         [agent]\nkind = \"shell\"\nprompt = \"\"\n"
    );
    world.wsm.host_template(&format!("{kind}-task"), &template);
    let repo = world.new_agent(&format!("{kind}-task"), kind);
    let agent = world.wsm.agent(kind);
    let prompt = format!("make a file and commit it. WORKSPACE={}", agent.workspace);
    let script = format!("timeout 140 {command} \"$1\" < /dev/null 2>&1");
    let line = ["exec", kind, "--", "sh", "-c", &script, "sh", &prompt];
    let done = world.wsm.wsm(&line);
    let asked: Vec<_> = world.requests();
    let paths: Vec<_> = asked.iter().map(|r| &r["path"]).collect();
    let more = || {
        let (why, log) = (["explain", kind], ["logs", kind]);
        format!("{}\n{}", world.wsm.wsm(&why), world.wsm.wsm(&log))
    };
    let said = done.stdout.contains("TASK-DONE");
    assert!(said, "{done}\n{paths:?}\n{}", more());
    let log = world
        .wsm
        .inside(kind, "git log -1 --format=%s --name-only && cat made.txt");
    assert_eq!(log.code, 0, "{log}\n{done}");
    assert_eq!(
        log.text(),
        "made by an agent\n\nmade.txt\nmade",
        "{log}\n{done}"
    );
    // The commit is on the branch of the human's repository.
    let branch = agent.branch.as_str();
    wsm_tests::wait::until_true("the commit outside", || {
        repo.git(&["log", "-1", "--format=%s", branch]).text() == "made by an agent"
    });
    let model: Vec<_> = asked
        .iter()
        .filter(|r| {
            let path = r["path"].as_str().unwrap_or_default();
            let path = path.split('?').next().unwrap_or_default();
            path.ends_with("/messages") || path.ends_with("/responses")
        })
        .filter(|r| r["method"] == "POST")
        .collect();
    assert!(model.len() >= 3, "{paths:?}");
    let value = header
        .split_once(": ")
        .map(|(_, value)| value.replace("KEY", VALUE));
    let name = header.split(':').next().unwrap_or_default();
    for request in model {
        let said = request["headers"][name].as_str().unwrap_or_default();
        // A login's token is longer.
        let fits = value.as_deref().is_some_and(|value| match kind_of(value) {
            Some(end) => said.starts_with("Bearer ") && said.ends_with(end),
            None => said == value,
        });
        assert!(fits, "{request}");
        assert!(
            !request.to_string().contains("wsm-placeholder"),
            "{request}"
        );
    }
    world.nowhere_inside(kind);
    world.nowhere_on_the_host();
}

/// What a login's token ends with.
fn kind_of(value: &str) -> Option<&str> {
    value.strip_prefix("Bearer LOGIN:")
}

/// With a login that has ended: the token that the fake takes is got outside, before the first request.
fn works_with_a_login(kind: &str, command: &str) {
    let world = World::new();
    logins::bring(&world, kind, -60);
    let header = format!("authorization: Bearer LOGIN:{VALUE}-access-1");
    does_the_task(&world, kind, &header, command);
    assert_eq!(logins::tokens(&world), 1);
}

#[test]
fn claude_works_with_a_login_that_it_never_sees() {
    works_with_a_login("claude", "claude --dangerously-skip-permissions -p");
}

#[test]
fn codex_works_with_a_login_that_it_never_sees() {
    works_with_a_login(
        "codex",
        "codex exec -m gpt-5.5 --dangerously-bypass-approvals-and-sandbox",
    );
}

#[test]
fn claude_works_with_a_key_that_it_never_sees() {
    works(
        "claude",
        "anthropic-api-key",
        "x-api-key: KEY",
        "claude --dangerously-skip-permissions -p",
    );
}

#[test]
fn codex_works_with_a_key_that_it_never_sees() {
    works(
        "codex",
        "openai-api-key",
        "authorization: Bearer KEY",
        // Newer models are given one tool that runs JavaScript.
        "codex exec -m gpt-5.5 --dangerously-bypass-approvals-and-sandbox",
    );
}

#[test]
fn opencode_works_with_a_key_that_it_never_sees() {
    works(
        "opencode",
        "anthropic-api-key",
        "x-api-key: KEY",
        "opencode run -m anthropic/claude-sonnet-4-5",
    );
}
