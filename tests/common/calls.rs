//! Every public call of the crate, in one list, for tests that hold for all of them: none changes
//! the current context, some activate a device's primary context, and so on.
//!
//! A call is `name => expression`. The name is `Type::function` as in the source, and may go on
//! after a comma where one function is called in several ways. `current.rs` checks that no public
//! function is missing.

use std::sync::Arc;

use cuda_streams::{
    AsEvent, AsStream, Context, Device, DeviceAttribute, DeviceUuid, Error, ErrorCode, Event, EventFlags, EventOptions, Interprocess,
    Result, Stream, StreamOptions, Timed, Untimed, driver_version,
};
use cudarc::driver::{CudaContext, CudaStream};

use super::contexts;

/// A public call on something prepared.
pub(crate) struct Call<T: 'static> {
    pub(crate) name: &'static str,
    /// Whether it brings the device's primary context into being.
    pub(crate) activates: bool,
    pub(crate) run: fn(&T) -> Result<()>,
}

/// What the calls that need a stream work on. All of it is of one device.
pub(crate) struct World {
    pub(crate) device: Device,
    pub(crate) context: Context,
    pub(crate) stream: Stream,
    pub(crate) other: Stream,
    pub(crate) event: Event,
    pub(crate) start: Event<Timed>,
    pub(crate) end: Event<Timed>,
    /// cudarc's own stream, its legacy default stream and its per-thread one.
    pub(crate) theirs: [Arc<CudaStream>; 3],
}

impl World {
    /// Prepares everything. cudarc leaves its context current on the calling thread.
    pub(crate) fn new(device: Device) -> Self {
        let stream = || device.stream().expect("a stream");
        let (stream, other) = (stream(), stream());
        let timed = || stream.record_event_with(EventOptions::new().timed()).expect("a timed event");
        let (start, end) = (timed(), timed());
        stream.synchronize().expect("the timed events are complete");
        let cudarc = CudaContext::new(device.ordinal() as usize).expect("cudarc's view of the primary context");
        let theirs = [cudarc.new_stream().expect("a stream of cudarc"), cudarc.default_stream(), cudarc.per_thread_stream()];
        let event = Event::new();
        Self { device, context: stream.context(), stream, other, event, start, end, theirs }
    }
}

/// A call that is to be refused for this reason; another error stays one.
fn refused<T>(result: Result<T>, reason: fn(&Error) -> bool) -> Result<()> {
    match result {
        Ok(_) => panic!("the call succeeds"),
        Err(error) if reason(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

fn not_there(error: &Error) -> bool {
    matches!(error, Error::NoSuchDevice { .. })
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
        activating "Device::context" => device.context()?;
        activating "Device::stream" => device.stream()?;
        activating "Device::stream_with" => device.stream_with(StreamOptions::new().blocking(true).priority(i32::MIN))?;
        activating "Device::event" => device.event(EventOptions::new().timed())?;
        activating "Device::enable_peer_access, to itself" => refused(device.enable_peer_access(*device), |error| {
            matches!(error.code(), Some(ErrorCode::INVALID_DEVICE | ErrorCode::INVALID_CONTEXT | ErrorCode::PEER_ACCESS_UNSUPPORTED))
        })?;
        activating "Event::bind" => Event::new().bind(*device)?;
    }

    WORLD_CALLS(world) {
        "Context::id" => world.context.id();
        "Context::device" => world.context.device();
        "Context::as_raw" => world.context.as_raw();
        "Context::with_current" => world.context.with_current(|| ())?;
        "Context::with_current, of what changes it" => world.context.with_current(contexts::change)?;
        "Context::synchronize" => world.context.synchronize()?;
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
        "Event::destroy" => world.stream.record_event()?.destroy()?;
        "Event::fmt" => format!("{:?} {:?}", world.event, world.event.as_event());
        "EventRef::record" => world.event.as_event().record(&world.stream)?;
        "EventRef::wait" => world.event.as_event().wait(&world.other)?;
        "EventRef::query" => world.event.as_event().query()?;
        "EventRef::status" => world.event.as_event().status()?;
        "EventRef::synchronize" => world.event.as_event().synchronize()?;
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
    }
}
