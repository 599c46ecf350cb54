//! Rights that end, end at once: what was opened by them is closed, what was started ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use wsm_tests::cli::Output;
use wsm_tests::instance::{Instance, Part};
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

/// A command that runs until somebody ends it, and has said that it does.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(mut command: Command, script: &str) -> Running {
        let script = format!("echo runs; {script}");
        command.args(["exec", "anns", "--", "sh", "-c", &script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("a pipe");
        let read = BufReader::with_capacity(1, out).read_line(&mut line);
        if read.is_err() || line != "runs\n" {
            panic!("{:?} said {line:?}", child.wait_with_output());
        }
        Running(child)
    }

    /// Waits for its end: the code, and what it said of it.
    pub(crate) fn end(&mut self) -> (i32, String) {
        let ended = || self.0.try_wait().expect("our child");
        let status = wait::until("the end of exec", wait::PATIENCE, ended, String::new);
        let mut said = String::new();
        let mut err = self.0.stderr.take().expect("a pipe");
        err.read_to_string(&mut said).expect("text");
        (status.code().unwrap_or(-1), said)
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().expect("our child").is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

struct Scene {
    wsm: Instance,
    ann: Persona,
    bob: Persona,
}

impl Scene {
    fn new() -> Scene {
        let wsm = Instance::start();
        let (ann, bob) = (Persona::new("ann"), Persona::new("bob"));
        let repo = Repo::small(&ann, "project");
        wsm.new_agent_as(&ann, &repo, "shell", "anns");
        Scene { wsm, ann, bob }
    }

    fn share(&self, more: &[&str]) {
        let args = [&["share", "anns", "--with", self.bob.name()], more].concat();
        self.wsm.wsm_as(&self.ann, &args).ok();
    }

    fn attach(&self, who: &Persona, more: &[&str]) -> Term {
        let args = [&["attach", "anns"], more].concat();
        let term = Term::start(&self.wsm.command(who, &args), 80, 24);
        term.wait_for("$");
        term
    }

    fn exec(&self, who: &Persona, script: &str) -> Running {
        Running::start(self.wsm.command(who, &[]), script)
    }

    /// Whether a process with this in its command line runs inside.
    fn runs(&self, mark: &str) -> bool {
        // Not this very line.
        let (first, rest) = mark.split_at(1);
        let line = format!("pgrep -f '[{first}]{rest}'");
        let args = ["exec", "anns", "--", "sh", "-c", &line];
        self.wsm.wsm_as(&self.ann, &args).code == 0
    }

    fn verbs(&self) -> Vec<String> {
        let args = ["audit", "query", "--subject", "anns", "--json"];
        let told: Output = self.wsm.wsm_as(&self.ann, &args).ok();
        let rows = told.stdout.lines();
        let rows = rows.map(|row| serde_json::from_str::<Value>(row).expect("a row"));
        rows.map(|row| format!("{} {}", row["actor"], row["verb"]).replace('"', ""))
            .collect()
    }
}

#[test]
fn a_role_that_is_lowered_and_a_share_that_ends_close_what_was_open() {
    let scene = Scene::new();
    scene.share(&["--role", "driver"]);
    let anns = scene.exec(&scene.ann, "exec sleep 77001");
    let types = scene.attach(&scene.bob, &[]);
    let looks = scene.attach(&scene.bob, &["--read-only"]);
    let mut heeds = scene.exec(&scene.bob, "exec sleep 77002");
    let mut ignores = scene.exec(&scene.bob, "trap '' HUP; while sleep 1; do : 77003; done");
    // Whoever left it to itself is no better off.
    drop(scene.exec(&scene.bob, "exec sleep 77004 </dev/null"));
    assert!(scene.runs("sleep 77004"));

    // A viewer looks on; that is all.
    scene.share(&["--role", "viewer"]);
    assert_ne!(types.wait_end(), 0);
    for running in [&mut heeds, &mut ignores] {
        let (code, said) = running.end();
        assert_eq!(code, 125, "{said}");
        assert!(said.contains("right"), "{said}");
    }
    wait::until_true("the end of what ran", || {
        !["sleep 77002", ": 77003", "sleep 77004"]
            .map(|mark| scene.runs(mark))
            .contains(&true)
    });
    let send = ["send", "anns", "echo seen-$((6*7))"];
    scene.wsm.wsm_as(&scene.ann, &send).ok();
    looks.wait_for("seen-42");

    // And by its time, without anybody doing anything.
    scene.share(&["--role", "driver", "--expires", "6s"]);
    let types = scene.attach(&scene.bob, &[]);
    let mut heeds = scene.exec(&scene.bob, "exec sleep 77005");
    assert_ne!(types.wait_end(), 0);
    assert_ne!(looks.wait_end(), 0);
    assert_eq!(heeds.end().0, 125);
    assert!(scene.verbs().contains(&"wsm agent.share-ended".to_owned()));
    let shared = scene.wsm.wsm_as(&scene.ann, &["share", "anns", "-q"]).ok();
    assert!(!shared.stdout.contains(scene.bob.name()), "{shared}");
    assert!(scene.runs("sleep 77001"), "hers runs on");
    drop(anns);
}

#[test]
fn who_waits_hears_nothing_of_what_is_not_theirs_any_more() {
    let scene = Scene::new();
    scene.share(&[]);
    let mut command = scene
        .wsm
        .command(&scene.bob, &["wait", "anns", "--until", "stopped"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut waits = Running(command.spawn().expect("it starts"));
    assert!(waits.lives());
    let end = ["unshare", "anns", "--with", scene.bob.name()];
    scene.wsm.wsm_as(&scene.ann, &end).ok();
    let (code, said) = waits.end();
    assert!(code == 3 || code == 4, "{code}: {said}");
}

#[test]
fn who_is_removed_is_closed_and_what_ended_meanwhile_is_seen_to() {
    let scene = Scene::new();
    scene.share(&["--role", "driver"]);
    let looks = scene.attach(&scene.bob, &["--read-only"]);
    let mut heeds = scene.exec(&scene.bob, "exec sleep 77006");
    scene.wsm.wsm(&["user", "rm", scene.bob.name()]).ok();
    assert_ne!(looks.wait_end(), 0);
    assert_eq!(heeds.end().0, 125);

    // An admin is one by what is written down, and none any more when that is changed.
    scene
        .wsm
        .wsm(&["user", "add", scene.bob.name(), "--role", "admin"])
        .ok();
    let types = scene.attach(&scene.bob, &[]);
    let roots = scene.attach(scene.wsm.root(), &[]);
    scene
        .wsm
        .wsm(&["user", "role", scene.bob.name(), "member"])
        .ok();
    assert_ne!(types.wait_end(), 0);

    // A share that ends while no daemon is there ends when one is.
    scene.share(&["--role", "driver", "--expires", "5s"]);
    let types = scene.attach(&scene.bob, &[]);
    let left = scene.exec(&scene.bob, "exec sleep 77007 </dev/null");
    scene.wsm.down();
    drop(left);
    std::thread::sleep(std::time::Duration::from_secs(5)); // the share's time, on the clock
    scene.wsm.up();
    assert_ne!(types.wait_end(), 0);
    wait::until_true("the end of what ran", || !scene.runs("sleep 77007"));
    // Who may is not disturbed by any of this.
    scene.wsm.kill_and_recover(&[Part::Daemon]);
    scene
        .wsm
        .wsm_as(&scene.ann, &["send", "anns", "echo seen-$((6*7))"])
        .ok();
    roots.wait_for("seen-42");
}

#[test]
fn the_keyboard_goes_along_with_a_handoff() {
    let scene = Scene::new();
    scene.share(&["--role", "driver"]);
    let anns = scene.attach(&scene.ann, &[]);
    let bobs = scene.attach(&scene.bob, &[]);
    anns.line("echo hers-$((6*7))");
    bobs.wait_for("hers-42");
    let mut running = scene.exec(&scene.ann, "exec sleep 77008");
    bobs.type_text("x");
    bobs.wait_for("has the keyboard");
    scene
        .wsm
        .wsm_as(&scene.ann, &["handoff", "anns", "--to", scene.bob.name()])
        .ok();
    scene.wsm.wsm_as(&scene.bob, &["accept", "anns"]).ok();
    bobs.wait_for("you have the keyboard");
    assert_ne!(anns.wait_end(), 0);
    assert_eq!(running.end().0, 125);
    let held = scene.wsm.wsm_as(&scene.bob, &["lease", "anns"]).ok();
    assert!(held.stdout.contains(scene.bob.name()), "{held}");
    bobs.line("echo his-$((6*7))");
    bobs.wait_for("his-42");
    let mut his = scene.exec(&scene.bob, "exec sleep 77009");
    assert!(his.lives());
}
