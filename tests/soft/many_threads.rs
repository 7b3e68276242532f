//! That `tests/many_threads.rs` sees what it is to see: its threads, one after the other, on a driver that forgets.

#[path = "../many_threads/actor.rs"]
mod actor;
#[path = "../many_threads/cells.rs"]
mod cells;
#[allow(dead_code, reason = "has more than is used here")]
#[path = "../capture_random/random.rs"]
mod random;

use cuda_streams::Result;
use softcuda::{Report, Schedule, Scope, Topic, inject};

use crate::common::device;
// A kernel is registered once.
use crate::graph_example::kernel;
use actor::{Actor, World};

const OPERATIONS: usize = 300;

/// The reports of a run in which this thread's wait of that number did nothing.
fn reports_without(wait: u64) -> Result<Vec<Report>> {
    let device = device();
    device.context()?;
    // Work is done late, so that it is not by chance that what comes too early comes late enough.
    let scope = Scope::enter().scheduled(Schedule::Lazy);
    let world = World::new(device)?;
    // It answers success.
    let forgotten = inject("cuStreamWaitEvent", 0).after(wait);
    Actor::new(&world, 7).act_often(OPERATIONS)?;
    drop(forgotten);
    let reports = scope.scope().take_reports();
    if reports.is_empty() {
        world.check()?;
    }
    Ok(reports)
}

#[test]
fn a_wait_that_is_forgotten_is_reported() -> Result<()> {
    assert_eq!(reports_without(u64::MAX)?, []);
    let mut found = 0;
    for wait in (0..200).step_by(10) {
        let reports = reports_without(wait)?;
        assert!(reports.iter().all(|report| report.topic() == Topic::Race), "{reports:#?}");
        found += usize::from(!reports.is_empty());
    }
    // Others wait for nothing, or for what something else waits for too.
    assert!(found > 0, "none is missed");
    Ok(())
}
