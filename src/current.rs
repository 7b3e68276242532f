//! The current stream: per thread and per device, as PyTorch has it.

mod scope;

use std::fmt;
use std::ptr;
use std::rc::Rc;

use crate::context::Context;
use crate::device::Device;
use crate::error::Result;
use crate::event::{Event, Mode};
use crate::exceptions;
use crate::external::ExternalStream;
use crate::handle::{AsStream, HandleName, RawStream, StreamRef};
use crate::stream::{Stream, stream_operations};
use scope::{Scope, Shown, find, scope};

/// The current stream of a thread, from [`Stream::current`] or [`Device::current_stream`]: that of a
/// scope, or a device's legacy default stream.
///
/// It may outlive the scope, and keeps the stream alive then. It stays on its thread:
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<cuda_streams::CurrentStream>();
/// ```
///
/// Compare it by its view: `current.as_stream() == stream.as_stream()`.
#[derive(Clone)]
pub struct CurrentStream(Kind);

#[derive(Clone)]
enum Kind {
    Scoped(Rc<Shown>),
    Default(Context),
}

impl Stream {
    /// Runs `f` with this stream as the current one of its device on this thread. Afterwards, and if `f`
    /// panics, what was current before is so again. Scopes nest, also of one stream and over several
    /// devices.
    ///
    /// What asks for it: [`Stream::current`], [`Device::current_stream`], [`Device::current`],
    /// [`Event::record_current`], [`Event::wait_current`]. Calls that are given a stream do not, and
    /// neither does the driver: its current context stays what it is. A future that `f` makes is polled
    /// later, outside of the scope.
    ///
    /// ```
    /// use cuda_streams::{AsStream, Device, Stream};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// stream.scope(|| {
    ///     assert_eq!(Stream::current()?.as_stream(), stream.as_stream());
    ///     Ok::<(), cuda_streams::Error>(())
    /// })?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[inline]
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        scope(self.as_raw(), self.context(), || Box::new(self.clone()), f)
    }

    /// The stream of the innermost scope of this thread; outside of all scopes the legacy default stream
    /// of the thread's current driver context, which must be its device's primary one. To find it takes a
    /// few driver calls each time, so keep what this gives.
    ///
    /// # Errors
    ///
    /// Outside of all scopes those of [`Device::current`], and
    /// [`Error::ForeignContext`](crate::Error::ForeignContext) where another context is current.
    ///
    /// ```
    /// use cuda_streams::{Device, Event, Stream};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// stream.scope(|| Stream::current()?.record(Event::new()))?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[inline]
    pub fn current() -> Result<CurrentStream> {
        innermost(|_| true, stream_of, || Context::current_primary().map(default_of))
    }
}

impl<O: Clone + 'static> ExternalStream<O> {
    /// See [`Stream::scope`]. What [`Stream::current`] gives keeps a clone of the owner, where it outlives
    /// the scope.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use cuda_streams::{Device, Event, ExternalStream};
    ///
    /// let owner = Arc::new(Device::get(0)?.stream()?);
    /// // SAFETY: the stream lives as long as its owner.
    /// let stream = unsafe { ExternalStream::with_owner(owner.as_raw(), owner) }?;
    /// stream.scope(|| Event::new().record_current())?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    ///
    /// Where the owner is only borrowed there is no scope, since what [`Stream::current`] gives may
    /// outlive it:
    ///
    /// ```compile_fail,E0597
    /// use cuda_streams::{Device, ExternalStream};
    ///
    /// let owner = Device::get(0)?.stream()?;
    /// // SAFETY: the stream is borrowed from its owner.
    /// let stream = unsafe { ExternalStream::with_owner(owner.as_raw(), &owner) }?;
    /// stream.scope(|| ());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[inline]
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        scope(self.as_raw(), self.context(), || Box::new(self.owner().clone()), f)
    }
}

impl Device {
    /// The device of the innermost [stream scope](Stream::scope) of this thread; outside of all scopes
    /// that of the thread's current driver context. Never device 0 by default.
    ///
    /// # Errors
    ///
    /// [`Error::NoCurrentDevice`](crate::Error::NoCurrentDevice) if there is neither; those of
    /// [`Device::count`]; [`Error::Driver`](crate::Error::Driver) as the driver answers.
    ///
    /// ```
    /// use cuda_streams::Device;
    ///
    /// let device = Device::get(0)?;
    /// let current = device.stream()?.scope(Device::current)?;
    /// assert_eq!(current, device);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuCtxGetDevice")]
    pub fn current() -> Result<Self> {
        innermost(|_| true, Scope::device, Self::of_current_context)
    }

    /// The stream of the innermost scope of this device on this thread; where there is none, the
    /// device's legacy default stream.
    ///
    /// # Errors
    ///
    /// Where there is no scope, those of [`context`](Self::context).
    ///
    /// ```
    /// use cuda_streams::{AsStream, Device};
    ///
    /// let device = Device::get(0)?;
    /// assert_eq!(device.current_stream()?.as_stream(), device.default_stream()?.as_stream());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[inline]
    pub fn current_stream(self) -> Result<CurrentStream> {
        innermost(|scope| scope.device() == self, stream_of, || self.context().map(default_of))
    }
}

impl<M: Mode> Event<M> {
    /// [Records](Self::record) it on the [current stream](Stream::current).
    ///
    /// # Errors
    ///
    /// Those of [`Stream::current`] and of [`record`](Self::record).
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let event = Event::new();
    /// Device::get(0)?.stream()?.scope(|| event.record_current())?;
    /// event.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventRecord")]
    #[inline]
    pub fn record_current(&self) -> Result<()> {
        self.record(Stream::current()?)
    }

    /// Makes the [current stream](Stream::current) [wait](Self::wait) for it.
    ///
    /// # Errors
    ///
    /// Those of [`Stream::current`] and of [`wait`](Self::wait).
    ///
    /// ```
    /// use cuda_streams::Device;
    ///
    /// let device = Device::get(0)?;
    /// let event = device.stream()?.record_event()?;
    /// device.stream()?.scope(|| event.wait_current())?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamWaitEvent")]
    #[inline]
    pub fn wait_current(&self) -> Result<()> {
        self.wait(Stream::current()?)
    }
}

impl CurrentStream {
    /// The raw `CUstream`, valid while this lives.
    ///
    /// ```
    /// use cuda_streams::{Device, Stream};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let raw = stream.scope(|| Stream::current().map(|current| current.as_raw()))?;
    /// assert_eq!(raw, stream.as_raw());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn as_raw(&self) -> RawStream {
        self.as_stream().as_raw()
    }

    /// Its context.
    ///
    /// ```
    /// use cuda_streams::{Device, Stream};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// assert_eq!(stream.scope(Stream::current)?.context(), stream.context());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn context(&self) -> Context {
        match &self.0 {
            Kind::Scoped(shown) => shown.context(),
            Kind::Default(context) => *context,
        }
    }

    /// Its device.
    ///
    /// ```
    /// use cuda_streams::{Device, Stream};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// assert_eq!(stream.scope(Stream::current)?.device(), stream.device());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn device(&self) -> Device {
        self.context().device()
    }
}

stream_operations!([] CurrentStream);

impl AsStream for CurrentStream {
    #[inline]
    fn as_stream(&self) -> StreamRef<'_> {
        let (raw, context) = match &self.0 {
            Kind::Scoped(shown) => (shown.raw(), shown.context()),
            Kind::Default(context) => (ptr::null_mut(), *context),
        };
        // SAFETY: a stream of this context. In its scope the scope's caller borrows it; afterwards `keep` holds it, since
        // `self` shares what is shown. A default stream lives as long as its context.
        unsafe { StreamRef::known(raw, context) }
    }
}

impl fmt::Debug for CurrentStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentStream").field("device", &self.device().ordinal()).field("raw", &HandleName(self.as_raw())).finish()
    }
}

/// The context of the stream of the innermost scope of this thread; outside of all scopes the primary one of
/// the current device.
pub(crate) fn current_context() -> Result<Context> {
    innermost(|_| true, Scope::context, || Device::of_current_context()?.context())
}

/// What `take` makes of the innermost open scope of this thread that is wanted, or else `otherwise`.
#[inline]
fn innermost<R>(is_wanted: impl Fn(&Scope) -> bool, take: impl FnOnce(&Scope) -> R, otherwise: impl FnOnce() -> Result<R>) -> Result<R> {
    exceptions::check()?;
    find(is_wanted, take).map_or_else(otherwise, Ok)
}

#[inline]
fn stream_of(scope: &Scope) -> CurrentStream {
    CurrentStream(Kind::Scoped(scope.show()))
}

fn default_of(context: Context) -> CurrentStream {
    CurrentStream(Kind::Default(context))
}
