//! What follows from what is heard.

use wsm_terminal::protocol::Report;

use super::*;

const CLAUDE: Habits = Habits { takes_back: true };
const OPENCODE: Habits = Habits { takes_back: false };

fn told(seq: u64, said: Said) -> Reported {
    Reported {
        seq,
        at_ms: 1000 + seq,
        pid: 7,
        report: Report {
            run: "secret".into(),
            session: "s".into(),
            said,
        },
    }
}

fn prompt(seq: u64) -> Reported {
    used(seq, EVERYTHING)
}

fn used(seq: u64, tool: &str) -> Reported {
    told(
        seq,
        Said::Working {
            what: String::new(),
            used: tool.into(),
        },
    )
}

fn asks(seq: u64, tool: &str, command: &str) -> Reported {
    told(
        seq,
        Said::Asks(Asking {
            permission: true,
            tool: tool.into(),
            command: command.into(),
            answerable: true,
            ..Asking::default()
        }),
    )
}

fn done(seq: u64, what: &str) -> Reported {
    told(
        seq,
        Said::Idle {
            what: what.into(),
            background: 0,
        },
    )
}

fn state(news: &News) -> (State, &str, Trust) {
    let (state, reason, trust) = news.turn.as_ref().expect("a state");
    (*state, reason, *trust)
}

fn new() -> Heard {
    let mut heard = Heard::default();
    heard.begin("secret".into(), false);
    heard
}

#[test]
fn a_turn_is_working_blocked_working_idle() {
    let mut heard = new();
    assert_eq!(
        state(&heard.take(1, &told(1, Said::Started))).0,
        State::Idle
    );
    assert_eq!(state(&heard.take(1, &prompt(2))).0, State::Working);
    let asked = heard.take(1, &asks(3, "Bash", "npm test\nnpm run x"));
    let reason = "waits for permission: Bash `npm test…`";
    assert_eq!(state(&asked), (State::Blocked, reason, Trust::Reported));
    assert_eq!(asked.asked, ["1-3"]);
    let answered = heard.answer("1-3", true, "ada", "");
    assert_eq!(
        state(&answered),
        (State::Working, "approved by ada", Trust::Reported)
    );
    assert_eq!(heard.answered[0].how, "approved");
    // The shim may still have it open for a moment: it is answered all the same.
    assert_eq!(heard.reconcile(&[(3, Fate::Open)], CLAUDE), News::default());
    let after = heard.take(1, &used(4, "Bash"));
    assert!(after.over.is_empty());
    let end = heard.take(1, &done(5, "All tests pass."));
    assert_eq!(
        state(&end),
        (State::Idle, "done: All tests pass.", Trust::Reported)
    );
}

#[test]
fn an_answer_in_the_terminal_is_seen() {
    let mut heard = new();
    heard.take(1, &asks(1, "Bash", "x"));
    heard.take(1, &asks(2, "Edit", "y"));
    let reason = heard.waits().expect("it waits").1;
    assert_eq!(reason, "waits for permission: Bash `x`, and 1 more");
    let after = heard.take(1, &used(3, "Bash"));
    assert_eq!(after.over[0].1, "answered in the terminal");
    assert_eq!(
        state(&after),
        (
            State::Blocked,
            "waits for permission: Edit `y`",
            Trust::Reported
        )
    );
    // Taken back: Claude Code says nothing more of an interrupted turn.
    let gone = heard.reconcile(&[], CLAUDE);
    assert_eq!(gone.over.len(), 1);
    assert_eq!(state(&gone).0, State::Idle);
    heard.take(1, &asks(4, "bash", "x"));
    assert_eq!(state(&heard.reconcile(&[], OPENCODE)).0, State::Working);
}

#[test]
fn what_was_let_through_to_the_terminal_stands_there() {
    let mut heard = new();
    heard.take(1, &asks(1, "Bash", "x"));
    let news = heard.reconcile(&[(1, Fate::Yielded)], CLAUDE);
    assert_eq!(news, News::default());
    assert!(!heard.questions[0].asking.answerable);
    assert_eq!(heard.reconcile(&[], CLAUDE), News::default());
    assert_eq!(state(&heard.take(1, &used(2, "Bash"))).0, State::Working);
}

#[test]
fn questions_are_bounded() {
    let mut heard = new();
    for seq in 1..100 {
        heard.take(1, &asks(seq, "Bash", "x"));
    }
    assert_eq!(heard.questions.len(), QUESTIONS_MAX);
    assert_eq!(heard.answered.len(), ANSWERED_MAX);
    let dropped = heard.drop_questions("it was stopped");
    assert_eq!(dropped.over.len(), QUESTIONS_MAX);
}

#[test]
fn another_run_is_not_this_one() {
    let mut heard = new();
    assert!(heard.is_own(&done(1, "")));
    heard.take(1, &done(1, ""));
    heard.begin("other".into(), true);
    assert!(!heard.is_own(&done(2, "")));
    assert_eq!(heard.session, "s", "to go on with");
    assert!(!Heard::default().is_own(&Reported {
        report: Report {
            run: String::new(),
            ..done(1, "").report
        },
        ..done(1, "")
    }));
}

fn before(state: State, trust: Trust, hooked: bool) -> Before {
    Before {
        state,
        trust,
        hooked,
        reports_ready: false,
        rang: false,
    }
}

#[test]
fn silence_says_nothing_against_a_report() {
    let idle = before(State::Idle, Trust::Reported, true);
    assert_eq!(weigh(idle, &Signal::Active), None, "somebody types");
    let works = before(State::Working, Trust::Reported, true);
    assert_eq!(weigh(works, &Signal::Quiet), None);
    let notice = Signal::Notice("done".into());
    assert_eq!(weigh(works, &notice), None);
    let long = weigh(works, &Signal::LongQuiet).expect("it was interrupted");
    assert_eq!((long.0, long.2), (State::Idle, Trust::Guess));
    let blocked = before(State::Blocked, Trust::Reported, true);
    assert_eq!(weigh(blocked, &Signal::Quiet), None);
    assert_eq!(weigh(blocked, &Signal::Active), None);
    assert_eq!(
        weigh(blocked, &Signal::GoesOn).map(|it| it.0),
        Some(State::Working)
    );
}

#[test]
fn without_reports_the_terminal_is_listened_to() {
    let works = before(State::Working, Trust::Certain, false);
    let quiet = weigh(works, &Signal::Quiet).expect("a guess");
    assert_eq!((quiet.0, quiet.2), (State::Idle, Trust::Guess));
    let rang = Before {
        rang: true,
        ..works
    };
    assert_eq!(
        weigh(rang, &Signal::Quiet).map(|it| it.0),
        Some(State::Blocked)
    );
    let starts = Before {
        reports_ready: true,
        ..works
    };
    assert_eq!(weigh(starts, &Signal::Quiet), None, "it may still start");
    assert_eq!(
        weigh(starts, &Signal::LongQuiet).map(|it| it.0),
        Some(State::Blocked)
    );
    let asks = Signal::Notice("Approval requested: rm".into());
    let asked = weigh(works, &asks).expect("it is told");
    assert_eq!((asked.0, asked.2), (State::Blocked, Trust::Signalled));
    let turn = Signal::Notice("Turn complete".into());
    assert_eq!(weigh(works, &turn).map(|it| it.0), Some(State::Idle));
    let runs = Signal::Mark(Mark::Running);
    assert_eq!(weigh(works, &runs), None, "it does already");
    let idle = before(State::Idle, Trust::Signalled, false);
    assert_eq!(weigh(idle, &runs).map(|it| it.0), Some(State::Working));
    let ended = Signal::Mark(Mark::Finished { code: Some(1) });
    assert_eq!(weigh(works, &ended).map(|it| it.0), Some(State::Idle));
}

#[test]
fn what_is_whole_is_there_to_the_letter() {
    let ask = |command: &str, diff: &str| Asking {
        permission: true,
        tool: "Bash".into(),
        command: command.into(),
        diff: diff.into(),
        answerable: true,
        ..Asking::default()
    };
    let shown = |asking: &Asking| whole(asking, &words(asking));
    assert!(shown(&ask("rm -rf build", "")));
    for more in ["ls\nrm -rf ~", "", &"x".repeat(161)] {
        assert!(!shown(&ask(more, "")), "{more:?}");
    }
    assert!(!shown(&ask("/w/a", "+x")));
    // The text is of another question, which begins alike.
    assert!(!whole(&ask("ls", ""), &words(&ask("ls; rm -rf ~", ""))));
    assert!(!whole(&ask("ls", ""), &words(&ask("echo `ls`", ""))));
    assert!(!whole(
        &ask("ls", ""),
        &format!("{}, and 1 more", words(&ask("ls", "")))
    ));
    let mut elsewhere = ask("ls", "");
    elsewhere.answerable = false;
    assert!(!shown(&elsewhere));
}
