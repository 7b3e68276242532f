//! What an event is, told without a driver call.

use super::Event;
use super::flags::EventFlags;
use super::mode::Mode;
use crate::context::Context;
use crate::device::Device;

impl<M: Mode> Event<M> {
    /// The context it belongs to; `None` while it is not bound to one.
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let event = Event::new();
    /// assert_eq!(event.context(), None);
    /// event.record(&stream)?;
    /// assert_eq!(event.context(), Some(stream.context()));
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn context(&self) -> Option<Context> {
        self.inner.home()
    }

    /// The device it belongs to; `None` while it is not bound to one.
    ///
    /// ```
    /// assert_eq!(cuda_streams::Event::new().device(), None);
    /// ```
    #[must_use]
    pub fn device(&self) -> Option<Device> {
        self.context().map(Context::device)
    }

    /// The driver's flags for it.
    ///
    /// ```
    /// use cuda_streams::{Event, EventFlags};
    ///
    /// assert_eq!(Event::new().flags(), EventFlags::DISABLE_TIMING);
    /// ```
    #[must_use]
    pub fn flags(&self) -> EventFlags {
        self.inner.flags()
    }

    /// Whether it takes time stamps.
    ///
    /// ```
    /// use cuda_streams::Event;
    ///
    /// assert!(Event::timed().is_timed() && !Event::new().is_timed());
    /// ```
    #[must_use]
    pub fn is_timed(&self) -> bool {
        !self.flags().contains(EventFlags::DISABLE_TIMING)
    }

    /// Whether a thread that synchronizes it sleeps instead of spinning. (Of an event of another process it is
    /// what [`from_ipc_handle_with`](Event::from_ipc_handle_with) was told.)
    ///
    /// ```
    /// use cuda_streams::EventOptions;
    ///
    /// assert!(EventOptions::new().blocking_sync(true).build().is_blocking_sync());
    /// ```
    #[must_use]
    pub fn is_blocking_sync(&self) -> bool {
        self.flags().contains(EventFlags::BLOCKING_SYNC)
    }

    /// Whether it can be shared with other processes.
    ///
    /// ```
    /// assert!(cuda_streams::Event::interprocess().is_interprocess());
    /// ```
    #[must_use]
    pub fn is_interprocess(&self) -> bool {
        self.flags().contains(EventFlags::INTERPROCESS)
    }
}
