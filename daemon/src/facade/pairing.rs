//! Pairing: a person who is in lets a device of its own in.

use std::sync::{MutexGuard, PoisonError};

use wsm_api::invite::{Pairing, PairingClaim, PairingClaimed};
use wsm_api::problem::{Code, Problem};

use super::people::subject;
use super::session::Plan;
use super::token::{check_label, digest};
use super::{Daemon, SessionMade};
use crate::actor::Actor;
use crate::agent::assemble::random_text;
use crate::engine::row;
use crate::pairing::{self, Claim, Miss, Pairings, Redeemed, Step};
use crate::role::{Scope, Subject, Verb};
use crate::store::{Change, now_ms, rfc3339};

/// Characters of a code, five random bits each: it is good for two minutes.
const CODE_CHARACTERS: usize = 24;

/// Of what the device redeems.
const CLAIM_CHARACTERS: usize = 52;

/// Digits that people compare.
const NUMBER_DIGITS: usize = 6;

/// A pairing that was just begun.
#[derive(Debug)]
pub struct PairingBegun {
    /// Id.
    pub id: String,
    /// Its code, which is told this once.
    pub code: String,
    /// When it ends (RFC 3339).
    pub expires: String,
}

impl Daemon {
    /// Whether the actor may pair a device at all.
    ///
    /// # Errors
    /// It came in with a token.
    pub fn may_pair(&self, actor: &Actor) -> Result<(), Problem> {
        self.may(actor, Verb::DeviceNew, &Subject::Person(&actor.user))
    }

    /// `pair`: another device of the actor's user may come, within two minutes.
    ///
    /// # Errors
    /// The actor came in with a token, or there are too many.
    pub async fn pairing_new(&self, actor: &Actor) -> Result<PairingBegun, Problem> {
        self.may_pair(actor)?;
        let (id, code) = (drawn(10)?, drawn(CODE_CHARACTERS)?);
        let (user, hash) = (actor.user.clone(), digest(&code));
        let begun = self
            .pairings()
            .begin(id, user, actor.clone(), hash, now_ms())
            .map_err(missed)?;
        let told = row(actor, "pairing.begun", &subject(&actor.user), &*begun.id);
        self.write(&[actor], &Change::new(told))?;
        Ok(PairingBegun {
            id: begun.id,
            code,
            expires: rfc3339(begun.until_ms),
        })
    }

    /// How far it is; the number that the device shows.
    ///
    /// # Errors
    /// The actor began none of this id, or it has ended.
    pub async fn pairing(&self, actor: &Actor, id: &str) -> Result<Pairing, Problem> {
        self.own_pairing(actor, id).map(shown)
    }

    /// The person compared the numbers: the device may come in.
    ///
    /// # Errors
    /// There is none, no device came yet, or it shows another number.
    pub async fn pairing_confirm(
        &self,
        actor: &Actor,
        id: &str,
        number: &str,
    ) -> Result<Pairing, Problem> {
        self.own_pairing(actor, id)?;
        let confirmed = self.pairings().confirm(id, number, actor, now_ms());
        let confirmed = confirmed.map_err(missed)?;
        let device = match &confirmed.step {
            Step::Confirmed(claim, _) => format!("{id}: {:?} from {}", claim.device, claim.address),
            Step::Shown { .. } | Step::Claimed(_) => id.to_owned(),
        };
        let told = row(actor, "pairing.confirmed", &subject(&actor.user), device);
        if let Err(problem) = self.write(&[actor], &Change::new(told)) {
            // Nobody comes in of whom the journal does not know who let him in.
            self.pairings().end(id);
            return Err(problem);
        }
        Ok(shown(confirmed))
    }

    /// The person does not want it any more.
    ///
    /// # Errors
    /// There is none.
    pub async fn pairing_end(&self, actor: &Actor, id: &str) -> Result<Pairing, Problem> {
        let found = self.own_pairing(actor, id)?;
        self.pairings().end(id);
        let told = row(actor, "pairing.ended", &subject(&actor.user), id);
        self.write(&[actor], &Change::new(told))?;
        Ok(shown(found))
    }

    /// A device brings the code.
    ///
    /// # Errors
    /// The code is not good (any more).
    pub async fn pairing_claim(
        &self,
        claim: PairingClaim,
        address: &str,
    ) -> Result<PairingClaimed, Problem> {
        check_label(&claim.device_name)?;
        let (redeems, number) = (drawn(CLAIM_CHARACTERS)?, drawn_number()?);
        let one = Claim {
            hash: digest(&redeems),
            number: number.clone(),
            device: claim.device_name,
            address: address.to_owned(),
            wrong: 0,
        };
        let claimed = self.pairings().claim(digest(&claim.code), one, now_ms());
        let claimed = claimed.map_err(|_| not_good())?;
        Ok(PairingClaimed {
            claim: redeems,
            number,
            expires: rfc3339(claimed.until_ms),
        })
    }

    /// The device asks whether it may come in; `None`: not yet.
    ///
    /// # Errors
    /// The claim is not good (any more).
    pub async fn pairing_redeem(
        &self,
        claim: &str,
        address: &str,
    ) -> Result<Option<SessionMade>, Problem> {
        let redeemed = self.pairings().redeem(digest(claim), now_ms());
        let (pairing, claim) = match redeemed.map_err(|_| not_good())? {
            Redeemed::Waiting => return Ok(None),
            Redeemed::Confirmed(both) => *both,
        };
        let by = pairing.made_by.who();
        let plan = Plan {
            user: self.known(&pairing.user)?,
            fresh: false,
            label: claim.device,
            scope: Scope::Admin,
            agents: None,
            token: None,
            passkey: None,
            until_ms: None,
            how: format!("paired by {} in {}", by.via, pairing.id),
        };
        let (change, made) = self.session(plan, address)?;
        // What came in by what has ended would outlive it.
        let written = self.write(&pairing.by(), &change);
        written.map_err(|problem| match problem.code {
            Code::Failed => problem,
            _ => not_good(),
        })?;
        Ok(Some(made))
    }

    fn own_pairing(&self, actor: &Actor, id: &str) -> Result<pairing::Pairing, Problem> {
        self.may_pair(actor)?;
        let found = self.pairings().get(id, now_ms()).cloned();
        let mine = found.filter(|one| one.user == actor.user);
        mine.ok_or_else(|| missed(Miss::Unknown))
    }

    fn pairings(&self) -> MutexGuard<'_, Pairings> {
        let pairings = self.engine.pairings.lock();
        pairings.unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(pairing: pairing::Pairing) -> Pairing {
    let (state, claim) = match pairing.step {
        Step::Shown { .. } => ("shown", None),
        Step::Claimed(claim) => ("claimed", Some(claim)),
        Step::Confirmed(claim, _) => ("confirmed", Some(claim)),
    };
    let (device_name, address, number) = claim
        .map(|claim| (claim.device, claim.address, claim.number))
        .unwrap_or_default();
    Pairing {
        id: pairing.id,
        state: state.to_owned(),
        device_name,
        address,
        number,
        expires: rfc3339(pairing.until_ms),
    }
}

/// A secret of this many characters.
pub(super) fn drawn(characters: usize) -> Result<String, Problem> {
    random_text(characters)
        .map_err(|e| Problem::new(Code::Failed, format!("draw a random text: {e}"), ""))
}

fn drawn_number() -> Result<String, Problem> {
    // Ten of the 32 characters, each as likely as the others.
    let mut digits = String::new();
    while digits.len() < NUMBER_DIGITS {
        let more = drawn(NUMBER_DIGITS)?;
        let more = more.chars().filter_map(|c| "abcdefghij".find(c));
        digits.extend(more.filter_map(|n| char::from_digit(u32::try_from(n).ok()?, 10)));
    }
    digits.truncate(NUMBER_DIGITS);
    Ok(digits)
}

/// What whoever comes hears, whatever was wrong with what it brought.
pub(super) fn not_good() -> Problem {
    let hint = "ask for another one";
    Problem::new(Code::Unknown, "this code is not good (any more)", hint)
}

fn missed(miss: Miss) -> Problem {
    match miss {
        Miss::Unknown => {
            let message = "there is no such pairing, or it has ended";
            Problem::new(Code::NotFound, message, "begin again: `wsm pair`")
        }
        Miss::Full => Problem::new(Code::Conflict, "too many devices are being paired", ""),
        Miss::Step => {
            let message = "there is nothing to confirm: no device waits";
            Problem::new(Code::Conflict, message, "")
        }
        Miss::Number => {
            let message = "the device that waits shows another number";
            let hint = "if yours shows the one you gave, somebody else has the code: end it";
            Problem::new(Code::Refused, message, hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use wsm_api::invite::{InvitationClaim, NewInvitation};

    use super::*;
    use crate::actor::Way;
    use crate::role::HostRole;

    const ADDRESS: &str = "192.0.2.1";

    /// A daemon that ada, an admin, came to twice: her actors.
    async fn scene(dir: &std::path::Path) -> (Daemon, Actor, Actor) {
        std::fs::create_dir(dir.join("run")).expect("a place for it");
        let daemon = Daemon::alone(&crate::engine::Config {
            state_dir: dir.into(),
            run_dir: dir.join("run"),
            etc_dir: dir.into(),
            page: None,
            admins: Vec::new(),
        });
        let daemon = daemon.expect("an empty place");
        let root = Actor::local("root", 0, HostRole::Admin);
        let ada = NewInvitation {
            user: Some("ada".into()),
            role: Some("admin".into()),
            ..NewInvitation::default()
        };
        let (_, code) = daemon.invite(&root, ada).await.expect("root may");
        let claim = InvitationClaim {
            code,
            user: None,
            device_name: "laptop".into(),
        };
        let made = daemon.invite_claim(claim, ADDRESS).await.expect("good");
        let first = actor(&daemon, &made);
        let claimed = confirmed(&daemon, &first, &first).await;
        let redeemed = daemon.pairing_redeem(&claimed, ADDRESS).await;
        let second = redeemed.expect("confirmed").expect("at once");
        let second = actor(&daemon, &second);
        (daemon, first, second)
    }

    fn actor(daemon: &Daemon, made: &SessionMade) -> Actor {
        let found = daemon.authenticate_session(&made.cookie, ADDRESS);
        found.expect("good").expect("known")
    }

    /// What a device redeems that `began` let come and `confirms` let in.
    async fn confirmed(daemon: &Daemon, began: &Actor, confirms: &Actor) -> String {
        let begun = daemon.pairing_new(began).await.expect("she may");
        let claim = PairingClaim {
            code: begun.code,
            device_name: "phone".into(),
        };
        let claimed = daemon.pairing_claim(claim, ADDRESS).await.expect("good");
        let confirmed = daemon.pairing_confirm(confirms, &begun.id, &claimed.number);
        confirmed.await.expect("the same number");
        claimed.claim
    }

    #[tokio::test]
    async fn what_a_device_let_in_ends_with_it() {
        for ends in ["began", "confirmed"] {
            let dir = tempfile::tempdir().expect("a directory");
            let (daemon, first, second) = scene(dir.path()).await;
            let claim = confirmed(&daemon, &first, &second).await;
            let (ended, other) = match ends {
                "began" => (first, second),
                _ => (second, first),
            };
            let Way::Device { id, .. } = &ended.way else {
                panic!("{ended:?}")
            };
            daemon.device_remove(&other, id).await.expect("it is hers");
            let redeemed = daemon.pairing_redeem(&claim, ADDRESS).await;
            let problem = redeemed.expect_err("it hangs on what ended");
            assert_eq!(problem, not_good(), "{ends}");
            let devices = daemon.devices(&other).await.expect("she may");
            let good = devices.iter().filter(|device| device.state == "good");
            assert_eq!(good.count(), 1, "{ends}: nobody came in");
        }
    }

    #[test]
    fn numbers_have_six_digits() {
        for _ in 0..50 {
            let number = drawn_number().unwrap();
            assert!(number.len() == 6 && number.bytes().all(|b| b.is_ascii_digit()));
        }
    }
}
