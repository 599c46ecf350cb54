//! `visible = true`: what an agent must have itself, and who says so.

use wsm_tests::cli;
use wsm_tests::instance::Part;

use super::{VALUE, World};

const TEMPLATE: &str = r#"schema = 1
name = "seeing"
extends = ["shell"]
[credentials.seen]
secret = "tool-key"
visible = true
env = "TOOL_KEY"
"#;

#[test]
fn an_agent_sees_a_value_only_if_template_and_owner_say_so() {
    let world = World::new();
    world.wsm.host_template("seeing", TEMPLATE);
    world.set(&["tool-key"]).ok();
    let repo = world.new_agent("seeing", "seeing");
    let inside = || world.wsm.inside("seeing", "echo \"<$TOOL_KEY>\"").ok();
    assert_eq!(inside().text(), "<>");
    let shown = || world.wsm.wsm(&["show", "seeing"]).ok().stdout;
    assert!(
        shown().contains("wsm secret set tool-key --visible"),
        "{}",
        shown()
    );
    world.set(&["tool-key", "--visible"]).ok();
    let everyone = [
        "tool-key",
        "--everyone",
        "--to",
        "a.example.com",
        "--visible",
    ];
    world.set(&everyone).fails(2);
    assert!(shown().contains("restart it"), "{}", shown());
    let restart = || {
        world.wsm.wsm(&["restart", "seeing"]).ok();
        world.wsm.wait_state("seeing", "working,idle,blocked");
    };
    restart();
    assert_eq!(inside().text(), format!("<{VALUE}>"));
    assert!(shown().contains("VISIBLE"), "{}", shown());
    let told = world.wsm.wsm(&["explain", "seeing"]).ok().stdout;
    assert!(told.contains("sees the secret tool-key itself"), "{told}");
    let path = repo.path().to_string_lossy();
    let line = [
        "new",
        &path,
        "--dry-run",
        "--template",
        "seeing",
        "--name",
        "other",
    ];
    let dry = world.wsm.wsm(&line).ok().stdout;
    assert!(dry.contains("sees the secret tool-key itself"), "{dry}");
    let listed = world.wsm.wsm(&["secret", "ls", "--json"]).ok().json();
    assert_eq!(listed[0]["visible"], true, "{listed}");
    assert_ne!(listed[0]["used"], "", "{listed}");
    // Nothing of it is written down, so a new daemon asks again.
    world.wsm.kill_and_recover(&[Part::Daemon]);
    assert_eq!(inside().text(), format!("<{VALUE}>"));
    let mut grep = world.wsm.root().command("grep");
    grep.args(["-rlsaF", VALUE, "--devices=skip"])
        .arg(world.wsm.dir());
    assert_eq!(cli::run(grep, b"").text(), "");
    assert!(!world.wsm.log().contains(VALUE));
}

#[test]
fn a_file_with_a_value_is_written_at_each_start() {
    let world = World::new();
    let file = "[files]\n\"~/.tool\" = \"{credential.seen}\"\n";
    let template = TEMPLATE.replace("env = \"TOOL_KEY\"\n", file);
    world
        .wsm
        .host_template("filed", &template.replace("seeing", "filed"));
    world.set(&["tool-key", "--visible"]).ok();
    world.new_agent("filed", "filed");
    let file = || world.wsm.inside("filed", "stat -c %a ~/.tool; cat ~/.tool");
    assert_eq!(file().ok().text(), format!("600\n{VALUE}"));
    world.wsm.inside("filed", "rm ~/.tool").ok();
    world.wsm.wsm(&["restart", "filed"]).ok();
    world.wsm.wait_state("filed", "working,idle,blocked");
    assert_eq!(file().ok().text(), format!("600\n{VALUE}"));
}
