//! Holds: a kernel that keeps its stream busy until the host says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, host};
use crate::outcome::Outcome;
use crate::slots::{GAVE_UP, LIMIT, Slot};

/// Holds a stream until it is released or dropped.
#[derive(Debug)]
pub(crate) struct Hold<'f> {
    fixture: &'f Fixture,
    slot: Slot,
}

impl Fixture {
    /// Holds `stream`: what is enqueued on it from now on does not begin.
    pub(crate) fn hold(&self, stream: Handle) -> Hold<'_> {
        let slot = self.slots.take();
        let code = self.kernels.hold(self.driver, host(slot.release), LIMIT, stream);
        assert!(code.is_success(), "hold: {}", self.driver.code_name(code));
        Hold { fixture: self, slot }
    }
}

impl Hold<'_> {
    /// Waits until the kernel runs, in bounded time.
    pub(crate) fn wait_running(&self) {
        let began = Instant::now();
        while self.slot.running.load(Ordering::Acquire) == 0 && began.elapsed() < LIMIT {
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
        if self.slot.release.swap(1, Ordering::AcqRel) == GAVE_UP {
            self.fixture.timed_out.store(true, Ordering::Relaxed);
        }
    }
}
