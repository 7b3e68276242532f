//! Order, time and share GPU work: CUDA devices, streams and events.
//!
//! This crate wraps the CUDA driver API for one purpose, and is made to be used beside a crate that
//! allocates memory and launches kernels: [cudarc](https://docs.rs/cudarc)'s streams are streams
//! here, and streams of this crate run cudarc's work.
//!
//! ```
//! use cuda_streams::{Device, Event};
//!
//! let device = Device::get(0)?;
//! let stream = device.stream()?;
//! let (start, end) = (Event::timed(), Event::timed());
//! start.record(&stream)?;
//! // ... enqueue work on the stream
//! end.record(&stream)?;
//! end.synchronize()?;
//! println!("{}", start.elapsed_time(&end)?); // 1.344 µs
//! # Ok::<(), cuda_streams::Error>(())
//! ```
//!
//! What holds everywhere:
//!
//! * Nothing panics, and nothing waits unless its name says so (but for the first `Stream::to_cudarc`). Without a driver there is an
//!   [`Error::DriverNotFound`]; work that is not done is `Ok(false)`.
//! * No undefined behaviour from safe code, whatever the driver answers.
//! * The thread's current context is never changed, and no context comes into being but by the calls
//!   that [`Context`] lists.
//! * Errors say which call, on what, and what to do.
//! * Dropping never waits and never fails; `destroy` tells how it went. (Memory that processes share is the
//!   exception: the driver waits when it is [given back](IpcMemory::close).)
//! * In a process that was forked from one that uses the driver, every call that needs the driver
//!   answers [`Error::ForkedChild`], and dropping does nothing.
//! * When the process exits (on Unix), no call reaches the driver any more once its handlers of `atexit` run: calls answer
//!   [`Error::Driver`] with `DEINITIALIZED`, and dropping does nothing. What this crate is giving back just then, on a
//!   thread of its own, is waited for, for a second at most.
//! * Inside a [host function](Stream::launch_host_fn) every such call answers [`Error::InHostFunction`], and what is
//!   dropped is given back soon after, by another thread.

mod context;
mod current;
mod device;
mod driver;
mod error;
mod event;
mod exceptions;
mod exit;
mod external;
mod fork;
mod graph;
mod guard;
mod handle;
mod host_fn;
#[cfg(feature = "cudarc-interop")]
mod interop;
mod ipc;
mod owners;
mod poll;
mod reaper;
mod sharing;
mod stream;
mod sync;
mod user_object;

pub use context::{Context, RawContext};
pub use current::CurrentStream;
pub use device::{Device, DeviceAttribute, DeviceUuid, HostWait, ParseUuidError};
pub use driver::driver_version;
pub use error::{Attempt, ContextMismatch, ContextName, Error, ErrorCode, IpcKind, IpcRefusal, Result, Which};
pub use event::{
    AsEvent, Dynamic, ElapsedTime, Event, EventFlags, EventOptions, EventPoolStats, EventRef, EventStatus, Interprocess, Mode,
    NegativeTime, Timed, Untimed,
};
pub use external::ExternalStream;
pub use graph::{
    CaptureMode, CaptureScope, Contained, EventScope, Foreign, Graph, GraphExec, RawGraph, RawGraphExec, Work, relaxed_capture,
};
pub use handle::{AsStream, CaptureStatus, RawEvent, RawStream, StreamRef};
pub use host_fn::HostFn;
#[cfg(feature = "cudarc-interop")]
pub use interop::{IpcElement, IpcSlice};
pub use ipc::{IpcEventHandle, IpcMemHandle, IpcMemory, RawDevicePtr};
pub use stream::{PooledStream, Stream, StreamOptions, StreamPool};

/// The README's example, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What may go to another thread and be shared, checked at compile time.
const _: () = {
    const fn send<T: Send>() {}
    const fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Device>();
    send_and_sync::<Context>();
    send_and_sync::<Stream>();
    send_and_sync::<StreamPool>();
    send_and_sync::<PooledStream<'_>>();
    send_and_sync::<ExternalStream>();
    send_and_sync::<EventRef<'_>>();
    send_and_sync::<Event>();
    send_and_sync::<Event<Timed>>();
    send_and_sync::<Event<Interprocess>>();
    send_and_sync::<Event<Dynamic>>();
    send_and_sync::<IpcEventHandle>();
    send_and_sync::<IpcMemHandle>();
    send_and_sync::<IpcMemory>();
    send_and_sync::<GraphExec>();
    send_and_sync::<GraphExec<Contained>>();
    send_and_sync::<HostFn<std::cell::Cell<u8>>>();
    send_and_sync::<Error>();
    send::<Graph>();
    send::<Graph<Contained>>();
};
