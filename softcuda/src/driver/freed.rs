//! What memory was freed by, so that a late use of it is told from one of memory that never was.

use std::collections::VecDeque;
use std::ops::Range;

use super::objects::StreamName;

/// How many are remembered.
const MOST: usize = 1 << 12;

/// Ranges that were freed. The oldest is first.
#[derive(Debug)]
pub(super) struct Freed(VecDeque<Grave>);

#[derive(Debug)]
struct Grave {
    addresses: Range<u64>,
    call: &'static str,
    by: Option<StreamName>,
}

impl Freed {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// The memory at `addresses` is freed by a call, on a stream if it is in stream order.
    pub(super) fn add(&mut self, addresses: Range<u64>, call: &'static str, by: Option<StreamName>) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Grave { addresses, call, by });
    }

    /// Says how the memory at `address` was freed last; nothing if it is not known to have been.
    pub(super) fn describe(&self, address: u64) -> String {
        match self.0.iter().rev().find(|grave| grave.addresses.contains(&address)) {
            None => String::new(),
            Some(Grave { call, by: None, .. }) => format!(", freed by {call}"),
            Some(Grave { call, by: Some(stream), .. }) => format!(", freed by {call} on {stream}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::objects::Role;
    use super::*;

    #[test]
    fn the_last_free_of_an_address_is_told() {
        let mut freed = Freed::new();
        assert_eq!(freed.describe(10), "");
        freed.add(10..20, "cuMemFreeHost", None);
        let stream = StreamName { serial: 1, role: Role::Legacy, context: 1 };
        freed.add(0..15, "cuMemFreeAsync", Some(stream));
        assert_eq!(freed.describe(10), ", freed by cuMemFreeAsync on the legacy stream of context 1");
        assert_eq!(freed.describe(15), ", freed by cuMemFreeHost");
        for _ in 0..MOST {
            freed.add(30..40, "cuMemFree_v2", None);
        }
        assert_eq!(freed.describe(10), "");
    }
}
