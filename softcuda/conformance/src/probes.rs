//! The probe list, by subject. Its order is that of a recording.

use crate::probe::Probe;

mod context;
mod device;
mod elapsed;
mod event;
mod fault;
mod held;
mod host_functions;
mod init;
mod launch;
mod legacy;
mod memory;
mod module;
mod primary;
mod stale;
mod stream;
mod two;
mod wait;
mod without_context;

/// All probes.
pub(crate) fn list() -> impl Iterator<Item = &'static Probe> {
    let subjects: [&'static [Probe]; 21] = [
        init::PROBES,
        device::PROBES,
        primary::PROBES,
        context::PROBES,
        without_context::PROBES,
        stream::PROBES,
        legacy::PROBES,
        event::PROBES,
        wait::PROBES,
        elapsed::PROBES,
        memory::PROBES,
        held::PROBES,
        module::PROBES,
        launch::PROBES,
        host_functions::PROBES,
        two::PROBES,
        &stale::DESTROYED,
        &stale::RESET,
        &stale::REBORN,
        &stale::RELEASED,
        fault::PROBES,
    ];
    subjects.into_iter().flatten()
}

/// The probe of that name.
pub(crate) fn find(name: &str) -> Option<&'static Probe> {
    list().find(|probe| probe.name == name)
}
