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
    let mut verifier = Verifier::new([Link::default(); 2], known);
    rows.iter().for_each(|row| verifier.push(row));
    let (_, findings) = verifier.finish();
    findings.iter().map(|told| (told.seq, told.wrong)).collect()
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

#[test]
fn a_chain_goes_on_from_its_base() {
    let rows = journal();
    let [person, wsm] = ends(&rows[..6]);
    let mut verifier = Verifier::new([person, wsm], &[checkpoint(&rows[..3])]);
    rows[6..].iter().for_each(|row| verifier.push(row));
    let (last, findings) = verifier.finish();
    assert_eq!((last, findings), (ends(&rows), Vec::new()));
}

#[test]
fn hashes_are_written_in_hexadecimal() {
    let hash = journal()[0].chain;
    assert_eq!(unhex(&hex(&hash)), Some(hash));
    for bad in ["", "00", &"g".repeat(64), &"+0".repeat(32), &"ä".repeat(32)] {
        assert_eq!(unhex(bad), None, "{bad}");
    }
}
