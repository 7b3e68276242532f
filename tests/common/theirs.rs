//! Streams and events that somebody else owns: made and destroyed by driver calls, not by the crate.

use std::ptr;

use cuda_streams::{Context, RawContext, RawEvent, RawStream};

use super::contexts::SecondContext;
use super::raw;

/// The driver's flag of a stream that the legacy default stream does not wait for.
pub(crate) const NON_BLOCKING: u32 = 1;

/// A stream that is destroyed when this is dropped.
#[derive(Debug)]
pub(crate) struct TheirStream(RawStream);

// SAFETY: a stream handle may be used from any thread.
unsafe impl Send for TheirStream {}
// SAFETY: as above.
unsafe impl Sync for TheirStream {}

impl TheirStream {
    /// In this context, with priority 0.
    pub(crate) fn new(context: Context, flags: u32) -> Self {
        Self::with_priority(context, flags, 0)
    }

    pub(crate) fn with_priority(context: Context, flags: u32, priority: i32) -> Self {
        context.with_current(|| Self::in_current(flags, priority)).expect("the context becomes current")
    }

    /// In the context that is current.
    pub(crate) fn in_current(flags: u32, priority: i32) -> Self {
        let mut stream = ptr::null_mut();
        // SAFETY: the out pointer is a live local.
        let code = unsafe { raw::cuStreamCreateWithPriority(&raw mut stream, flags, priority) };
        assert_eq!(code, raw::SUCCESS, "a stream");
        assert!(stream.addr() > 2, "no default stream");
        Self(stream)
    }

    /// A stream that was given up.
    pub(crate) fn of(stream: RawStream) -> Self {
        Self(stream)
    }

    pub(crate) fn as_raw(&self) -> RawStream {
        self.0
    }

    /// Hands the stream to somebody who destroys it.
    pub(crate) fn into_raw(self) -> RawStream {
        std::mem::ManuallyDrop::new(self).0
    }

    /// Whether its work is done, says the driver.
    pub(crate) fn query(&self) -> bool {
        // SAFETY: the stream is alive.
        is_done(unsafe { raw::cuStreamQuery(self.0) })
    }

    /// Destroys it, and answers the driver's code.
    pub(crate) fn destroy(self) -> u32 {
        // SAFETY: the stream is alive, and nobody uses it any more.
        unsafe { raw::cuStreamDestroy_v2(self.into_raw()) }
    }
}

impl Drop for TheirStream {
    fn drop(&mut self) {
        // SAFETY: the stream is alive, and nobody uses it any more.
        let code = unsafe { raw::cuStreamDestroy_v2(self.0) };
        assert!(code == raw::SUCCESS || std::thread::panicking(), "destroying stream {:?} answers {code}", self.0);
    }
}

/// An event that is destroyed when this is dropped.
#[derive(Debug)]
pub(crate) struct TheirEvent(RawEvent);

// SAFETY: an event handle may be used from any thread.
unsafe impl Send for TheirEvent {}
// SAFETY: as above.
unsafe impl Sync for TheirEvent {}

impl TheirEvent {
    /// In this context.
    pub(crate) fn new(context: Context, flags: u32) -> Self {
        let mut event = ptr::null_mut();
        // SAFETY: the out pointer is a live local.
        let create = || unsafe { raw::cuEventCreate(&raw mut event, flags) };
        assert_eq!(context.with_current(create), Ok(raw::SUCCESS), "an event");
        assert!(!event.is_null());
        Self(event)
    }

    /// An event that was given up.
    pub(crate) fn of(event: RawEvent) -> Self {
        Self(event)
    }

    pub(crate) fn as_raw(&self) -> RawEvent {
        self.0
    }

    /// Hands the event to somebody who destroys it.
    pub(crate) fn into_raw(self) -> RawEvent {
        std::mem::ManuallyDrop::new(self).0
    }

    /// Records it as its owner does.
    pub(crate) fn record(&self, stream: RawStream) {
        // SAFETY: both are alive, and of one context.
        assert_eq!(unsafe { raw::cuEventRecord(self.0, stream) }, raw::SUCCESS);
    }

    /// Whether its work is done, says the driver.
    pub(crate) fn query(&self) -> bool {
        // SAFETY: the event is alive.
        is_done(unsafe { raw::cuEventQuery(self.0) })
    }
}

impl Drop for TheirEvent {
    fn drop(&mut self) {
        // SAFETY: the event is alive, and nobody uses it any more.
        let code = unsafe { raw::cuEventDestroy_v2(self.0) };
        assert!(code == raw::SUCCESS || std::thread::panicking(), "destroying event {:?} answers {code}", self.0);
    }
}

fn is_done(code: u32) -> bool {
    match code {
        raw::SUCCESS => true,
        raw::NOT_READY => false,
        code => panic!("the driver answers {code}"),
    }
}

/// A context that somebody else made. What is of it has to be dropped before.
#[derive(Debug)]
pub(crate) struct TheirContext {
    pub(crate) context: Context,
    second: SecondContext,
}

impl TheirContext {
    pub(crate) fn new() -> Self {
        let second = SecondContext::new(super::device());
        // SAFETY: the context is alive, and retired before it is destroyed.
        let context = unsafe { Context::from_raw(second.as_raw()) }.expect("a context that is alive");
        Self { context, second }
    }

    pub(crate) fn as_raw(&self) -> RawContext {
        self.second.as_raw()
    }

    /// A stream in it.
    pub(crate) fn stream(&self) -> TheirStream {
        TheirStream::new(self.context, NON_BLOCKING)
    }
}

impl Drop for TheirContext {
    fn drop(&mut self) {
        // Or its idle events end with it, which is a leak to the software driver.
        let _ = self.context.trim_events();
        self.context.retire();
    }
}
