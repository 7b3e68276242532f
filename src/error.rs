//! Errors: which call, on what, and what to do.

mod code;
mod ipc;
mod names;

pub use code::ErrorCode;
pub use ipc::{IpcKind, IpcRefusal};
use names::Attempts;
pub use names::{Attempt, ContextMismatch, ContextName, Which};

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
///
/// The driver is asked first; where it refuses and the reason is known, the variant says the reason,
/// and [`code`](Self::code) keeps the driver's answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No CUDA driver on this machine, or none that can be opened. Not remembered: the next call
    /// looks again.
    #[error("no CUDA driver found; install the NVIDIA driver. Tried, in this order: {}", Attempts(tried))]
    DriverNotFound {
        /// What was tried, in order.
        tried: Box<[Attempt]>,
    },

    /// The driver is too old for this call.
    #[error("the installed driver has no `{symbol}`: update the NVIDIA driver")]
    MissingSymbol {
        /// The driver function.
        symbol: &'static str,
    },

    /// The driver refused a call.
    #[error("`{call}` failed: {code}{}", hint(*code))]
    Driver {
        /// The driver function.
        call: &'static str,
        /// Its result code.
        code: ErrorCode,
    },

    /// This process was forked from one that used the driver, where CUDA does not work: every call that needs
    /// it answers this, without a driver call, and what is dropped is leaked.
    ///
    /// A worker that is to use CUDA is started by exec, as [`std::process::Command`] does (in Python
    /// `multiprocessing` with `spawn`), or forked before the parent's first call that needs the driver.
    ///
    /// Noticed by a handler of `pthread_atfork`: not after a raw `clone`; and where only another library has used
    /// the driver, its own answer comes back as an [`Error::Driver`]. What cudarc owns calls the driver when it is
    /// dropped, so let such a child end with `_exit` or exec.
    #[error(
        "this process was forked from one that uses CUDA, where CUDA does not work: start it with exec (`std::process::Command`), or fork before CUDA's first use"
    )]
    ForkedChild,

    /// The call was made inside a host function, on a thread of the driver's: no driver call is allowed there, and
    /// none was made.
    #[error("called inside a host function, where the driver must not be called: call it from another thread")]
    InHostFunction,

    /// A host function panicked.
    #[error("the host function panicked: {message}")]
    HostFunctionPanicked {
        /// The panic's message.
        message: Box<str>,
    },

    /// The result of a host function was taken before: its future had been ready.
    #[error("the result was taken already: a future is not polled again once it was ready")]
    ResultTaken,

    /// There is no such device.
    #[error("no CUDA device {wanted}: this machine has {count}")]
    NoSuchDevice {
        /// What was asked for: an ordinal, a UUID or a PCI bus id.
        wanted: Box<str>,
        /// How many devices there are.
        count: u32,
    },

    /// No device is current on this thread: no context is, and, where the current stream is asked for, no
    /// [`Stream::scope`](crate::Stream::scope) is open.
    #[error("no context is current on this thread: name the device, or enter a stream's scope where the current stream is asked for")]
    NoCurrentDevice,

    /// The context of the handle no longer exists: somebody reset the device, released its primary
    /// context once too often, or [retired](crate::Context::retire) it. Handles of that context are leaked; create new ones.
    #[error("the CUDA context of device {device} that this handle belongs to was destroyed: create the handle anew")]
    ContextDestroyed {
        /// The device's ordinal.
        device: u32,
    },

    /// A context that is not its device's primary one: of a stream of cudarc's, which destroys such contexts
    /// from safe code, so that nothing here can be bound to them; or the current one.
    #[error("the context is not the primary context of device {device}: use that, for a stream of cudarc's one of `CudaContext::new`")]
    ForeignContext {
        /// The device's ordinal.
        device: u32,
    },

    /// cudarc's context is not a context of the driver that this crate has loaded: cudarc has loaded
    /// another library, or somebody has reset the device since cudarc made its context.
    #[error(
        "cudarc's context of device {device} is unknown to the driver of this crate: cudarc has loaded another library (a stub or compatibility copy in the search path), or the device was reset since"
    )]
    TwoDrivers {
        /// The device's ordinal.
        device: u32,
    },

    /// A raw handle is null where null stands for nothing.
    #[error("the raw {what} handle is null")]
    NullHandle {
        /// What it is to be a handle of.
        what: &'static str,
    },

    /// The handles 0, 1 and 2 are streams of the driver's own: nobody can own one.
    #[error("stream handle {handle} is a default stream, which nobody owns: use `ExternalStream::from_raw_on`")]
    DefaultStream {
        /// 0 or 1 for the legacy default stream, 2 for the calling thread's.
        handle: usize,
    },

    /// The stream is of another device than the caller says.
    #[error("the stream belongs to device {actual}, not to device {wanted}")]
    DeviceMismatch {
        /// The ordinal of the device that the caller named.
        wanted: u32,
        /// The ordinal of the stream's device.
        actual: u32,
    },

    /// cudarc's event tracking is switched off, so its slices would not be ordered between streams.
    #[error(
        "event tracking of cudarc's context is off: without it cudarc does not order streams, see `CudaContext::enable_event_tracking`"
    )]
    TrackingOff,

    /// A stream is being captured, and the call could not be a part of the capture (a graph in a graph, a function to
    /// be called once), or would end it: a question about that stream or about an
    /// event that was recorded in the capture, a wait for its whole context; or the stream would wait for work that
    /// is outside of the capture and not known to be done (wait for it on the host first, or use an event made
    /// [`external`](crate::EventOptions::external)). The driver was not called, and the capture goes on. (But
    /// [`HostFn::join`](crate::HostFn::join) says so of a function that was launched into a capture that somebody began just
    /// then: it is a node of that graph, and does nothing there.)
    #[error("`{call}` is not allowed during a stream capture, and would invalidate it: call it before or after")]
    Capturing {
        /// The driver function.
        call: &'static str,
    },

    /// A call that is not allowed during a stream capture has ended it, without a graph. The streams that took part
    /// can be used again.
    #[error(
        "the stream capture was invalidated by {}: {}",
        by.unwrap_or("a call of another library or thread, or inside another capture"),
        instead_of_invalidating(*by, *code)
    )]
    CaptureInvalidated {
        /// The driver function, if this crate called it on the thread of the capture, and not during a capture that was
        /// begun and ended inside: the first that was refused because of a capture.
        by: Option<&'static str>,
        /// What that call answered, or else the end of the capture.
        code: ErrorCode,
    },

    /// A stream that has joined a capture was not joined back when it ended. The streams that took part can be used
    /// again.
    #[error("a stream that joined the capture was not joined back: let the captured stream wait for it, with `CaptureScope::wait_stream`")]
    CaptureUnjoined,

    /// Somebody else has ended the capture of this crate, and has the graph if there is one.
    #[error("somebody else has ended the stream capture")]
    CaptureEndedElsewhere {
        /// The driver's answer; `None` if it need not be asked.
        code: Option<ErrorCode>,
    },

    /// These event flags cannot be combined.
    #[error("event flags {flags:#x} are refused: {reason}")]
    InvalidEventFlags {
        /// The bits of the flags.
        flags: u32,
        /// Why.
        reason: &'static str,
    },

    /// The event belongs to one context, the stream or the other event to another.
    #[error(transparent)]
    ContextMismatch(Box<ContextMismatch>),

    /// Elapsed time of an event that was never recorded.
    #[error("the {which} event was never recorded: record it on a stream first")]
    NotRecorded {
        /// Which of the two.
        which: Which,
        /// The driver's answer, also for an event of a graph that was not launched; `None` for an event that the driver
        /// does not know yet.
        code: Option<ErrorCode>,
    },

    /// Elapsed time of an event that takes no time stamps.
    #[error("the {which} event takes no time stamps: create it with `Event::timed()`")]
    Untimed {
        /// Which of the two.
        which: Which,
    },

    /// Elapsed time of an event whose work is not done.
    #[error("the {which} event is not complete: synchronize it, or ask again later")]
    NotComplete {
        /// Which of the two.
        which: Which,
    },

    /// Elapsed time of an event that another thread recorded anew during the call. Not noticed if
    /// that thread's record has not returned.
    #[error("the {which} event was recorded anew during the call: the figure would mix two records")]
    Rerecorded {
        /// Which of the two.
        which: Which,
    },

    /// The event was last recorded inside a stream capture: it marks an edge of a graph and stands
    /// for no work.
    #[error("`{call}`: the event was recorded in a stream capture and stands for no work until it is recorded again")]
    Captured {
        /// The driver function.
        call: &'static str,
        /// The driver's answer; `None` if it need not be asked.
        code: Option<ErrorCode>,
    },

    /// A record of an interprocess event in a stream capture, where the event would mark an edge of the graph, and the
    /// other processes know of no graph. The capture goes on.
    #[error(
        "`{call}`: an interprocess event cannot be recorded in a stream capture, unless it was made with `EventOptions::external(true)`"
    )]
    NotExternal {
        /// The driver function.
        call: &'static str,
        /// The driver's answer.
        code: ErrorCode,
    },

    /// Bytes that are to be an interprocess handle, and are not as many.
    #[error("interprocess {what} handles have 64 bytes, not {bytes}")]
    HandleLength {
        /// What it is to be a handle of.
        what: IpcKind,
        /// How many there are.
        bytes: usize,
    },

    /// Text that is to be an interprocess handle, and is not.
    #[error("interprocess {what} handles are written as 128 hexadecimal digits")]
    HandleText {
        /// What it is to be a handle of.
        what: IpcKind,
    },

    /// More elements than shared memory has room for.
    #[error("{len} elements were asked for, and the memory has room for {most}")]
    OutOfBounds {
        /// How many were asked for.
        len: usize,
        /// How many there are.
        most: usize,
    },

    /// The handle is of this very process, which cannot open it. Where it is the driver that says so, it may also be of
    /// one that has the same process id in another container.
    #[error(
        "this process has exported the {what} of this handle: use the {what} itself; only other processes can open it{}",
        ipc::namesake(*code)
    )]
    OwnHandle {
        /// What it is a handle of.
        what: IpcKind,
        /// The driver's answer; `None` if it need not be asked.
        code: Option<ErrorCode>,
    },

    /// The driver refused to export something to other processes, or to open what they have exported.
    #[error("`{call}` failed: {code}: {reason}")]
    IpcRefused {
        /// The driver function.
        call: &'static str,
        /// Its result code.
        code: ErrorCode,
        /// Why.
        reason: IpcRefusal,
    },

    /// A handle cannot be given up while others share it: clones of it, or streams of cudarc made by
    /// `Stream::to_cudarc`.
    #[error("the stream is still shared: drop its other clones, and what cudarc has of it, first")]
    StreamShared,

    /// A pool has lent all its streams.
    #[error("all {size} streams of the pool are lent: give one back first, or make the pool larger")]
    PoolExhausted {
        /// How many the pool lends at most.
        size: u16,
    },
}

impl Error {
    /// The driver's answer, where it is what the error says.
    ///
    /// ```
    /// use cuda_streams::{Error, ErrorCode};
    ///
    /// let error = Error::Driver { call: "cuEventRecord", code: ErrorCode::INVALID_HANDLE };
    /// assert_eq!(error.code(), Some(ErrorCode::INVALID_HANDLE));
    /// assert_eq!(error.to_string(), "`cuEventRecord` failed: CUDA_ERROR_INVALID_HANDLE (400)");
    /// ```
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Driver { code, .. }
            | Self::IpcRefused { code, .. }
            | Self::CaptureInvalidated { code, .. }
            | Self::NotExternal { code, .. } => Some(*code),
            Self::ContextDestroyed { .. } => Some(ErrorCode::CONTEXT_IS_DESTROYED),
            Self::ContextMismatch(mismatch) => mismatch.code,
            Self::NotRecorded { code, .. }
            | Self::OwnHandle { code, .. }
            | Self::Captured { code, .. }
            | Self::CaptureEndedElsewhere { code } => *code,
            Self::CaptureUnjoined => Some(ErrorCode::STREAM_CAPTURE_UNJOINED),
            Self::Untimed { .. } => Some(ErrorCode::INVALID_HANDLE),
            Self::NotComplete { .. } => Some(ErrorCode::NOT_READY),
            _ => None,
        }
    }

    /// Whether the context is dead for good, see [`ErrorCode::is_sticky`].
    ///
    /// ```
    /// use cuda_streams::{Error, ErrorCode};
    ///
    /// let error = Error::Driver { call: "cuStreamQuery", code: ErrorCode::ILLEGAL_ADDRESS };
    /// assert!(error.is_sticky());
    /// ```
    #[must_use]
    pub fn is_sticky(&self) -> bool {
        self.code().is_some_and(ErrorCode::is_sticky)
    }
}

// A result goes through each call of the hot paths.
const _: () = assert!(size_of::<Error>() <= 24);

/// What to do instead of the call that a capture has ended by.
fn instead_of_invalidating(by: Option<&str>, code: ErrorCode) -> &'static str {
    match by {
        Some(_) if code == ErrorCode::STREAM_CAPTURE_ISOLATION => {
            "a captured stream cannot wait for what is outside of the capture; wait for that on the host before"
        }
        Some(_) => "make that call before or after, or inside `relaxed_capture`",
        // It may have been such a wait.
        None => {
            "make that call before or after, or inside `relaxed_capture`; and let no captured stream wait for what is outside, as cudarc does for its slices (see `Stream::to_cudarc`)"
        }
    }
}

/// What to do about a code, where there is something.
fn hint(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::CONTEXT_IS_DESTROYED => ": the context was destroyed; create its handles anew",
        code if code.is_sticky() => ": earlier device work faulted; only a new process can use this device again",
        ErrorCode::NO_DEVICE => ": the driver sees no device; check CUDA_VISIBLE_DEVICES",
        ErrorCode::SYSTEM_DRIVER_MISMATCH => ": the driver library and the kernel module are of two versions; reboot after an update",
        ErrorCode::STUB_LIBRARY => ": this is the toolkit's stub; put the real driver first in the search path",
        _ => "",
    }
}
