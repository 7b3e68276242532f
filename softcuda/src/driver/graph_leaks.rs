//! What a scope leaves behind of captures, graphs, executables and user objects.

use super::graphs::Graphs;
use super::raw::Topic;
use super::report;
use super::scope::ScopeId;
use super::state::State;

/// How many of each kind.
struct Left {
    captures: usize,
    graphs: usize,
    executables: usize,
    user_objects: usize,
}

impl State {
    /// Graphs of a scope that no capture adds to.
    pub(super) fn count_graphs(&self, scope: ScopeId) -> usize {
        self.graphs.all.values().filter(|graph| graph.scope == scope && !graph.in_capture).count()
    }

    pub(super) fn count_executables(&self, scope: ScopeId) -> usize {
        self.graphs.executables.values().filter(|executable| executable.scope == scope).count()
    }

    /// But for those that launches alone keep, of executables that are gone: when these end is not up to the program.
    pub(super) fn count_user_objects(&self, scope: ScopeId) -> usize {
        let Graphs { objects, in_flight, .. } = &self.graphs;
        let launched = |serial| in_flight.iter().filter_map(|(_, references)| references.get(serial)).sum::<u64>();
        let counted =
            objects.iter().filter(|(serial, object)| object.scope == scope && (object.owned != 0 || object.shared > launched(serial)));
        counted.count()
    }

    /// A scope ends. Nobody ends its captures any more; what else it leaves is the heir's, who is told of it if
    /// `is_told`.
    pub(super) fn end_graphs_of_scope(&mut self, scope: ScopeId, heir: ScopeId, is_told: bool) {
        let captures = self.abandon_captures_of(scope);
        if is_told {
            let left = Left {
                captures,
                graphs: self.count_graphs(scope),
                executables: self.count_executables(scope),
                user_objects: self.count_user_objects(scope),
            };
            left.report();
        }
        let graphs = self.graphs.all.values_mut().map(|graph| &mut graph.scope);
        let executables = self.graphs.executables.values_mut().map(|executable| &mut executable.scope);
        let objects = self.graphs.objects.values_mut().map(|object| &mut object.scope);
        for owner in graphs.chain(executables).chain(objects).filter(|owner| **owner == scope) {
            *owner = heir;
        }
    }
}

impl Left {
    fn report(&self) {
        let kinds = [
            (self.captures, "capture"),
            (self.graphs, "graph"),
            (self.executables, "executable graph"),
            (self.user_objects, "user object"),
        ];
        let left = kinds.iter().filter(|(count, _)| *count > 0);
        let left: Vec<String> = left.map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" })).collect();
        if let [objects @ .., last] = left.as_slice() {
            let objects = if objects.is_empty() { last.clone() } else { format!("{} and {last}", objects.join(", ")) };
            report::add(Topic::Leak, format_args!("a scope ended with {objects} in it"));
        }
    }
}
