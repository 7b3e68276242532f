//! The operations of a stream as methods of a type that has a view.

/// `stream_operations!([O] ExternalStream<O>);`
macro_rules! stream_operations {
    ([$($owner:ident)?] $type:ty) => {
        const _: () = {
            use std::time::Duration;

            use crate::error::Result;
            use crate::event::{AsEvent, Event, EventOptions, Mode};
            use crate::handle::{AsStream, CaptureStatus};

            impl<$($owner)?> $type {
                /// See [`Stream::record`](crate::Stream::record).
                ///
                /// # Errors
                ///
                /// The same.
                #[inline]
                #[doc(alias = "cuEventRecord")]
                pub fn record(&self, event: impl AsEvent) -> Result<()> {
                    self.as_stream().record(event)
                }

                /// See [`Stream::record_event`](crate::Stream::record_event).
                ///
                /// # Errors
                ///
                /// The same.
                #[inline]
                #[doc(alias = "cuEventRecord")]
                pub fn record_event(&self) -> Result<Event> {
                    self.as_stream().record_event()
                }

                /// See [`Stream::record_event_with`](crate::Stream::record_event_with).
                ///
                /// # Errors
                ///
                /// The same.
                #[inline]
                #[doc(alias = "cuEventRecord")]
                pub fn record_event_with<M: Mode>(&self, options: EventOptions<M>) -> Result<Event<M>> {
                    self.as_stream().record_event_with(options)
                }

                /// See [`Stream::wait_event`](crate::Stream::wait_event).
                ///
                /// # Errors
                ///
                /// The same.
                #[inline]
                #[doc(alias = "cuStreamWaitEvent")]
                pub fn wait_event(&self, event: impl AsEvent) -> Result<()> {
                    self.as_stream().wait_event(event)
                }

                /// See [`Stream::wait_stream`](crate::Stream::wait_stream).
                ///
                /// # Errors
                ///
                /// The same.
                #[inline]
                #[doc(alias = "cuStreamWaitEvent")]
                pub fn wait_stream(&self, other: impl AsStream) -> Result<()> {
                    self.as_stream().wait_stream(other)
                }

                /// See [`Stream::query`](crate::Stream::query).
                ///
                /// # Errors
                ///
                /// The same.
                #[inline]
                #[doc(alias = "cuStreamQuery")]
                pub fn query(&self) -> Result<bool> {
                    self.as_stream().query()
                }

                /// See [`Stream::synchronize`](crate::Stream::synchronize).
                ///
                /// # Errors
                ///
                /// The same.
                #[doc(alias = "cuStreamSynchronize")]
                pub fn synchronize(&self) -> Result<()> {
                    self.as_stream().synchronize()
                }

                /// See [`Stream::synchronize_timeout`](crate::Stream::synchronize_timeout).
                ///
                /// # Errors
                ///
                /// The same.
                #[doc(alias = "cuStreamSynchronize")]
                pub fn synchronize_timeout(&self, limit: Duration) -> Result<bool> {
                    self.as_stream().synchronize_timeout(limit)
                }

                /// See [`StreamRef::id`](crate::StreamRef::id).
                ///
                /// # Errors
                ///
                /// The same.
                #[doc(alias = "cuStreamGetId")]
                pub fn id(&self) -> Result<u64> {
                    self.as_stream().id()
                }

                /// See [`StreamRef::priority`](crate::StreamRef::priority).
                ///
                /// # Errors
                ///
                /// The same.
                #[doc(alias = "cuStreamGetPriority")]
                pub fn priority(&self) -> Result<i32> {
                    self.as_stream().priority()
                }

                /// See [`StreamRef::is_blocking`](crate::StreamRef::is_blocking).
                ///
                /// # Errors
                ///
                /// The same.
                #[doc(alias = "cuStreamGetFlags")]
                pub fn is_blocking(&self) -> Result<bool> {
                    self.as_stream().is_blocking()
                }

                /// See [`StreamRef::is_capturing`](crate::StreamRef::is_capturing).
                ///
                /// # Errors
                ///
                /// The same.
                #[doc(alias = "cuStreamIsCapturing")]
                pub fn is_capturing(&self) -> Result<bool> {
                    self.as_stream().is_capturing()
                }

                /// See [`StreamRef::capture_status`](crate::StreamRef::capture_status).
                ///
                /// # Errors
                ///
                /// The same.
                #[doc(alias = "cuStreamIsCapturing")]
                pub fn capture_status(&self) -> Result<CaptureStatus> {
                    self.as_stream().capture_status()
                }
            }
        };
    };
}
pub(crate) use stream_operations;
