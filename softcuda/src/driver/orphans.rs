//! What went with its context, so that a stale handle is told from one that never was.

use std::collections::VecDeque;

use super::handle::Handle;

/// How many are remembered. Whoever uses an older one is told only that it was destroyed.
const MOST: usize = 1 << 14;

/// Streams and events that went with their context, each with the context's handle. The oldest is first.
#[derive(Debug)]
pub(super) struct Orphans(VecDeque<(Handle, Handle)>);

impl Orphans {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(super) fn add(&mut self, orphan: Handle, context: Handle) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((orphan, context));
    }

    /// The context that `orphan` went with.
    pub(super) fn context_of(&self, orphan: Handle) -> Option<Handle> {
        self.0.iter().find(|(known, _)| *known == orphan).map(|(_, context)| *context)
    }
}

#[cfg(test)]
mod tests {
    use super::super::handle::Kind;
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut orphans = Orphans::new();
        let event = |serial| Handle::new(Kind::Event, serial);
        let context = Handle::new(Kind::Context, 1);
        for serial in 0..=MOST as u64 {
            orphans.add(event(serial), context);
        }
        assert_eq!(orphans.context_of(event(0)), None);
        assert_eq!(orphans.context_of(event(1)), Some(context));
        assert_eq!(orphans.context_of(event(MOST as u64)), Some(context));
    }
}
