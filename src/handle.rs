//! Handles: borrowed views of streams, and the one place where a handle is destroyed.

mod capturing;
mod lent;

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use crate::context::{Context, Current, RawContext, Relaxed};
use crate::device::Device;
#[cfg(doc)]
use crate::driver::Answer;
use crate::driver::{CUevent, CUgraph, CUgraphExec, CUstream, Driver};
use crate::error::{Error, Result};
use crate::exceptions;
use crate::reaper;

pub use capturing::CaptureStatus;
pub(crate) use capturing::{Capture, StreamIn};
pub(crate) use lent::Lent;

/// A raw `CUstream`.
#[doc(alias = "CUstream")]
pub type RawStream = *mut c_void;

/// A raw `CUevent`.
#[doc(alias = "CUevent")]
pub type RawEvent = *mut c_void;

/// Something that is a stream: this crate's [`Stream`](crate::Stream), cudarc's `CudaStream` (with
/// the feature `cudarc-interop`), and every reference and smart pointer to one.
///
/// Functions that need a stream take `impl AsStream` by value, so `&stream`, `stream` and
/// `&Arc<CudaStream>` all do. The trait is open and safe to implement, since a [`StreamRef`] only
/// comes from a stream.
///
/// ```
/// use cuda_streams::{AsStream, Device, Event, Stream, StreamRef};
///
/// struct Worker {
///     stream: Stream,
/// }
///
/// impl AsStream for Worker {
///     fn as_stream(&self) -> StreamRef<'_> {
///         self.stream.as_stream()
///     }
/// }
///
/// let worker = Worker { stream: Device::get(0)?.stream()? };
/// Event::new().record(&worker)?;
/// # Ok::<(), cuda_streams::Error>(())
/// ```
pub trait AsStream {
    /// A view of the stream.
    fn as_stream(&self) -> StreamRef<'_>;
}

/// A borrowed view of a stream, `Copy`, with all the stream's operations.
///
/// It cannot outlive the stream:
///
/// ```compile_fail,E0597
/// use cuda_streams::{AsStream, Device};
///
/// let view = {
///     let stream = Device::get(0)?.stream()?;
///     stream.as_stream()
/// };
/// view.synchronize()?;
/// # Ok::<(), cuda_streams::Error>(())
/// ```
///
/// and it stays on its thread, because the handle of a per-thread stream means another stream on
/// each thread:
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<cuda_streams::StreamRef<'static>>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<cuda_streams::StreamRef<'static>>();
/// ```
#[derive(Clone, Copy)]
pub struct StreamRef<'a> {
    raw: RawStream,
    home: Home<'a>,
    _stream: PhantomData<&'a ()>,
}

/// The context of a stream.
#[derive(Clone, Copy)]
enum Home<'a> {
    /// One that this crate knows.
    Known(Context),
    /// And a stream that this crate has made.
    Own(Context, &'a Lent),
    #[cfg_attr(not(feature = "cudarc-interop"), expect(dead_code, reason = "only interop makes it"))]
    Foreign(ForeignHome),
}

/// A context that another crate holds, compared with the device's primary context when it is needed.
#[derive(Clone, Copy)]
pub(crate) struct ForeignHome {
    pub(crate) context: RawContext,
    pub(crate) device: u32,
    pub(crate) is_primary: bool,
}

impl<'a> StreamRef<'a> {
    /// A view of a stream of a known context.
    ///
    /// # Safety
    ///
    /// The stream is alive, and belongs to that context, for the view's lifetime.
    #[inline]
    pub(crate) unsafe fn known(raw: RawStream, context: Context) -> Self {
        Self { raw, home: Home::Known(context), _stream: PhantomData }
    }

    /// A view of a stream that this crate has made.
    ///
    /// # Safety
    ///
    /// As for [`known`](Self::known).
    #[inline]
    pub(crate) unsafe fn own(raw: RawStream, context: Context, lent: &'a Lent) -> Self {
        Self { raw, home: Home::Own(context, lent), _stream: PhantomData }
    }

    /// A view of a stream of somebody else's context.
    ///
    /// # Safety
    ///
    /// Stream and context are alive, and the stream belongs to the context, for the view's lifetime.
    #[cfg(feature = "cudarc-interop")]
    pub(crate) unsafe fn foreign(raw: RawStream, home: ForeignHome) -> Self {
        Self { raw, home: Home::Foreign(home), _stream: PhantomData }
    }

    /// The raw `CUstream`.
    #[must_use]
    pub fn as_raw(self) -> RawStream {
        if let Home::Own(_, lent) = self.home {
            lent.set();
        }
        self.raw
    }

    /// The context it belongs to.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; for a stream of cudarc's own type [`Error::ForeignContext`] if its context is
    /// not the device's primary one, [`Error::TwoDrivers`] if cudarc has loaded another driver library.
    #[inline]
    pub fn context(self) -> Result<Context> {
        match self.home {
            Home::Known(context) | Home::Own(context, _) => context.alive().map(|()| context),
            Home::Foreign(home) => home.context(),
        }
    }

    fn raw_context(self) -> RawContext {
        match self.home {
            Home::Known(context) | Home::Own(context, _) => context.as_raw(),
            Home::Foreign(home) => home.context,
        }
    }

    /// Whether the handle is one of the numbers 0, 1, 2, which mean a stream of the context that is
    /// current on the calling thread.
    #[inline]
    pub(crate) fn is_default_handle(raw: RawStream) -> bool {
        raw.addr() <= 2
    }

    /// Whether both, of one context, are the same stream. Both are alive, so a handle is an identity
    /// here; 0 and 1 are two names of one stream.
    pub(crate) fn has_handle_of(self, other: Self) -> bool {
        self.handle_name() == other.handle_name()
    }

    /// The handle as a number: 0 for both names of the legacy default stream.
    pub(crate) fn handle_name(self) -> usize {
        if self.raw.addr() == 1 { 0 } else { self.raw.addr() }
    }

    /// Calls the driver with the handle; `context` is the stream's. What answers is an [`Answer`], or
    /// an `Option` of one for a function that some drivers lack.
    #[inline]
    pub(crate) fn call<A>(self, context: Context, f: impl FnOnce(&Driver, CUstream) -> A) -> Result<A> {
        self.call_then(context, f, Ok)
    }

    /// The same, and `then` with what it answers. As one, so that the way of most streams stays short.
    #[inline]
    pub(crate) fn call_then<A, R>(
        self,
        context: Context,
        f: impl FnOnce(&Driver, CUstream) -> A,
        then: impl FnOnce(A) -> Result<R>,
    ) -> Result<R> {
        if Self::is_default_handle(self.raw) { self.call_within(context, f, then) } else { then(f(context.driver(), self.raw.cast())) }
    }

    #[cold]
    #[inline(never)]
    fn call_within<A, R>(self, context: Context, f: impl FnOnce(&Driver, CUstream) -> A, then: impl FnOnce(A) -> Result<R>) -> Result<R> {
        let _current = Current::ensure(context)?;
        then(f(context.driver(), self.raw.cast()))
    }
}

/// Whether both are the same stream. Makes no driver call: both are alive, so their handles tell.
/// 0 and 1 are two names of the legacy default stream.
///
/// ```
/// use cuda_streams::{AsStream, Device};
///
/// let device = Device::get(0)?;
/// let stream = device.stream()?;
/// assert_eq!(stream.as_stream(), stream.clone().as_stream());
/// assert_ne!(stream.as_stream(), device.default_stream()?.as_stream());
/// # Ok::<(), cuda_streams::Error>(())
/// ```
impl PartialEq for StreamRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        let same_context = match (self.home, other.home) {
            (Home::Known(context) | Home::Own(context, _), Home::Known(other) | Home::Own(other, _)) => context == other,
            _ => self.raw_context() == other.raw_context(),
        };
        same_context && self.has_handle_of(*other)
    }
}

impl Eq for StreamRef<'_> {}

impl ForeignHome {
    #[inline]
    pub(crate) fn context(self) -> Result<Context> {
        foreign_context(self.context, self.device, self.is_primary)
    }
}

/// The context, if it is the device's primary one in the driver that this crate has loaded. Out of line, so that the way
/// of our own streams stays short; and by its parts, or their views would be built in memory for it.
#[inline(never)]
fn foreign_context(context: RawContext, device: u32, is_primary: bool) -> Result<Context> {
    if !is_primary {
        return Err(Error::ForeignContext { device });
    }
    Context::primary_with_raw(Device::get(device)?, context)?.ok_or(Error::TwoDrivers { device })
}

impl fmt::Debug for StreamRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = match self.home {
            Home::Known(context) | Home::Own(context, _) => context.device().ordinal(),
            Home::Foreign(home) => home.device,
        };
        f.debug_struct("StreamRef").field("device", &device).field("raw", &HandleName(self.raw)).finish()
    }
}

/// A stream handle in `Debug` output.
pub(crate) struct HandleName(pub(crate) RawStream);

impl fmt::Debug for HandleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.addr() {
            0 => f.write_str("0 (default)"),
            1 => f.write_str("1 (legacy default)"),
            2 => f.write_str("2 (per-thread default)"),
            _ => self.0.fmt(f),
        }
    }
}

impl AsStream for StreamRef<'_> {
    #[inline]
    fn as_stream(&self) -> StreamRef<'_> {
        *self
    }
}

/// What points to something that has a view has that view.
macro_rules! forward {
    ($trait:ident::$method:ident -> $view:ident: $($pointer:ty),*) => {$(
        impl<T: $trait + ?Sized> $trait for $pointer {
            #[inline]
            fn $method(&self) -> $view<'_> {
                (**self).$method()
            }
        }
    )*};
}
pub(crate) use forward;

forward!(AsStream::as_stream -> StreamRef: &T, &mut T, Box<T>, Rc<T>, Arc<T>);

/// A driver object that this crate made.
#[derive(Clone, Copy)]
pub(crate) enum Object {
    Stream(CUstream),
    Event(CUevent),
    Graph(CUgraph),
    GraphExec(CUgraphExec),
}

// SAFETY: a handle may be used from any thread, says the driver.
unsafe impl Send for Object {}

impl Object {
    /// Gives the object back to the driver: the one place where that happens.
    ///
    /// On a dead context and in a forked child it is leaked, since the driver would crash. Work that is
    /// still queued is not waited for; the driver frees the object when that work is done. Inside a host function
    /// the answer is [`Error::InHostFunction`], and it is given back soon after.
    ///
    /// # Safety
    ///
    /// The object belongs to the context, and nobody uses its handle from now on.
    pub(crate) unsafe fn destroy(self, context: Context) -> Result<()> {
        if exceptions::in_host_function() {
            // SAFETY: the caller's contract, which says "from now on".
            reaper::later(move || drop(unsafe { self.destroy(context) }));
            return Err(Error::InHostFunction);
        }
        context.verify()?;
        let answer = Relaxed::around(context.driver(), || match self {
            // SAFETY: the handle is live, since its context is, and it is not used again; refused, it lives still.
            Self::Stream(stream) => unsafe { context.driver().cuStreamDestroy_v2(stream) },
            // SAFETY: as above.
            Self::Event(event) => unsafe { context.driver().cuEventDestroy_v2(event) },
            // SAFETY: as above.
            Self::Graph(graph) => unsafe { context.driver().cuGraphDestroy(graph) },
            // SAFETY: as above.
            Self::GraphExec(exec) => unsafe { context.driver().cuGraphExecDestroy(exec) },
        });
        context.check(answer)
    }
}
