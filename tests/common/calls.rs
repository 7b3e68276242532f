//! Every public call of the crate, in one list, for tests that hold for all of them: none changes
//! the current context, some activate a device's primary context, and so on.
//!
//! A call is `name => expression`. The name is `Type::function` as in the source, and may go on
//! after a comma where one function is called in several ways. `current.rs` checks that no public
//! function is missing.

use std::ptr;
use std::time::Duration;

use cuda_streams::{
    AsEvent, AsStream, CaptureMode, Context, Device, DeviceAttribute, DeviceUuid, Error, ErrorCode, Event, EventFlags, EventOptions,
    ExternalStream, HostWait, Interprocess, IpcEventHandle, IpcMemHandle, IpcMemory, IpcRefusal, Result, Stream, StreamOptions, StreamPool,
    Timed, Untimed, driver_version, relaxed_capture,
};

use super::contexts;
use super::ipc::{exported, nobodys_event, nobodys_memory, nothing_exported, sliced};
use super::raw;
use super::world::{
    World, done, event_round_trip, external, external_raw, foreign_event, graph_round_trip, idle, idle_after, round_trip, second_context,
};

/// A public call on something prepared.
pub(crate) struct Call<T: 'static> {
    pub(crate) name: &'static str,
    /// Whether it brings the device's primary context into being.
    pub(crate) activates: bool,
    pub(crate) run: fn(&T) -> Result<()>,
}

/// A call that needs the primary context to be current; without it, it says so.
fn if_current<T>(result: Result<T>) -> Result<()> {
    match result {
        Ok(_) | Err(Error::NoCurrentDevice | Error::ForeignContext { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn default_taken_over() -> Result<Stream> {
    // SAFETY: refused, whatever is asked of a stream.
    unsafe { Stream::from_raw(ptr::null_mut()) }
}

fn null_context() -> Result<Context> {
    // SAFETY: refused, whatever is asked of a context.
    unsafe { Context::from_raw(ptr::null_mut()) }
}

fn pool(device: Device) -> Result<StreamPool> {
    device.stream_pool(StreamOptions::new(), 1)
}

fn checkout_again(pool: &StreamPool) -> Result<u64> {
    drop(pool.checkout()?);
    pool.checkout().map(|stream| stream.id())
}

/// A call that is to be refused for this reason; another error stays one.
fn refused<T>(result: Result<T>, reason: fn(&Error) -> bool) -> Result<()> {
    match result {
        Ok(_) => panic!("the call succeeds"),
        Err(error) if reason(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Drivers before 12.0 have no ids, and the call says so.
fn if_there_are_ids<T>(result: Result<T>) -> Result<()> {
    match result {
        Err(Error::MissingSymbol { symbol: "cuStreamGetId" }) if !raw::has_ids() => Ok(()),
        other => other.map(drop),
    }
}

fn not_there(error: &Error) -> bool {
    matches!(error, Error::NoSuchDevice { .. })
}

/// Miri has no other processes to share with.
fn if_shared<T>(result: Result<T>) -> Result<()> {
    match result {
        Err(Error::IpcRefused { reason: IpcRefusal::Unsupported, .. }) if cfg!(miri) => Ok(()),
        other => other.map(drop),
    }
}

macro_rules! public_calls {
    (
        $of_device:ident($device:ident) { $($effect:ident $device_name:literal => $device_call:expr;)* }
        $of_world:ident($world:ident) { $($world_name:literal => $world_call:expr;)* }
    ) => {
        /// The calls that need no context, or make one.
        pub(crate) const $of_device: &[Call<Device>] = &[$(Call {
            name: $device_name,
            activates: public_calls!(@$effect),
            run: |$device| {
                let _ = ($device, $device_call);
                Ok(())
            },
        }),*];

        /// The calls that need a stream, and therefore a context that is there.
        pub(crate) const $of_world: &[Call<World>] = &[$(Call {
            name: $world_name,
            activates: false,
            run: |$world| {
                let _ = ($world, $world_call);
                Ok(())
            },
        }),*];
    };
    (@activating) => { true };
    (@inert) => { false };
}

public_calls! {
    DEVICE_CALLS(device) {
        inert "driver_version" => driver_version()?;
        inert "Device::count" => Device::count()?;
        inert "Device::get" => Device::get(device.ordinal())?;
        inert "Device::get, not there" => refused(Device::get(u32::MAX), not_there)?;
        inert "Device::all" => Device::all()?.collect::<Vec<_>>();
        inert "Device::by_uuid" => Device::by_uuid(device.uuid()?)?;
        inert "Device::by_uuid, not there" => refused(Device::by_uuid(DeviceUuid::from_bytes([0x5a; 16])), not_there)?;
        inert "Device::by_pci_bus_id" => Device::by_pci_bus_id(&device.pci_bus_id()?)?;
        inert "Device::by_pci_bus_id, not there" => refused(Device::by_pci_bus_id("7fff:7e:1d.0"), not_there)?;
        inert "Device::ordinal" => device.ordinal();
        inert "Device::name" => device.name()?;
        inert "Device::pci_bus_id" => device.pci_bus_id()?;
        inert "Device::uuid" => device.uuid()?;
        inert "Device::compute_capability" => device.compute_capability()?;
        inert "Device::total_memory" => device.total_memory()?;
        inert "Device::attribute" => device.attribute(DeviceAttribute::WARP_SIZE)?;
        inert "Device::attribute, unknown" => refused(device.attribute(DeviceAttribute::new(60_000)), |error| {
            error.code() == Some(ErrorCode::INVALID_VALUE)
        })?;
        inert "Device::can_access_peer" => device.can_access_peer(*device)?;
        inert "Device::is_active" => device.is_active()?;
        inert "Device::synchronize" => device.synchronize()?;
        inert "Device::trim_events" => device.trim_events()?;
        inert "Event::new" => Event::new();
        inert "Event::timed" => Event::timed();
        inert "Event::interprocess" => Event::interprocess();
        inert "Event::default" => (Event::<Untimed>::default(), Event::<Timed>::default(), Event::<Interprocess>::default());
        inert "Event::with_flags" => Event::with_flags(EventFlags::DISABLE_TIMING)?;
        inert "Event::with_flags, refused" => refused(Event::with_flags(EventFlags::INTERPROCESS), |error| {
            matches!(error, Error::InvalidEventFlags { .. })
        })?;
        inert "Event::query, never recorded" => Event::new().query()?;
        inert "Event::status, never recorded" => Event::new().status()?;
        inert "Event::synchronize, never recorded" => Event::new().synchronize()?;
        inert "Event::elapsed_time, never recorded" => refused(Event::timed().elapsed_time(&Event::timed()), |error| {
            matches!(error, Error::NotRecorded { .. })
        })?;
        inert "Event::destroy, never recorded" => Event::new().destroy()?;
        inert "Event::context, never recorded" => Event::new().context();
        inert "Event::device, never recorded" => Event::new().device();
        inert "Event::as_raw, never recorded" => Event::new().as_raw();
        inert "Event::fmt, never recorded" => format!("{:?}", Event::new());
        inert "Device::host_wait" => device.host_wait()?;
        inert "Device::set_host_wait" => device.set_host_wait(HostWait::Auto)?;
        inert "Device::current" => if_current(Device::current())?;
        inert "Event::synchronize_timeout, never recorded" => Event::new().synchronize_timeout(Duration::ZERO)?;
        inert "Event::into_raw, never recorded" => Event::new().into_raw();
        inert "Event::wait_current, never recorded" => if_current(Event::new().wait_current())?;
        inert "Stream::from_raw, default" => refused(default_taken_over(), |error| matches!(error, Error::DefaultStream { .. }))?;
        inert "Context::from_raw, null" => refused(null_context(), |error| matches!(error, Error::NullHandle { .. }))?;
        activating "Device::context" => device.context()?;
        activating "Device::default_stream" => device.default_stream()?;
        activating "Device::per_thread_stream" => device.per_thread_stream()?;
        activating "Device::current_stream" => device.current_stream()?;
        activating "ExternalStream::from_raw_on, default" => external_raw(Some(*device), ptr::null_mut())?;
        activating "Device::stream" => device.stream()?;
        activating "Device::stream_with" => device.stream_with(StreamOptions::new().blocking(true).priority(i32::MIN))?;
        activating "Device::stream_pool" => pool(*device)?;
        activating "Device::event" => device.event(EventOptions::new().timed())?;
        activating "Device::enable_peer_access, to itself" => refused(device.enable_peer_access(*device), |error| {
            matches!(error.code(), Some(ErrorCode::INVALID_DEVICE | ErrorCode::INVALID_CONTEXT | ErrorCode::PEER_ACCESS_UNSUPPORTED))
        })?;
        activating "Event::bind" => Event::new().bind(*device)?;
        inert "Event::ipc_handle, no device" => if_current(if_shared(Event::interprocess().ipc_handle()))?;
        activating "Event::from_ipc_handle" => nobodys_event(*device, false)?;
        activating "Event::from_ipc_handle_with" => nobodys_event(*device, true)?;
        inert "IpcEventHandle::from_bytes" => IpcEventHandle::from_bytes([0; 64]);
        inert "IpcEventHandle::as_bytes" => *IpcEventHandle::from_bytes([0; 64]).as_bytes();
        inert "IpcMemHandle::from_bytes" => IpcMemHandle::from_bytes([0; 64]);
        inert "IpcMemHandle::as_bytes" => *IpcMemHandle::from_bytes([0; 64]).as_bytes();
        inert "IpcMemHandle::export, nothing" => refused(nothing_exported(), |error| error.code() == Some(ErrorCode::INVALID_VALUE))?;
        activating "IpcMemory::new" => IpcMemory::new(*device, 1)?.close()?;
        activating "IpcMemory::open" => nobodys_memory(*device)?;
    }

    WORLD_CALLS(world) {
        "Context::id" => world.context.id();
        "Context::device" => world.context.device();
        "Context::as_raw" => world.context.as_raw();
        "Context::with_current" => world.context.with_current(|| ())?;
        "Context::with_current, of what changes it" => world.context.with_current(contexts::change)?;
        "Context::synchronize" => world.context.synchronize()?;
        "Context::event_pool" => world.context.event_pool();
        "Context::trim_events" => (world.context.device().event(EventOptions::new()).map(drop)?, world.context.trim_events()?);
        "Context::stream_priorities" => world.context.stream_priorities()?;
        "Device::synchronize, active" => world.device.synchronize()?;
        "Stream::record" => world.stream.record(&world.event)?;
        "Stream::record_event" => world.stream.record_event()?;
        "Stream::record_event_with" => world.stream.record_event_with(EventOptions::new().timed())?;
        "Stream::wait_event" => world.other.wait_event(&world.event)?;
        "Stream::wait_event, never recorded" => world.other.wait_event(Event::new())?;
        "Stream::wait_stream" => world.other.wait_stream(&world.stream)?;
        "Stream::wait_stream, itself" => world.stream.wait_stream(&world.stream)?;
        "Stream::query" => world.stream.query()?;
        "Stream::synchronize" => world.stream.synchronize()?;
        "Stream::launch_host_fn" => idle_after(&world.stream, world.stream.launch_host_fn(|| 7)?)?.join()?;
        "Stream::id" => world.stream.id();
        "Stream::priority" => world.stream.priority();
        "Stream::is_blocking" => world.stream.is_blocking();
        "Stream::context" => world.stream.context();
        "Stream::device" => world.stream.device();
        "Stream::as_raw" => world.stream.as_raw();
        "Stream::destroy" => world.device.stream()?.destroy().map_err(|(_, error)| error)?;
        "Stream::destroy, shared" => refused(world.stream.clone().destroy().map_err(|(_, error)| error), |error| *error == Error::StreamShared)?;
        "Stream::eq" => world.stream == world.other;
        "Stream::fmt" => format!("{:?} {:?}", world.stream, world.stream.as_stream());
        "StreamPool::checkout" => pool(world.device)?.checkout()?;
        "StreamPool::checkout, again" => checkout_again(&pool(world.device)?)?;
        "StreamPool::next" => pool(world.device)?.next()?.id();
        "StreamPool::size" => pool(world.device)?.size();
        "StreamPool::context" => pool(world.device)?.context();
        "StreamPool::fmt" => format!("{:?}", pool(world.device)?);
        "AsStream::as_stream" => world.stream.as_stream();
        "AsEvent::as_event" => world.event.as_event();
        "StreamRef::as_raw" => world.stream.as_stream().as_raw();
        "StreamRef::context" => world.stream.as_stream().context()?;
        "StreamRef::record" => world.stream.as_stream().record(&world.event)?;
        "StreamRef::record_event" => world.stream.as_stream().record_event()?;
        "StreamRef::record_event_with" => world.stream.as_stream().record_event_with(EventOptions::new().interprocess())?;
        "StreamRef::wait_event" => world.stream.as_stream().wait_event(&world.event)?;
        "StreamRef::wait_stream" => world.stream.as_stream().wait_stream(&world.other)?;
        "StreamRef::query" => world.stream.as_stream().query()?;
        "StreamRef::synchronize" => world.stream.as_stream().synchronize()?;
        "StreamRef::launch_host_fn" => idle_after(&world.stream, world.stream.as_stream().launch_host_fn(|| ())?)?;
        "HostFn::is_finished" => idle_after(&world.stream, world.stream.launch_host_fn(|| ())?)?.is_finished();
        "HostFn::join" => idle_after(&world.stream, world.stream.launch_host_fn(|| ())?)?.join()?;
        "HostFn::fmt" => format!("{:?}", idle_after(&world.stream, world.stream.launch_host_fn(|| ())?)?);
        "Event::record" => world.event.record(&world.stream)?;
        "Event::record, the first" => Event::timed().record(&world.stream)?;
        "Event::wait" => world.event.wait(&world.other)?;
        "Event::query" => world.event.query()?;
        "Event::status" => world.event.status()?;
        "Event::synchronize" => world.event.synchronize()?;
        "Event::query, just recorded" => world.stream.record_event()?.query()?;
        "Event::status, just recorded" => world.stream.record_event()?.status()?;
        "Event::synchronize, just recorded" => world.stream.record_event()?.synchronize()?;
        "Event::bind, again" => world.start.bind(world.device)?;
        "Event::context" => world.start.context();
        "Event::device" => world.start.device();
        "Event::flags" => world.start.flags();
        "Event::is_timed" => world.start.is_timed();
        "Event::is_blocking_sync" => world.start.is_blocking_sync();
        "Event::is_interprocess" => world.start.is_interprocess();
        "Event::as_raw" => world.start.as_raw();
        "Event::elapsed_time" => world.start.elapsed_time(&world.end)?;
        "Event::into_dynamic" => world.stream.record_event()?.into_dynamic();
        "Event::try_into_timed" => world.stream.record_event()?.into_dynamic().try_into_timed().unwrap_err();
        "Event::try_into_interprocess" => world.stream.record_event()?.into_dynamic().try_into_interprocess().unwrap_err();
        "Event::destroy" => world.stream.record_event()?.destroy()?;
        "Event::fmt" => format!("{:?} {:?}", world.event, world.event.as_event());
        "EventRef::record" => world.event.as_event().record(&world.stream)?;
        "EventRef::wait" => world.event.as_event().wait(&world.other)?;
        "EventRef::query" => world.event.as_event().query()?;
        "EventRef::status" => world.event.as_event().status()?;
        "EventRef::synchronize" => world.event.as_event().synchronize()?;
        "Event::ipc_handle" => if_shared(world.stream.record_event_with(EventOptions::new().interprocess())?.ipc_handle())?;
        "Event::ipc_handle, in a scope" => if_shared(world.stream.scope(|| Event::interprocess().ipc_handle()))?;
        "Event::fmt, interprocess" => format!("{:?}", world.shared);
        "Event::query, exported" => world.shared.query()?;
        "Event::status, exported" => world.shared.status()?;
        "Event::synchronize, exported" => world.shared.synchronize()?;
        "Event::record, exported" => world.shared.record(&world.stream)?;
        "Event::wait, exported" => world.shared.wait(&world.other)?;
        "IpcMemory::ipc_handle" => if_shared(world.slice().memory().ipc_handle())?;
        "IpcMemory::bytes" => world.slice().memory().bytes();
        "IpcMemory::as_raw" => world.slice().memory().as_raw();
        "IpcMemory::context" => world.slice().memory().context();
        "IpcMemory::device" => world.slice().memory().device();
        "IpcMemory::is_imported" => world.slice().memory().is_imported();
        "IpcMemory::fmt" => format!("{:?}", world.slice());
        "IpcMemory::close" => IpcMemory::new(world.device, 1)?.close()?;
        "IpcMemHandle::export" => if_shared(exported(world.slice().memory()))?;
        "IpcMemory::into_cudarc" => drop(sliced(world.device, &world.theirs[0], 64)?);
        "IpcMemory::into_cudarc, too long" => refused(sliced(world.device, &world.theirs[0], usize::MAX), |error| {
            matches!(error, Error::OutOfBounds { .. })
        })?;
        "IpcSlice::as_view" => world.slice().as_view().len();
        "IpcSlice::as_view_mut" => world.slice().as_view_mut().len();
        "IpcSlice::memory" => world.slice().memory().bytes();
        "IpcSlice::close" => sliced(world.device, &world.theirs[0], 64)?.close()?;
        "Context::from_raw" => second_context(world)?;
        "Context::retire" => second_context(world)?.retire();
        "Stream::synchronize_timeout" => idle(&world.stream)?.synchronize_timeout(Duration::MAX)?;
        "Stream::is_capturing" => world.stream.is_capturing()?;
        "Stream::scope" => world.stream.scope(|| world.stream.scope(|| ()));
        "Stream::current" => if_current(Stream::current())?;
        "Stream::current, in a scope" => world.stream.scope(Stream::current)?;
        "Stream::try_into_raw" => round_trip(world.device.stream()?)?;
        "Stream::try_into_raw, shared" => world.stream.clone().try_into_raw().unwrap_err();
        "Stream::from_raw" => round_trip(world.device.stream()?)?;
        "Stream::to_cudarc" => world.other.to_cudarc(&world.cudarc)?;
        "Device::current, in a scope" => world.stream.scope(Device::current)?;
        "Device::current_stream, in a scope" => world.stream.scope(|| world.device.current_stream())?;
        "Event::record_current" => world.stream.scope(|| world.event.record_current())?;
        "Event::wait_current" => world.stream.scope(|| world.event.wait_current())?;
        "Event::synchronize_timeout" => done(&world.event)?.synchronize_timeout(Duration::MAX)?;
        "Event::synchronize_timeout, just recorded" => {
            let event = world.stream.record_event()?;
            idle(&world.stream)?;
            event.synchronize_timeout(Duration::MAX)?
        };
        "Event::into_raw" => event_round_trip(world.stream.record_event()?)?;
        "Event::from_raw" => event_round_trip(world.stream.record_event()?)?.synchronize()?;
        "StreamRef::device" => world.stream.as_stream().device()?;
        "StreamRef::id" => if_there_are_ids(world.stream.as_stream().id())?;
        "StreamRef::priority" => world.stream.as_stream().priority()?;
        "StreamRef::is_blocking" => world.stream.as_stream().is_blocking()?;
        "StreamRef::is_capturing" => world.stream.as_stream().is_capturing()?;
        "StreamRef::synchronize_timeout" => idle(world.stream.as_stream())?.synchronize_timeout(Duration::MAX)?;
        "StreamRef::eq" => world.stream.as_stream() == world.theirs[0].as_stream();
        "EventRef::as_raw" => world.end.as_event().as_raw();
        "EventRef::synchronize_timeout" => done(world.event.as_event())?.synchronize_timeout(Duration::MAX)?;
        "EventRef::from_raw" => foreign_event(&world.their_event);
        "EventRef::record, foreign" => foreign_event(&world.their_event).record(&world.stream)?;
        "EventRef::wait, foreign" => foreign_event(&world.their_event).wait(&world.stream)?;
        "EventRef::query, foreign" => foreign_event(&world.their_event).query()?;
        "EventRef::status, foreign" => foreign_event(&world.their_event).status()?;
        "EventRef::synchronize, foreign" => foreign_event(&world.their_event).synchronize()?;
        "EventRef::query, of cudarc" => world.their_event.as_event().query()?;
        "EventRef::wait, of cudarc" => world.stream.wait_event(&world.their_event)?;
        "ExternalStream::from_raw" => external_raw(None, world.stream.as_raw())?;
        "ExternalStream::from_raw, default" => if_current(external_raw(None, ptr::null_mut()))?;
        "ExternalStream::from_raw_on" => external_raw(Some(world.device), world.stream.as_raw())?;
        "ExternalStream::with_owner" => external(&world.stream)?;
        "ExternalStream::try_from" => ExternalStream::try_from(world.theirs[0].clone())?;
        "ExternalStream::owner" => world.external.owner();
        "ExternalStream::into_owner" => external(&world.stream)?.into_owner();
        "ExternalStream::as_raw" => world.external.as_raw();
        "ExternalStream::context" => world.external.context();
        "ExternalStream::device" => world.external.device();
        "ExternalStream::scope" => world.device.default_stream()?.scope(|| ());
        "ExternalStream::fmt" => format!("{:?} {:?}", world.external, world.current()?);
        "ExternalStream::record" => world.external.record(&world.event)?;
        "ExternalStream::record_event" => world.external.record_event()?;
        "ExternalStream::record_event_with" => world.external.record_event_with(EventOptions::new().timed())?;
        "ExternalStream::wait_event" => world.external.wait_event(&world.event)?;
        "ExternalStream::wait_stream" => world.external.wait_stream(&world.stream)?;
        "ExternalStream::query" => world.external.query()?;
        "ExternalStream::synchronize" => world.external.synchronize()?;
        "ExternalStream::synchronize_timeout" => idle(&world.external)?.synchronize_timeout(Duration::MAX)?;
        "ExternalStream::launch_host_fn" => idle_after(&world.external, world.external.launch_host_fn(|| ())?)?;
        "ExternalStream::id" => if_there_are_ids(world.external.id())?;
        "ExternalStream::priority" => world.external.priority()?;
        "ExternalStream::is_blocking" => world.external.is_blocking()?;
        "ExternalStream::is_capturing" => world.external.is_capturing()?;
        "CurrentStream::as_raw" => world.current()?.as_raw();
        "CurrentStream::context" => world.current()?.context();
        "CurrentStream::device" => world.current()?.device();
        "CurrentStream::record" => world.current()?.record(&world.event)?;
        "CurrentStream::record_event" => world.current()?.record_event()?;
        "CurrentStream::record_event_with" => world.current()?.record_event_with(EventOptions::new().timed())?;
        "CurrentStream::wait_event" => world.current()?.wait_event(&world.event)?;
        "CurrentStream::wait_stream" => world.current()?.wait_stream(&world.stream)?;
        "CurrentStream::query" => world.current()?.query()?;
        "CurrentStream::synchronize" => world.current()?.synchronize()?;
        "CurrentStream::synchronize_timeout" => idle(world.current()?)?.synchronize_timeout(Duration::MAX)?;
        "CurrentStream::launch_host_fn" => idle_after(&world.stream, world.current()?.launch_host_fn(|| ())?)?;
        "CurrentStream::id" => if_there_are_ids(world.current()?.id())?;
        "CurrentStream::priority" => world.current()?.priority()?;
        "CurrentStream::is_blocking" => world.current()?.is_blocking()?;
        "CurrentStream::is_capturing" => world.current()?.is_capturing()?;
        "StreamRef::context, of cudarc" => world.theirs.each_ref().map(|theirs| theirs.as_stream().context());
        "Event::record, on cudarc's own stream" => world.event.record(&world.theirs[0])?;
        "Event::record, on the legacy stream" => world.event.record(&world.theirs[1])?;
        "Event::record, on the per-thread stream" => world.event.record(&world.theirs[2])?;
        "Event::record, the first, on the legacy stream" => Event::new().record(&world.theirs[1])?;
        "Event::wait, by cudarc's own stream" => world.event.wait(&world.theirs[0])?;
        "Event::wait, by the legacy stream" => world.event.wait(&world.theirs[1])?;
        "Event::wait, by the per-thread stream" => world.event.wait(&world.theirs[2])?;
        "Stream::wait_stream, the legacy stream" => world.stream.wait_stream(&world.theirs[1])?;
        "StreamRef::wait_stream, by the per-thread stream" => world.theirs[2].as_stream().wait_stream(&world.stream)?;
        "StreamRef::query, the legacy stream" => world.theirs[1].as_stream().query()?;
        "StreamRef::synchronize, the legacy stream" => world.theirs[1].as_stream().synchronize()?;
        "StreamRef::record_event, the per-thread stream" => world.theirs[2].as_stream().record_event()?;
        "Stream::capture_status" => world.stream.capture_status()?;
        "StreamRef::capture_status" => world.stream.as_stream().capture_status()?;
        "ExternalStream::capture_status" => world.external.capture_status()?;
        "CurrentStream::capture_status" => world.current()?.capture_status()?;
        "Stream::capture" => world.capture(|_| Ok(()))?;
        "StreamRef::capture" => world.stream.as_stream().capture::<Error>(CaptureMode::Relaxed, |_| Ok(()))?;
        "ExternalStream::capture" => world.external.capture::<Error>(CaptureMode::Global, |_| Ok(()))?;
        "CurrentStream::capture" => world.current()?.capture::<Error>(CaptureMode::ThreadLocal, |_| Ok(()))?;
        "CaptureScope::record" => world.capture(|scope| scope.record(&world.captured))?;
        "CaptureScope::record, external" => world.capture(|scope| scope.record(&world.node))?;
        "CaptureScope::wait_event" => world.capture(|scope| {
            scope.record(&world.captured)?;
            scope.wait_event(&world.captured)
        })?;
        "CaptureScope::wait_event, external" => world.capture(|scope| scope.wait_event(&world.node))?;
        "CaptureScope::wait_stream" => world.capture(|scope| scope.wait_stream(scope))?;
        "CaptureScope::status" => world.capture(|scope| scope.status().map(drop))?;
        "CaptureScope::keep" => world.capture(|scope| scope.keep(()))?;
        "CaptureScope::host_fn" => world.capture(|scope| scope.host_fn(|| ()))?;
        "Stream::query, captured" => world.capture(|_| refused(world.stream.query(), |error| matches!(error, Error::Capturing { .. })))?;
        "Stream::query, beside a capture" => world.capture(|_| world.other.query())?;
        "Event::query, beside a capture" => world.capture(|_| world.node.query())?;
        "Stream::record_event, beside a capture" => world.capture(|_| world.other.record_event())?;
        "Stream::capture_events" => world.build(|_| Ok(()))?;
        "StreamRef::capture_events" => world.stream.as_stream().capture_events::<Error>(|_| Ok(()))?;
        "ExternalStream::capture_events" => world.external.capture_events::<Error>(|_| Ok(()))?;
        "CurrentStream::capture_events" => world.current()?.capture_events::<Error>(|_| Ok(()))?;
        "EventScope::record" => world.build(|scope| scope.record(&world.node))?;
        "EventScope::wait_event" => world.build(|scope| scope.wait_event(&world.node))?;
        "EventScope::host_fn" => world.build(|scope| scope.host_fn(|| ()))?;
        "EventScope::keep" => world.build(|scope| scope.keep(()))?;
        "EventScope::fork" => world.build(|scope| {
            drop(scope.fork());
            Ok(())
        })?;
        "EventScope::join" => world.build(|scope| {
            scope.join(scope.fork());
            Ok(())
        })?;
        "Graph::instantiate" => world.graph().instantiate()?;
        "Graph::node_count" => world.graph().node_count()?;
        "Graph::edge_count" => world.graph().edge_count()?;
        "Graph::is_empty" => world.graph().is_empty()?;
        "Graph::try_clone" => world.graph().try_clone()?;
        "Graph::context" => world.graph().context();
        "Graph::device" => world.graph().device();
        "Graph::as_raw" => world.graph().as_raw();
        "Graph::into_raw" => graph_round_trip(world.graph().try_clone()?)?;
        "Graph::from_raw" => graph_round_trip(world.graph().try_clone()?)?;
        "Graph::destroy" => world.graph().try_clone()?.destroy()?;
        "Graph::fmt" => format!("{:?} {:?}", world.graph(), world.exec());
        "GraphExec::launch" => world.exec().launch(&world.stream)?;
        "GraphExec::launch, on the legacy stream" => world.exec().launch(&world.theirs[1])?;
        "GraphExec::upload" => world.exec().upload(&world.stream)?;
        "GraphExec::as_raw" => world.exec().as_raw();
        "GraphExec::context" => world.exec().context();
        "GraphExec::device" => world.exec().device();
        "GraphExec::destroy" => world.graph().instantiate()?.destroy()?;
        "relaxed_capture" => relaxed_capture(|| ())?;
    }
}

/// Those that answer where no driver may be called, in a forked child and inside a host function, as anywhere: the
/// driver has no part in it.
pub(crate) const WITHOUT_THE_DRIVER: &[&str] = &[
    "Device::ordinal",
    "Event::new",
    "Event::timed",
    "Event::interprocess",
    "Event::default",
    "Event::with_flags",
    "Event::with_flags, refused",
    "Event::context, never recorded",
    "Event::device, never recorded",
    "Event::as_raw, never recorded",
    "Event::fmt, never recorded",
    "Event::into_raw, never recorded",
    "Stream::from_raw, default",
    "Context::from_raw, null",
    "Context::id",
    "Context::device",
    "Context::as_raw",
    "Context::event_pool",
    "Stream::id",
    "Stream::priority",
    "Stream::is_blocking",
    "Stream::context",
    "Stream::device",
    "Stream::as_raw",
    "Stream::destroy, shared",
    "Stream::eq",
    "Stream::fmt",
    "AsStream::as_stream",
    "AsEvent::as_event",
    "StreamRef::as_raw",
    "Event::context",
    "Event::device",
    "Event::flags",
    "Event::is_timed",
    "Event::is_blocking_sync",
    "Event::is_interprocess",
    "Event::as_raw",
    "Event::fmt",
    "Stream::scope",
    "Stream::try_into_raw, shared",
    "StreamRef::eq",
    "EventRef::as_raw",
    "EventRef::from_raw",
    "ExternalStream::owner",
    "ExternalStream::as_raw",
    "ExternalStream::context",
    "ExternalStream::device",
    "StreamRef::context, of cudarc",
    "IpcEventHandle::from_bytes",
    "IpcEventHandle::as_bytes",
    "IpcMemHandle::from_bytes",
    "IpcMemHandle::as_bytes",
    "Event::fmt, interprocess",
    "IpcMemory::bytes",
    "IpcMemory::as_raw",
    "IpcMemory::context",
    "IpcMemory::device",
    "IpcMemory::is_imported",
    "IpcMemory::fmt",
    "IpcSlice::as_view",
    "IpcSlice::as_view_mut",
    "IpcSlice::memory",
    "Graph::context",
    "Graph::device",
    "Graph::as_raw",
    "Graph::fmt",
    "GraphExec::as_raw",
    "GraphExec::context",
    "GraphExec::device",
];
