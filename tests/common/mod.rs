//! What the tests share. Everything here works on both drivers.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

pub(crate) mod beside;
pub(crate) mod calls;
pub(crate) mod child;
pub(crate) mod contexts;
pub(crate) mod hold;
pub(crate) mod host_fn;
pub(crate) mod ipc;
pub(crate) mod kill;
pub(crate) mod memory;
pub(crate) mod no_driver;
pub(crate) mod peer;
pub(crate) mod raw;
pub(crate) mod shared;
pub(crate) mod theirs;
pub(crate) mod words;
pub(crate) mod world;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use cuda_streams::{AsStream, Device, Error, Stream};
use hold::Hold;

/// The tests of tests/soft mean nothing on a real driver, so there it is the software one on every
/// machine; the others take what the environment says.
pub(crate) fn choose_driver() {
    if env!("CARGO_CRATE_NAME") == "soft" {
        softcuda::install().expect("the software driver");
    }
}

/// The device that most tests use.
///
/// In one of the runs of `.ci/null-run` the driver does nothing any more once a test has its device.
pub(crate) fn device() -> Device {
    choose_driver();
    let device = Device::get(0).expect("these tests need a device");
    if std::env::var_os("CUDA_STREAMS_NULL").is_some() {
        softcuda::set_mode(softcuda::Mode::Null);
    }
    device
}

/// What a driver refuses and the software one reports besides is what the test is about, while this lives.
pub(crate) fn expect_misuse() -> Option<softcuda::Entered> {
    let is_software = softcuda::choose().expect("a driver is chosen") == softcuda::Choice::Software;
    is_software.then(softcuda::Scope::enter)
}

/// Streams of that device.
pub(crate) fn streams<const N: usize>() -> [Stream; N] {
    std::array::from_fn(|_| device().stream().expect("a stream"))
}

/// Waits until what graphs have given up so far is dropped, which happens on another thread and in order. (What a driver has
/// still to give up on a thread of its own comes later.)
pub(crate) fn drops_are_done(stream: &Stream) {
    let (tell, told) = channel::<()>();
    let graph = stream.capture_events::<Error>(|scope| scope.keep(tell));
    drop(graph.expect("a graph"));
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Err(RecvTimeoutError::Disconnected));
}

/// Checks that this is the current stream of this thread and of its device, and that its device is current.
#[track_caller]
pub(crate) fn assert_current(stream: impl AsStream) {
    let stream = stream.as_stream();
    let device = stream.device().expect("a stream of a living context");
    assert_eq!(Stream::current().expect("a current stream").as_stream(), stream);
    assert_eq!(device.current_stream().expect("a current stream").as_stream(), stream);
    assert_eq!(Device::current(), Ok(device));
}

/// Calls `wait`, which is to wait for held work, while another thread releases the hold; fails if it
/// returns before the release.
pub(crate) fn returns_after_release<R>(hold: Hold, wait: impl FnOnce() -> R) -> R {
    let (ready, released) = (Barrier::new(2), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            ready.wait();
            released.store(true, Ordering::Release);
            hold.release();
        });
        ready.wait();
        let result = wait();
        assert!(released.load(Ordering::Acquire), "it returned while its work was held");
        result
    })
}

/// Runs `f` on a thread of its own, where no context is current at first.
pub(crate) fn on_a_fresh_thread<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
