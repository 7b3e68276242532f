//! Programs of several threads, each run in thousands of orders of its threads and of the driver's.
//!
//! A wake-up that is lost is a deadlock, which shuttle reports with the order that led to it.

mod calls;

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use calls::{Shared, Stream, call, context, event, stream, with_context};
use explore::driver::raw::{RawAccess, RawKernel, RawLaunch};
use explore::driver::{self, codes};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::{check_pct, check_random, thread};

/// Orders of each program, with each of the two ways to choose them.
const RANDOM: usize = 4_000;
const PCT: usize = 4_000;
/// How many places of a run PCT changes its mind in.
const DEPTH: usize = 3;

/// Runs a program in many orders, under each schedule.
fn explore(program: fn()) {
    use driver::raw::{SCHEDULE_LAZY, SCHEDULE_PLAIN, SCHEDULE_SEEDED};
    for (schedule, part) in [(SCHEDULE_PLAIN, 1), (SCHEDULE_LAZY, 2), (SCHEDULE_SEEDED, 2)] {
        let run = move || {
            call!(cuInit(0));
            // SAFETY: takes numbers.
            assert_eq!(unsafe { driver::softcuda_set_schedule(0, schedule, thread_rng().r#gen()) }, 0);
            program();
            assert_eq!(threads(), 0, "the driver is idle");
        };
        check_random(run, RANDOM / part);
        check_pct(run, PCT / part, DEPTH);
    }
}

/// How many threads the driver has.
fn threads() -> u64 {
    // SAFETY: takes numbers.
    unsafe { driver::softcuda_live(driver::raw::LIVE_THREADS, 0, driver::raw::ALL_DEVICES) }
}

/// What host functions do: each notes its number, and that no other runs beside it.
#[derive(Default)]
struct Notes {
    order: Mutex<Vec<usize>>,
    running: AtomicUsize,
}

fn note(stream: Stream, notes: &Arc<Notes>, number: usize) {
    unsafe extern "C" fn push(note: *mut c_void) {
        // SAFETY: `note` passes a box, and the driver calls once.
        let (notes, number) = *unsafe { Box::from_raw(note.cast::<(Arc<Notes>, usize)>()) };
        assert_eq!(notes.running.fetch_add(1, Ordering::SeqCst), 0, "two host functions of a context at a time");
        thread::yield_now();
        notes.order.lock().unwrap().push(number);
        notes.running.fetch_sub(1, Ordering::SeqCst);
    }
    let note: Box<(Arc<Notes>, usize)> = Box::new((notes.clone(), number));
    call!(cuLaunchHostFunc(stream, Some(push), Box::into_raw(note).cast()));
}

/// The order of all notes, of which there are so many.
fn noted(notes: &Notes, count: usize) -> Vec<usize> {
    let order = notes.order.lock().unwrap().clone();
    assert_eq!(order.len(), count, "{order:?}");
    order
}

fn assert_before(order: &[usize], first: usize, second: usize) {
    let place = |number| order.iter().position(|noted| *noted == number);
    assert!(place(first) < place(second), "{second} ran before {first}: {order:?}");
}

#[test]
fn streams_wait_for_each_other() {
    explore(|| {
        let context = context();
        let (producer, consumer, event, notes) = (Shared(stream(1)), Shared(stream(1)), Shared(event()), Arc::new(Notes::default()));
        note(producer.0, &notes, 0);
        call!(cuEventRecord(event.0, producer.0));
        let other = with_context(context, {
            let notes = notes.clone();
            move || {
                let (consumer, event) = (consumer, event);
                call!(cuStreamWaitEvent(consumer.0, event.0, 0));
                note(consumer.0, &notes, 1);
                call!(cuStreamSynchronize(consumer.0));
                assert_before(&notes.order.lock().unwrap(), 0, 1);
            }
        });
        note(producer.0, &notes, 2);
        call!(cuEventSynchronize(event.0));
        other.join().unwrap();
        call!(cuStreamSynchronize(producer.0));
        let order = noted(&notes, 3);
        assert_before(&order, 0, 2);
    });
}

#[test]
fn host_functions_take_turns() {
    explore(|| {
        let context = context();
        let notes = Arc::new(Notes::default());
        let threads = [0, 1].map(|thread| {
            let notes = notes.clone();
            with_context(context, move || {
                let stream = stream(1);
                note(stream, &notes, 2 * thread);
                note(stream, &notes, 2 * thread + 1);
                call!(cuStreamSynchronize(stream));
                call!(cuStreamDestroy_v2(stream));
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        let order = noted(&notes, 4);
        assert_before(&order, 0, 1);
        assert_before(&order, 2, 3);
    });
}

#[test]
fn the_legacy_stream_waits_and_is_waited_for() {
    explore(|| {
        let context = context();
        let (blocking, other, notes) = (Shared(stream(0)), Shared(stream(0)), Arc::new(Notes::default()));
        note(blocking.0, &notes, 0);
        note(ptr::null_mut(), &notes, 1);
        let thread = with_context(context, {
            let notes = notes.clone();
            move || {
                let other = other;
                note(other.0, &notes, 2);
                call!(cuStreamSynchronize(other.0));
                assert_before(&notes.order.lock().unwrap(), 1, 2);
            }
        });
        call!(cuStreamSynchronize(ptr::null_mut()));
        thread.join().unwrap();
        let order = noted(&notes, 3);
        assert_before(&order, 0, 1);
    });
}

/// Spins on the host until the flag is set.
unsafe extern "C" fn hold(flag: *mut c_void) {
    // SAFETY: the test's flag, which outlives the work.
    let flag = unsafe { &*flag.cast::<AtomicBool>() };
    while !flag.load(Ordering::SeqCst) {
        thread::yield_now();
    }
}

#[test]
fn held_work_is_waited_for_by_all() {
    explore(|| {
        let context = context();
        let (held, behind, event) = (Shared(stream(1)), Shared(stream(1)), Shared(event()));
        let flag = Arc::new(AtomicBool::new(false));
        call!(cuLaunchHostFunc(held.0, Some(hold), Arc::as_ptr(&flag).cast_mut().cast()));
        call!(cuEventRecord(event.0, held.0));
        call!(cuStreamWaitEvent(behind.0, event.0, 0));
        let waits: [fn(Shared, Shared); 2] = [
            |_, event| call!(cuEventSynchronize(event.0)),
            // Polling must end too.
            |behind, _| loop {
                // SAFETY: the stream is alive.
                match unsafe { driver::cuStreamQuery(behind.0) } {
                    codes::SUCCESS => return,
                    code => assert_eq!(code, codes::NOT_READY),
                }
                thread::yield_now();
            },
        ];
        let threads = waits.map(|wait| {
            let flag = flag.clone();
            with_context(context, move || {
                wait(behind, event);
                assert!(flag.load(Ordering::SeqCst), "it did not wait for the hold");
            })
        });
        flag.store(true, Ordering::SeqCst);
        for thread in threads {
            thread.join().unwrap();
        }
        call!(cuCtxSynchronize());
    });
}

#[test]
fn a_context_ends_while_others_wait() {
    explore(|| {
        let mut context = ptr::null_mut();
        call!(cuCtxCreate_v2(&raw mut context, 0, 0));
        let (stream, notes) = (Shared(stream(1)), Arc::new(Notes::default()));
        note(stream.0, &notes, 0);
        // Where the context is not made current: it may be gone by then.
        let waiter = thread::spawn(move || {
            let stream = stream;
            // SAFETY: a number; the driver refuses what is gone.
            let code = unsafe { driver::cuStreamSynchronize(stream.0) };
            assert!([codes::SUCCESS, codes::CONTEXT_IS_DESTROYED].contains(&code), "{code}");
        });
        call!(cuCtxDestroy_v2(context));
        noted(&notes, 1);
        waiter.join().unwrap();
    });
}

/// Registers a kernel that faults, and answers its handle in the current context.
fn trap() -> *mut c_void {
    unsafe extern "C" fn declare(_: *const c_void, _: *const RawLaunch, _: *mut RawAccess) -> usize {
        0
    }
    unsafe extern "C" fn fail(_: *const c_void, _: *const RawLaunch) -> u32 {
        thread::yield_now();
        codes::LAUNCH_FAILED
    }
    let name = c"trap".as_ptr();
    let kernel = RawKernel { name, param_count: 0, params: ptr::null(), user: ptr::null(), declare, run: fail };
    // SAFETY: the name is a constant, and the functions are.
    assert_eq!(unsafe { driver::softcuda_register_kernel(&raw const kernel) }, 0);
    let ptx = c".version 7.0\n.target sm_50\n.address_size 64\n.visible .entry trap() { ret; }";
    let (mut module, mut function) = (ptr::null_mut(), ptr::null_mut());
    call!(cuModuleLoadData(&raw mut module, ptx.as_ptr().cast()));
    call!(cuModuleGetFunction(&raw mut function, module, name));
    function
}

#[test]
fn a_fault_wakes_all_who_wait() {
    explore(|| {
        let context = context();
        let (faulty, held, function) = (Shared(stream(1)), Shared(stream(1)), trap());
        // Never set: the wait below is over because of the fault. The work is let end afterwards.
        let flag = Arc::new(AtomicBool::new(false));
        call!(cuLaunchHostFunc(held.0, Some(hold), Arc::as_ptr(&flag).cast_mut().cast()));
        let waiter = with_context(context, move || {
            let held = held;
            // SAFETY: the stream is alive.
            assert_eq!(unsafe { driver::cuStreamSynchronize(held.0) }, codes::LAUNCH_FAILED);
        });
        let none = ptr::null_mut();
        // SAFETY: the handles are alive; the kernel has no parameters.
        let code = unsafe { driver::cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, faulty.0, none, none) };
        assert_eq!(code, codes::SUCCESS);
        // SAFETY: the stream is alive.
        assert_eq!(unsafe { driver::cuStreamSynchronize(faulty.0) }, codes::LAUNCH_FAILED);
        waiter.join().unwrap();
        flag.store(true, Ordering::SeqCst);
        // The thread that spins goes by itself, and nothing can wait for it any more.
        while threads() > 0 {
            thread::yield_now();
        }
    });
}

#[test]
fn a_scope_that_ends_lets_its_work_go() {
    explore(|| {
        let context = context();
        let (stream, event, notes) = (Shared(stream(1)), Shared(event()), Arc::new(Notes::default()));
        let scope = with_context(context, {
            let notes = notes.clone();
            move || {
                let (stream, event) = (stream, event);
                // SAFETY: takes nothing.
                let scope = unsafe { driver::softcuda_begin_scope() };
                // SAFETY: takes numbers.
                assert_eq!(unsafe { driver::softcuda_set_schedule(scope, driver::raw::SCHEDULE_LAZY, 0) }, 0);
                note(stream.0, &notes, 0);
                call!(cuEventRecord(event.0, stream.0));
                // SAFETY: takes numbers; this thread has begun the scope.
                unsafe { driver::softcuda_leave_scope(scope, 0) };
            }
        });
        // Before the record, meanwhile or after it.
        call!(cuEventSynchronize(event.0));
        scope.join().unwrap();
        call!(cuEventSynchronize(event.0));
        noted(&notes, 1);
        call!(cuStreamSynchronize(stream.0));
    });
}

fn graph() -> Shared {
    let mut graph = ptr::null_mut();
    call!(cuGraphCreate(&raw mut graph, 0));
    Shared(graph)
}

/// A graph with a user object, and whether that was destroyed.
fn graph_with_object() -> (Shared, Arc<AtomicBool>) {
    unsafe extern "C" fn destroy(destroyed: *mut c_void) {
        // SAFETY: the test's flag, which outlives the object.
        let destroyed = unsafe { &*destroyed.cast::<AtomicBool>() };
        assert!(!destroyed.swap(true, Ordering::SeqCst), "once");
    }
    let (graph, destroyed) = (graph(), Arc::new(AtomicBool::new(false)));
    let mut object = ptr::null_mut();
    call!(cuUserObjectCreate(&raw mut object, Arc::as_ptr(&destroyed).cast_mut().cast(), Some(destroy), 1, 1));
    call!(cuGraphRetainUserObject(graph.0, object, 1, 1));
    (graph, destroyed)
}

#[test]
fn a_child_that_goes_meanwhile_is_added_with_what_it_keeps_or_not_at_all() {
    explore(|| {
        let (parent, (child, destroyed)) = (graph(), graph_with_object());
        let adder = thread::spawn(move || {
            let (parent, child) = (parent, child);
            // SAFETY: the parent is alive; the driver refuses a child that is gone.
            unsafe { driver::cuGraphAddChildGraphNode(&mut ptr::null_mut(), parent.0, ptr::null(), 0, child.0) }
        });
        call!(cuGraphDestroy(child.0));
        let is_added = adder.join().unwrap() == codes::SUCCESS;
        let mut nodes = 0;
        call!(cuGraphGetNodes(parent.0, ptr::null_mut(), &raw mut nodes));
        assert_eq!(nodes, usize::from(is_added));
        assert_eq!(destroyed.load(Ordering::SeqCst), !is_added);
        call!(cuGraphDestroy(parent.0));
        assert!(destroyed.load(Ordering::SeqCst));
    });
}

#[test]
fn an_object_of_a_launch_goes_with_it() {
    explore(|| {
        let context = context();
        let (stream, (graph, destroyed), notes) = (Shared(stream(1)), graph_with_object(), Arc::new(Notes::default()));
        let mut executable = ptr::null_mut();
        call!(cuGraphInstantiateWithFlags(&raw mut executable, graph.0, 0));
        call!(cuGraphDestroy(graph.0));
        note(stream.0, &notes, 0);
        call!(cuGraphLaunch(executable, stream.0));
        let other = with_context(context, move || {
            let stream = stream;
            call!(cuStreamSynchronize(stream.0));
        });
        call!(cuGraphExecDestroy(executable));
        other.join().unwrap();
        while threads() > 0 {
            thread::yield_now();
        }
        noted(&notes, 1);
        assert!(destroyed.load(Ordering::SeqCst));
    });
}
