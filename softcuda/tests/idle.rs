//! What is left when nothing is to be done. One test: the counts are the process's.

mod support;

use softcuda::{Live, Schedule, Scope};

use cudarc::driver::{DriverError, sys};
use support::{Hold, context};

#[test]
fn an_idle_driver_has_no_thread_and_a_dropped_program_leaves_nothing() -> Result<(), DriverError> {
    // Once as the environment says.
    program()?;
    // Each takes Miri ten seconds.
    let others = if cfg!(miri) { 1..2 } else { 0..3 };
    for schedule in &[Schedule::Plain, Schedule::Lazy, Schedule::Seeded(1)][others] {
        Scope::PROCESS.set_schedule(*schedule);
        program()?;
    }
    Ok(())
}

fn program() -> Result<(), DriverError> {
    let context = context(0);
    assert_eq!(softcuda::live(), Live { contexts: 1, ..Live::default() });
    let streams = [context.new_stream()?, context.new_stream()?];
    let event = context.new_event(None)?;
    let data = streams[0].alloc_zeros::<u8>(100)?;
    streams[0].synchronize()?;
    assert_eq!(softcuda::live(), Live { streams: 2, events: 1, allocations: 1, contexts: 1, ..Live::default() });

    let holds = streams.each_ref().map(Hold::new);
    event.record(&streams[0])?;
    while softcuda::live().threads < 2 {
        // Asking lets the holds begin under every schedule.
        for stream in &streams {
            // SAFETY: the stream is alive.
            assert_eq!(unsafe { sys::cuStreamQuery(stream.cu_stream()) }, sys::CUresult::CUDA_ERROR_NOT_READY);
        }
    }
    assert_eq!(softcuda::live().threads, 2);
    // Each frees pinned memory, which waits for all work.
    holds.iter().for_each(Hold::release);
    drop(holds);
    event.synchronize()?;
    assert_eq!(softcuda::live().threads, 0);

    drop((data, event));
    // The memory is freed in the order of its stream.
    streams[0].synchronize()?;
    drop(streams);
    assert_eq!(softcuda::live(), Live { contexts: 1, ..Live::default() });
    drop(context);
    assert_eq!(softcuda::live(), Live::default());
    assert_eq!(softcuda::reports(), []);
    Ok(())
}
