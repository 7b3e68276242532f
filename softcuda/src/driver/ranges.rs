//! Which parts of a file are free.

use std::collections::BTreeMap;

/// The free ranges: where each begins, and its length. No two touch each other.
#[derive(Debug)]
pub(super) struct Ranges(BTreeMap<usize, usize>);

impl Ranges {
    /// One that is free as a whole.
    pub(super) fn new(start: usize, bytes: usize) -> Self {
        Self(BTreeMap::from([(start, bytes)]))
    }

    /// Takes `bytes` that begin at a multiple of `align`: the first that there are.
    pub(super) fn take(&mut self, bytes: usize, align: usize) -> Option<usize> {
        let (free, length, start) = self.0.iter().find_map(|(free, length)| {
            let start = free.next_multiple_of(align);
            let end = start.checked_add(bytes)?;
            (end <= free + length).then_some((*free, *length, start))
        })?;
        self.0.remove(&free);
        let after = start + bytes;
        for (from, to) in [(free, start), (after, free + length)] {
            if from < to {
                self.0.insert(from, to - from);
            }
        }
        Some(start)
    }

    /// Where each begins, and its length.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.0.iter().map(|(start, bytes)| (*start, *bytes))
    }

    /// Gives a range back that was taken.
    pub(super) fn give_back(&mut self, start: usize, bytes: usize) {
        let (mut start, mut end) = (start, start + bytes);
        if let Some((before, _)) = self.0.range(..start).next_back().filter(|(before, length)| *before + *length == start) {
            start = *before;
        }
        if let Some(length) = self.0.remove(&end) {
            end += length;
        }
        self.0.insert(start, end - start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_range_that_is_long_enough_is_taken() {
        let mut ranges = Ranges::new(8, 100);
        assert_eq!([ranges.take(10, 1), ranges.take(10, 1), ranges.take(10, 32)], [Some(8), Some(18), Some(32)]);
        ranges.give_back(8, 10);
        assert_eq!([ranges.take(20, 1), ranges.take(10, 1), ranges.take(4, 2)], [Some(42), Some(8), Some(28)]);
        assert_eq!(ranges.take(100, 1), None);
        assert_eq!(ranges.take(usize::MAX, 1), None);
    }

    #[test]
    fn ranges_that_touch_become_one() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut ranges = Ranges::new(0, 30);
            let taken = [(); 3].map(|()| ranges.take(10, 1).unwrap());
            for which in order {
                ranges.give_back(taken[which], 10);
            }
            assert_eq!(ranges.0, BTreeMap::from([(0, 30)]), "{order:?}");
        }
    }
}
