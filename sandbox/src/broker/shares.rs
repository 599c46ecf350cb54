//! How much of the broker one local user may take, so that there is always some for the others.
//!
//! A user is its uid, since a group is chosen; `None` is the daemon.

/// Connections at once, all users together.
const CONNECTIONS_MAX: usize = 512;
/// Connections of one user other than the daemon: a grant takes one, for a moment.
const CONNECTIONS_PER_USER_MAX: usize = 16;
/// Connections of all users other than the daemon: the rest stays free for it.
const CONNECTIONS_OF_USERS_MAX: usize = 256;
/// Workers at once: each is a process, and two cores gain nothing from more.
const WORKERS_MAX: usize = 16;
/// Workers for one user other than the daemon. What such a user passes may lie on a file system
/// that answers when that user likes, so that a worker is held until it is killed.
const WORKERS_PER_USER_MAX: usize = 2;
/// Workers for all users other than the daemon.
const WORKERS_OF_USERS_MAX: usize = 8;

/// A user other than the daemon, or the daemon.
pub(super) type User = Option<u32>;

/// Whether `who` may have one more connection beside those that are `held`.
pub(super) fn may_connect(held: impl Iterator<Item = User>, who: User) -> bool {
    let most = (CONNECTIONS_PER_USER_MAX, CONNECTIONS_OF_USERS_MAX);
    has_place(held, who, CONNECTIONS_MAX, most)
}

/// Whether one more worker may be at work for `who` beside those that are.
pub(super) fn may_work(at_work: impl Iterator<Item = User>, who: User) -> bool {
    let most = (WORKERS_PER_USER_MAX, WORKERS_OF_USERS_MAX);
    has_place(at_work, who, WORKERS_MAX, most)
}

fn has_place(
    taken: impl Iterator<Item = User>,
    who: User,
    most: usize,
    (of_one, of_users): (usize, usize),
) -> bool {
    let (mut all, mut users, mut own) = (0, 0, 0);
    for other in taken {
        all += 1;
        users += usize::from(other.is_some());
        own += usize::from(other == who);
    }
    all < most && (who.is_none() || (own < of_one && users < of_users))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAEMON: User = None;

    /// Users that try again and again, each as often as it likes; what each got.
    fn crowd(users: u32, may: impl Fn(&[User], User) -> bool) -> Vec<User> {
        let mut taken = Vec::new();
        for uid in 1000..1000 + users {
            for _ in 0..1000 {
                if may(&taken, Some(uid)) {
                    taken.push(Some(uid));
                }
            }
        }
        taken
    }

    fn connects(taken: &[User], who: User) -> bool {
        may_connect(taken.iter().copied(), who)
    }

    fn works(taken: &[User], who: User) -> bool {
        may_work(taken.iter().copied(), who)
    }

    #[test]
    fn one_user_leaves_the_others_their_places() {
        let taken = crowd(1, connects);
        assert_eq!(taken.len(), CONNECTIONS_PER_USER_MAX);
        assert!(connects(&taken, Some(2000)) && connects(&taken, DAEMON));
        let taken = crowd(1, works);
        assert_eq!(taken.len(), WORKERS_PER_USER_MAX);
        assert!(works(&taken, Some(2000)) && works(&taken, DAEMON));
    }

    #[test]
    fn all_users_together_leave_the_daemon_its_places() {
        let mut taken = crowd(100, works);
        assert_eq!(taken.len(), WORKERS_OF_USERS_MAX);
        assert!(!works(&taken, Some(2000)));
        while works(&taken, DAEMON) {
            taken.push(DAEMON);
        }
        assert_eq!(taken.len(), WORKERS_MAX);
        let mut taken = crowd(100, connects);
        assert_eq!(taken.len(), CONNECTIONS_OF_USERS_MAX);
        while connects(&taken, DAEMON) {
            taken.push(DAEMON);
        }
        assert_eq!(taken.len(), CONNECTIONS_MAX);
    }

    #[test]
    fn a_busy_daemon_leaves_users_what_is_left() {
        let mut taken = vec![DAEMON; WORKERS_MAX - 1];
        assert!(works(&taken, Some(1000)));
        taken.push(Some(1000));
        assert!(!works(&taken, Some(1001)) && !works(&taken, DAEMON));
    }
}
