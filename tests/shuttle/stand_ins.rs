//! What the crate's files take from the rest of it, where that is more than is explored.

/// As far as the files have it.
pub(crate) mod error {
    pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum Error {
        ForkedChild,
        InHostFunction,
        Capturing { call: &'static str },
        Driver { call: &'static str, code: ErrorCode },
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct ErrorCode(pub(crate) u32);

    impl ErrorCode {
        pub(crate) const DEINITIALIZED: Self = Self(4);
        pub(crate) const STREAM_CAPTURE_UNSUPPORTED: Self = Self(explore::driver::codes::STREAM_CAPTURE_UNSUPPORTED);
    }
}

pub(crate) mod driver {
    use std::ffi::{c_uint, c_void};

    use super::error::ErrorCode;

    pub(crate) type CUevent = *mut c_void;
    pub(crate) type CUgraph = *mut c_void;

    pub(crate) struct Driver;

    #[derive(Clone, Copy)]
    pub(crate) struct Answer(pub(crate) u32);

    impl Answer {
        pub(crate) fn code(self) -> Option<ErrorCode> {
            (!self.is_ok()).then_some(ErrorCode(self.0))
        }

        pub(crate) fn is_ok(self) -> bool {
            self.0 == explore::driver::codes::SUCCESS
        }
    }

    impl Driver {
        #[expect(non_snake_case, reason = "as the crate calls it")]
        pub(crate) unsafe fn cuThreadExchangeStreamCaptureMode(&self, mode: *mut c_uint) -> Answer {
            // SAFETY: the caller's contract.
            Answer(unsafe { explore::driver::cuThreadExchangeStreamCaptureMode(mode) })
        }
    }
}

pub(crate) mod context {
    use std::num::NonZeroU32;

    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Context;

    impl Context {
        pub(crate) fn number(self) -> NonZeroU32 {
            NonZeroU32::MIN
        }
    }
}

/// Events that are destroyed are counted.
pub(crate) mod handle {
    use shuttle::sync::atomic::{AtomicUsize, Ordering};

    use crate::context::Context;
    use crate::driver::CUevent;
    use crate::error::Result;

    pub(crate) type RawEvent = CUevent;

    shuttle::lazy_static! {
        pub(crate) static ref DESTROYED: AtomicUsize = AtomicUsize::new(0);
    }

    #[derive(Clone, Copy)]
    pub(crate) enum Object {
        Event(CUevent),
    }

    // SAFETY: a number.
    unsafe impl Send for Object {}

    impl Object {
        pub(crate) unsafe fn destroy(self, _context: Context) -> Result<()> {
            DESTROYED.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }
}

/// A graph is a list of what is dropped when it is gone.
pub(crate) mod user_object {
    use shuttle::sync::Mutex;

    use crate::context::Context;
    use crate::driver::CUgraph;
    use crate::error::Result;

    pub(crate) type Graph = Mutex<Vec<Box<dyn Send>>>;

    pub(crate) unsafe fn attach(_context: Context, graph: CUgraph, kept: impl Send + 'static) -> Result<()> {
        // SAFETY: the tests pass graphs that live.
        let graph = unsafe { &*graph.cast::<Graph>() };
        graph.lock().unwrap().push(Box::new(kept));
        Ok(())
    }
}
