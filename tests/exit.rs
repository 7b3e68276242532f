//! When a process exits, what this crate does on threads of its own ends before the driver does.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use common::{child, device};
use cuda_streams::{Error, ErrorCode, Stream};

/// A driver that calls back at all does so sooner.
const PATIENCE: Duration = Duration::from_secs(10);

static RELEASE: Mutex<Option<Sender<()>>> = Mutex::new(None);
static IS_DROPPED: AtomicBool = AtomicBool::new(false);
static STREAM: Mutex<Option<Stream>> = Mutex::new(None);

/// Dropping it takes until it is released.
struct Slow(Sender<()>, Receiver<()>);

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.send(()).expect("the test waits");
        self.1.recv().expect_err("nothing is sent");
    }
}

struct Told;

impl Drop for Told {
    fn drop(&mut self) {
        IS_DROPPED.store(true, Ordering::Relaxed);
    }
}

/// Has the crate drop it, on a thread of its own.
fn give_up(stream: &Stream, owner: impl Send + 'static) {
    drop(stream.capture_events::<Error>(|scope| scope.keep(owner)).expect("a graph"));
}

/// Whether there is a thread that drops what was given up. Names of threads are cut.
fn is_served() -> bool {
    let threads = fs::read_dir("/proc/self/task").expect("the threads of this process");
    let name = |thread: std::io::Result<fs::DirEntry>| fs::read_to_string(thread.ok()?.path().join("comm")).ok();
    threads.filter_map(name).any(|name| name.trim_end() == "cuda-streams dr")
}

fn take<T>(from: &Mutex<Option<T>>) -> Option<T> {
    from.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Runs when the driver has ended: what was begun goes on, nothing is begun, and no call reaches the driver.
extern "C" fn last() {
    drop(take(&RELEASE));
    while is_served() {
        thread::yield_now();
    }
    let ended = Err(Error::Driver { call: "exit", code: ErrorCode::DEINITIALIZED });
    let is_told = take(&STREAM).is_some_and(|stream| stream.query() == ended && stream.destroy().is_err());
    let wrong = i32::from(IS_DROPPED.load(Ordering::Relaxed)) + 2 * i32::from(!is_told);
    if wrong != 0 {
        // SAFETY: may be called at any time.
        unsafe { libc::_exit(10 + wrong) };
    }
}

/// Has `last` called last, and the stream known to it.
fn exits_with(stream: impl FnOnce() -> Stream) -> Stream {
    // SAFETY: a function of this executable. Registered before all others, so called after them.
    assert_eq!(unsafe { libc::atexit(last) }, 0);
    let stream = stream();
    *STREAM.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream.clone());
    stream
}

#[test]
fn what_is_left_when_a_process_exits_is_never_done() {
    child::run("what_is_left_when_a_process_exits_is_never_done", child::same_environment, || {
        let stream = exits_with(|| device().stream().expect("a stream"));
        let ((begun, has_begun), (release, released)) = (channel(), channel());
        *RELEASE.lock().unwrap_or_else(PoisonError::into_inner) = Some(release);
        give_up(&stream, Slow(begun, released));
        has_begun.recv_timeout(PATIENCE).expect("it is dropped");
        give_up(&stream, Told);
    });
}

/// Nothing is under way when the process exits, or something is just about to begin.
#[test]
fn a_process_may_exit_at_once() {
    let test = "a_process_may_exit_at_once";
    child::run_each(test, 0..10, |given_up| {
        let stream = exits_with(|| device().stream().expect("a stream"));
        (0..given_up).for_each(|_| give_up(&stream, Vec::<u8>::new()));
    });
}
