//! Device memory for the copies of programs: each copy of one has a place of its own, so that any order is right.

use cuda_streams::Stream;

use crate::common::device;
use crate::common::words::Words;

pub(crate) struct Memory {
    sources: [Words; 2],
    targets: Vec<Words>,
    /// How many of those the program has used.
    used: usize,
    stages: [Words; 3],
    programs: usize,
}

impl Memory {
    pub(crate) fn new() -> Self {
        let words = |value| Words::new(device(), value);
        Self { sources: [words(1), words(2)], targets: (0..4).map(|_| words(0)).collect(), used: 0, stages: [0; 3].map(words), programs: 0 }
    }

    /// For the next program.
    pub(crate) fn begin(&mut self) {
        (self.used, self.programs) = (0, self.programs + 1);
    }

    fn value(&self) -> usize {
        self.programs % 2
    }

    /// Enqueues a copy; false if the program has had all.
    pub(crate) fn copy(&mut self, stream: &Stream) -> bool {
        let Some(target) = self.targets.get_mut(self.used) else { return false };
        self.used += 1;
        target.copy_from(stream, &self.sources[0]);
        true
    }

    /// Copies on from stream to stream what the last program did not copy.
    pub(crate) fn pass_through(&mut self, streams: &[Stream; 3]) {
        let [first, second, third] = streams;
        let [by_first, by_second, by_third] = &mut self.stages;
        by_first.copy_from(first, &self.sources[self.programs % 2]);
        second.wait_stream(first).expect("no stream captures");
        by_second.copy_from(second, by_first);
        third.wait_stream(second).expect("no stream captures");
        by_third.copy_from(third, by_second);
    }

    /// What was copied has come through.
    pub(crate) fn assert_passed(&self, seed: u64) {
        let wanted = [1, 2][self.value()];
        assert_eq!(self.stages[2].read(), wanted, "program {seed}: the copies behind it");
    }
}
