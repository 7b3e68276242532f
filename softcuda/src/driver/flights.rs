//! Launches of graphs whose executables are gone.

use super::clock::Moment;
use super::graphs::References;
use super::state::State;

impl State {
    /// A launch has needed user objects until this.
    pub(super) fn needed_until(&mut self, references: &References, end: &Moment) {
        for serial in references.keys() {
            if let Some(object) = self.graphs.objects.get_mut(serial) {
                self.order.adds_unknown(object.scope, &mut object.needed, end);
            }
        }
    }

    /// Gives up what executables refer to that are gone, where their last launch has ended:
    /// for threads of the driver, whoever calls this.
    #[cold]
    pub(super) fn ends_launches(&mut self) {
        let (ended, others) = std::mem::take(&mut self.graphs.in_flight).into_iter().partition(|(point, _)| self.is_passed(*point));
        self.graphs.in_flight = others;
        let ended: Vec<_> = ended;
        for (_, references) in ended {
            let unused = self.graphs.give_up(references);
            self.graphs.destroy_later(unused);
        }
    }
}
