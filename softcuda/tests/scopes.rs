//! Scopes: tests of one process that do not see each other.

mod support;

use std::panic::catch_unwind;
use std::ptr::with_exposed_provenance_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaContext, DriverError, result};
use softcuda::{Kernel, Live, Schedule, Scope, Topic, inject, live, live_on, reports};
use support::planted::{PROGRAMS, Pace, Program, run};
use support::world::{World, busy, host_function, non_blocking, unseen};
use support::{ONE, context, kernel};

const OUT_OF_MEMORY: u32 = 2;
const REFUSED: Result<(), DriverError> = Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY));

fn create(context: &Arc<CudaContext>) -> Result<(), DriverError> {
    context.new_event(None).map(drop)
}

/// Queries a stream that was destroyed, which is reported.
fn misuse() {
    let stream = result::stream::create(result::stream::StreamKind::NonBlocking).expect("a stream");
    // SAFETY: alive, and not used any more but by the query below.
    unsafe { result::stream::destroy(stream) }.expect("the stream is destroyed");
    // SAFETY: the software driver refuses what is not alive.
    assert_eq!(unsafe { sys::cuStreamQuery(stream) }, CUresult::CUDA_ERROR_INVALID_HANDLE);
}

#[test]
fn threads_in_scopes_of_their_own_do_not_see_each_other() {
    let step = Barrier::new(2);
    let lazy = || {
        let context = context(0);
        let _scope = Scope::enter().scheduled(Schedule::Lazy);
        let _failure = inject("cuEventCreate", OUT_OF_MEMORY).after(1).in_scope();
        let stream = context.new_stream()?;
        let event = stream.record_event(None)?;
        step.wait();
        assert_eq!(event.try_is_complete(), Ok(false));
        assert_eq!((live().streams, live().events), (1, 1));
        step.wait();
        assert_eq!(reports(), [], "the other thread's");
        step.wait();
        assert_eq!(create(&context), REFUSED);
        stream.synchronize()
    };
    let plain = || {
        let context = context(0);
        let scope = Scope::enter().scheduled(Schedule::Plain);
        let event = context.new_stream()?.record_event(None)?;
        step.wait();
        assert_eq!(event.try_is_complete(), Ok(true));
        assert_eq!((live().streams, live().events), (0, 1));
        misuse();
        step.wait();
        assert_eq!(scope.scope().take_reports().len(), 1);
        assert_eq!([create(&context), create(&context), create(&context)], [Ok(()); 3]);
        step.wait();
        Ok::<_, DriverError>(())
    };
    thread::scope(|threads| {
        let others = threads.spawn(plain);
        assert_eq!(lazy(), Ok(()));
        assert_eq!(others.join().expect("it passes"), Ok(()));
    });
    assert_eq!(reports(), []);
}

#[test]
fn a_thread_that_joins_shares_the_scope() -> Result<(), DriverError> {
    let context = context(0);
    let entered = Scope::enter().scheduled(Schedule::Lazy);
    let scope = entered.scope();
    let _failure = inject("cuEventCreate", OUT_OF_MEMORY).after(2).in_scope();
    create(&context)?;
    let event = thread::scope(|threads| {
        let joined = || {
            let _joined = scope.join();
            context.bind_to_thread()?;
            create(&context)?;
            assert_eq!(create(&context), REFUSED);
            misuse();
            context.new_stream()?.record_event(None)
        };
        threads.spawn(joined).join().expect("no panic")
    })?;
    assert_eq!(event.try_is_complete(), Ok(false), "it was enqueued in the lazy scope");
    assert_eq!(live().events, 1);
    assert_eq!(reports().len(), 1);
    event.synchronize()
}

#[test]
fn a_report_says_what_it_is_about_and_how_often_it_was_made() {
    let context = context(0);
    let scope = Scope::enter();
    let stream = result::stream::create(result::stream::StreamKind::NonBlocking).expect("a stream");
    // SAFETY: alive, and not used any more but by the queries below.
    unsafe { result::stream::destroy(stream) }.expect("the stream is destroyed");
    for _ in 0..3 {
        // SAFETY: the software driver refuses what is not alive.
        assert_eq!(unsafe { sys::cuStreamQuery(stream) }, CUresult::CUDA_ERROR_INVALID_HANDLE);
    }
    let reports = scope.scope().take_reports();
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((report.topic(), report.times()), (Topic::Handle, 3));
    assert!(report.text().starts_with("cuStreamQuery: stream ") && report.text().ends_with(" was destroyed"), "{report}");
    assert_eq!(report.to_string(), format!("{} (3 times)", report.text()));
    assert_eq!(scope.scope().reports(), [], "they were taken");
    drop(context);
}

#[test]
fn what_work_reports_is_for_who_enqueued_it() -> Result<(), DriverError> {
    let context = context(1);
    let entered = Scope::enter().scheduled(Schedule::Lazy);
    let scope = entered.scope();
    Kernel::new("trap", []).run(|launch| launch.fail(719)).register();
    let stream = context.new_stream()?;
    let kernel = kernel(&context, "trap")?;
    // SAFETY: the kernel has no parameters.
    unsafe { stream.launch_builder(&kernel).launch(ONE) }?;
    thread::scope(|threads| {
        // The fault is the scope's, and this thread is not in it.
        threads.spawn(|| assert_eq!(stream.synchronize(), Ok(())));
    });
    assert_eq!(stream.synchronize(), Err(DriverError(CUresult::CUDA_ERROR_LAUNCH_FAILED)));
    let reports = scope.take_reports();
    assert_eq!(reports.iter().map(softcuda::Report::topic).collect::<Vec<_>>(), [Topic::Fault], "{reports:?}");
    assert_eq!(Scope::PROCESS.reports(), []);
    Ok(())
}

/// There is nobody left whose calls could say so.
#[test]
fn a_kernel_that_fails_after_the_end_of_its_scope_is_only_reported() -> Result<(), DriverError> {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static MAY_FAIL: AtomicBool = AtomicBool::new(false);
    let context = context(0);
    let stream = context.new_stream()?;
    let entered = Scope::enter().scheduled(Schedule::Plain);
    Kernel::new("illegal", [])
        .run(|launch| {
            BEGUN.store(true, Ordering::Release);
            while !MAY_FAIL.load(Ordering::Acquire) {
                thread::yield_now();
            }
            launch.fail(700);
        })
        .register();
    let kernel = kernel(&context, "illegal")?;
    for _ in 0..2 {
        // SAFETY: the kernel has no parameters.
        unsafe { stream.launch_builder(&kernel).launch(ONE) }?;
    }
    while !BEGUN.load(Ordering::Acquire) {
        thread::yield_now();
    }
    drop(entered);
    assert_eq!(live().threads, 1, "the process's now");
    MAY_FAIL.store(true, Ordering::Release);
    stream.synchronize()?;
    context.new_stream()?.clone_htod(&[1_u8])?;
    let reports = Scope::PROCESS.take_reports();
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((report.topic(), report.times()), (Topic::Fault, 1), "{report}");
    Ok(())
}

/// A copy to page-locked memory that the host reads.
fn read_by_the_host() -> &'static Program {
    PROGRAMS.iter().find(|program| program.by_host && !program.waits).expect("such a program")
}

#[test]
fn a_scope_knows_what_another_has_waited_for_once_that_is_handed_over() {
    let context = context(0);
    let here = Scope::enter();
    // The reports of a program that a thread of another scope waits for; `last` is called after the end of that.
    let reports = |hand_over: fn(Scope, Scope), last: fn(Scope, Scope)| {
        run(read_by_the_host(), &World::of(&context, non_blocking), Pace::Any, |world| {
            let ((tell, told), (end, ended)) = (channel(), channel::<()>());
            let (here, first) = (here.scope(), &world.first);
            let there = thread::scope(|threads| {
                threads.spawn(move || {
                    let there = Scope::enter();
                    first.synchronize().expect("a wait");
                    tell.send(there.scope()).expect("the test waits");
                    ended.recv().expect_err("nothing is sent");
                });
                let there = told.recv().expect("it is sent");
                hand_over(here, there);
                drop(end);
                there
            });
            last(here, there);
        });
        here.scope().take_reports().len()
    };
    let nothing = |_, _| ();
    assert_eq!(reports(nothing, nothing), 1);
    assert_eq!(reports(|here, there| there.learn_from(here), nothing), 1, "the other way");
    assert_eq!(reports(Scope::learn_from, nothing), 0);
    assert_eq!(reports(nothing, Scope::learn_from), 0, "the process has what a scope leaves");
    let refused = |here, there: Scope| drop(catch_unwind(|| there.learn_from(here)).expect_err("it has ended"));
    assert_eq!(reports(nothing, refused), 1);
}

#[test]
fn what_a_host_function_learns_after_the_end_of_its_scope_the_process_knows() {
    let context = context(0);
    let world = World::of(&context, non_blocking);
    let entered = Scope::enter().scheduled(Schedule::Plain);
    run(read_by_the_host(), &world, Pace::Any, |world| {
        let held = busy(&world.second);
        let (tell, told) = channel();
        let event = world.mark.cu_event().expose_provenance();
        host_function(&world.second, move || {
            // SAFETY: the event outlives the work of this function's stream.
            tell.send(unsafe { sys::cuEventQuery(with_exposed_provenance_mut(event)) }).expect("the test waits");
        });
        drop(entered);
        let first = &world.first;
        unseen(|| first.synchronize());
        drop(held);
        assert_eq!(told.recv(), Ok(CUresult::CUDA_SUCCESS));
    });
    assert_eq!(reports(), []);
}

#[test]
fn what_a_scope_leaves_is_the_processs() -> Result<(), DriverError> {
    let context = context(0);
    let in_process = || {
        let _process = Scope::PROCESS.join();
        let Live { streams, events, allocations, .. } = live_on(0);
        [streams, events, allocations]
    };
    let before = in_process();
    let entered = Scope::enter();
    assert_eq!(live(), Live::default());
    let stream = context.new_stream()?;
    let event = context.new_event(None)?;
    let data = stream.alloc_zeros::<u8>(1)?;
    stream.synchronize()?;
    let made = Live { streams: 1, events: 1, allocations: 1, ..Live::default() };
    assert_eq!((live(), live_on(0), live_on(1)), (made, made, Live::default()));
    assert_eq!(in_process(), before);
    drop(entered);
    assert_eq!(in_process(), before.map(|count| count + 1));
    drop((data, event));
    // The memory is freed in the order of its stream.
    stream.synchronize()?;
    drop(stream);
    assert_eq!(in_process(), before);
    Ok(())
}

#[test]
fn a_scope_ends_with_its_injections_and_cannot_be_joined_any_more() -> Result<(), DriverError> {
    let context = context(0);
    let entered = Scope::enter();
    let scope = entered.scope();
    let failure = inject("cuEventCreate", OUT_OF_MEMORY).in_scope();
    let inner = Scope::enter();
    create(&context)?;
    drop(inner);
    assert_eq!(Scope::current(), scope);
    drop(entered);
    assert_eq!(Scope::current(), Scope::PROCESS);
    create(&context)?;
    drop(failure);
    catch_unwind(|| scope.join()).expect_err("it has ended");
    assert_eq!(Scope::PROCESS.join().scope(), Scope::PROCESS);
    Ok(())
}
