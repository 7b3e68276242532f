//! Functions of the host as work of a stream.

use std::sync::Arc;

use super::outcome::Outcome;
use super::running::{self, Closure};
use super::{CALL, HostFn};
use crate::context::Context;
use crate::current::CurrentStream;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::external::ExternalStream;
use crate::handle::{AsStream, StreamRef};
use crate::owners;
use crate::reaper;
use crate::stream::Stream;

impl Stream {
    /// Calls `f` when the work is done that is enqueued so far, on a thread of the driver's. What is enqueued from
    /// now on waits until `f` has returned.
    ///
    /// What it returns comes from the [`HostFn`], by [`join`](HostFn::join) or `await`; dropping that lets `f` run all
    /// the same. If `f` panics, that is the error of the `HostFn` and of nothing else.
    ///
    /// `f` must not wait for work of a device, nor call the driver: calls of this crate answer
    /// [`Error::InHostFunction`], and what is dropped there of this crate's is given back soon after; calls of others,
    /// cudarc's among them, may never return. So that what `f` captures is not dropped there, return it. The
    /// host functions of a context run one at a time, of all its streams, and each costs its stream about 17 µs.
    ///
    /// `f` never runs if earlier work faults, and is dropped when that is noticed. The end of a context (but a green one)
    /// waits for what is enqueued, and `f` runs; unless this crate has noticed by then that the context is over, by a `join`,
    /// a poll or another launch behind [`Context::retire`](crate::Context::retire): then `f` is dropped, and never runs.
    ///
    /// # Errors
    ///
    /// `f` is dropped, and will not run.
    ///
    /// * [`Error::Capturing`]: the stream is being captured, or is the legacy default stream while a blocking one is
    /// * [`Error::ContextDestroyed`]; [`Error::Driver`], also with the error of earlier work
    ///
    /// ```
    /// let stream = cuda_streams::Device::get(0)?.stream()?;
    /// // ... enqueue a copy to `buffer`
    /// let buffer = vec![1, 2, 3];
    /// let sum = stream.launch_host_fn(move || buffer.iter().sum::<i32>())?;
    /// assert_eq!(sum.join()?, 6);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    ///
    /// It may run after this function has returned, so it borrows nothing:
    ///
    /// ```compile_fail,E0373
    /// let stream = cuda_streams::Device::get(0)?.stream()?;
    /// let buffer = vec![1, 2, 3];
    /// stream.launch_host_fn(|| println!("{buffer:?}"))?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    ///
    /// and it runs on another thread:
    ///
    /// ```compile_fail,E0277
    /// let stream = cuda_streams::Device::get(0)?.stream()?;
    /// let shared = std::rc::Rc::new(1);
    /// stream.launch_host_fn(move || println!("{shared}"))?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuLaunchHostFunc")]
    #[doc(alias = "cuStreamAddCallback")]
    pub fn launch_host_fn<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Result<HostFn<T>> {
        self.as_stream().launch_host_fn(f)
    }
}

impl<O> ExternalStream<O> {
    /// See [`Stream::launch_host_fn`].
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuLaunchHostFunc")]
    #[doc(alias = "cuStreamAddCallback")]
    pub fn launch_host_fn<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Result<HostFn<T>> {
        self.as_stream().launch_host_fn(f)
    }
}

impl CurrentStream {
    /// See [`Stream::launch_host_fn`].
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuLaunchHostFunc")]
    #[doc(alias = "cuStreamAddCallback")]
    pub fn launch_host_fn<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Result<HostFn<T>> {
        self.as_stream().launch_host_fn(f)
    }
}

impl StreamRef<'_> {
    /// See [`Stream::launch_host_fn`].
    ///
    /// # Errors
    ///
    /// The same, and those of [`context`](Self::context).
    ///
    /// ```
    /// let stream = cuda_streams::Device::get(0)?.default_stream()?;
    /// let done = stream.launch_host_fn(|| println!("done"))?;
    /// done.join()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuLaunchHostFunc")]
    #[doc(alias = "cuStreamAddCallback")]
    pub fn launch_host_fn<T: Send + 'static>(self, f: impl FnOnce() -> T + Send + 'static) -> Result<HostFn<T>> {
        reaper::drain();
        let context = self.context().inspect_err(|error| {
            if matches!(error, Error::ContextDestroyed { .. }) {
                running::give_up_the_dead();
            }
        })?;
        self.launch_in(context, f).inspect_err(|error| running::given_up_with(context, error))
    }

    fn launch_in<T: Send + 'static>(self, context: Context, f: impl FnOnce() -> T + Send + 'static) -> Result<HostFn<T>> {
        let mark = match self.outside_capture(context, CALL).and_then(|()| Event::bound(context)) {
            Ok(mark) => mark,
            Err(error) => {
                owners::drop_now(context, f);
                return Err(error);
            }
        };
        let outcome = Arc::new(Outcome::new());
        let ticket = running::put(context, Box::new(Closure { function: f, outcome: outcome.clone() }))?;
        let launched = self
            // SAFETY: the stream is alive: its context is, and the view borrows it; the function takes any number.
            .call(context, |driver, stream| unsafe { driver.cuLaunchHostFunc(stream, Some(running::run), ticket.to_raw()) })
            .and_then(|answer| context.check(answer));
        if let Err(error) = launched {
            owners::drop_now(context, running::take(ticket));
            return Err(error);
        }
        // Without its mark nobody could tell whether it is to run at all: then it does not, unless it does already.
        let mark = match mark.record(self) {
            Ok(()) => Some(mark),
            Err(error) => match running::take(ticket) {
                Some(job) => {
                    owners::drop_now(context, job);
                    return Err(error);
                }
                None => None,
            },
        };
        Ok(HostFn::new(outcome, mark, ticket, context))
    }
}
