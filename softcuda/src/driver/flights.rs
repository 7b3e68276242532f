//! Launches of graphs whose executables are gone.

use super::state::State;

impl State {
    /// Gives up what executables refer to that are gone, where their last launch has ended.
    #[cold]
    pub(super) fn ends_launches(&mut self) {
        let (ended, others) = std::mem::take(&mut self.graphs.in_flight).into_iter().partition(|(point, _)| self.is_passed(*point));
        self.graphs.in_flight = others;
        let ended: Vec<_> = ended;
        for (_, references) in ended {
            self.graphs.give_up(references);
        }
    }
}
