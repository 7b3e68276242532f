//! Slices of cudarc on streams of ours: ordered where cudarc knows of the streams, reported where it does not.

use std::error::Error;
use std::sync::{Arc, Mutex};

use cuda_streams::{IpcMemory, Stream};
use cudarc::driver::{CudaContext, CudaStream, DriverError};
use softcuda::{Schedule, Scope, Topic};

use crate::common::{device, streams};
use crate::settle::settle;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const SCHEDULES: [Schedule; 5] = [Schedule::Plain, Schedule::Lazy, Schedule::Seeded(1), Schedule::Seeded(2), Schedule::Seeded(3)];

/// How cudarc comes to a stream of ours.
type Under = fn(&Stream, &Arc<CudaContext>) -> Arc<CudaStream>;

fn lent(stream: &Stream, cudarc: &Arc<CudaContext>) -> Arc<CudaStream> {
    stream.to_cudarc(cudarc).expect("cudarc orders its slices")
}

/// As it was before `to_cudarc`: cudarc does not count what it borrows, and so orders nothing.
fn borrowed(stream: &Stream, cudarc: &Arc<CudaContext>) -> Arc<CudaStream> {
    // SAFETY: the stream outlives the program. That nobody orders the slices is what the reports are to say.
    unsafe { cudarc.wrap_borrowed_stream(stream.as_raw().cast()) }
}

/// A program of two streams. Between two accesses that only cudarc orders it calls the last argument.
type Program = fn(&Arc<CudaStream>, &Arc<CudaStream>, Between) -> std::result::Result<(), DriverError>;

/// What happens between two accesses, of which the first is on the stream.
type Between = fn(&CudaStream);

/// Nothing: cudarc orders them.
fn nothing(_: &CudaStream) {}

/// Where nobody orders the accesses, the bytes would race as well, which the sanitizers see where the driver is bound at
/// link time.
fn settled(stream: &CudaStream) {
    if cfg!(softcuda_linked) {
        settle(&stream);
    }
}

/// Each with what is said of it where nothing orders it.
const PROGRAMS: [(&str, Program, &[&str]); 3] = [
    ("written on one, read on the other", written_and_read, &["cuMemcpyDtoDAsync_v2: the read of", "is not ordered after the write of"]),
    ("dropped on one, read on the other", dropped_after_a_read, &["cuMemFreeAsync: ", "is not ordered after the read of"]),
    ("read on one, written on the other", read_and_written, &["cuMemcpyDtoDAsync_v2: the write of", "is not ordered after the read of"]),
];

fn written_and_read(first: &Arc<CudaStream>, second: &Arc<CudaStream>, between: Between) -> std::result::Result<(), DriverError> {
    let (source, mut target) = (first.alloc_zeros::<u32>(64)?, second.alloc_zeros::<u32>(64)?);
    between(first);
    second.memcpy_dtod(&source, &mut target)?;
    second.synchronize()?;
    drop(source);
    drop(target);
    first.synchronize()
}

fn dropped_after_a_read(first: &Arc<CudaStream>, second: &Arc<CudaStream>, between: Between) -> std::result::Result<(), DriverError> {
    let (source, mut target) = (first.alloc_zeros::<u32>(64)?, second.alloc_zeros::<u32>(64)?);
    first.synchronize()?;
    second.memcpy_dtod(&source, &mut target)?;
    between(second);
    drop(source);
    first.synchronize()?;
    second.synchronize()
}

fn read_and_written(first: &Arc<CudaStream>, second: &Arc<CudaStream>, between: Between) -> std::result::Result<(), DriverError> {
    let (mut source, other) = (first.alloc_zeros::<u32>(64)?, second.alloc_zeros::<u32>(64)?);
    let mut target = second.alloc_zeros::<u32>(64)?;
    first.synchronize()?;
    second.synchronize()?;
    second.memcpy_dtod(&source, &mut target)?;
    between(second);
    first.memcpy_dtod(&other, &mut source)?;
    second.synchronize()?;
    first.synchronize()
}

/// Runs a program under cudarc in a scope of its own; returns what is reported.
fn reports_of(program: Program, under: Under, between: Between, schedule: Schedule) -> Result<Vec<String>> {
    let _scope = Scope::enter().scheduled(schedule);
    let (ours, cudarc) = (streams::<2>(), CudaContext::new(device().ordinal() as usize)?);
    let [first, second] = ours.each_ref().map(|stream| under(stream, &cudarc));
    program(&first, &second, between)?;
    cudarc.synchronize()?;
    drop((first, second));
    drop(ours);
    cudarc.synchronize()?;
    let reports = Scope::current().take_reports();
    assert!(reports.iter().all(|report| report.topic() == Topic::Race), "{reports:?}");
    Ok(reports.iter().map(ToString::to_string).collect())
}

/// Made, and waited for, before any scope is entered.
fn prepare() {
    device().context().expect("the primary context");
}

#[test]
fn slices_on_lent_streams_are_ordered_in_every_schedule() -> Result {
    prepare();
    for (name, program, _) in PROGRAMS {
        for schedule in SCHEDULES {
            assert_eq!(reports_of(program, lent, nothing, schedule)?, Vec::<String>::new(), "{name}, {schedule:?}");
        }
    }
    Ok(())
}

/// Else the test above would show nothing.
#[test]
fn slices_on_borrowed_streams_are_reported_in_every_schedule() -> Result {
    prepare();
    for (name, program, words) in PROGRAMS {
        for schedule in SCHEDULES {
            let reports = reports_of(program, borrowed, settled, schedule)?;
            assert_eq!(reports.len(), 1, "{name}, {schedule:?}: {reports:#?}");
            assert!(words.iter().all(|word| reports[0].contains(word)), "{name}, {schedule:?}: {}", reports[0]);
        }
    }
    Ok(())
}

/// A stream that cudarc counts makes it order the borrowed ones too: that is all that `to_cudarc` adds for them.
#[test]
fn one_stream_of_cudarcs_own_is_what_makes_it_order_slices() -> Result {
    static OWN: Mutex<Vec<Arc<CudaStream>>> = Mutex::new(Vec::new());
    prepare();
    let with_one_of_its_own: Under = |stream, cudarc| {
        OWN.lock().expect("no panic yet").push(cudarc.new_stream().expect("a stream of cudarc"));
        borrowed(stream, cudarc)
    };
    for (name, program, _) in PROGRAMS {
        assert_eq!(reports_of(program, with_one_of_its_own, nothing, Schedule::Plain)?, Vec::<String>::new(), "{name}");
    }
    Ok(())
}

/// As it is by [`Stream::to_cudarc`].
#[test]
fn shared_memory_makes_cudarc_order_what_it_has_on_borrowed_streams() -> Result {
    prepare();
    for schedule in SCHEDULES {
        let _scope = Scope::enter().scheduled(schedule);
        let (ours, cudarc) = (streams::<2>(), CudaContext::new(device().ordinal() as usize)?);
        let [first, second] = ours.each_ref().map(|stream| borrowed(stream, &cudarc));
        let mut memory = IpcMemory::new(device(), 1)?.into_cudarc::<u32>(&first, 64).map_err(|(_, error)| error)?;
        first.memset_zeros(&mut memory.as_view_mut())?;
        second.memset_zeros(&mut memory.as_view_mut())?;
        memory.close()?;
        assert_eq!(Scope::current().take_reports(), [], "{schedule:?}");
        cudarc.synchronize()?;
    }
    Ok(())
}

/// cudarc's own streams and ours, either way.
#[test]
fn slices_between_their_streams_and_ours_are_ordered_in_every_schedule() -> Result {
    prepare();
    for schedule in SCHEDULES {
        for swap in [false, true] {
            for (name, program, _) in PROGRAMS {
                let _scope = Scope::enter().scheduled(schedule);
                let ([ours], cudarc) = (streams(), CudaContext::new(device().ordinal() as usize)?);
                let (lent, own) = (ours.to_cudarc(&cudarc)?, cudarc.new_stream()?);
                let (first, second) = if swap { (&own, &lent) } else { (&lent, &own) };
                program(first, second, nothing)?;
                cudarc.synchronize()?;
                assert_eq!(Scope::current().take_reports(), [], "{name}, {schedule:?}, swapped: {swap}");
            }
        }
    }
    Ok(())
}

/// cudarc has recorded nothing of slices that it used before it had two streams; and where the second comes of
/// `fork`, it does not wait either.
#[test]
fn slices_that_were_used_before_are_ordered_in_every_schedule() -> Result {
    prepare();
    for schedule in SCHEDULES {
        for fork in [false, true] {
            let _scope = Scope::enter().scheduled(schedule);
            let ([ours], cudarc) = (streams(), CudaContext::new(device().ordinal() as usize)?);
            let default = cudarc.default_stream();
            let source = default.alloc_zeros::<u32>(64)?;
            let forked = fork.then(|| default.fork()).transpose()?;
            let lent = ours.to_cudarc(&cudarc)?;
            let mut target = lent.alloc_zeros::<u32>(64)?;
            lent.memcpy_dtod(&source, &mut target)?;
            drop(source);
            cudarc.synchronize()?;
            drop((target, forked));
            cudarc.synchronize()?;
            assert_eq!(Scope::current().take_reports(), [], "{schedule:?}, forked: {fork}");
        }
    }
    Ok(())
}
