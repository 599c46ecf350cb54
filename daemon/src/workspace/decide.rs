//! Who moved, and what follows from it. Pure.
//!
//! ```text
//!            human did not move     human moved
//! agent not  Nothing                AgentBehind if the human built on the agent, else Diverged
//! agent did  TakeOver               TakeOver if the agent built on the human's commit,
//!                                   AgentBehind if the human has the agent's, else Diverged
//! ```

/// What is known about the two tips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tips<T> {
    /// The branch in the main repository, `None` if the human deleted it.
    pub human: Option<T>,
    /// The value that the helper wrote last, `None` if that is not known.
    pub last: Option<T>,
    /// The branch in the agent's git directory.
    pub agent: T,
}

/// How one tip lies to the other. Only looked at when they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The human's tip is an ancestor of the agent's.
    AgentBuiltOnHuman,
    /// The agent's tip is an ancestor of the human's.
    HumanBuiltOnAgent,
    /// Neither.
    Apart,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Both are at the same commit.
    Nothing,
    /// Move the branch to the agent's tip. Also backwards: an agent may amend and rebase.
    TakeOver,
    /// Tell the agent's view to fast-forward.
    AgentBehind,
    /// Leave both, and put the agent's commits where the human finds them.
    Diverged,
}

/// Decides; `relation` is asked only if needed, because it walks history.
pub fn decide<T: PartialEq + Copy, E>(
    tips: Tips<T>,
    relation: impl FnOnce(T, T) -> Result<Relation, E>,
) -> Result<Decision, E> {
    let Some(human) = tips.human else {
        return Ok(Decision::Diverged);
    };
    if human == tips.agent {
        return Ok(Decision::Nothing);
    }
    if tips.last == Some(human) {
        return Ok(Decision::TakeOver);
    }
    Ok(match relation(human, tips.agent)? {
        // The human took the branch back to an older commit; the agent did nothing since.
        Relation::AgentBuiltOnHuman if tips.last == Some(tips.agent) => Decision::Diverged,
        Relation::AgentBuiltOnHuman => Decision::TakeOver,
        Relation::HumanBuiltOnAgent => Decision::AgentBehind,
        Relation::Apart => Decision::Diverged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(human: Option<u8>, last: Option<u8>, agent: u8, relation: Relation) -> Decision {
        let tips = Tips { human, last, agent };
        decide(tips, |_, _| Ok::<_, ()>(relation)).unwrap()
    }

    #[test]
    fn the_table_holds() {
        use Decision::*;
        use Relation::*;
        assert_eq!(decided(Some(1), Some(1), 1, Apart), Nothing);
        assert_eq!(decided(Some(2), Some(1), 2, Apart), Nothing);
        // Only the agent moved: taken over, even when it rewrote its own history.
        assert_eq!(decided(Some(1), Some(1), 2, AgentBuiltOnHuman), TakeOver);
        assert_eq!(decided(Some(1), Some(1), 2, Apart), TakeOver);
        // Only the human moved.
        assert_eq!(decided(Some(1), Some(2), 2, AgentBuiltOnHuman), Diverged);
        assert_eq!(decided(Some(2), Some(1), 1, HumanBuiltOnAgent), AgentBehind);
        assert_eq!(decided(Some(2), Some(1), 1, Apart), Diverged);
        // Both moved.
        assert_eq!(decided(Some(2), Some(1), 3, AgentBuiltOnHuman), TakeOver);
        assert_eq!(decided(Some(2), Some(1), 3, HumanBuiltOnAgent), AgentBehind);
        assert_eq!(decided(Some(2), Some(1), 3, Apart), Diverged);
        // The record was lost.
        assert_eq!(decided(Some(1), None, 2, AgentBuiltOnHuman), TakeOver);
        assert_eq!(decided(Some(1), None, 2, Apart), Diverged);
        // The human deleted the branch.
        assert_eq!(decided(None, Some(1), 1, Apart), Diverged);
    }

    #[test]
    fn history_is_not_walked_without_need() {
        let tips = Tips {
            human: Some(1),
            last: Some(1),
            agent: 2,
        };
        assert_eq!(decide(tips, |_, _| Err(())), Ok(Decision::TakeOver));
    }
}
