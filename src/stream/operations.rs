//! The operations of a stream as methods of a type that has a view.

/// `stream_operations!([O] ExternalStream<O>);`
macro_rules! stream_operations {
    ([$($owner:ident)?] $type:ty) => {
        impl<$($owner)?> $type {
            /// See [`Stream::record`](crate::Stream::record).
            ///
            /// # Errors
            ///
            /// The same.
            #[inline]
            #[doc(alias = "cuEventRecord")]
            pub fn record(&self, event: impl crate::AsEvent) -> crate::Result<()> {
                crate::AsStream::as_stream(self).record(event)
            }

            /// See [`Stream::record_event`](crate::Stream::record_event).
            ///
            /// # Errors
            ///
            /// The same.
            #[inline]
            #[doc(alias = "cuEventRecord")]
            pub fn record_event(&self) -> crate::Result<crate::Event> {
                crate::AsStream::as_stream(self).record_event()
            }

            /// See [`Stream::record_event_with`](crate::Stream::record_event_with).
            ///
            /// # Errors
            ///
            /// The same.
            #[inline]
            #[doc(alias = "cuEventRecord")]
            pub fn record_event_with<M: crate::Mode>(&self, options: crate::EventOptions<M>) -> crate::Result<crate::Event<M>> {
                crate::AsStream::as_stream(self).record_event_with(options)
            }

            /// See [`Stream::wait_event`](crate::Stream::wait_event).
            ///
            /// # Errors
            ///
            /// The same.
            #[inline]
            #[doc(alias = "cuStreamWaitEvent")]
            pub fn wait_event(&self, event: impl crate::AsEvent) -> crate::Result<()> {
                crate::AsStream::as_stream(self).wait_event(event)
            }

            /// See [`Stream::wait_stream`](crate::Stream::wait_stream).
            ///
            /// # Errors
            ///
            /// The same.
            #[inline]
            #[doc(alias = "cuStreamWaitEvent")]
            pub fn wait_stream(&self, other: impl crate::AsStream) -> crate::Result<()> {
                crate::AsStream::as_stream(self).wait_stream(other)
            }

            /// See [`Stream::query`](crate::Stream::query).
            ///
            /// # Errors
            ///
            /// The same.
            #[inline]
            #[doc(alias = "cuStreamQuery")]
            pub fn query(&self) -> crate::Result<bool> {
                crate::AsStream::as_stream(self).query()
            }

            /// See [`Stream::synchronize`](crate::Stream::synchronize).
            ///
            /// # Errors
            ///
            /// The same.
            #[doc(alias = "cuStreamSynchronize")]
            pub fn synchronize(&self) -> crate::Result<()> {
                crate::AsStream::as_stream(self).synchronize()
            }

            /// See [`Stream::synchronize_timeout`](crate::Stream::synchronize_timeout).
            ///
            /// # Errors
            ///
            /// The same.
            #[doc(alias = "cuStreamSynchronize")]
            pub fn synchronize_timeout(&self, limit: std::time::Duration) -> crate::Result<bool> {
                crate::AsStream::as_stream(self).synchronize_timeout(limit)
            }

            /// See [`StreamRef::id`](crate::StreamRef::id).
            ///
            /// # Errors
            ///
            /// The same.
            #[doc(alias = "cuStreamGetId")]
            pub fn id(&self) -> crate::Result<u64> {
                crate::AsStream::as_stream(self).id()
            }

            /// See [`StreamRef::priority`](crate::StreamRef::priority).
            ///
            /// # Errors
            ///
            /// The same.
            #[doc(alias = "cuStreamGetPriority")]
            pub fn priority(&self) -> crate::Result<i32> {
                crate::AsStream::as_stream(self).priority()
            }

            /// See [`StreamRef::is_blocking`](crate::StreamRef::is_blocking).
            ///
            /// # Errors
            ///
            /// The same.
            #[doc(alias = "cuStreamGetFlags")]
            pub fn is_blocking(&self) -> crate::Result<bool> {
                crate::AsStream::as_stream(self).is_blocking()
            }

            /// See [`StreamRef::is_capturing`](crate::StreamRef::is_capturing).
            ///
            /// # Errors
            ///
            /// The same.
            #[doc(alias = "cuStreamIsCapturing")]
            pub fn is_capturing(&self) -> crate::Result<bool> {
                crate::AsStream::as_stream(self).is_capturing()
            }

            /// See [`StreamRef::capture_status`](crate::StreamRef::capture_status).
            ///
            /// # Errors
            ///
            /// The same.
            #[doc(alias = "cuStreamIsCapturing")]
            pub fn capture_status(&self) -> crate::Result<crate::CaptureStatus> {
                crate::AsStream::as_stream(self).capture_status()
            }
        }
    };
}
pub(crate) use stream_operations;
