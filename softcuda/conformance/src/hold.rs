//! Holds: a kernel that keeps its stream busy until the host says so.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, host};
use crate::outcome::Outcome;

/// The kernel gives up by itself after this time, so that nothing hangs a device.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// What the kernel writes into its first word when it gave up.
pub(crate) const GAVE_UP: u32 = 2;

/// Pinned words for the holds of a process, allocated before any stream is held.
#[derive(Debug)]
pub(crate) struct Slots {
    words: &'static [AtomicU32],
    next: AtomicUsize,
}

impl Slots {
    /// A hold has two words; a probe never has more than a few holds, so the slots go round.
    pub(crate) const WORDS: usize = 64;

    pub(crate) fn new(words: &'static [AtomicU32]) -> Self {
        Self { words, next: AtomicUsize::new(0) }
    }

    fn take(&self) -> [&'static AtomicU32; 2] {
        let first = self.next.fetch_add(2, Ordering::Relaxed) % Self::WORDS;
        let slot = [&self.words[first], &self.words[first + 1]];
        for word in slot {
            word.store(0, Ordering::Relaxed);
        }
        slot
    }
}

/// Holds a stream until it is released or dropped.
#[derive(Debug)]
pub(crate) struct Hold<'f> {
    fixture: &'f Fixture,
    release: &'static AtomicU32,
    running: &'static AtomicU32,
}

impl Fixture {
    /// Holds `stream`: what is enqueued on it from now on does not begin.
    pub(crate) fn hold(&self, stream: Handle) -> Hold<'_> {
        let [release, running] = self.slots.take();
        let code = self.kernels.hold(self.driver, host(release), LIMIT, stream);
        assert!(code.is_success(), "hold: {}", self.driver.code_name(code));
        Hold { fixture: self, release, running }
    }
}

impl Hold<'_> {
    /// Waits until the kernel runs, in bounded time.
    pub(crate) fn wait_running(&self) {
        let began = Instant::now();
        while self.running.load(Ordering::Acquire) == 0 && began.elapsed() < LIMIT {
            std::thread::yield_now();
        }
    }

    /// Lets the stream go on.
    pub(crate) fn release(self) {
        drop(self);
    }

    /// What a query of `event` answers while the stream is held, and what a wait for it answers
    /// after the release: `NOT_READY, SUCCESS` if the hold held it, `SUCCESS, SUCCESS` if not.
    pub(crate) fn query_and_release(self, event: Handle) -> Outcome {
        let fixture = self.fixture;
        let held = fixture.settled_query(event);
        self.release();
        [held, fixture.driver.cuEventSynchronize(event)].into()
    }

    /// Whether `call`, made on another thread with the primary context current, waits for the
    /// release, and what it answers.
    pub(crate) fn wait_and_release(self, call: impl FnOnce(&Driver) -> Code + Send) -> Outcome {
        let fixture = self.fixture;
        let (entered, enters) = mpsc::channel();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let caller = scope.spawn(|| {
                let code = fixture.with_primary(|| {
                    // The other side waits for this.
                    let _ = entered.send(());
                    call(fixture.driver)
                });
                done.store(true, Ordering::Release);
                code
            });
            let begun = enters.recv_timeout(LIMIT).is_ok();
            let returned = Fixture::settled_flag(&done);
            self.release();
            let word = if returned { "returns at once" } else { "waits" };
            match caller.join() {
                Ok(code) if begun => Outcome::from(word).and(code),
                Ok(_) | Err(_) => "fails".into(),
            }
        })
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if self.release.swap(1, Ordering::AcqRel) == GAVE_UP {
            self.fixture.timed_out.store(true, Ordering::Relaxed);
        }
    }
}
