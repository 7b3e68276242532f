//! Events across processes.

use super::IpcEventHandle;
use crate::current::current_context;
use crate::device::Device;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::event::{Event, EventOptions, Interprocess};
#[cfg(doc)]
use crate::stream::Stream;

impl Event<Interprocess> {
    /// The event's handle, with which other processes open it by [`from_ipc_handle`](Self::from_ipc_handle).
    /// The first call asks the driver; the handle stays the same.
    ///
    /// An event that was not recorded yet is created now, where [`Device::current`] says: in the context of
    /// the innermost [`Stream::scope`] of this thread, or else the primary context of the device of the
    /// thread's current driver context. Never on device 0 by default; [`bind`](Self::bind) names a device.
    ///
    /// The others may record it from now on, so that this crate asks the driver each time instead of answering
    /// from what it remembers, as after [`as_raw`](Self::as_raw). Keep it while they use it, their graphs included: what
    /// theirs does after this one is dropped is undefined by the driver's documentation.
    ///
    /// # Errors
    ///
    /// * [`Error::NoCurrentDevice`] if it was not recorded yet and no device is current; then also those of
    ///   [`Device::context`]
    /// * [`Error::IpcRefused`] with `NOT_SUPPORTED` where devices share nothing
    /// * [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers (`OUT_OF_MEMORY`)
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let filled = Event::interprocess();
    /// filled.record(&Device::get(0)?.stream()?)?;
    /// let bytes = *filled.ipc_handle()?.as_bytes();
    /// // ... send the 64 bytes to another process
    /// # let _ = bytes;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    ///
    /// An event that was not made for it has no handle:
    ///
    /// ```compile_fail,E0599
    /// cuda_streams::Event::new().ipc_handle();
    /// ```
    #[doc(alias = "cuIpcGetEventHandle")]
    pub fn ipc_handle(&self) -> Result<IpcEventHandle> {
        self.export(current_context).map(IpcEventHandle::from_bytes)
    }

    /// The event that another process has [exported](Self::ipc_handle), on the same device there and here.
    /// It can be recorded, waited for, queried and synchronized, and each of these asks the driver: what is
    /// recorded there is seen here, and what is recorded here there.
    ///
    /// Each call gives another event, to be dropped on its own. [`ipc_handle`](Self::ipc_handle) of it is
    /// the handle that it was opened with.
    ///
    /// # Ordering
    ///
    /// A [`wait`](Self::wait) is for the last record that was made before it, in whichever process. A wait
    /// that comes before the other process has called `record` waits for nothing, and no error says so. So
    /// the other process says when it *has called* `record` (by a pipe, a socket, a word in shared memory);
    /// its work need not be done by then.
    ///
    /// A record that is pending when its process is killed may stay pending: one driver (580.159.04) did not end it, nor the
    /// wait of a stream for it. What the survivor then recorded in that event was not done either, even where no record was
    /// pending, and now and then what it recorded in another event; and a call that waits for all of the context's work
    /// (`cuModuleLoadData` there) did not return within half a minute.
    /// [`synchronize_timeout`](Self::synchronize_timeout) has an end all the same. So a process lets the work behind its
    /// records be done before it ends, and who survives one that was killed makes new events. (What that process had of the
    /// driver's in `/dev/shm` stays there.) It may drop the event sooner: the record counts as before.
    ///
    /// # Safety
    ///
    /// * The handle is one that [`ipc_handle`](Self::ipc_handle), or `cuIpcGetEventHandle`, gave to a process of
    ///   this machine, unchanged, of an event of the device that is `device` here.
    /// * The process that has made the event has not destroyed it, and has not ended, when this is called: the driver
    ///   need not notice (580.159.04 opened an event in either case), and what it opens may be somebody else's by then, as
    ///   addresses and process ids recur.
    /// * Nor does it destroy the event while this one, a graph with a node of it or what was made of that, or work that waits
    ///   for it, is there. (From now on it may end, and be killed.)
    /// * Both processes have the same process ids and the same `/dev/shm`, which two containers need not: a process id in
    ///   the handle may be another's here.
    ///
    /// Other bytes are undefined behaviour and not only an error: of 1,000 handles of events, most of them forged, 28
    /// ended in a crash inside the driver (H200, 580.159.04); the others were refused, or opened some event.
    ///
    /// # Errors
    ///
    /// * [`Error::OwnHandle`]: this process has exported it
    /// * [`Error::IpcRefused`]: the driver finds nothing by this handle (`MAP_FAILED`, also for 64 zeros), or
    ///   `NOT_SUPPORTED` where devices share nothing
    /// * those of [`Device::context`]; [`Error::Driver`] as the driver answers
    ///
    /// ```no_run
    /// use std::io::Read;
    /// use cuda_streams::{Device, Event, IpcEventHandle};
    ///
    /// let mut bytes = [0; 64];
    /// std::io::stdin().read_exact(&mut bytes)?;
    /// let device = Device::get(0)?;
    /// // SAFETY: from the process that has started this one, which keeps the event until this one ends.
    /// let filled = unsafe { Event::from_ipc_handle(device, IpcEventHandle::from_bytes(bytes)) }?;
    /// device.stream()?.wait_event(&filled)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "cuIpcOpenEventHandle")]
    pub unsafe fn from_ipc_handle(device: Device, handle: IpcEventHandle) -> Result<Self> {
        // SAFETY: the caller's contract.
        unsafe { Self::from_ipc_handle_with(device, handle, false) }
    }

    /// As [`from_ipc_handle`](Self::from_ipc_handle), of an event that was made with
    /// [`blocking_sync`](EventOptions::blocking_sync): the handle does not say so, and the driver has no
    /// such flag for what it opens. [`is_blocking_sync`](Self::is_blocking_sync) answers it; nobody checks it.
    ///
    /// # Safety
    ///
    /// As for [`from_ipc_handle`](Self::from_ipc_handle).
    ///
    /// # Errors
    ///
    /// The same.
    ///
    /// ```no_run
    /// # let bytes = [0; 64];
    /// use cuda_streams::{Device, Event, IpcEventHandle};
    ///
    /// // SAFETY: from the process that has started this one, which keeps the event until this one ends.
    /// let event = unsafe { Event::from_ipc_handle_with(Device::get(0)?, IpcEventHandle::from_bytes(bytes), true) }?;
    /// assert!(event.is_blocking_sync());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuIpcOpenEventHandle")]
    pub unsafe fn from_ipc_handle_with(device: Device, handle: IpcEventHandle, blocking: bool) -> Result<Self> {
        let flags = EventOptions::new().interprocess().blocking_sync(blocking).design();
        // SAFETY: the caller's contract.
        unsafe { Self::open(device.context()?, *handle.as_bytes(), flags) }
    }
}
