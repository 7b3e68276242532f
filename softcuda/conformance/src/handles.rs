//! Streams and events of the probes, destroyed at the end of the probe.

use std::ops::Deref;

use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING};

/// `CU_EVENT_DISABLE_TIMING`
pub(crate) const DISABLE_TIMING: u32 = 2;

/// `CU_EVENT_INTERPROCESS`, which goes with the one before only.
pub(crate) const INTERPROCESS: u32 = 4 | DISABLE_TIMING;

/// A stream, as its handle.
#[derive(Debug)]
pub(crate) struct Stream<'f> {
    fixture: &'f Fixture,
    handle: Handle,
}

/// An event, as its handle.
#[derive(Debug)]
pub(crate) struct Event<'f> {
    fixture: &'f Fixture,
    handle: Handle,
}

impl Fixture {
    /// A non-blocking stream of the primary context.
    pub(crate) fn stream(&self) -> Stream<'_> {
        self.stream_in(self.primary, NON_BLOCKING)
    }

    /// A stream that the legacy stream synchronises with.
    pub(crate) fn blocking_stream(&self) -> Stream<'_> {
        self.stream_in(self.primary, 0)
    }

    pub(crate) fn stream_in(&self, context: Handle, flags: u32) -> Stream<'_> {
        let mut handle = Handle::NULL;
        let code = self.within(context, || self.driver.cuStreamCreate(Some(&mut handle), flags));
        assert!(code.is_success(), "stream: {}", self.driver.code_name(code));
        Stream { fixture: self, handle }
    }

    /// An event of the primary context.
    pub(crate) fn event(&self, flags: u32) -> Event<'_> {
        self.event_in(self.primary, flags)
    }

    pub(crate) fn event_in(&self, context: Handle, flags: u32) -> Event<'_> {
        let mut handle = Handle::NULL;
        let code = self.within(context, || self.driver.cuEventCreate(Some(&mut handle), flags));
        assert!(code.is_success(), "event: {}", self.driver.code_name(code));
        Event { fixture: self, handle }
    }

    /// An untimed event, recorded on `stream` now.
    pub(crate) fn recorded(&self, stream: Handle) -> Event<'_> {
        let event = self.event(DISABLE_TIMING);
        let code = self.driver.cuEventRecord(*event, stream);
        assert!(code.is_success(), "record: {}", self.driver.code_name(code));
        event
    }

    /// An event of these flags, recorded on an idle stream and complete.
    pub(crate) fn complete(&self, flags: u32) -> Event<'_> {
        let stream = self.stream();
        let event = self.event(flags);
        self.driver.cuEventRecord(*event, *stream);
        self.driver.cuEventSynchronize(*event);
        event
    }
}

impl Stream<'_> {
    /// The handle, for a probe that destroys it itself.
    pub(crate) fn into_handle(self) -> Handle {
        let handle = self.handle;
        std::mem::forget(self);
        handle
    }
}

impl Event<'_> {
    /// The handle, for a probe that destroys it itself.
    pub(crate) fn into_handle(self) -> Handle {
        let handle = self.handle;
        std::mem::forget(self);
        handle
    }
}

impl Deref for Stream<'_> {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Deref for Event<'_> {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.fixture.driver.cuStreamDestroy_v2(self.handle);
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        self.fixture.driver.cuEventDestroy_v2(self.handle);
    }
}
