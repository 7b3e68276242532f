//! A place in the ring, and how it gets from one process to the other.

use std::error::Error;
use std::sync::Arc;

use cuda_streams::{Device, Event, EventOptions, Interprocess, IpcEventHandle, IpcMemHandle, IpcMemory, IpcSlice};
use cudarc::driver::CudaStream;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A buffer, and the events that order the work on it: each is recorded by one process and waited for by the
/// other.
pub(crate) struct Slot {
    pub(crate) buffer: IpcSlice<u32>,
    pub(crate) filled: Event<Interprocess>,
    pub(crate) consumed: Event<Interprocess>,
}

impl Slot {
    /// A slot that can be shared.
    pub(crate) fn new(device: Device, stream: &Arc<CudaStream>, elements: usize) -> Result<Self> {
        let memory = IpcMemory::new(device, elements * size_of::<u32>())?;
        let event = || device.event(EventOptions::new().interprocess());
        Self::of(memory, event()?, event()?, stream, elements)
    }

    /// The slot, with so many elements of the memory as its buffer.
    pub(crate) fn of(
        memory: IpcMemory,
        filled: Event<Interprocess>,
        consumed: Event<Interprocess>,
        stream: &Arc<CudaStream>,
        elements: usize,
    ) -> Result<Self> {
        let buffer = memory.into_cudarc(stream, elements).map_err(|(_, error)| error)?;
        Ok(Self { buffer, filled, consumed })
    }

    pub(crate) fn handles(&self) -> cuda_streams::Result<Handles> {
        Ok(Handles { memory: self.buffer.memory().ipc_handle()?, filled: self.filled.ipc_handle()?, consumed: self.consumed.ipc_handle()? })
    }
}

/// What the other process opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handles {
    memory: IpcMemHandle,
    filled: IpcEventHandle,
    consumed: IpcEventHandle,
}

impl Handles {
    pub(crate) fn to_bytes(self) -> [u8; 192] {
        let mut bytes = [0; 192];
        let all = [self.memory.as_bytes(), self.filled.as_bytes(), self.consumed.as_bytes()];
        bytes.copy_from_slice(all.map(|handle| *handle).as_flattened());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; 192]) -> cuda_streams::Result<Self> {
        let (memory, events) = bytes.split_at(64);
        let (filled, consumed) = events.split_at(64);
        Ok(Self { memory: memory.try_into()?, filled: filled.try_into()?, consumed: consumed.try_into()? })
    }

    /// Opens all three.
    ///
    /// # Safety
    ///
    /// Another process has exported them, of this device; it keeps the events and the memory until this process
    /// has given up what it opens here, and the two take turns on the memory.
    pub(crate) unsafe fn open(self, device: Device) -> cuda_streams::Result<(IpcMemory, [Event<Interprocess>; 2])> {
        // SAFETY: the caller's contract.
        let memory = unsafe { IpcMemory::open(device, self.memory) }?;
        let event = |handle| {
            // SAFETY: the caller's contract.
            unsafe { Event::from_ipc_handle(device, handle) }
        };
        Ok((memory, [event(self.filled)?, event(self.consumed)?]))
    }
}
