//! `cuIpcGetMemHandle`, `cuIpcOpenMemHandle`, `cuIpcCloseMemHandle`: memory of devices that several processes use.

use super::abi::Out;
use super::allocation::{free_after_all_work, not_allocated};
use super::buffer::Buffer;
use super::checks::Waits;
use super::codes::{self, Outcome};
use super::device;
use super::device_file::Import;
use super::exports::Exported;
use super::ipc::{contents, number_of_device, own};
use super::ipc_handle::{Contents, IpcHandle, Shared};
use super::memory::Origin;
use super::raw::Topic;
use super::report;
use super::state::lock;

/// The same handle each time, for every address of the allocation.
pub(super) fn export(out: Out<IpcHandle>, address: u64) -> Outcome {
    let peer = own()?;
    let state = lock();
    state.current()?;
    let (_, allocation) = state.memory.around(address).ok_or_else(|| {
        let freed = state.freed.describe(address);
        report::add(Topic::Memory, format_args!("{address:#x} is in no live allocation{freed}"));
        codes::INVALID_VALUE
    })?;
    if allocation.origin != Origin::Plain {
        return Err(codes::INVALID_VALUE);
    }
    let Exported { descriptor, export, token, offset, bytes } = allocation.export().ok_or_else(|| {
        report::add(Topic::Unsupported, "memory cannot be exported: no file for it, or too much is exported");
        codes::OUT_OF_MEMORY
    })?;
    let device = number_of_device(&state, allocation.context).ok_or(codes::INVALID_CONTEXT)?;
    out.set(Contents { peer, descriptor, token, shared: Shared::Memory { device, export, offset, bytes } }.into());
    Ok(())
}

/// The same address each time in a context, as long as it is open.
///
/// As a real driver, other than for events: what is no handle of memory is an invalid value, and what is gone an invalid
/// handle. Of the flags only one is looked at.
pub(super) fn import(out: Option<Out<u64>>, handle: &IpcHandle, flags: u32) -> Outcome {
    const LAZY_ENABLE_PEER_ACCESS: u32 = 1;
    let context = lock().current()?;
    let out = out.ok_or(codes::INVALID_VALUE)?;
    if flags & LAZY_ENABLE_PEER_ACCESS == 0 {
        return Err(codes::INVALID_VALUE);
    }
    let Contents { peer, descriptor, token, shared } = contents(handle, codes::INVALID_VALUE)?;
    let Shared::Memory { device, export, offset, bytes } = shared else { return Err(codes::INVALID_VALUE) };
    let Ok(device) = device::index(device.cast_signed()) else { return Err(codes::INVALID_VALUE) };
    if let Some(address) = lock().memory.import_again(context, token) {
        out.set(address);
        return Ok(());
    }
    // Files are looked for without the lock.
    let import = Import::new(peer, &Exported { descriptor, export, token, offset, bytes }).ok_or(codes::INVALID_HANDLE)?;
    let mut state = lock();
    state.check_again(context)?;
    // Another thread may have been faster.
    let known = state.memory.import_again(context, token);
    let address = known.unwrap_or_else(|| state.memory.add_import(context, device, Buffer::of_peer(import)));
    if let Some(context) = state.contexts.get_mut(&context) {
        context.peers[device] |= context.device != device;
    }
    out.set(address);
    Ok(())
}

/// Takes the address away with the last of as many calls as it was opened by; that one waits for all work of the
/// context, as a real driver does.
pub(super) fn close(address: u64) -> Outcome {
    let mut state = lock();
    state.check()?;
    let Some(allocation) = state.memory.at(address).filter(|allocation| allocation.is_imported() && !allocation.freed) else {
        return Err(not_allocated(&state.freed, address));
    };
    if let Origin::Imported(times @ 2..) = &mut allocation.origin {
        *times -= 1;
        return Ok(());
    }
    let context = allocation.context;
    free_after_all_work(state, context, address, Waits::ForAll)
}
