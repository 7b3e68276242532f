//! Clocks and histories without what no question will be about: they do not grow with what has been.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::clock::{Actor, Clock, Moment};
use super::Order;

/// Entries that clocks and histories may grow by before somebody looks for superfluous ones.
const ROOM: usize = 1 << 12;

impl Order {
    /// Whether it is time to look for superfluous entries: the cost is that of those which were made.
    pub(in super::super) fn is_due(&self) -> bool {
        self.growth > ROOM.max(2 * self.kept)
    }

    /// What every host knows. All future work comes after it: no question will be about it.
    pub(in super::super) fn floor(&self) -> Clock {
        let mut hosts = self.hosts.values();
        let mut floor = hosts.next().map_or_else(Clock::new, |host| Clock::clone(&host.known));
        for host in hosts {
            floor.meet(&host.known);
        }
        floor
    }

    /// Forgets what no question will be about: work below the floor, and actors that are neither
    /// alive nor named in a history. `events` are what events know, `others` what somebody else does, `kept` is the size
    /// of the histories.
    pub(in super::super) fn prune<'a>(
        &mut self,
        floor: &Clock,
        named: &BTreeSet<Actor>,
        events: impl Iterator<Item = &'a mut Moment>,
        others: impl Iterator<Item = &'a mut Arc<Clock>>,
        kept: usize,
    ) {
        let Self { streams, contexts, hosts, messages, values, .. } = self;
        let matters = |actor| named.contains(&actor) || streams.contains_key(&actor);
        let mut pruned = Pruned { by_address: BTreeMap::new(), kept };
        for host in hosts.values_mut() {
            Arc::make_mut(&mut host.known).retain(|actor, _| matters(actor));
            pruned.kept += host.known.len();
        }
        let live: BTreeSet<Actor> = streams.keys().copied().collect();
        let keep = |actor, count| count > floor.count_of(actor) && (named.contains(&actor) || live.contains(&actor));
        let mut moments: Vec<&mut Moment> = events.collect();
        moments.extend(messages.values_mut().map(|message| &mut message.moment));
        for moment in moments {
            if moment.is_in(floor) {
                moment.others = Arc::default();
            }
            pruned.prune(&mut moment.others, keep);
        }
        let of_contexts = contexts.values_mut().flat_map(|context| [&mut context.ended, &mut context.ended_and_listed]);
        let of_streams = streams.values_mut().map(|stream| &mut stream.others);
        for clock in of_streams.chain(of_contexts).chain(values.values_mut()) {
            pruned.prune(clock, keep);
        }
        others.for_each(|clock| pruned.prune(clock, keep));
        self.kept = pruned.kept;
        self.growth = 0;
    }
}

/// Clocks without what is superfluous. What shared one goes on sharing it.
struct Pruned {
    /// Each with the one that it came from, which keeps its address until the end.
    by_address: BTreeMap<usize, [Arc<Clock>; 2]>,
    kept: usize,
}

impl Pruned {
    fn prune(&mut self, clock: &mut Arc<Clock>, keep: impl Fn(Actor, u64) -> bool) {
        let kept = &mut self.kept;
        let [_, new] = self.by_address.entry(Arc::as_ptr(clock).addr()).or_insert_with(|| {
            let mut new = Clock::clone(clock);
            new.retain(keep);
            *kept += new.len();
            [Arc::clone(clock), Arc::new(new)]
        });
        *clock = Arc::clone(new);
    }
}
