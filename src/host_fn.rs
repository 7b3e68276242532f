//! Functions of the host as work of a stream, and what becomes of them.
//!
//! The driver is given a number, never an address: whoever can begin a capture of a stream can make a host function a
//! part of a graph, where it is called with each launch, and safe code can do so between any two calls of ours.

mod launch;
mod outcome;
mod running;
mod tickets;
mod watching;

/// What the files that are explored under shuttle take from there.
mod sync {
    pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
}

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use crate::context::{Context, Relaxed};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::exceptions;
use outcome::Outcome;
pub(crate) use running::HostNode;
use tickets::Ticket;
use watching::Pending;

/// The driver's function.
const CALL: &str = "cuLaunchHostFunc";

/// A function that runs as work of a stream, see [`Stream::launch_host_fn`](crate::Stream::launch_host_fn).
///
/// Its result is waited for by [`join`](Self::join), or awaited as a future, in any executor. Dropping this waits for
/// nothing and stops nothing: the function runs, and its result, or panic, is nobody's.
///
/// ```
/// use std::pin::pin;
/// use std::task::{Context, Poll, Waker};
///
/// let stream = cuda_streams::Device::get(0)?.stream()?;
/// let mut answer = pin!(stream.launch_host_fn(|| 42)?);
/// // What an executor does.
/// let mut context = Context::from_waker(Waker::noop());
/// let answer = loop {
///     if let Poll::Ready(answer) = answer.as_mut().poll(&mut context) {
///         break answer?;
///     }
/// };
/// assert_eq!(answer, 42);
/// # Ok::<(), cuda_streams::Error>(())
/// ```
#[must_use = "dropping it gives up the result; to do so in plain words, call `drop`"]
pub struct HostFn<T> {
    shared: Arc<Shared<T>>,
    is_watched: bool,
}

/// What a thread that looks after futures knows of one, too. Not the function: it shares the outcome alone, so that the
/// event never ends inside of it.
struct Shared<T> {
    outcome: Arc<Outcome<Result<T>>>,
    /// Behind the function, in its stream. There is none where the function was found running, and ends by itself.
    mark: Option<Event>,
    ticket: Ticket,
    context: Context,
}

impl<T: Send + 'static> HostFn<T> {
    fn new(outcome: Arc<Outcome<Result<T>>>, mark: Option<Event>, ticket: Ticket, context: Context) -> Self {
        Self { shared: Arc::new(Shared { outcome, mark, ticket, context }), is_watched: false }
    }

    /// Whether the function has returned or panicked, or will never run. Does not wait. The driver is asked, since some
    /// begin nothing before that.
    ///
    /// ```
    /// let stream = cuda_streams::Device::get(0)?.stream()?;
    /// let function = stream.launch_host_fn(|| ())?;
    /// stream.synchronize()?;
    /// assert!(function.is_finished());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match exceptions::check() {
            Ok(()) => !self.shared.look(),
            Err(Error::ForkedChild) => true,
            Err(_) => !self.shared.outcome.is_pending(),
        }
    }

    /// Waits until the function has run; what it returned. May be called while a stream is captured, and does not end
    /// the capture.
    ///
    /// # Errors
    ///
    /// * [`Error::HostFunctionPanicked`], with the message
    /// * [`Error::ContextDestroyed`], [`Error::Driver`] with the error of earlier work: it has not run, and will not
    /// * [`Error::Capturing`]: somebody began a capture of the stream while it was launched, which then was given
    ///   up; it has not run, and will not
    /// * [`Error::InHostFunction`]: it would wait for its own turn
    /// * [`Error::ResultTaken`] after the future was ready
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// assert_eq!(stream.launch_host_fn(|| 6 * 7)?.join(), Ok(42));
    /// let broken = stream.launch_host_fn(|| panic!("out of paper"))?;
    /// assert_eq!(broken.join(), Err::<(), _>(Error::HostFunctionPanicked { message: "out of paper".into() }));
    /// stream.synchronize()?; // the stream is as before
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamSynchronize")]
    pub fn join(self) -> Result<T> {
        /// Between two looks; the end of the function ends them at once.
        const SHORTEST: Duration = Duration::from_millis(1);
        const LONGEST: Duration = Duration::from_millis(50);

        exceptions::check()?;
        let mut pause = SHORTEST;
        while self.shared.outcome.wait(pause) && self.shared.look() {
            pause = LONGEST.min(2 * pause);
        }
        self.shared.outcome.take().unwrap_or(Err(Error::ResultTaken))
    }
}

impl<T: Send + 'static> Pending for Shared<T> {
    fn look(&self) -> bool {
        if !self.outcome.is_pending() {
            return false;
        }
        // The context first: the driver crashes on what belongs to a dead one.
        let done = self.context.verify().and_then(|()| {
            let _relaxed = Relaxed::enter(self.context.driver());
            self.mark.as_ref().map_or(Ok(false), Event::query)
        });
        match done {
            Ok(false) => {}
            // Then the function has run, unless it is in a graph, with the mark behind it or not.
            Ok(true) | Err(Error::Captured { .. }) => self.give_up(Error::Capturing { call: CALL }),
            Err(error) => {
                running::given_up_with(self.context, &error);
                self.give_up(error);
            }
        }
        self.outcome.is_pending()
    }
}

impl<T> Shared<T> {
    /// The function will not run, for this reason, unless it runs already.
    fn give_up(&self, error: Error) {
        if let Some(job) = running::take(self.ticket) {
            job.give_up(self.context, error);
        }
    }
}

/// What [`join`](HostFn::join) gives, without waiting. The waker is woken on a thread of the driver's, inside the host
/// function, or by a thread of this crate's where the function will never run; it should do no more than wakers do.
impl<T: Send + 'static> Future for HostFn<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Result<T>> {
        let may_ask = match exceptions::check() {
            Err(Error::ForkedChild) => return Poll::Ready(Err(Error::ForkedChild)),
            may_ask => may_ask.is_ok(),
        };
        let poll = |this: &Self, context: &task::Context<'_>| match this.shared.outcome.poll(context.waker()) {
            Poll::Ready(result) => Poll::Ready(result.unwrap_or(Err(Error::ResultTaken))),
            Poll::Pending => Poll::Pending,
        };
        let answer = poll(&self, context);
        if answer.is_ready() {
            return answer;
        }
        // Also inside a host function: nobody may ever poll again.
        if !self.is_watched {
            let pending: Arc<dyn Pending> = self.shared.clone();
            self.is_watched = watching::watch(Arc::downgrade(&pending));
        }
        if !may_ask {
            return answer;
        }
        if self.shared.look() { Poll::Pending } else { poll(&self, context) }
    }
}

impl<T> Drop for HostFn<T> {
    fn drop(&mut self) {
        if exceptions::is_forked() {
            // Locks that nobody gives back.
            return mem::forget(self.shared.outcome.clone());
        }
        let unwanted = self.shared.outcome.detach();
        drop(unwanted);
        if self.is_watched {
            watching::ended();
        }
    }
}

impl<T> fmt::Debug for HostFn<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFn").field("device", &self.shared.context.device().ordinal()).finish_non_exhaustive()
    }
}
