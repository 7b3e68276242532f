//! The guard of captures, compiled from the crate's own files, beside the software driver: captures begin and end on
//! one thread while others ask, wait, record and drop.

#![allow(dead_code, reason = "a part of each file is for what is not here")]

mod calls;
#[path = "../../src/exceptions.rs"]
mod exceptions;
#[path = "../../src/guard.rs"]
mod guard;
#[path = "../../src/context/relaxed.rs"]
mod relaxed;
#[path = "../../src/event/shares.rs"]
mod shares;
mod stand_ins;
mod sync;

use std::ptr;
use std::sync::Arc;

use calls::{Event, Shared, Stream, call, event, stream, with_context};
use context::Context;
use driver::Answer;
use explore::driver::{self as soft, codes};
use handle::DESTROYED;
use relaxed::Relaxed;
use shares::Build;
use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use shuttle::{check_pct, check_random, thread};
// What the crate's files take from its root.
use stand_ins::{context, driver, error, handle, user_object};
use user_object::Graph;

const ORDERS: usize = 4_000;
/// How many places of a run PCT changes its mind in.
const DEPTH: usize = 3;

const GLOBAL: u32 = 0;
const THREAD_LOCAL: u32 = 1;
const ACTIVE: u32 = 1;

static DRIVER: driver::Driver = driver::Driver;

fn explore(program: impl Fn() + Send + Sync + Copy + 'static) {
    let run = move || {
        call!(cuInit(0));
        program();
        assert!(!exceptions::is_capturing(), "no capture is open");
    };
    check_random(run, ORDERS);
    check_pct(run, ORDERS, DEPTH);
}

/// A capture, begun and ended as the crate does it.
struct Running {
    stream: Stream,
    id: u64,
    open: guard::Open,
}

impl Running {
    /// `begins` is called just before the driver begins it.
    fn begin(stream: Stream, mode: u32, begins: impl FnOnce()) -> Self {
        let open = guard::Open::begin(1, mode == GLOBAL);
        begins();
        call!(cuStreamBeginCapture_v2(stream, mode));
        // None if it was ended already.
        let id = capture_of(stream).unwrap_or_default();
        open.begun(id);
        Self { stream, id, open }
    }

    /// Whether there is a graph.
    fn end(self) -> bool {
        self.end_with().is_some()
    }

    /// What its graph is to keep, if there is one.
    fn end_with(self) -> Option<Vec<guard::Kept>> {
        let mut graph = ptr::null_mut();
        self.open.ends();
        // SAFETY: the stream is alive, and the place is a live local.
        let code = unsafe { soft::cuStreamEndCapture(self.stream, &raw mut graph) };
        assert!([codes::SUCCESS, codes::STREAM_CAPTURE_INVALIDATED].contains(&code), "{code}");
        let kept = self.open.take_kept();
        (code == codes::SUCCESS).then_some(kept)
    }
}

fn capture_of(stream: Stream) -> Option<u64> {
    let (mut status, mut id, none) = (0, 0, ptr::null_mut());
    call!(cuStreamGetCaptureInfo_v2(stream, &raw mut status, &raw mut id, none, ptr::null_mut(), ptr::null_mut()));
    (status == ACTIVE).then_some(id)
}

/// How a call that is unsafe during a capture is made.
type Make = fn(&dyn Fn() -> Answer) -> Answer;

/// As the crate makes it.
fn around(call: &dyn Fn() -> Answer) -> Answer {
    Relaxed::around(&DRIVER, call)
}

/// The calls that end captures, on other streams and events than those captured.
fn ask_and_wait(stream: Stream, event: Event, make: Make) {
    for (ask, of) in
        [(soft::cuEventQuery as unsafe extern "C" fn(_) -> _, event), (soft::cuStreamQuery, stream), (soft::cuStreamSynchronize, stream)]
    {
        // SAFETY: both are alive.
        let answer = make(&|| Answer(unsafe { ask(of) }));
        assert!(answer.is_ok(), "a call beside a capture was refused");
    }
}

/// One thread captures, twice, and asks inside; another asks, drops and creates all the while.
fn a_capture_beside_calls(mode: u32, make: Make) {
    let context = calls::context();
    let (captured, has_begun) = (Shared(stream(1)), Arc::new(AtomicBool::new(false)));
    // How often the other thread did not know that one was to begin: what it asks then may come later.
    let unaware = Arc::new(AtomicUsize::new(0));
    let other = with_context(context, {
        let (has_begun, unaware) = (has_begun.clone(), unaware.clone());
        move || {
            let (stream, event) = (stream(1), event());
            if !has_begun.load(Ordering::SeqCst) {
                unaware.fetch_add(1, Ordering::SeqCst);
            }
            ask_and_wait(stream, event, make);
            call!(cuEventDestroy_v2(event));
            call!(cuStreamDestroy_v2(stream));
        }
    });
    let (mine, asked) = (stream(1), event());
    let capture = Running::begin(captured.0, mode, || has_begun.store(true, Ordering::SeqCst));
    ask_and_wait(mine, asked, make);
    let has_graph = capture.end();
    other.join().unwrap();
    let may_fail = mode == GLOBAL && unaware.load(Ordering::SeqCst) > 0;
    assert!(has_graph || may_fail, "the capture was ended by a call beside it");
    ask_and_wait(mine, asked, make);
}

#[test]
fn no_call_beside_a_capture_of_its_thread_ends_it() {
    explore(|| a_capture_beside_calls(THREAD_LOCAL, around));
}

/// As long as a thread has not asked before the capture began, and then made its call; which succeeds all the same.
#[test]
fn a_call_that_begins_later_does_not_end_a_global_capture() {
    explore(|| a_capture_beside_calls(GLOBAL, around));
}

#[test]
#[should_panic(expected = "the capture was ended by a call beside it")]
fn a_planted_call_that_is_not_relaxed_is_found() {
    explore(|| {
        a_capture_beside_calls(GLOBAL, |call| {
            if thread::current().id() == first() {
                return around(call);
            }
            let _ = call();
            Answer(codes::SUCCESS)
        })
    });
}

#[test]
#[should_panic(expected = "a call beside a capture was refused")]
fn a_planted_call_that_is_not_made_again_is_found() {
    explore(|| {
        a_capture_beside_calls(GLOBAL, |call| {
            let _relaxed = Relaxed::beside_captures(&DRIVER);
            call()
        })
    });
}

/// The thread that captures.
fn first() -> thread::ThreadId {
    shuttle::lazy_static! {
        static ref FIRST: thread::ThreadId = thread::current().id();
    }
    *FIRST
}

/// A record on a captured stream by another thread, while its capture ends: the event is said to be captured only if it
/// is.
fn a_record_beside_an_end(ends: bool) {
    const NOT_SAID: u32 = 0;
    const SAID: u32 = 1;

    let context = calls::context();
    let (captured, recorded) = (Shared(stream(1)), Shared(event()));
    let said = Arc::new(AtomicU32::new(NOT_SAID));
    let capture = Running::begin(captured.0, THREAD_LOCAL, || ());
    let id = capture.id;
    let other = with_context(context, {
        let said = said.clone();
        move || {
            let (captured, recorded) = (captured, recorded);
            if capture_of(captured.0) == Some(id) {
                call!(cuEventRecord(recorded.0, captured.0));
                if guard::recorded(4, id) {
                    said.store(SAID, Ordering::SeqCst);
                }
            }
        }
    });
    if ends {
        assert!(capture.end());
    } else {
        let mut graph = ptr::null_mut();
        call!(cuStreamEndCapture(captured.0, &raw mut graph));
        other.join().unwrap();
        drop(capture);
        return check_record(&said, recorded.0);
    }
    other.join().unwrap();
    check_record(&said, recorded.0);

    fn check_record(said: &AtomicU32, event: Event) {
        assert_eq!(guard::capture_of(4), None, "it has ended");
        if said.load(Ordering::SeqCst) == SAID {
            // SAFETY: the event is alive.
            assert_eq!(unsafe { soft::cuEventQuery(event) }, codes::INVALID_VALUE, "the record is none of the capture");
        }
    }
}

#[test]
fn a_record_is_said_to_be_captured_only_if_it_is() {
    explore(|| a_record_beside_an_end(true));
}

#[test]
#[should_panic(expected = "the record is none of the capture")]
fn a_planted_end_that_is_not_announced_is_found() {
    explore(|| a_record_beside_an_end(false));
}

/// Captures on two threads: each is known while it is open, whichever ends first.
#[test]
fn captures_on_two_threads_are_counted() {
    explore(|| {
        let context = calls::context();
        let threads = [GLOBAL, THREAD_LOCAL].map(|mode| {
            with_context(context, move || {
                let capture = Running::begin(stream(1), mode, || ());
                assert!(exceptions::is_capturing() && guard::concerns_this_thread() && guard::is_ours(capture.id));
                assert!(guard::recorded(4 << mode, capture.id));
                assert_eq!(guard::capture_of(4 << mode), Some(capture.id));
                assert!(guard::outside_captures(1, "cuCtxSynchronize").is_err());
                let id = capture.id;
                assert!(capture.end());
                assert!(!guard::is_ours(id) && guard::capture_of(4 << mode).is_none());
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!guard::concerns_this_thread());
        assert_eq!(guard::outside_captures(1, "cuCtxSynchronize"), Ok(()));
    });
}

/// An event becomes a node of a capture that its thread ends meanwhile: the graph has it for as long as it has the node,
/// and the other thread never takes the graph for one of others, which it would then touch.
fn a_node_beside_an_end(asks_again: bool) {
    let context = calls::context();
    let (captured, node) = (Shared(stream(1)), Shared(ptr::without_provenance_mut(64)));
    let capture = Running::begin(captured.0, THREAD_LOCAL, || ());
    let id = capture.id;
    let other = with_context(context, move || {
        let (captured, node) = (captured, node);
        if capture_of(captured.0) != Some(id) {
            return false;
        }
        if !shares::share_in_capture(node.0, Context, id) {
            assert!(asks_again && capture_of(captured.0) != Some(id), "the graph of another thread is used");
            return false;
        }
        // The node is made, if the capture goes on still.
        capture_of(captured.0) == Some(id)
    });
    let kept = capture.end_with().expect("a graph");
    let has_node = other.join().unwrap();
    assert!(!has_node || kept.len() == 1, "the graph does not keep its event");
    assert_eq!(shares::give_up(node.0, Context), kept.is_empty(), "the graph has it");
    drop(kept);
}

#[test]
fn a_node_of_a_capture_that_ends_meanwhile_is_kept() {
    explore(|| a_node_beside_an_end(true));
}

#[test]
#[should_panic(expected = "the graph of another thread is used")]
fn a_planted_thread_that_does_not_ask_again_is_found() {
    explore(|| a_node_beside_an_end(false));
}

/// An event in two graphs: its owner and both graphs give it up on three threads, in whatever order, while it is shared
/// with the second; it is destroyed once, with the last.
fn an_event_shared_with_graphs(owner_asks: bool) {
    let event = Shared(ptr::without_provenance_mut(64));
    let graphs: [Arc<Graph>; 2] = std::array::from_fn(|_| Arc::default());
    let left = Arc::new(AtomicUsize::new(graphs.len() + 1));
    let share = |graph: &Arc<Graph>, build| {
        // SAFETY: both live.
        unsafe { shares::share(event.0, Context, Arc::as_ptr(graph).cast_mut().cast(), Build::Own(build)) }.unwrap();
    };
    share(&graphs[0], 0);
    let gone = |graph: Arc<Graph>| {
        let left = left.clone();
        thread::spawn(move || {
            left.fetch_sub(1, Ordering::SeqCst);
            drop(std::mem::take(&mut *graph.lock().unwrap()));
        })
    };
    let [first, second] = graphs;
    let first = gone(first);
    // Its second node there shares nothing anew.
    share(&second, 1);
    share(&second, 1);
    assert_eq!(second.lock().unwrap().len(), 1);
    let second = gone(second);
    assert_eq!(DESTROYED.load(Ordering::SeqCst), 0, "its owner has it");
    left.fetch_sub(1, Ordering::SeqCst);
    let is_last = shares::give_up(event.0, Context);
    assert!(!is_last || left.load(Ordering::SeqCst) == 0, "a graph has it still");
    if is_last || !owner_asks {
        DESTROYED.fetch_add(1, Ordering::SeqCst);
    }
    [first, second].into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(DESTROYED.load(Ordering::SeqCst), 1, "it is destroyed once");
}

#[test]
fn a_shared_event_is_destroyed_once_and_with_the_last_that_has_it() {
    explore(|| an_event_shared_with_graphs(true));
}

#[test]
#[should_panic(expected = "it is destroyed once")]
fn a_planted_owner_that_does_not_ask_is_found() {
    explore(|| an_event_shared_with_graphs(false));
}
