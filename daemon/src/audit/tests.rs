//! Every kind of tampering is found, and named by its row.

use super::*;

/// Twelve rows, people's and wsm's by turns of three.
fn journal() -> Vec<Entry> {
    let mut ends = [Link::default(); 2];
    let row = |seq: u64| {
        let actor = if seq.is_multiple_of(3) { "wsm" } else { "ada" };
        let end = &mut ends[Class::of(actor) as usize];
        let mut entry = Entry {
            seq,
            at_ms: 1_000 + seq,
            actor: actor.into(),
            via: "uid:1000".into(),
            address: String::new(),
            verb: "agent.state".into(),
            subject: "abcdefgh1234".into(),
            message: format!("row {seq} \u{7f} \"quoted\" ä"),
            before: String::new(),
            after: "x".into(),
            prev: end.seq,
            chain: [0; 32],
        };
        entry.chain = link(&end.chain, &entry);
        *end = Link {
            seq,
            chain: entry.chain,
        };
        entry
    };
    (1..=12).map(row).collect()
}

fn ends(rows: &[Entry]) -> [Link; 2] {
    Class::ALL.map(|class| {
        let last = rows.iter().rfind(|row| Class::of(&row.actor) == class);
        last.map_or(Link::default(), |row| Link {
            seq: row.seq,
            chain: row.chain,
        })
    })
}

fn checkpoint(rows: &[Entry]) -> Checkpoint {
    let [person, wsm] = ends(rows);
    Checkpoint {
        at_ms: 0,
        person,
        wsm,
    }
}

fn found(rows: &[Entry], known: &[Checkpoint]) -> Vec<(u64, Wrong)> {
    let mut file = Known::default();
    file.rows = known.to_vec();
    words(&verdict([Link::default(); 2], rows, &file))
}

fn verdict(bases: [Link; 2], rows: &[Entry], known: &Known) -> Verdict {
    let mut verifier = Verifier::new(bases, known);
    rows.iter().for_each(|row| verifier.push(row));
    verifier.finish()
}

fn words(verdict: &Verdict) -> Vec<(u64, Wrong)> {
    let findings = verdict.findings.iter();
    findings.map(|told| (told.seq, told.wrong)).collect()
}

/// A line of root's file that tells of these rows' ends.
fn line(word: &str, rows: &[Entry]) -> String {
    let [person, wsm] = ends(rows).map(|end| format!("{} {}", end.seq, hex(&end.chain)));
    format!("7 {word}{person} {wsm}\n")
}

fn file(lines: &[String]) -> Known {
    let mut known = Known::default();
    known.read(&lines.concat());
    known
}

/// Makes the chains anew, as whoever can write the database could.
fn rewritten(rows: &mut [Entry]) {
    let mut ends = [Link::default(); 2];
    for row in rows {
        let end = &mut ends[Class::of(&row.actor) as usize];
        row.prev = end.seq;
        row.chain = link(&end.chain, row);
        *end = Link {
            seq: row.seq,
            chain: row.chain,
        };
    }
}

#[test]
fn an_untouched_journal_is_right() {
    let rows = journal();
    assert_eq!(
        found(&rows, &[checkpoint(&rows[..5]), checkpoint(&rows)]),
        []
    );
}

#[test]
fn a_changed_row_is_named_whatever_of_it_was_changed() {
    let change: [fn(&mut Entry); 8] = [
        |row| row.message.push('x'),
        |row| row.at_ms += 1,
        |row| row.via.clear(),
        |row| row.address.push('1'),
        |row| row.verb.clear(),
        |row| row.subject.push('5'),
        |row| row.before.push('1'),
        |row| row.after.clear(),
    ];
    for change in change {
        let mut rows = journal();
        change(&mut rows[4]);
        assert_eq!(found(&rows, &[]), [(5, Wrong::Changed)]);
    }
    // A name moved from one field to the next is a change too.
    let mut rows = journal();
    rows[4].via = "uid:".into();
    rows[4].address = "1000".into();
    assert_eq!(found(&rows, &[]), [(5, Wrong::Changed)]);
    // With a hash that fits the change, the next row of its chain does not.
    let mut rows = journal();
    rows[4].message.push('x');
    rows[4].chain = link(&rows[3].chain, &rows[4]);
    assert_eq!(found(&rows, &[]), [(7, Wrong::Changed)]);
}

#[test]
fn a_removed_row_is_named() {
    for (at, seq) in [(0, 1), (4, 5), (5, 6)] {
        let mut rows = journal();
        rows.remove(at);
        assert_eq!(found(&rows, &[]), [(seq, Wrong::Removed)]);
    }
}

#[test]
fn rows_removed_from_the_new_end_are_known_by_the_checkpoint() {
    let rows = journal();
    let known = [checkpoint(&rows)];
    assert_eq!(found(&rows[..11], &known), [(12, Wrong::CutOff)]);
    assert_eq!(
        found(&rows[..10], &known),
        [(11, Wrong::CutOff), (12, Wrong::CutOff)]
    );
}

#[test]
fn rows_that_changed_places_are_named() {
    let mut rows = journal();
    rows.swap(3, 7);
    (rows[3].seq, rows[7].seq) = (4, 8);
    assert_eq!(found(&rows, &[]), [(4, Wrong::Moved), (8, Wrong::Moved)]);
}

#[test]
fn a_row_that_was_put_in_is_named() {
    let mut rows = journal();
    let mut forged = rows[4].clone();
    // In place of one of wsm's, which is missed then.
    forged.seq = 6;
    forged.prev = 5;
    forged.chain = link(&rows[4].chain, &forged);
    rows[5] = forged;
    assert_eq!(
        found(&rows, &[]),
        [(6, Wrong::Removed), (6, Wrong::Inserted)]
    );
}

#[test]
fn a_chain_made_anew_is_known_by_the_checkpoint() {
    let rows = journal();
    let known = [checkpoint(&rows[..8])];
    let mut changed = rows.clone();
    changed[1].message.push('x');
    rewritten(&mut changed);
    assert_eq!(found(&changed, &[]), [], "nobody else could know");
    assert_eq!(found(&changed, &known), [(8, Wrong::Rewritten)]);
    let mut shorter = rows;
    shorter.remove(7);
    rewritten(&mut shorter);
    assert_eq!(found(&shorter, &known), [(8, Wrong::Rewritten)]);
}

/// The same with a row that tells of a rotation, the eighth.
fn rotated_journal() -> Vec<Entry> {
    let mut rows = journal();
    rows[7].verb = ROTATED.into();
    rewritten(&mut rows);
    rows
}

#[test]
fn a_chain_goes_on_from_its_base() {
    let rows = rotated_journal();
    let bases = ends(&rows[..6]);
    let told = |lines: &[String]| {
        let verdict = verdict(bases, &rows[6..], &file(lines));
        assert_eq!((verdict.rows, verdict.ends), (6, ends(&rows)));
        (words(&verdict), verdict.notes)
    };
    let (early, begins) = (line("", &rows[..3]), line("begins ", &rows[..2]));
    let rotated = |rows: &[Entry]| line("rotated ", rows);
    let (found, notes) = told(&[begins.clone(), early.clone(), rotated(&rows[..6])]);
    assert_eq!(found, []);
    assert!(notes[0].contains("up to row 5 was exported"), "{notes:?}");
    // It was told and not done: the row is there yet, and is compared.
    let (found, _) = told(&[begins.clone(), rotated(&rows[..9])]);
    assert_eq!(found, []);
    // What was gone before there were such lines is told, and nobody is accused.
    let (found, notes) = told(&[early.clone(), line("begins ", &rows[..6])]);
    assert_eq!(found, []);
    assert!(notes[0].contains("did not tell of that yet"), "{notes:?}");
    let (found, notes) = told(&[early]);
    assert_eq!((found, notes.len()), (Vec::new(), 1));
    let whole = verdict([Link::default(); 2], &rows, &file(&[begins]));
    assert_eq!((words(&whole), whole.notes.len()), (Vec::new(), 0));
}

#[test]
fn a_base_that_root_does_not_know_of_is_not_believed() {
    // All up to the newest checkpoint is taken out, and another story is told from there on.
    let rows = rotated_journal();
    let forged: [Link; 2] = ends(&rows[..6]).map(|end| Link {
        seq: end.seq,
        chain: [7; 32],
    });
    let mut others = rows[6..].to_vec();
    let mut at = forged;
    for row in &mut others {
        let end = &mut at[Class::of(&row.actor) as usize];
        row.prev = end.seq;
        row.chain = link(&end.chain, row);
        (end.seq, end.chain) = (row.seq, row.chain);
    }
    let begins = line("begins ", &[]);
    let told = |bases, rows: &[Entry], lines: &[String]| words(&verdict(bases, rows, &file(lines)));
    let both = [(5, Wrong::Removed), (5, Wrong::Rewritten)];
    let wsm = [(6, Wrong::Removed), (6, Wrong::Rewritten)];
    let lines = [begins.clone(), line("", &rows[..6])];
    assert_eq!(told(forged, &others, &lines), [both, wsm].concat());
    // Without a checkpoint of just that row it is the missing line that tells.
    let lines = [begins.clone(), line("", &rows[..3])];
    assert_eq!(told(forged, &others, &lines), [both[0], wsm[0]]);
    // A file of an older version knows the hash at least.
    let lines = [line("", &rows[..6])];
    assert_eq!(told(forged, &others, &lines), [both[1], wsm[1]]);
    // A line about fewer rows allows no more.
    let lines = [line("rotated ", &rows[..3])];
    assert_eq!(told(forged, &others, &lines), [both[0], wsm[0]]);
    // Nor does it go without a row that tells who did it.
    let silent = journal();
    let bases = ends(&silent[..6]);
    let lines = [line("rotated ", &silent[..6])];
    assert_eq!(told(bases, &silent[6..], &lines), [both[0]]);
}

#[test]
fn wsms_own_rows_go_by_themselves_when_there_are_enough() {
    let known = file(&[line("begins ", &[])]);
    let base = Link {
        seq: 9,
        chain: [1; 32],
    };
    let forbids = |class, left| known.forbids(class, base, left).is_some();
    assert!(forbids(Class::Wsm, WSM_ROWS_MAX - 1));
    assert!(!forbids(Class::Wsm, WSM_ROWS_MAX));
    assert!(forbids(Class::Person, WSM_ROWS_MAX));
}

#[test]
fn a_checkpoint_that_was_said_over_still_counts() {
    let rows = journal();
    let mut changed = rows.clone();
    changed[1].message.push('x');
    rewritten(&mut changed);
    // Brokers of before took any line, also of a number that they had.
    let known = [line("", &rows[..8]), line("", &changed[..8])];
    for lines in [known.clone(), [known[1].clone(), known[0].clone()]] {
        let told = verdict([Link::default(); 2], &changed, &file(&lines));
        assert_eq!(words(&told), [(8, Wrong::Rewritten)]);
    }
    assert_eq!(
        words(&verdict([Link::default(); 2], &rows, &file(&known))),
        [(8, Wrong::Rewritten)],
        "somebody tried"
    );
}

#[test]
fn lines_that_can_not_be_read_are_told() {
    let rows = journal();
    let lines = [line("", &rows[..3]), "\u{fffd}\n".into(), "5 7 a".into()];
    let told = verdict([Link::default(); 2], &rows, &file(&lines));
    assert_eq!(words(&told), []);
    assert_eq!(told.notes.len(), 1, "the last is being written");
    assert!(told.notes[0].ends_with(": 1"), "{:?}", told.notes);
    assert_eq!(
        file(&lines).rows,
        [checkpoint(&rows[..3])].map(|it| Checkpoint { at_ms: 7, ..it })
    );
}

#[test]
fn hashes_are_written_in_hexadecimal() {
    let hash = journal()[0].chain;
    assert_eq!(unhex(&hex(&hash)), Some(hash));
    for bad in ["", "00", &"g".repeat(64), &"+0".repeat(32), &"ä".repeat(32)] {
        assert_eq!(unhex(bad), None, "{bad}");
    }
}
