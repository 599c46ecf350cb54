//! Stacks of children that use their parent's memory, used again: making one takes as long as the
//! child. The zygote makes a first pair, which its forks inherit as they inherit all its memory.

use std::cell::RefCell;
use std::io;
use std::ops::Deref;

use crate::sys::Stack;

/// A spawner has one holder, or two; every other process has one such child at a time.
const KEPT_MAX: usize = 2;

thread_local! {
    static FREE: RefCell<Vec<Stack>> = const { RefCell::new(Vec::new()) };
}

/// A stack on loan: dropped when the child on it has ended, or is another program.
#[derive(Debug)]
pub(crate) struct Lent(Option<Stack>);

/// Has stacks ready.
pub(crate) fn prepare() -> io::Result<()> {
    let made: io::Result<Vec<Stack>> = (0..KEPT_MAX).map(|_| Stack::new()).collect();
    FREE.set(made?);
    Ok(())
}

/// A stack that nobody uses.
pub(crate) fn lend() -> io::Result<Lent> {
    let free = FREE.with_borrow_mut(Vec::pop);
    Ok(Lent(Some(free.map_or_else(Stack::new, Ok)?)))
}

impl Deref for Lent {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        self.0.as_ref().expect("taken by drop alone")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let stack = self.0.take();
        FREE.with_borrow_mut(|free| {
            if free.len() < KEPT_MAX {
                free.extend(stack);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_came_back_is_lent_again_and_none_twice() {
        let place = |lent: &Lent| format!("{:?}", **lent);
        prepare().unwrap();
        let (one, other, third) = (lend().unwrap(), lend().unwrap(), lend().unwrap());
        assert_ne!(place(&one), place(&other));
        let was = place(&other);
        drop(other);
        assert_eq!(place(&lend().unwrap()), was);
        drop((one, third));
        assert_eq!(FREE.with_borrow(Vec::len), KEPT_MAX);
    }
}
