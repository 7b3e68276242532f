//! Callbacks of streams: host functions that are told the stream and a result code.

use std::ffi::c_void;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::captured_host_functions::fault;
use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::Fixture;
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

/// What is not called by then is not called.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a callback was told.
type Told = (Handle, Code);

pub(super) const PROBES: &[Probe] = &[
    Probe::current("callback: the stream and the code that it is told", |f| {
        let stream = f.stream();
        let (told, code) = added(f, *stream, 0);
        Outcome::from([code, f.finish(*stream)]).and(seen(&told, *stream))
    }),
    Probe::current("callback: on the handles 0, 1, 2", |f| {
        Outcome::each([Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD], |stream| {
            let (told, code) = added(f, stream, 0);
            Outcome::from(code).and(seen(&told, stream))
        })
    }),
    Probe::current("callback: behind a held stream, what follows waits for it", |f| {
        let stream = f.stream();
        let hold = f.hold(*stream);
        let (told, code) = added(f, *stream, 0);
        let tail = f.recorded(*stream);
        let pending = f.settled_query(*tail);
        let is_early = told.try_recv().is_ok();
        hold.release();
        Outcome::from([code, pending]).and(verdict(!is_early, "held")).and(f.ends(*tail)).and(seen(&told, *stream))
    }),
    Probe::current("callback: without a function, with flags 1", |f| {
        let stream = f.stream();
        let code = f.driver.cuStreamAddCallback(*stream, None, std::ptr::null_mut(), 0);
        Outcome::from([code, added(f, *stream, 1).1]).and(f.finish(*stream))
    }),
    Probe::alone("fault: a callback behind it, one added later", |d| {
        Fixture::alone(d, |f| {
            let (stream, held) = (f.stream().into_handle(), f.stream().into_handle());
            let hold = f.hold(held);
            let (told, code) = added(f, held, 0);
            fault(f);
            hold.release();
            let outcome = Outcome::from(code).and(seen(&told, held));
            match added(f, stream, 0) {
                (late, Code::SUCCESS) => outcome.and(Code::SUCCESS).and(seen(&late, stream)),
                (_, code) => outcome.and(code),
            }
        })
    }),
];

/// Adds a callback, which tells what it is told.
fn added(f: &Fixture, stream: Handle, flags: u32) -> (Receiver<Told>, Code) {
    let (tells, told) = channel();
    // A callback that never runs keeps its sender.
    let user: *mut Sender<Told> = Box::into_raw(Box::new(tells));
    (told, f.driver.cuStreamAddCallback(stream, Some(tell), user.cast(), flags))
}

extern "C" fn tell(stream: Handle, code: u32, user: *mut c_void) {
    // SAFETY: `added` made it by `Box::into_raw`, and the driver runs a callback once.
    let tells = unsafe { Box::from_raw(user.cast::<Sender<Told>>()) };
    // The probe may be over.
    let _ = tells.send((stream, Code(code)));
}

/// What a callback was told, in time.
fn seen(told: &Receiver<Told>, stream: Handle) -> Outcome {
    match told.recv_timeout(PATIENCE) {
        Ok((named, code)) => verdict(named == stream, "the stream").and(code),
        Err(_) => "not called".into(),
    }
}
