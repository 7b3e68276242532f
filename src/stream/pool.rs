//! A pool of streams: lent to one user at a time, or shared in turns.

mod slots;

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use once_cell::sync::OnceCell;

use super::inner::Inner;
use super::{Stream, StreamOptions};
use crate::context::Context;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::handle::{AsStream, StreamRef};
use slots::{Slots, Taken};

/// Streams of one device that are made once and used again and again: creating and destroying one costs the driver
/// thousands of nanoseconds, and many times that where several threads do it.
///
/// There are two ways to a stream of it, each with up to [`size`](Self::size) streams of its own, which are made as
/// they are needed and destroyed with the pool:
///
/// * [`checkout`](Self::checkout) lends one to one user at a time, who gives it back by dropping the [`PooledStream`].
/// * [`next`](Self::next) shares them in turns, as PyTorch does: the first is the next after the last.
///
/// Nothing in this crate takes streams from a pool by itself.
///
/// A stream is the former user's, with all that he has done to it. It is equal to itself: [`id`](Stream::id), `Eq` and
/// `Hash` tell streams apart, not their users. And it keeps its queue: nothing waits for it when it is given back, so
/// that the next user's work runs behind what is left of the former's. Whoever wants work to run beside that keeps the
/// stream until the work is done, or takes another with [`next`](Self::next).
///
/// A pool for the whole program is a static. To lend and to give back a stream that is there takes no lock and counts no
/// references. (Giving back takes one while cudarc has streams of this crate.)
///
/// ```
/// use std::sync::LazyLock;
///
/// use cuda_streams::{Device, Event, Result, StreamOptions, StreamPool};
///
/// static POOL: LazyLock<Result<StreamPool>> = LazyLock::new(|| Device::get(0)?.stream_pool(StreamOptions::new(), 8));
///
/// fn handle_request() -> Result<()> {
///     let stream = POOL.as_ref().map_err(Clone::clone)?.checkout()?;
///     let done = Event::new();
///     // ... enqueue work on the stream
///     done.record(&stream)?;
///     done.synchronize()
/// }
///
/// std::thread::scope(|scope| {
///     let threads = [(); 4].map(|()| scope.spawn(handle_request));
///     threads.into_iter().try_for_each(|thread| thread.join().unwrap())
/// })
/// # ?; Ok::<(), cuda_streams::Error>(())
/// ```
pub struct StreamPool {
    context: Context,
    options: StreamOptions,
    size: u16,
    idle: Slots<Stream>,
    shared: Shared,
}

impl Device {
    /// A pool of at most `size` streams of the device's primary context, made with these options. None is made yet.
    ///
    /// # Errors
    ///
    /// Those of [`context`](Self::context).
    ///
    /// ```
    /// use cuda_streams::{Device, StreamOptions};
    ///
    /// let urgent = Device::get(0)?.stream_pool(StreamOptions::new().priority(i32::MIN), 4)?;
    /// urgent.checkout()?.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamCreateWithPriority")]
    pub fn stream_pool(self, options: StreamOptions, size: u16) -> Result<StreamPool> {
        let count = usize::from(size);
        Ok(StreamPool { context: self.context()?, options, size, idle: Slots::new(count), shared: Shared::new(count) })
    }
}

impl StreamPool {
    /// A stream that nobody else is given until the [`PooledStream`] is dropped: one that was given back, or a new one.
    /// Does not wait.
    ///
    /// It is the one that this thread gave back last, if that is still there and the thread has used no other pool since. A
    /// new one is made if none is there; and also, up to the size, where another thread has the one that this thread had last,
    /// so that no third thread loses its own: threads at work soon have a stream each.
    ///
    /// # Errors
    ///
    /// * [`Error::PoolExhausted`]: all are lent. As many threads as the pool has streams, each with one at most, never
    ///   get this.
    /// * [`Error::ContextDestroyed`], for good: what the pool has is leaked, so make a new one
    /// * if one is made, those of [`Device::stream`]; the place in the pool stays free
    ///
    /// ```
    /// use cuda_streams::{Device, Error, StreamOptions};
    ///
    /// let pool = Device::get(0)?.stream_pool(StreamOptions::new(), 1)?;
    /// let stream = pool.checkout()?;
    /// let id = stream.id();
    /// assert_eq!(pool.checkout().unwrap_err(), Error::PoolExhausted { size: 1 });
    /// drop(stream);
    /// assert_eq!(pool.checkout()?.id(), id);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[inline]
    pub fn checkout(&self) -> Result<PooledStream<'_>> {
        self.context.alive()?;
        let Some((slot, idle)) = self.idle.take() else { return Err(self.exhausted()) };
        let stream = match idle {
            Some(stream) => stream,
            None => self.create()?,
        };
        Ok(PooledStream { stream: ManuallyDrop::new(stream), slot: Some(slot) })
    }

    /// The next stream in turn, which others are given too: every `size`-th call gives the same. It is none of those that
    /// [`checkout`](Self::checkout) lends. Waits for nobody but a thread that is making that very stream.
    ///
    /// The pool has it until the end. So whoever captures it captures what all others enqueue on it: use a stream of
    /// [`checkout`](Self::checkout) for that.
    ///
    /// # Errors
    ///
    /// As from [`checkout`](Self::checkout); [`Error::PoolExhausted`] only if the pool's size is 0.
    ///
    /// ```
    /// use cuda_streams::{Device, StreamOptions};
    ///
    /// let pool = Device::get(0)?.stream_pool(StreamOptions::new(), 2)?;
    /// let [first, second, third] = [pool.next()?, pool.next()?, pool.next()?];
    /// assert_ne!(first, second);
    /// assert_eq!(first, third);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    pub fn next(&self) -> Result<&Stream> {
        self.context.alive()?;
        let turn = self.shared.turn().ok_or_else(|| self.exhausted())?;
        turn.get_or_try_init(|| self.create())
    }

    /// How many streams it lends at most, and how many it shares.
    ///
    /// ```
    /// use cuda_streams::{Device, StreamOptions};
    ///
    /// assert_eq!(Device::get(0)?.stream_pool(StreamOptions::new(), 32)?.size(), 32);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn size(&self) -> u16 {
        self.size
    }

    /// The context of its streams.
    ///
    /// ```
    /// use cuda_streams::{Device, StreamOptions};
    ///
    /// let device = Device::get(0)?;
    /// assert_eq!(device.stream_pool(StreamOptions::new(), 1)?.context(), device.context()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn context(&self) -> Context {
        self.context
    }

    #[cold]
    fn create(&self) -> Result<Stream> {
        Inner::create(self.context, self.options).map(|inner| Stream(Arc::new(inner)))
    }

    #[cold]
    fn exhausted(&self) -> Error {
        Error::PoolExhausted { size: self.size }
    }
}

impl fmt::Debug for StreamPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamPool")
            .field("device", &self.context.device().ordinal())
            .field("size", &self.size)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The streams that are given out in turns. In cache lines of its own, because each turn is a write.
#[repr(align(128))]
struct Shared {
    streams: Box<[OnceCell<Stream>]>,
    turns: AtomicUsize,
}

impl Shared {
    fn new(count: usize) -> Self {
        Self { streams: (0..count).map(|_| OnceCell::new()).collect(), turns: AtomicUsize::new(0) }
    }

    /// `None` of none.
    fn turn(&self) -> Option<&OnceCell<Stream>> {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        self.streams.get(turn.checked_rem(self.streams.len())?)
    }
}

/// A stream of a [`StreamPool`], lent until this is dropped. It is a [`Stream`], with all that one can do.
///
/// Dropping gives it back, whatever work is still queued: see [`StreamPool`]. Not if the next user could not use it as
/// one of his own; then it is dropped as a `Stream` is, and the pool makes another when it needs one:
///
/// * it is being captured
/// * there is a clone of it: then it lives as long as that
/// * cudarc still has what [`to_cudarc`](Stream::to_cudarc) gave: then it is leaked. Drop that first.
/// * its context was destroyed, or the driver answers with an error, as after a fault of the device
/// * it is dropped inside a host function, where the driver cannot be asked, or in a forked child
///
/// One that is [forgotten](std::mem::forget) stays lent. Its [raw handle](Stream::as_raw) is valid while it is lent; whoever
/// takes it over by a clone has it longer.
///
/// ```
/// use cuda_streams::{Device, StreamOptions};
///
/// let pool = Device::get(0)?.stream_pool(StreamOptions::new(), 2)?;
/// let (copies, kernels) = (pool.checkout()?, pool.checkout()?);
/// kernels.wait_stream(&copies)?;
/// kernels.synchronize()?;
/// # Ok::<(), cuda_streams::Error>(())
/// ```
///
/// It cannot outlive its pool:
///
/// ```compile_fail,E0597
/// use cuda_streams::{Device, StreamOptions};
///
/// let stream = {
///     let pool = Device::get(0)?.stream_pool(StreamOptions::new(), 2)?;
///     pool.checkout()?
/// };
/// stream.synchronize()?;
/// # Ok::<(), cuda_streams::Error>(())
/// ```
#[must_use = "a stream that is dropped is given back"]
pub struct PooledStream<'pool> {
    stream: ManuallyDrop<Stream>,
    slot: Option<Taken<'pool, Stream>>,
}

impl Deref for PooledStream<'_> {
    type Target = Stream;

    #[inline]
    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl AsStream for PooledStream<'_> {
    #[inline]
    fn as_stream(&self) -> StreamRef<'_> {
        self.stream.as_stream()
    }
}

impl fmt::Debug for PooledStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PooledStream").field(&*self.stream).finish()
    }
}

impl Drop for PooledStream<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this is the drop, which comes once, and nothing uses the field after it.
        let stream = unsafe { ManuallyDrop::take(&mut self.stream) };
        match self.slot.take() {
            Some(slot) if stream.can_be_lent_again() => slot.put(stream),
            slot => {
                // Before its slot is free, so that there are no more than the pool's size (but for those that are destroyed
                // after a host function).
                drop(stream);
                drop(slot);
            }
        }
    }
}

impl Stream {
    /// Whether this is the only handle of a stream that another user can use as a new one; not if that cannot be told.
    fn can_be_lent_again(&self) -> bool {
        if Arc::strong_count(&self.0) != 1 {
            return false;
        }
        // What others did with their clones is done.
        fence(Ordering::Acquire);
        let context = self.0.context;
        // The driver would crash on the handle if its context is gone.
        context.verify().is_ok() && !self.as_stream().may_be_capturing(context) && self.0.end_loans().is_ok()
    }
}
