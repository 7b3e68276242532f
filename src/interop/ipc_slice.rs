//! Shared memory under cudarc's safe layer.

use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, CudaView, CudaViewMut, DeviceRepr};

use super::{expect, order_slices, refused};
use crate::error::{Error, Result};
use crate::exceptions;
use crate::handle::AsStream;
use crate::ipc::IpcMemory;
use crate::reaper;

mod sealed {
    pub trait Element {}
}

/// What shared memory can hold: numbers of which every bit pattern is one, since another process may write
/// anything. Sealed.
pub trait IpcElement: DeviceRepr + sealed::Element + Send + 'static {}

macro_rules! elements {
    ($($number:ty),*) => {$(
        impl sealed::Element for $number {}
        impl IpcElement for $number {}
    )*};
}

elements!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);

/// Shared memory for cudarc: its copies, fills and kernels take the [view](Self::as_view), and cudarc orders them
/// between the streams of this process. It never frees the memory; dropping this does, which waits as for
/// [`IpcMemory`]. Before that it does what dropping a `CudaSlice` does: its stream waits for who used it last. But not while
/// a capture of this crate is open, which could end by that: then what cudarc has for it, two events and a share of the
/// stream, is leaked.
pub struct IpcSlice<T: IpcElement> {
    /// Dropped before the memory.
    slice: Borrowed<T>,
    memory: IpcMemory,
}

/// A slice of memory that is not cudarc's, so never dropped: cudarc would free it.
struct Borrowed<T: IpcElement>(ManuallyDrop<CudaSlice<T>>);

impl IpcMemory {
    /// The first `len` elements of the memory for cudarc, on a stream of cudarc's own or of
    /// [`Stream::to_cudarc`](crate::Stream::to_cudarc). As there, the first call for a `CudaContext` waits for its
    /// work, so that cudarc orders its slices.
    ///
    /// # Errors
    ///
    /// The memory comes back with the error:
    ///
    /// * [`Error::OutOfBounds`]: there is no room for so many
    /// * [`Error::DeviceMismatch`], [`Error::ForeignContext`]: the stream is of another device, or of a context
    ///   that is not its device's primary one
    /// * [`Error::TrackingOff`]: cudarc would not order its slices
    /// * [`Error::TwoDrivers`], [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers
    ///
    /// # Panics
    ///
    /// Inside cudarc, if the driver has no memory left for the two events of a slice just after it had.
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemory};
    /// use cudarc::driver::CudaContext;
    ///
    /// let memory = IpcMemory::new(Device::get(0)?, 4 * 1000)?;
    /// let stream = CudaContext::new(0)?.new_stream()?;
    /// let mut numbers = memory.into_cudarc::<u32>(&stream, 1000).map_err(|(_memory, error)| error)?;
    /// stream.memset_zeros(&mut numbers.as_view_mut())?;
    /// assert_eq!(stream.clone_dtoh(&numbers.as_view())?, [0; 1000]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_cudarc<T: IpcElement>(self, stream: &Arc<CudaStream>, len: usize) -> Result<IpcSlice<T>, (Self, Error)> {
        match self.slice(stream, len) {
            Ok(slice) => Ok(IpcSlice { slice: Borrowed(ManuallyDrop::new(slice)), memory: self }),
            Err(error) => Err((self, error)),
        }
    }

    fn slice<T: IpcElement>(&self, stream: &Arc<CudaStream>, len: usize) -> Result<CudaSlice<T>> {
        self.context().alive()?;
        let most = self.bytes() / size_of::<T>();
        if len > most {
            return Err(Error::OutOfBounds { len, most });
        }
        let cudarc = stream.context();
        let theirs = stream.as_stream().context()?;
        expect(self.context(), theirs)?;
        order_slices(theirs, cudarc)?;
        // cudarc makes its context current and leaves it so, and panics where it cannot make two events.
        theirs.with_current(|| {
            let event = || cudarc.new_event(None).map_err(|error| refused("CudaContext::new_event", error, theirs));
            drop((event()?, event()?));
            // SAFETY: so many bytes of memory that lives as long as the slice is used, and every bit pattern is a `T`.
            Ok(unsafe { stream.upgrade_device_ptr(self.as_raw(), len) })
        })?
    }
}

impl<T: IpcElement> IpcSlice<T> {
    /// To be read, as `&CudaSlice`.
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemory};
    /// use cudarc::driver::CudaContext;
    ///
    /// let memory = IpcMemory::new(Device::get(0)?, 4 * 1000)?;
    /// let stream = CudaContext::new(0)?.new_stream()?;
    /// let mut numbers = memory.into_cudarc::<u32>(&stream, 1000).map_err(|(_memory, error)| error)?;
    /// stream.memcpy_htod(&[7; 1000], &mut numbers.as_view_mut())?;
    /// let part = numbers.as_view();
    /// assert_eq!(stream.clone_dtoh(&part.slice(10..12))?, [7, 7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_view(&self) -> CudaView<'_, T> {
        self.slice.0.as_view()
    }

    /// To be written, as `&mut CudaSlice`.
    #[must_use]
    pub fn as_view_mut(&mut self) -> CudaViewMut<'_, T> {
        self.slice.0.as_view_mut()
    }

    /// The memory.
    #[must_use]
    pub fn memory(&self) -> &IpcMemory {
        &self.memory
    }

    /// Waits for all work of its context, gives the memory back, and tells how that went: see
    /// [`IpcMemory::close`].
    ///
    /// # Errors
    ///
    /// The same.
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemory};
    /// use cudarc::driver::CudaContext;
    ///
    /// let memory = IpcMemory::new(Device::get(0)?, 4)?;
    /// let stream = CudaContext::new(0)?.new_stream()?;
    /// memory.into_cudarc::<f32>(&stream, 1).map_err(|(_memory, error)| error)?.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "cuMemFree")]
    #[doc(alias = "cuIpcCloseMemHandle")]
    pub fn close(self) -> Result<()> {
        let Self { slice, memory } = self;
        drop(slice);
        memory.close()
    }
}

impl<T: IpcElement> Drop for Borrowed<T> {
    fn drop(&mut self) {
        // SAFETY: taken once, here, and not used afterwards.
        let slice = unsafe { ManuallyDrop::take(&mut self.0) };
        if exceptions::in_host_function() {
            // Before the memory, which is given up next.
            return reaper::drop_later(Self(ManuallyDrop::new(slice)));
        }
        let stream = slice.stream().as_stream();
        // Its stream waits for who used it last, which would end a capture of the stream, and draw the stream into a capture that
        // it was used in.
        let is_capturing = if exceptions::is_capturing() { Ok(true) } else { stream.is_capturing() };
        let context = is_capturing.and_then(|is_capturing| if is_capturing { Ok(None) } else { stream.context().map(Some) });
        let mut slice = Some(slice);
        if let Ok(Some(context)) = context {
            // Its events end; the memory does not. What cudarc makes current for that is undone.
            let _ = context.with_current(|| slice.take().map(CudaSlice::leak));
        }
        // Where its context is dead, or in a forked child, nothing of it may be passed to the driver any more.
        mem::forget(slice);
    }
}

impl<T: IpcElement> fmt::Debug for IpcSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IpcSlice").field("len", &self.slice.0.len()).field("memory", &self.memory).finish()
    }
}
