//! What the public calls of `calls.rs` work on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cuda_streams::{
    AsEvent, AsStream, CaptureMode, CaptureScope, Contained, Context, CurrentStream, Device, Error, Event, EventOptions, EventRef,
    EventScope, ExternalStream, Graph, GraphExec, Interprocess, IpcSlice, RawEvent, RawStream, Result, Stream, Timed,
};
use cudarc::driver::{CudaContext, CudaEvent, CudaStream};

use super::contexts::SecondContext;
use super::ipc::sliced;
use super::raw;

/// What the calls that need a stream work on. All of it is of one device.
pub(crate) struct World {
    pub(crate) device: Device,
    pub(crate) context: Context,
    pub(crate) stream: Stream,
    pub(crate) other: Stream,
    pub(crate) event: Event,
    pub(crate) start: Event<Timed>,
    pub(crate) end: Event<Timed>,
    /// `other`, as a stream that somebody else owns.
    pub(crate) external: ExternalStream<Stream>,
    /// A context that is not the primary one.
    pub(crate) second: SecondContext,
    pub(crate) cudarc: Arc<CudaContext>,
    /// cudarc's own stream, its legacy default stream and its per-thread one.
    pub(crate) theirs: [Arc<CudaStream>; 3],
    pub(crate) their_event: CudaEvent,
    /// An event that was exported.
    pub(crate) shared: Event<Interprocess>,
    pub(crate) slice: Mutex<IpcSlice<u8>>,
    /// An event that a graph has a node of, and that graph.
    pub(crate) node: Event<Timed>,
    /// An event that is recorded in captures.
    pub(crate) captured: Event,
    pub(crate) graph: Mutex<Graph<Contained>>,
    pub(crate) exec: Mutex<GraphExec<Contained>>,
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
        let their_event = theirs[0].record_event(None).expect("an event of cudarc");
        stream.to_cudarc(&cudarc).expect("cudarc orders its slices");
        let external = external(&other).expect("a stream that is alive");
        let (event, context, second) = (Event::new(), stream.context(), SecondContext::new(device));
        let shared = stream.record_event_with(EventOptions::new().interprocess()).expect("an interprocess event");
        assert!(shared.ipc_handle().is_ok() || cfg!(miri), "it is exported");
        let slice = Mutex::new(sliced(device, &theirs[0], 64).expect("memory that can be shared"));
        let node = EventOptions::new().timed().external(true).build();
        let graph = stream.capture_events::<Error>(|scope| scope.record(&node)).expect("a graph");
        let exec = Mutex::new(graph.instantiate().expect("an executable graph"));
        let graph = Mutex::new(graph);
        Self {
            device,
            context,
            stream,
            other,
            event,
            start,
            end,
            external,
            second,
            cudarc,
            theirs,
            their_event,
            shared,
            slice,
            node,
            captured: Event::new(),
            graph,
            exec,
        }
    }

    /// The graph.
    pub(crate) fn graph(&self) -> MutexGuard<'_, Graph<Contained>> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was made of it.
    pub(crate) fn exec(&self) -> MutexGuard<'_, GraphExec<Contained>> {
        self.exec.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Captures what `work` does.
    pub(crate) fn capture<R>(&self, work: impl FnOnce(&CaptureScope<'_>) -> Result<R>) -> Result<Graph> {
        self.stream.capture(CaptureMode::default(), |scope| work(scope).map(drop))
    }

    /// A graph of what `work` asks for.
    pub(crate) fn build<R>(&self, work: impl for<'g> FnOnce(&EventScope<'g>) -> Result<R>) -> Result<Graph<Contained>> {
        self.stream.capture_events(|scope| work(scope).map(drop))
    }

    /// Memory that can be shared, as cudarc's.
    pub(crate) fn slice(&self) -> MutexGuard<'_, IpcSlice<u8>> {
        self.slice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `stream`, as the current one.
    pub(crate) fn current(&self) -> Result<CurrentStream> {
        self.stream.scope(Stream::current)
    }
}

/// A stream whose work is done: a wait that polls then asks once, however the work is scheduled.
pub(crate) fn idle<S: AsStream>(stream: S) -> Result<S> {
    stream.as_stream().synchronize().map(|()| stream)
}

/// What was enqueued on it is done.
pub(crate) fn idle_after<T>(stream: impl AsStream, enqueued: T) -> Result<T> {
    idle(stream).map(|_| enqueued)
}

/// The same for an event.
pub(crate) fn done<E: AsEvent>(event: E) -> Result<E> {
    event.as_event().synchronize().map(|()| event)
}

pub(crate) fn external(stream: &Stream) -> Result<ExternalStream<Stream>> {
    // SAFETY: the stream lives as long as its handle.
    unsafe { ExternalStream::with_owner(stream.as_raw(), stream.clone()) }
}

pub(crate) fn external_raw(device: Option<Device>, raw: RawStream) -> Result<ExternalStream> {
    match device {
        // SAFETY: a default stream, or one that lives during the call.
        Some(device) => unsafe { ExternalStream::from_raw_on(device, raw) },
        // SAFETY: as above; the context is primary, or the second one of the world.
        None => unsafe { ExternalStream::from_raw(raw) },
    }
}

pub(crate) fn foreign_event(event: &CudaEvent) -> EventRef<'_> {
    // SAFETY: the event lives as long as the borrow.
    unsafe { EventRef::from_raw(event.cu_event().cast()) }
}

pub(crate) fn round_trip(stream: Stream) -> Result<Stream> {
    let Ok(raw) = stream.try_into_raw() else { panic!("the stream has one handle") };
    // SAFETY: given up just now.
    unsafe { Stream::from_raw(raw) }.inspect_err(|_| destroy_stream(raw))
}

fn destroy_stream(raw: RawStream) {
    // SAFETY: nobody else has it.
    let _ = unsafe { raw::cuStreamDestroy_v2(raw) };
}

pub(crate) fn event_round_trip(event: Event) -> Result<Event> {
    let context = event.context().expect("the event is recorded");
    let raw: RawEvent = event.into_raw().expect("the event is recorded");
    // SAFETY: given up just now, with these options.
    unsafe { Event::from_raw(context, raw, EventOptions::new()) }
}

pub(crate) fn second_context(world: &World) -> Result<Context> {
    // SAFETY: it lives as long as the world; nothing is made in it.
    unsafe { Context::from_raw(world.second.as_raw()) }
}

pub(crate) fn graph_round_trip(graph: Graph<Contained>) -> Result<Graph> {
    let context = graph.context();
    let raw = graph.into_raw();
    // SAFETY: given up just now, of a stream of this context.
    unsafe { Graph::from_raw(context, raw) }
}
