//! What must hold whatever comes in whatever order.

use proptest::prelude::*;

use super::*;

/// Everything that can happen.
#[derive(Debug, Clone)]
enum Op {
    Join(Id, usize, bool),
    Leave(Id),
    Type(Id, u64),
    Request(usize),
    Release(usize, bool),
    Grant(usize, usize, bool),
    Take(usize),
    Revoke(usize),
    Wait(u64),
}

const USERS: [&str; 4] = ["ada", "bob", "eve", "root"];

fn op() -> impl Strategy<Value = Op> {
    let user = || 0..USERS.len();
    prop_oneof![
        3 => (0..6_u64, user(), prop::bool::weighted(0.8)).prop_map(|(id, u, t)| Op::Join(id, u, t)),
        2 => (0..6_u64).prop_map(Op::Leave),
        6 => (0..6_u64, 0..4_u64).prop_map(|(id, back)| Op::Type(id, back)),
        2 => user().prop_map(Op::Request),
        1 => (user(), any::<bool>()).prop_map(|(u, over)| Op::Release(u, over)),
        1 => (user(), user(), any::<bool>()).prop_map(|(a, b, over)| Op::Grant(a, b, over)),
        1 => user().prop_map(Op::Take),
        1 => user().prop_map(Op::Revoke),
        2 => (0..20_000_u64).prop_map(Op::Wait),
    ]
}

/// An epoch that input may name: none, the next, this one, or an earlier one.
fn named(epoch: u64, back: u64) -> u64 {
    match back {
        0 => 0,
        back => (epoch + 2).saturating_sub(back),
    }
}

/// Does it; returns whether something typed went through.
fn apply(lease: &mut Lease, op: &Op, now: &mut u64) -> bool {
    match *op {
        // A number is a connection's for its life.
        Op::Join(id, ..) if lease.members.contains_key(&id) => {}
        Op::Join(id, user, types) => drop(lease.join(id, USERS[user], types, *now)),
        Op::Leave(id) => drop(lease.leave(id, *now)),
        Op::Type(id, back) => {
            return lease.types(id, named(lease.epoch, back), *now).is_ok();
        }
        Op::Request(user) => drop(lease.request(USERS[user], *now)),
        Op::Release(user, over) => drop(lease.release(USERS[user], over, *now)),
        Op::Grant(by, to, over) => drop(lease.grant(USERS[by], USERS[to], over, *now)),
        Op::Take(user) => drop(lease.take(USERS[user], *now)),
        Op::Revoke(user) => drop(lease.revoke(USERS[user], *now)),
        Op::Wait(ms) => {
            *now += ms;
            while lease.tick(*now).is_some() {}
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn one_holder_no_stale_key_and_never_stuck(ops in prop::collection::vec(op(), 1..60)) {
        let (mut lease, mut now) = (Lease::default(), 1_000_000);
        for op in &ops {
            let before = lease.clone();
            let typed = apply(&mut lease, op, &mut now);
            // The holder is there, may type, and is the one that is told.
            if let Some(id) = lease.holder() {
                let member = &lease.members[&id];
                prop_assert!(member.types);
                prop_assert_eq!(lease.user(), Some(member.user.as_str()));
            }
            // Who held it last holds it still, or the epoch tells.
            prop_assert!(lease.epoch >= before.epoch);
            let same = (lease.holder(), lease.user()) == (before.holder(), before.user());
            prop_assert!(same || lease.epoch > before.epoch);
            if let Op::Type(id, back) = *op {
                let user = before.members.get(&id).map(|member| member.user.as_str());
                if typed {
                    // It reaches the program only from who holds it then, of the user who held it.
                    prop_assert_eq!(lease.holder(), Some(id));
                    prop_assert!(before.user().is_none() || before.user() == user);
                    // Who believed to hold it did.
                    let said = named(before.epoch, back);
                    let held = before.holder() == Some(id) && said == before.epoch;
                    prop_assert!(said == 0 || held);
                } else {
                    prop_assert_eq!(&lease, &before);
                }
            }
            prop_assert!(lease.asks.len() <= REQUESTS_MAX);
            prop_assert!(lease.user().is_some() || lease.asks.is_empty());
            prop_assert!(lease.asked().all(|user| lease.user() != Some(user)));
        }
        // Whoever asks and whatever happens, it is settled within a minute each.
        for _ in 0..=REQUESTS_MAX + 1 {
            if let Some(id) = lease.holder() {
                lease.types(id, 0, now).expect("the holder may");
            }
            now += REQUEST_MS;
            while lease.tick(now).is_some() {}
        }
        prop_assert!(lease.asks.is_empty());
        prop_assert!(lease.user().is_none() || lease.holder().is_some());
        prop_assert_eq!(lease.due(), None);
    }
}

fn two() -> Lease {
    let mut lease = Lease::default();
    lease.join(1, "ada", true, 0);
    lease.join(2, "bob", true, 0);
    lease.join(3, "ada", true, 0);
    lease
}

#[test]
fn alone_one_types_wherever_one_sits() {
    let mut lease = two();
    assert_eq!(lease.types(1, 0, 0), Ok(Some(News::Changed)));
    assert_eq!(lease.types(1, 1, 0), Ok(None));
    assert_eq!(lease.types(3, 0, 0), Ok(Some(News::Changed)));
    assert_eq!(lease.holder(), Some(3));
    // A key that was on its way from the other one.
    assert_eq!(lease.types(1, 1, 0), Err(Refusal::Stale));
    assert_eq!(lease.types(1, 0, 0), Ok(Some(News::Changed)));
    lease.leave(1, 0);
    assert_eq!(lease.user(), None);
}

#[test]
fn who_asks_gets_it_when_the_holder_pauses() {
    let mut lease = two();
    lease.types(1, 0, 0).unwrap();
    assert_eq!(lease.types(2, 0, 0), Err(Refusal::Held("ada".into())));
    assert!(!lease.admits("bob") && lease.admits("ada"));
    assert_eq!(lease.request("bob", 1000), Ok(News::Asked("bob".into())));
    lease.types(1, 0, 14_000).unwrap();
    assert_eq!(lease.tick(16_000), None);
    let passed = News::Passed {
        from: "ada".into(),
        to: "bob".into(),
        force: false,
    };
    assert_eq!(lease.tick(14_000 + SILENCE_MS), Some(passed));
    assert_eq!(lease.holder(), Some(2));
}

#[test]
fn who_types_on_keeps_it_and_the_other_is_told() {
    let mut lease = two();
    lease.types(1, 0, 0).unwrap();
    lease.request("bob", 0).unwrap();
    for second in 1..60 {
        lease.types(1, 0, second * 1000).unwrap();
        assert_eq!(lease.tick(second * 1000), None);
    }
    assert_eq!(lease.tick(REQUEST_MS), Some(News::Unheard("bob".into())));
    assert_eq!(lease.due(), None);
}

#[test]
fn what_is_given_to_somebody_away_waits_for_them_a_while() {
    let mut lease = two();
    lease.types(1, 0, 0).unwrap();
    assert!(matches!(
        lease.take("root", 0),
        News::Passed { force: true, .. }
    ));
    assert_eq!((lease.user(), lease.holder()), (Some("root"), None));
    assert_eq!(lease.types(1, 0, 0), Err(Refusal::Held("root".into())));
    assert_eq!(lease.join(9, "root", true, 5), Some(News::Changed));
    assert_eq!(lease.holder(), Some(9));
    lease.leave(9, 10);
    lease.take("root", 10);
    assert_eq!(lease.tick(10 + PROMISE_MS), Some(News::Changed));
    assert_eq!(lease.user(), None);
}

#[test]
fn only_the_holder_gives_unless_over() {
    let mut lease = two();
    lease.types(1, 0, 0).unwrap();
    assert_eq!(lease.grant("bob", "bob", false, 0), Err(Refusal::NotTheirs));
    assert_eq!(lease.release("bob", false, 0), Err(Refusal::NotTheirs));
    lease.grant("ada", "bob", false, 0).unwrap();
    assert_eq!(lease.holder(), Some(2));
    lease.grant("eve", "ada", true, 0).unwrap();
    assert_eq!(lease.holder(), Some(3));
    lease.request("bob", 0).unwrap();
    lease.release("ada", false, 0).unwrap();
    assert_eq!(lease.holder(), Some(2), "the next who asked");
}
