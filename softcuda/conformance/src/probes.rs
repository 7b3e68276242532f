//! The probe list, by subject. Its order is that of a recording.

use crate::probe::Probe;

mod callbacks;
mod capture;
mod capture_calls;
mod capture_info;
mod capture_made;
mod capture_modes;
mod capture_streams;
mod captured_events;
mod captured_host_functions;
mod context;
mod copies;
mod device;
mod elapsed;
mod event;
mod fault;
mod fault_calls;
mod fork;
mod fork_graphs;
mod gone;
mod graph;
mod graph_events;
mod graph_launch;
mod graph_modules;
mod graph_nodes;
mod graph_waits;
mod green;
mod green_streams;
mod held;
mod host_functions;
mod host_memory;
mod init;
mod inside;
mod interprocess;
mod ipc;
mod ipc_graphs;
mod ipc_peers;
mod launch;
mod legacy;
mod limits;
mod managed;
mod memory;
mod memsets;
mod module;
mod pointers;
mod pools;
mod precedence;
mod primary;
mod stale;
mod stream;
mod two;
mod two_graphs;
mod two_memory;
mod user_object;
mod value;
mod value_arguments;
mod wait;
mod without_context;

/// Which probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probes {
    /// Those that the goldens hold.
    Recorded,
    /// Those that came since a machine for them was to be had. A new golden holds them too; with it they go to
    /// the others, behind them.
    Unrecorded,
    /// Both.
    All,
}

impl Probes {
    /// These probes, in order.
    pub(crate) fn list(self) -> impl Iterator<Item = &'static Probe> {
        let (old, new) = (self != Self::Unrecorded, self != Self::Recorded);
        recorded().filter(move |_| old).chain(unrecorded().filter(move |_| new))
    }
}

fn unrecorded() -> impl Iterator<Item = &'static Probe> {
    let subjects: [&'static [Probe]; 0] = [];
    subjects.into_iter().flatten()
}

fn recorded() -> impl Iterator<Item = &'static Probe> {
    let subjects: [&'static [Probe]; 63] = [
        init::PROBES,
        device::PROBES,
        primary::PROBES,
        context::PROBES,
        without_context::PROBES,
        precedence::PROBES,
        limits::PROBES,
        stream::PROBES,
        legacy::PROBES,
        event::PROBES,
        wait::PROBES,
        value::PROBES,
        value_arguments::PROBES,
        elapsed::PROBES,
        memory::PROBES,
        host_memory::PROBES,
        pools::PROBES,
        managed::PROBES,
        pointers::PROBES,
        memsets::PROBES,
        copies::PROBES,
        held::PROBES,
        module::PROBES,
        launch::PROBES,
        host_functions::PROBES,
        inside::PROBES,
        two::PROBES,
        two_memory::PROBES,
        gone::PROBES,
        &stale::DESTROYED,
        &stale::RESET,
        &stale::REBORN,
        &stale::RELEASED,
        fault::PROBES,
        fault_calls::PROBES,
        fork::PROBES,
        ipc::PROBES,
        ipc_peers::PROBES,
        green::PROBES,
        green_streams::PROBES,
        capture::PROBES,
        capture_streams::PROBES,
        capture_info::PROBES,
        capture_calls::HERE,
        capture_calls::ELSEWHERE,
        capture_calls::MODULES,
        capture_modes::PROBES,
        capture_modes::MATRIX,
        captured_events::PROBES,
        graph::PROBES,
        graph_nodes::PROBES,
        graph_launch::PROBES,
        graph_events::PROBES,
        graph_waits::PROBES,
        graph_modules::PROBES,
        user_object::PROBES,
        captured_host_functions::PROBES,
        callbacks::PROBES,
        ipc_graphs::PROBES,
        two_graphs::PROBES,
        fork_graphs::PROBES,
        interprocess::ELSEWHERE,
        interprocess::HERE,
    ];
    subjects.into_iter().flatten()
}

/// The probe of that name.
pub(crate) fn find(name: &str) -> Option<&'static Probe> {
    Probes::All.list().find(|probe| probe.name == name)
}
