//! `cuIpcGetEventHandle`, `cuIpcOpenEventHandle`: events that several processes share.

use std::sync::Arc;

use super::abi::Out;
use super::codes::{self, Code, Outcome};
use super::handle::{Handle, Kind, RawHandle};
use super::ipc_handle::{self, Contents, IpcHandle, Shared};
use super::objects::{Event, Serial};
use super::peer::Peer;
use super::raw::Topic;
use super::sharing::Sharing;
use super::state::{State, lock};
use super::tickets::Tickets;
use super::{os, peers, report, scope};

/// This process, as others are told of it.
pub(super) fn own() -> Outcome<Peer> {
    if !os::AVAILABLE {
        return Err(codes::NOT_SUPPORTED);
    }
    Peer::own().ok_or(codes::NOT_SUPPORTED)
}

/// What a handle of another process says; `refusal` if it says nothing.
pub(super) fn contents(handle: &IpcHandle, refusal: Code) -> Outcome<Contents> {
    let own = own()?;
    let contents = Contents::of(handle).ok_or(refusal)?;
    if contents.peer == own { Err(codes::INVALID_CONTEXT) } else { Ok(contents) }
}

/// The same handle each time, as long as the event is there.
pub(super) fn export(out: Out<IpcHandle>, handle: Handle) -> Outcome {
    let peer = own()?;
    let mut state = lock();
    state.current()?;
    if handle == Handle::NULL {
        return Err(codes::INVALID_VALUE);
    }
    let (serial, event) = state.event(handle)?;
    let (descriptor, token) = match &event.sharing {
        Sharing::Never | Sharing::Imported(_) => return Err(codes::INVALID_HANDLE),
        Sharing::Exported(tickets, file) => (file.descriptor(), tickets.token()),
        Sharing::NotYet => share(&mut state, serial, peer)?,
    };
    let device = state.events.get(&serial).and_then(|event| number_of_device(&state, event.context)).ok_or(codes::INVALID_CONTEXT)?;
    out.set(Contents { peer, descriptor, token, shared: Shared::Event { device } }.into());
    Ok(())
}

/// The device of a context, as a handle says it.
pub(super) fn number_of_device(state: &State, context: Serial) -> Option<u32> {
    u32::try_from(state.device_of(context)?).ok()
}

/// Gives an event a page that other processes can map, with its last record if that is pending. The number of its file,
/// and its token.
fn share(state: &mut State, serial: Serial, own: Peer) -> Outcome<(u32, u64)> {
    let token = ipc_handle::token();
    let (tickets, file) = Tickets::new(own, token).map_err(|error| {
        report::add(Topic::Unsupported, format_args!("no file for an event that is exported: {error}"));
        codes::OUT_OF_MEMORY
    })?;
    let tickets = Arc::new(tickets);
    if let Some(point) = state.events.get(&serial).and_then(|event| event.record).map(|record| record.point) {
        if !state.is_passed(point) {
            let pending = peers::record(&tickets)?;
            let ticket = pending.ticket();
            state.shares_record(point, pending);
            if let Some(record) = state.events.get_mut(&serial).and_then(|event| event.record.as_mut()) {
                record.ticket = ticket;
            }
        }
        state.tells_peers_of_record(serial);
        // Others may wait for it from now on, and this process would not know.
        state.demand(&[point]);
        state.start_workers(0);
    }
    let descriptor = file.descriptor();
    if let Some(event) = state.events.get_mut(&serial) {
        event.sharing = Sharing::Exported(tickets, file);
    }
    Ok((descriptor, token))
}

/// A new event each time.
pub(super) fn import(out: Option<Out<RawHandle>>, handle: &IpcHandle) -> Outcome {
    let context = lock().current()?;
    let out = out.ok_or(codes::INVALID_VALUE)?;
    let contents = contents(handle, codes::MAP_FAILED)?;
    let Contents { peer, descriptor, token, shared: Shared::Event { device } } = contents else { return Err(codes::MAP_FAILED) };
    // Files are looked for without the lock.
    let tickets = Tickets::of(own()?, peer, descriptor, token).ok_or(codes::MAP_FAILED)?;
    let mut state = lock();
    state.check_again(context)?;
    if number_of_device(&state, context) != Some(device) {
        report::add(Topic::Misuse, format_args!("the event is of device {device}, and the current context is not"));
        return Err(codes::MAP_FAILED);
    }
    let serial = state.serial();
    let sharing = Sharing::Imported(Arc::new(tickets));
    state
        .events
        .insert(serial, Event { context, scope: scope::current(), timed: false, sharing, record: None, moment: None, captured: None });
    out.set(Handle::new(Kind::Event, serial).raw());
    Ok(())
}
