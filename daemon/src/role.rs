//! Who may do what: one pure function, asked by every method of the facade.

use crate::facade::Actor;

/// Classes of what can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// See that it exists, its state, its screen.
    View,
    /// Type, run, start, stop, merge.
    Drive,
    /// Remove it.
    Own,
}

/// Whether `actor` may do this to an agent of `owner`. Sharing comes later: until then an agent
/// is its owner's, and the admins'.
#[must_use]
pub fn allows(actor: &Actor, right: Right, owner: &str) -> bool {
    match right {
        Right::View | Right::Drive | Right::Own => actor.admin || actor.user == owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_and_admins_may_everything_strangers_nothing() {
        let actor = |user: &str, admin| Actor {
            user: user.into(),
            uid: 1000,
            admin,
        };
        for right in [Right::View, Right::Drive, Right::Own] {
            assert!(allows(&actor("ada", false), right, "ada"));
            assert!(allows(&actor("root", true), right, "ada"));
            assert!(!allows(&actor("eve", false), right, "ada"));
        }
    }
}
