//! A second thread in a program: in turns with the first, and beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cuda_streams::{Context, Event, Result, Stream};
use softcuda::Scope;

use super::model::Expect;
use super::program::{Here, Program};
use crate::common::device;

/// The scope of the software driver that a program runs in.
fn scope() -> Option<Scope> {
    (softcuda::choose() == Ok(softcuda::Choice::Software)).then(Scope::current)
}

impl Program<'_> {
    /// Some calls on another thread, while this one waits.
    pub(super) fn elsewhere(&mut self, depth: usize) {
        self.log("on another thread (");
        let scope = scope();
        let calls = || {
            let _scope = scope.map(Scope::join);
            self.calls(None, depth);
        };
        crate::common::on_a_fresh_thread(calls);
        self.log(")");
    }

    /// Some calls, while another thread makes some on things of its own: no capture ends by those.
    pub(super) fn beside(&mut self, here: Here<'_, '_>, depth: usize) {
        if self.is_beside {
            return;
        }
        self.log("beside another thread (");
        let (scope, is_over) = (scope(), AtomicBool::new(false));
        self.is_beside = true;
        let done = thread::scope(|threads| {
            let other = threads.spawn(|| {
                let _scope = scope.map(Scope::join);
                let mut rounds = Ok(());
                while rounds.is_ok() && !is_over.load(Ordering::Acquire) {
                    rounds = round(device().context()?);
                }
                rounds
            });
            // Whatever this thread says, the other ends.
            let over = Over(&is_over);
            self.calls(here, depth);
            drop(over);
            other.join().expect("no call panics")
        });
        self.is_beside = false;
        self.log(")");
        self.check("the calls of the other thread", Expect::Ok, &done);
    }
}

/// Sets the flag when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn round(context: Context) -> Result<()> {
    let (stream, other): (Stream, Stream) = (context.device().stream()?, context.device().stream()?);
    let (event, timed) = (Event::new(), Event::timed());
    event.record(&stream)?;
    other.wait_event(&event)?;
    timed.record(&other)?;
    event.query()?;
    stream.query()?;
    timed.synchronize()?;
    other.synchronize()?;
    stream.launch_host_fn(|| ())?.join()
}
