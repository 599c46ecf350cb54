//! Pairing a device: a code that is good once and briefly, and a number that both sides compare.
//!
//! Pure. Nothing of it is kept: whoever restarts the daemon begins again.

use std::collections::HashMap;

use crate::actor::Actor;

/// How long a code is good, and how long its device then waits for its confirmation.
pub(crate) const LASTS_MS: u64 = 120_000;

/// Pairings at once, of all users; each user has one.
const PAIRINGS_MAX: usize = 256;

/// A wrong number is a slip once; then somebody guesses.
const WRONG_NUMBERS_MAX: u8 = 3;

/// SHA-256 of a code or a claim.
type Hash = [u8; 32];

/// One device on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pairing {
    pub(crate) id: String,
    /// Whose device it will be.
    pub(crate) user: String,
    /// Who began it: it is good for as long as that one is.
    pub(crate) made_by: Actor,
    /// When it ends unless something happens.
    pub(crate) until_ms: u64,
    pub(crate) step: Step,
}

impl Pairing {
    /// By whom it is: with each of them it ends.
    pub(crate) fn by(&self) -> Vec<&Actor> {
        let confirmed = match &self.step {
            Step::Confirmed(_, by) => Some(&**by),
            Step::Shown { .. } | Step::Claimed(_) => None,
        };
        confirmed.into_iter().chain([&self.made_by]).collect()
    }
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The code is shown.
    Shown {
        /// Of the code.
        code: Hash,
    },
    /// A device brought the code, and waits.
    Claimed(Claim),
    /// It was confirmed: the device may come in, as long as whoever confirmed it may.
    Confirmed(Claim, Box<Actor>),
}

/// What is known of a device that brought the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Of what the device shows to come in.
    pub(crate) hash: Hash,
    /// What both sides compare.
    pub(crate) number: String,
    /// What the device calls itself.
    pub(crate) device: String,
    /// From where.
    pub(crate) address: String,
    /// Wrong numbers so far.
    pub(crate) wrong: u8,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// There is none, or none any more; nobody learns which.
    Unknown,
    /// Too many at once.
    Full,
    /// It is not that far, or further.
    Step,
    /// Another number than the device shows.
    Number,
}

/// What a device hears that asks whether it may come in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Redeemed {
    /// Not yet.
    Waiting,
    /// It may, once.
    Confirmed(Box<(Pairing, Claim)>),
}

/// All that are under way.
#[derive(Debug, Default)]
pub(crate) struct Pairings(HashMap<String, Pairing>);

impl Pairings {
    /// Begins one; what its user began before ends.
    pub(crate) fn begin(
        &mut self,
        id: String,
        user: String,
        made_by: Actor,
        code: Hash,
        now_ms: u64,
    ) -> Result<Pairing, Miss> {
        self.0
            .retain(|_, one| one.until_ms > now_ms && one.user != user);
        if self.0.len() >= PAIRINGS_MAX {
            return Err(Miss::Full);
        }
        let pairing = Pairing {
            id: id.clone(),
            user,
            made_by,
            until_ms: now_ms + LASTS_MS,
            step: Step::Shown { code },
        };
        self.0.insert(id, pairing.clone());
        Ok(pairing)
    }

    /// One that is still under way.
    pub(crate) fn get(&self, id: &str, now_ms: u64) -> Option<&Pairing> {
        self.0.get(id).filter(|one| one.until_ms > now_ms)
    }

    /// A device brings the code, which is good for nothing from then on.
    pub(crate) fn claim(&mut self, code: Hash, claim: Claim, now_ms: u64) -> Result<Pairing, Miss> {
        let shown = Step::Shown { code };
        let found = self.0.values_mut().find(|one| one.step == shown);
        let one = found.filter(|one| one.until_ms > now_ms);
        let one = one.ok_or(Miss::Unknown)?;
        one.step = Step::Claimed(claim);
        one.until_ms = now_ms + LASTS_MS;
        Ok(one.clone())
    }

    /// The person compared the numbers.
    pub(crate) fn confirm(
        &mut self,
        id: &str,
        number: &str,
        by: &Actor,
        now_ms: u64,
    ) -> Result<Pairing, Miss> {
        let one = self.0.get_mut(id).filter(|one| one.until_ms > now_ms);
        let one = one.ok_or(Miss::Unknown)?;
        let Step::Claimed(claim) = &mut one.step else {
            return Err(Miss::Step);
        };
        if claim.number != number {
            claim.wrong += 1;
            if claim.wrong >= WRONG_NUMBERS_MAX {
                self.0.remove(id);
            }
            return Err(Miss::Number);
        }
        one.step = Step::Confirmed(claim.clone(), Box::new(by.clone()));
        one.until_ms = now_ms + LASTS_MS;
        Ok(one.clone())
    }

    /// Ends one.
    pub(crate) fn end(&mut self, id: &str) -> Option<Pairing> {
        self.0.remove(id)
    }

    /// The device asks whether it may come in; that it may is told once.
    pub(crate) fn redeem(&mut self, claim: Hash, now_ms: u64) -> Result<Redeemed, Miss> {
        let is_its = |one: &&Pairing| match &one.step {
            Step::Claimed(of) | Step::Confirmed(of, _) => of.hash == claim,
            Step::Shown { .. } => false,
        };
        let one = self.0.values().find(is_its);
        let one = one.filter(|one| one.until_ms > now_ms);
        let one = one.ok_or(Miss::Unknown)?.clone();
        match &one.step {
            Step::Confirmed(claim, _) => {
                let claim = claim.clone();
                self.0.remove(&one.id);
                Ok(Redeemed::Confirmed(Box::new((one, claim))))
            }
            Step::Claimed(_) | Step::Shown { .. } => Ok(Redeemed::Waiting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::HostRole;

    fn claim(hash: u8) -> Claim {
        Claim {
            hash: [hash; 32],
            number: "482913".into(),
            device: "phone".into(),
            address: "192.0.2.1".into(),
            wrong: 0,
        }
    }

    fn ann(uid: u32) -> Actor {
        Actor::local("ann", uid, HostRole::Member)
    }

    fn begun(now: u64) -> Pairings {
        let mut pairings = Pairings::default();
        let begun = pairings.begin("p".into(), "ann".into(), ann(1), [1; 32], now);
        assert!(begun.is_ok());
        pairings
    }

    #[test]
    fn a_code_is_good_once_and_briefly() {
        let mut pairings = begun(0);
        assert_eq!(pairings.claim([2; 32], claim(9), 1), Err(Miss::Unknown));
        assert!(pairings.claim([1; 32], claim(9), 1).is_ok());
        assert_eq!(pairings.claim([1; 32], claim(8), 2), Err(Miss::Unknown));
        let mut late = begun(0);
        let at = LASTS_MS;
        assert_eq!(late.claim([1; 32], claim(9), at), Err(Miss::Unknown));
    }

    #[test]
    fn nobody_comes_in_unconfirmed_and_nobody_twice() {
        let mut pairings = begun(0);
        assert_eq!(pairings.confirm("p", "482913", &ann(2), 1), Err(Miss::Step));
        pairings.claim([1; 32], claim(9), 1).unwrap();
        assert_eq!(pairings.redeem([9; 32], 2), Ok(Redeemed::Waiting));
        assert_eq!(pairings.redeem([1; 32], 2), Err(Miss::Unknown));
        assert_eq!(
            pairings.confirm("p", "482914", &ann(2), 3),
            Err(Miss::Number)
        );
        assert_eq!(
            pairings.confirm("q", "482913", &ann(2), 3),
            Err(Miss::Unknown)
        );
        pairings.confirm("p", "482913", &ann(2), 4).unwrap();
        let Ok(Redeemed::Confirmed(in_it)) = pairings.redeem([9; 32], 5) else {
            panic!("it was confirmed")
        };
        assert_eq!((&*in_it.0.user, &*in_it.1.device), ("ann", "phone"));
        assert_eq!(in_it.0.by(), [&ann(2), &ann(1)], "it hangs on both");
        assert_eq!(pairings.redeem([9; 32], 6), Err(Miss::Unknown));
    }

    #[test]
    fn numbers_are_not_guessed_and_time_ends_it() {
        let mut pairings = begun(0);
        pairings.claim([1; 32], claim(9), 1).unwrap();
        for _ in 0..WRONG_NUMBERS_MAX {
            assert_eq!(
                pairings.confirm("p", "000000", &ann(2), 2),
                Err(Miss::Number)
            );
        }
        assert_eq!(
            pairings.confirm("p", "482913", &ann(2), 3),
            Err(Miss::Unknown)
        );
        let mut late = begun(0);
        late.claim([1; 32], claim(9), 10).unwrap();
        let at = 10 + LASTS_MS;
        assert_eq!(late.redeem([9; 32], at), Err(Miss::Unknown));
        assert_eq!(late.confirm("p", "482913", &ann(2), at), Err(Miss::Unknown));
    }

    #[test]
    fn one_for_each_and_not_too_many() {
        let mut pairings = begun(0);
        let mut begin = |n: usize| {
            let user = format!("user{n}");
            pairings.begin(format!("p{n}"), user, ann(1), [7; 32], 0)
        };
        for n in 0..PAIRINGS_MAX - 1 {
            assert!(begin(n).is_ok(), "{n}");
        }
        assert_eq!(begin(PAIRINGS_MAX), Err(Miss::Full));
        assert!(begin(3).is_ok(), "another of the same user");
        let late = pairings.begin("z".into(), "zoe".into(), ann(1), [7; 32], LASTS_MS);
        assert!(late.is_ok());
    }
}
