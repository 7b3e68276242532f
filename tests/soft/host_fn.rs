//! Host functions: failures, what is given back, and captures that begin at the worst moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cuda_streams::{Error, ErrorCode, Event, HostFn, IpcMemory, Result, Stream};
use cudarc::driver::{CudaContext, CudaGraph, CudaStream, sys};
use softcuda::{Live, inject};

use crate::common::hold::Hold;
use crate::common::{child, device, streams};
use crate::counts::{CREATE, expect, sum};
use crate::live::{live, trim};

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts of runs and of drops, and functions that are counted.
#[derive(Clone, Default)]
struct Counts {
    runs: Arc<AtomicUsize>,
    drops: Arc<AtomicUsize>,
}

impl Counts {
    fn launch(&self, stream: &Stream) -> Result<HostFn<()>> {
        let (runs, counted) = (self.runs.clone(), Counted(self.drops.clone()));
        stream.launch_host_fn(move || {
            runs.fetch_add(1, Ordering::SeqCst);
            drop(counted);
        })
    }

    #[track_caller]
    fn expect(&self, runs: usize, drops: usize) {
        let is_so = || (self.runs.load(Ordering::SeqCst), self.drops.load(Ordering::SeqCst)) == (runs, drops);
        let began = Instant::now();
        // What never runs is dropped by another thread.
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(10), "{:?} runs, {:?} drops, not {runs} and {drops}", self.runs, self.drops);
            thread::yield_now();
        }
    }
}

/// Waits until as much exists in the driver as before.
#[track_caller]
fn until_given_back(before: Live) {
    let began = Instant::now();
    while live() != before {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}, not {before:?}", live());
        thread::yield_now();
    }
}

#[test]
fn launching_asks_of_captures_and_makes_a_mark() {
    let [stream] = streams();
    let expected = sum([&CREATE, &[("cuEventRecord", 1), ("cuLaunchHostFunc", 1), ("cuStreamIsCapturing", 1)]]);
    trim();
    let function = expect(&expected, || stream.launch_host_fn(|| 7));
    stream.synchronize().unwrap();
    assert_eq!(expect(&[], || function.join()), 7);
    let function = stream.launch_host_fn(|| ()).unwrap();
    stream.synchronize().unwrap();
    assert!(expect(&[], || Ok(function.is_finished())));
}

#[test]
fn asking_for_one_that_is_pending_is_a_relaxed_query() {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let function = stream.launch_host_fn(|| ()).unwrap();
    let look = [("cuCtxGetId", 1), ("cuEventQuery", 1), ("cuThreadExchangeStreamCaptureMode", 2)];
    assert!(!expect(&look, || Ok(function.is_finished())));
    hold.release();
    function.join().unwrap();
}

#[test]
fn what_the_driver_refuses_is_dropped_at_once_and_never_runs() {
    let [stream] = streams();
    for code in [304, 719, 4000] {
        let counts = Counts::default();
        for call in ["cuStreamIsCapturing", "cuEventCreate", "cuLaunchHostFunc"] {
            trim();
            let _failure = inject(call, code);
            let error = counts.launch(&stream).map(drop).unwrap_err();
            assert_eq!(error, Error::Driver { call, code: ErrorCode::new(code).unwrap() });
        }
        assert_eq!((counts.runs.load(Ordering::SeqCst), counts.drops.load(Ordering::SeqCst)), (0, 3));
    }
    stream.launch_host_fn(|| ()).unwrap().join().unwrap();
}

/// Without a mark behind it nobody could tell whether it is to run at all.
#[test]
fn without_a_mark_it_does_not_run() {
    let [stream] = streams();
    let counts = Counts::default();
    let hold = Hold::new(&stream);
    let failure = inject("cuEventRecord", 4000);
    let error = counts.launch(&stream).map(drop).unwrap_err();
    drop(failure);
    assert_eq!(error, Error::Driver { call: "cuEventRecord", code: ErrorCode::new(4000).unwrap() });
    hold.release();
    stream.synchronize().unwrap();
    counts.expect(0, 1);
}

/// Whatever the driver says instead of "not yet" ends the wait, and takes the function back.
#[test]
fn an_error_of_the_driver_ends_the_wait() {
    let [stream] = streams();
    let counts = Counts::default();
    for (call, code) in [("cuEventQuery", 4000), ("cuEventQuery", 1), ("cuCtxGetId", 4000), ("cuEventQuery", 400)] {
        if call == "cuCtxGetId" && !crate::table::has(call) {
            continue;
        }
        let hold = Hold::new(&stream);
        let function = counts.launch(&stream).unwrap();
        let failure = inject(call, code);
        let error = function.join().unwrap_err();
        drop(failure);
        let code = ErrorCode::new(code).unwrap();
        let expected =
            if code == ErrorCode::INVALID_VALUE { Error::Capturing { call: "cuLaunchHostFunc" } } else { Error::Driver { call, code } };
        assert_eq!(error, expected);
        hold.release();
        stream.synchronize().unwrap();
    }
    counts.expect(0, if crate::table::has("cuCtxGetId") { 4 } else { 3 });
}

/// A sticky error of one says that none of its context will run.
#[test]
fn a_sticky_error_ends_all_of_the_context() {
    let [stream, other] = streams();
    let counts = Counts::default();
    let hold = Hold::new(&stream);
    other.wait_stream(&stream).unwrap();
    let [asked, joined] = [&stream, &other].map(|stream| counts.launch(stream).unwrap());
    drop(counts.launch(&other).unwrap());
    let failure = inject("cuEventQuery", 719);
    assert!(asked.is_finished());
    drop(failure);
    for function in [asked, joined] {
        assert_eq!(function.join().unwrap_err().code(), Some(ErrorCode::LAUNCH_FAILED));
    }
    hold.release();
    other.synchronize().unwrap();
    counts.expect(0, 3);
}

/// In processes of their own, where nobody else creates anything.
#[test]
fn nothing_is_leaked_whoever_drops_it() {
    child::run("host_fn::nothing_is_leaked_whoever_drops_it", child::same_environment, || {
        let [stream] = streams();
        let cudarc = CudaContext::new(0).unwrap();
        drop(Hold::new(&stream));
        stream.to_cudarc(&cudarc).unwrap();
        stream.synchronize().unwrap();
        let before = live();
        for _ in 0..20 {
            let [plain, lent] = streams();
            lent.to_cudarc(&cudarc).unwrap();
            let memory = || IpcMemory::new(device(), 64).unwrap();
            let slice = memory().into_cudarc::<u8>(&cudarc.default_stream(), 64).map_err(|(_, error)| error).unwrap();
            let (event, shared) = (plain.record_event().unwrap(), Event::interprocess());
            shared.bind(device()).unwrap();
            let refused = (stream.record_event().unwrap(), memory());
            let dropped = (plain, lent, memory(), slice, event, shared);
            let function = stream.launch_host_fn(move || {
                drop(dropped);
                let (event, memory) = refused;
                (event.destroy().unwrap_err(), memory.close().unwrap_err())
            });
            assert_eq!(function.unwrap().join(), Ok((Error::InHostFunction, Error::InHostFunction)));
            drop(stream.launch_host_fn(|| ()).unwrap());
        }
        stream.synchronize().unwrap();
        until_given_back(before);
    });
}

/// A stream under capture, as safe code makes it, on which the crate does not see that. So it is where another thread
/// begins the capture after the crate has asked.
fn launched_in_a_capture(counts: &Counts, stream: &Stream, theirs: &Arc<CudaStream>) -> (HostFn<()>, CudaGraph) {
    theirs.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).unwrap();
    let unseen = inject("cuStreamIsCapturing", 0);
    let function = counts.launch(stream).unwrap();
    drop(unseen);
    let graph = theirs.end_capture(sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH);
    (function, graph.unwrap().expect("a graph"))
}

/// A double free, if the driver had an address.
#[test]
fn what_was_captured_after_all_runs_once() {
    let [stream] = streams();
    let theirs = stream.to_cudarc(&CudaContext::new(0).unwrap()).unwrap();
    let counts = Counts::default();
    let (function, graph) = launched_in_a_capture(&counts, &stream, &theirs);
    counts.expect(0, 0);
    (0..3).for_each(|_| graph.launch().unwrap());
    stream.synchronize().unwrap();
    counts.expect(1, 1);
    assert!(function.is_finished());
    assert_eq!(function.join(), Ok(()));
}

/// Nor is anybody kept waiting for a launch that may never come.
#[test]
fn what_was_captured_after_all_is_given_up_by_who_waits() {
    let [stream] = streams();
    let theirs = stream.to_cudarc(&CudaContext::new(0).unwrap()).unwrap();
    let counts = Counts::default();
    let (function, graph) = launched_in_a_capture(&counts, &stream, &theirs);
    assert_eq!(function.join(), Err(Error::Capturing { call: "cuLaunchHostFunc" }));
    counts.expect(0, 1);
    // Others take its place in the table.
    let others: Vec<_> = (0..10).map(|_| counts.launch(&stream).unwrap()).collect();
    (0..3).for_each(|_| graph.launch().unwrap());
    stream.synchronize().unwrap();
    for function in others {
        function.join().unwrap();
    }
    counts.expect(10, 11);
}
