//! The attack suite: what a hostile agent tries, and the host's word on what came of it.
//!
//! Every case of `research/sandbox.md` 2.3 that applies, with its neighbours: the same program must
//! succeed where there is no sandbox, and must change nothing that the host can see where there is.

#[path = "attacks/ablation.rs"]
mod ablation;
#[path = "attacks/attacker.rs"]
mod attacker;
#[path = "attacks/calls.rs"]
mod calls;
#[path = "attacks/case.rs"]
mod case;
#[path = "attacks/depth.rs"]
mod depth;
#[path = "attacks/facts.rs"]
mod facts;
#[path = "attacks/files.rs"]
mod files;
#[path = "attacks/guarded.rs"]
mod guarded;
#[path = "attacks/ipc.rs"]
mod ipc;
#[path = "attacks/kernel.rs"]
mod kernel;
#[path = "attacks/listeners.rs"]
mod listeners;
#[path = "attacks/namespaces.rs"]
mod namespaces;
#[path = "attacks/network.rs"]
mod network;
#[path = "attacks/planted.rs"]
mod planted;
#[path = "attacks/proc.rs"]
mod proc;
#[path = "attacks/races.rs"]
mod races;
#[path = "attacks/reach.rs"]
mod reach;
#[path = "attacks/report.rs"]
mod report;
#[path = "attacks/resources.rs"]
mod resources;
#[path = "attacks/rights.rs"]
mod rights;
#[path = "attacks/scene.rs"]
mod scene;
#[path = "attacks/shown.rs"]
mod shown;
#[path = "attacks/sniffer.rs"]
mod sniffer;
#[path = "attacks/trust.rs"]
mod trust;
#[path = "attacks/victims.rs"]
mod victims;
#[path = "attacks/world.rs"]
mod world;

use std::time::Instant;

use case::Case;
use report::Ending;
use world::World;

fn cases(world: &World) -> Vec<Case> {
    let mut cases = files::cases(world);
    cases.extend(proc::cases(world));
    cases.extend(rights::cases());
    cases.extend(namespaces::cases(world));
    cases.extend(calls::cases(world));
    cases.extend(ipc::cases(world));
    cases.extend(network::cases(world));
    cases.extend(trust::cases(world));
    cases.extend(resources::cases(world));
    cases.extend(kernel::cases(world));
    cases.extend(guarded::cases(world));
    cases.extend(races::cases(world));
    cases.extend(sniffer::cases(world));
    // It ends a process that others attack; the last may end the whole agent.
    cases.sort_by_key(|case| match &*case.id {
        "F05h" => 1,
        "K02" => 2,
        _ => 0,
    });
    world.settle();
    let only = std::env::var("WSM_ATTACKS").unwrap_or_default();
    let wanted = |id: &str| only.split(',').any(|prefix| id.starts_with(prefix));
    cases.retain(|case| wanted(&case.id));
    cases
}

#[test]
fn the_suite() {
    let world = World::new(None);
    let all = cases(&world);
    let mut ids: Vec<_> = all.iter().map(|case| case.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all.len(), "an id is there twice");
    let judge = |case: &Case| {
        let begun = Instant::now();
        let verdict = report::judge(&world, case);
        let held = verdict.held == Ending::Held;
        let detail = if held { "" } else { &verdict.detail };
        println!(
            "{} {:?} {:.1?} {detail}",
            case.id,
            verdict.held,
            begun.elapsed()
        );
        verdict
    };
    let mut verdicts: Vec<_> = all.iter().map(judge).collect();
    verdicts.extend(races::verdicts(&world));
    verdicts.push(resources::outlives_its_agent(&world));
    report::report(&verdicts);
    let bad = |held: Ending| verdicts.iter().filter(move |verdict| verdict.held == held);
    assert_eq!(bad(Ending::Escaped).count(), 0, "an attack worked");
    let silent = bad(Ending::Inconclusive)
        .filter(|verdict| verdict.reason.is_empty())
        .count();
    assert_eq!(silent, 0, "an attack that works nowhere proves nothing");
    assert!(verdicts.len() >= 180 || std::env::var_os("WSM_ATTACKS").is_some());
}
