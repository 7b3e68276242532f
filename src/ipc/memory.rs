//! Memory of a device that processes share.

use std::ffi::c_uint;
use std::fmt;

use super::export::{export, range};
use super::{IpcMemHandle, RawDevicePtr};
use crate::context::{Context, Relaxed};
use crate::device::Device;
use crate::driver::{CUdeviceptr, CUipcMemHandle};
use crate::error::{Error, ErrorCode, IpcKind, IpcRefusal, Result};
use crate::exceptions;
use crate::reaper;
use crate::sharing::{self, Bytes, Origin, Shared};

/// Memory of a device that processes share: allocated by one of them, [opened](Self::open) by others. Its
/// contents are not set to anything.
///
/// It orders nothing: the processes order their work on it with [`Event<Interprocess>`](crate::Interprocess), or on
/// the host. The work is cudarc's, on an `IpcSlice` by `into_cudarc`, or anybody's by the
/// [raw pointer](Self::as_raw).
///
/// **Dropping it waits** for all work of its context, because the driver does; it is the one thing in this crate
/// that does so. [`close`](Self::close) tells how it went. Work of other contexts that reaches the memory is not
/// waited for. It may not return at all while a stream of the context waits for a record whose process was killed:
/// [`Event::from_ipc_handle`](crate::Event::from_ipc_handle) says under "Ordering" what one driver did. The call is made so
/// that it does not end a stream capture of this thread.
///
/// ```
/// use cuda_streams::{Device, IpcMemory};
///
/// let memory = IpcMemory::new(Device::get(0)?, 1 << 20)?;
/// assert!(memory.bytes() >= 1 << 20);
/// let handle = memory.ipc_handle()?;
/// // ... send the handle's bytes to another process
/// # let _ = handle;
/// # Ok::<(), cuda_streams::Error>(())
/// ```
pub struct IpcMemory {
    address: CUdeviceptr,
    bytes: usize,
    context: Context,
    /// The handle that it was opened with, if another process has allocated it.
    imported: Option<Box<Bytes>>,
}

/// What the driver allocates from: memory that is not a multiple of it shares a block with other memory, which
/// whoever opens the handle could reach, too.
const BLOCK: usize = 2 << 20;

impl IpcMemory {
    /// At least so many bytes of a device's memory: they are rounded up to 2 MiB, the driver's own unit, so
    /// that no other memory of this process is shared with them.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] with `OUT_OF_MEMORY`, and with `INVALID_VALUE` for no bytes; those of [`Device::context`].
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemory};
    ///
    /// let memory = IpcMemory::new(Device::get(0)?, 100)?;
    /// assert_eq!(memory.bytes(), 2 << 20);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuMemAlloc")]
    pub fn new(device: Device, bytes: usize) -> Result<Self> {
        const CALL: &str = "cuMemAlloc_v2";
        let context = device.context()?;
        let bytes = bytes.checked_next_multiple_of(BLOCK).ok_or(Error::Driver { call: CALL, code: ErrorCode::OUT_OF_MEMORY })?;
        let _current = context.enter()?;
        let mut address: CUdeviceptr = 0;
        let _relaxed = Relaxed::enter(context.driver());
        // SAFETY: a context is current, the out pointer is a live local.
        context.check(unsafe { context.driver().cuMemAlloc_v2(&raw mut address, bytes) })?;
        Ok(Self { address, bytes, context, imported: None })
    }

    /// The memory that another process has [exported](Self::ipc_handle), in the address space of this one. Where
    /// the memory is of another device than `device`, access between the two is enabled as needed.
    ///
    /// # Safety
    ///
    /// * The handle is one that [`ipc_handle`](Self::ipc_handle), [`IpcMemHandle::export`] or `cuIpcGetMemHandle` gave
    ///   to a process of this machine, unchanged.
    /// * The process that has allocated the memory has not freed it when this is called, and does not while this is there.
    ///   (That process may end, and be killed.) The driver need not notice: 580.159.04 opened memory that was freed, which
    ///   may be somebody else's by then.
    /// * Both processes have the same process ids and the same `/dev/shm`, which two containers need not: a process id in
    ///   the handle may be another's here.
    /// * All who share the memory order their work on it, in both directions: what one writes is neither read nor
    ///   written by another at the same time, as between threads. Each time that a process opens it counts as one
    ///   more: cudarc knows nothing of the others.
    ///
    /// # Errors
    ///
    /// * [`Error::OwnHandle`]: this process has exported it
    /// * [`Error::IpcRefused`]: this is no handle of memory (`INVALID_VALUE`, also for 64 zeros), its process is gone
    ///   (`INVALID_HANDLE`), or `NOT_SUPPORTED` where devices share nothing. A driver need not notice a handle that was
    ///   changed (580.159.04 opened such ones).
    /// * those of [`Device::context`]; [`Error::Driver`] as the driver answers (`PEER_ACCESS_UNSUPPORTED`,
    ///   `TOO_MANY_PEERS`; `ALREADY_MAPPED`, with which 580.159.04 refused a few forged handles)
    ///
    /// ```no_run
    /// use std::io::Read;
    /// use cuda_streams::{Device, IpcMemHandle, IpcMemory};
    ///
    /// let mut bytes = [0; 64];
    /// std::io::stdin().read_exact(&mut bytes)?;
    /// // SAFETY: from the process that has started this one, keeps the memory, and takes turns with this one.
    /// let memory = unsafe { IpcMemory::open(Device::get(0)?, IpcMemHandle::from_bytes(bytes)) }?;
    /// println!("{} bytes", memory.bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "cuIpcOpenMemHandle")]
    pub unsafe fn open(device: Device, handle: IpcMemHandle) -> Result<Self> {
        const LAZY_ENABLE_PEER_ACCESS: c_uint = 1;
        let handle = *handle.as_bytes();
        let context = device.context()?;
        sharing::check_foreign(&handle, IpcKind::Memory)?;
        let _current = context.enter()?;
        let _relaxed = Relaxed::enter(context.driver());
        let mut address: CUdeviceptr = 0;
        let argument = CUipcMemHandle { reserved: sharing::to_c(&handle) };
        // SAFETY: a context is current, the out pointer is a live local; the caller vouches for the handle.
        let answer = unsafe { context.driver().cuIpcOpenMemHandle_v2(&raw mut address, argument, LAZY_ENABLE_PEER_ACCESS) };
        if !answer.is_ok() {
            return Err(sharing::not_opened(context, answer, IpcKind::Memory));
        }
        // From here on dropping it closes it.
        let mut memory = Self { address, bytes: 0, context, imported: Some(Box::new(handle)) };
        let (start, bytes) = range(context.driver(), address).map_err(|answer| context.refused(answer))?;
        // Behind the address, wherever in the allocation that is.
        memory.bytes = usize::try_from(address - start).map_or(0, |before| bytes.saturating_sub(before));
        Ok(memory)
    }

    /// The handle with which other processes [open](Self::open) it; of memory that was opened, the one it was
    /// opened with. Keep the memory while they use it.
    ///
    /// # Errors
    ///
    /// [`Error::IpcRefused`] with `NOT_SUPPORTED` where devices share nothing; [`Error::ContextDestroyed`];
    /// [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemory};
    ///
    /// let memory = IpcMemory::new(Device::get(0)?, 1 << 20)?;
    /// assert_eq!(memory.ipc_handle()?, memory.ipc_handle()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuIpcGetMemHandle")]
    pub fn ipc_handle(&self) -> Result<IpcMemHandle> {
        self.context.alive()?;
        let known = || self.imported.as_deref().copied().or_else(|| sharing::handle_of(self.key()));
        let export = || {
            let _current = self.context.enter()?;
            let refused = |answer| sharing::refused_in(self.context, answer, IpcRefusal::NotExportable);
            let handle = export(self.context.driver(), self.address).map_err(refused)?;
            sharing::keep(self.key(), handle, Origin::Exported);
            Ok(handle)
        };
        sharing::known_or_exported(known, export).map(IpcMemHandle::from_bytes)
    }

    /// How many bytes there are: in every process that has it the same.
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemory};
    ///
    /// assert_eq!(IpcMemory::new(Device::get(0)?, 3 << 20)?.bytes(), 4 << 20);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The raw `CUdeviceptr`, in this process, valid while this lives.
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemory};
    ///
    /// assert_ne!(IpcMemory::new(Device::get(0)?, 1)?.as_raw(), 0);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn as_raw(&self) -> RawDevicePtr {
        self.address
    }

    /// The context through which it is reached here.
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemory};
    ///
    /// let device = Device::get(0)?;
    /// assert_eq!(IpcMemory::new(device, 1)?.context(), device.context()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn context(&self) -> Context {
        self.context
    }

    /// The device through which it is reached here.
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemory};
    ///
    /// let device = Device::get(0)?;
    /// assert_eq!(IpcMemory::new(device, 1)?.device(), device);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn device(&self) -> Device {
        self.context.device()
    }

    /// Whether another process has allocated it.
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemory};
    ///
    /// assert!(!IpcMemory::new(Device::get(0)?, 1)?.is_imported());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.imported.is_some()
    }

    /// Waits for all work of its context and gives the memory back: frees it, or, if another process has allocated
    /// it, closes it. As dropping it does, it may not return where a record's process was killed.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`], also with the error of earlier work. It is gone in either
    /// case; [`Error::InHostFunction`], and it is given back soon after.
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemory};
    ///
    /// IpcMemory::new(Device::get(0)?, 1)?.close()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuMemFree")]
    #[doc(alias = "cuIpcCloseMemHandle")]
    pub fn close(mut self) -> Result<()> {
        self.give_back()
    }

    /// As it is known to the table of what this process has exported.
    fn key(&self) -> Shared {
        Shared { kind: IpcKind::Memory, context: self.context.number(), address: self.address }
    }

    fn give_back(&mut self) -> Result<()> {
        let key = self.key();
        let address = std::mem::take(&mut self.address);
        if address == 0 {
            return Ok(());
        }
        if exceptions::in_host_function() {
            let (bytes, context, imported) = (self.bytes, self.context, self.imported.take());
            reaper::drop_later(Self { address, bytes, context, imported });
            return Err(Error::InHostFunction);
        }
        if !self.is_imported() {
            sharing::forget(key);
        }
        let context = self.context;
        let _current = context.enter()?;
        let _relaxed = Relaxed::enter(context.driver());
        let answer = if self.is_imported() {
            // SAFETY: opened in this context, which lives and is current, and nobody uses the address from now on.
            unsafe { context.driver().cuIpcCloseMemHandle(address) }
        } else {
            // SAFETY: allocated in this context, which lives, and nobody uses the address from now on.
            unsafe { context.driver().cuMemFree_v2(address) }
        };
        context.check(answer)
    }
}

impl Drop for IpcMemory {
    fn drop(&mut self) {
        // Nobody is there to be told; `close` tells.
        let _ = self.give_back();
    }
}

impl fmt::Debug for IpcMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IpcMemory")
            .field("device", &self.device().ordinal())
            .field("bytes", &self.bytes)
            .field("imported", &self.is_imported())
            .finish_non_exhaustive()
    }
}
