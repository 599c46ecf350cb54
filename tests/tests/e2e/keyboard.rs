//! Several people at one agent: one keyboard, asked for, given and taken.

use wsm_tests::instance::Instance;
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

fn attach(wsm: &Instance, who: &Persona, more: &[&str], cols: u16, rows: u16) -> Term {
    let args = [&["attach", "shared"], more].concat();
    Term::start(&wsm.command(who, &args), cols, rows)
}

#[test]
fn one_types_others_watch_what_fits_ask_and_take() {
    let wsm = Instance::start();
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    wsm.new_agent_as(&ann, &repo, "shell", "shared");
    let anns = attach(&wsm, &ann, &[], 80, 24);
    anns.wait_for("$");
    anns.line("echo hers-$((6*7))");
    anns.wait_for("hers-42");
    // An admin sees it in a border, and can't type into her line.
    let roots = attach(&wsm, wsm.root(), &[], 100, 30);
    let screen = roots.wait_for("hers-42");
    assert!(screen.contains("\u{2502}"), "a border: {screen}");
    roots.type_text("x");
    roots.wait_for("has the keyboard");
    let refused = wsm.wsm(&["send", "shared", "echo no"]).fails(1);
    let _ = refused.says("has the keyboard");
    let who = wsm.wsm(&["who", "shared"]).ok().stdout;
    assert!(who.contains(ann.name()) && who.contains("root"), "{who}");
    assert!(who.contains("100x30"), "{who}");

    wsm.wsm(&["lease", "shared", "request"]).ok();
    anns.wait_for("root asks for the keyboard");
    wsm.wsm_as(&ann, &["lease", "shared", "grant", "root"]).ok();
    roots.wait_for("you have the keyboard");
    roots.line("clear; stty size | tr ' ' x");
    roots.wait_for("30x100");
    // The owner takes it back, and that is written down.
    let again = attach(&wsm, &ann, &["--take"], 90, 20);
    again.wait_for("$");
    again.line("clear; stty size | tr ' ' x");
    again.wait_for("20x90");
    roots.wait_for("keyboard");
    let told = wsm.wsm(&["explain", "shared"]).ok().stdout;
    assert!(told.contains("by force"), "{told}");
    // Who leaves leaves it free.
    drop(again);
    wait::until_true("a free keyboard", || {
        let text = wsm.wsm(&["lease", "shared"]).ok().stdout;
        text.contains("is free")
    });
    roots.line("echo mine-$((40+4))");
    anns.wait_for("mine-44");
}
