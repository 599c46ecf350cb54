//! The suite against sandboxes that lack one layer: shows what each layer holds, and that the suite
//! can fail.

use std::collections::BTreeSet;
use std::fs;

use wsm_tests::instance::program;
use wsm_tests::repo::Repo;

use crate::depth;
use crate::report;
use crate::world::World;

/// A word that only the test-only build knows.
const MARK: &[u8] = b"landlock-scopes";

fn knows_layers(name: &str) -> bool {
    let bytes = fs::read(program(name)).expect("it was staged");
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

/// Whether the self-test lets a sandbox start that lacks this layer.
fn starts_without(world: &World, layer: &str) -> bool {
    fs::write(
        world.wsm.dir().join("run/ablate"),
        format!("{layer} strict"),
    )
    .expect("root writes");
    let repo = Repo::small(&world.ann, "strict");
    let path = repo.path().display().to_string();
    let args = [
        "new",
        &path,
        "--template",
        "attacked",
        "--name",
        "strict",
        "--detach",
        "--no-input",
    ];
    let made = world.wsm.wsm_as(&world.ann, &args);
    world.wsm.remember_agents();
    fs::remove_file(world.wsm.dir().join("run/ablate")).expect("just written");
    made.code == 0
}

/// What was seen of a sandbox without a layer.
struct Seen {
    tried: BTreeSet<String>,
    failed: BTreeSet<String>,
    /// Whether the self-test lets it start.
    starts: bool,
}

/// Runs every case inside a sandbox without `layer`, which `expected` shall notice.
fn without(layer: &str, expected: &[&str]) -> Seen {
    let world = World::new(Some(layer));
    let cases = crate::cases(&world);
    let tried = cases.iter().map(|case| case.id.clone()).collect();
    let mut failed = BTreeSet::new();
    for case in &cases {
        // Who listens or dies may be late on a busy machine, as with the controls.
        let tries = if expected.contains(&&*case.id) { 3 } else { 1 };
        let breach = (0..tries).find_map(|_| report::inside(&world, case).1);
        if let Some(breach) = breach {
            println!(
                "  {layer}: {} {}: {}",
                case.id,
                case.what,
                breach.replace('\n', " ")
            );
            failed.insert(case.id.clone());
            if breach.contains("the attacker was ended") {
                break;
            }
        }
    }
    let starts = starts_without(&world, layer);
    Seen {
        tried,
        failed,
        starts,
    }
}

#[test]
#[ignore = "needs the test-only build: make test-ablation"]
fn every_layer_holds_something_and_two_hold_the_rest() {
    assert!(
        knows_layers("wsm-shim"),
        "build with the feature: make test-ablation"
    );
    let only = std::env::var("WSM_LAYER").unwrap_or_default();
    let mut wrong = Vec::new();
    let mut matrix = String::new();
    for (layer, expected) in depth::ONE_WALL
        .iter()
        .filter(|(layer, _)| only.is_empty() || *layer == only)
    {
        let Seen {
            tried,
            mut failed,
            starts,
        } = without(layer, expected);
        failed.retain(|id| depth::newer(id).is_none());
        let mut expected: BTreeSet<String> = expected.iter().map(|id| (*id).to_owned()).collect();
        expected.retain(|id| tried.contains(id));
        let noticed = if starts { "no" } else { "yes" };
        let list: Vec<_> = failed.iter().map(String::as_str).collect();
        matrix.push_str(&format!(
            "{layer:18} self-test notices: {noticed:3} {:3} fail: {}\n",
            failed.len(),
            list.join(" ")
        ));
        let unexpected: Vec<_> = failed.difference(&expected).collect();
        let missing: Vec<_> = expected.difference(&failed).collect();
        let all = std::env::var_os("WSM_ATTACKS").is_none();
        if (all && failed.is_empty()) || !unexpected.is_empty() || !missing.is_empty() {
            wrong.push(format!(
                "{layer}: {} fail; not expected {unexpected:?}; expected and held {missing:?}",
                failed.len()
            ));
        }
    }
    fs::write(report::target().join("ablation.txt"), &matrix).expect("target is ours");
    println!("{matrix}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_shipped_program_switches_a_layer_off() {
    for name in ["wsm", "wsm-sandbox", "wsm-shim"] {
        assert!(!knows_layers(name), "{name} was built for the ablation");
    }
    // What the test-only build reads is not read: the filter is there, and the suite says so.
    let world = World::new(Some("seccomp"));
    let mut cases = crate::rights::cases();
    cases.retain(|case| case.id == "D01c");
    let case = cases.first().expect("the case of the filter");
    assert_eq!(report::inside(&world, case).1, None);
}
