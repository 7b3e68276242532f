//! Streams of green contexts, which have a part of the device and live beside those of the primary context.

mod common;

use std::ffi::c_void;
use std::ptr;

use common::hold::Hold;
use common::theirs::{NON_BLOCKING, TheirStream};
use common::{contexts, device, on_a_fresh_thread, raw, streams};
use cuda_streams::{AsStream, Context, Error, Event, EventOptions, ExternalStream, RawContext, Result, Stream, driver_version};

/// A green context with all of the device. What is of it has to be dropped before.
struct Green {
    raw: *mut c_void,
    /// As functions take it that know nothing of green contexts.
    context: RawContext,
}

impl Green {
    /// `None` on drivers that have none.
    fn new() -> Option<Self> {
        const MULTIPROCESSORS: u32 = 1;
        const DEFAULT_STREAM: u32 = 1;

        let device = raw::device_number(device());
        if !raw::has_green_contexts() {
            assert!(driver_version().is_ok_and(|version| version < (12, 4)), "since 12.4 drivers have them");
            return None;
        }
        let (mut resource, [mut descriptor, mut raw]) = (raw::Resource::new(), [ptr::null_mut(); 2]);
        let mut context = ptr::null_mut();
        // SAFETY: there is room for a resource.
        let got = unsafe { raw::cuDeviceGetDevResource(device, &raw mut resource, MULTIPROCESSORS) };
        // SAFETY: one resource, and a live local for the descriptor.
        let described = unsafe { raw::cuDevResourceGenerateDesc(&raw mut descriptor, &raw mut resource, 1) };
        // SAFETY: the descriptor is one of the device, the out pointer a live local.
        let created = unsafe { raw::cuGreenCtxCreate(&raw mut raw, descriptor, device, DEFAULT_STREAM) };
        // SAFETY: the green context was just created, the out pointer is a live local.
        let named = unsafe { raw::cuCtxFromGreenCtx(&raw mut context, raw) };
        assert_eq!([got, described, created, named], [raw::SUCCESS; 4], "a green context");
        Some(Self { raw, context })
    }

    /// A stream in it.
    fn stream(&self) -> TheirStream {
        let mut stream = ptr::null_mut();
        // SAFETY: the green context is alive, the out pointer a live local.
        let code = unsafe { raw::cuGreenCtxStreamCreate(&raw mut stream, self.raw, NON_BLOCKING, 0) };
        assert_eq!(code, raw::SUCCESS, "a stream");
        TheirStream::of(stream)
    }
}

impl Drop for Green {
    fn drop(&mut self) {
        // SAFETY: as [`Stream::from_raw`] and the others ask, nothing is used of it afterwards.
        let context = unsafe { Context::from_raw(self.context) };
        let context = context.expect("a context that is alive");
        // Or its idle events go with it, which is a leak to the software driver.
        context.trim_events().expect("idle events are destroyed");
        context.retire();
        // SAFETY: created here, and nobody uses it any more.
        let code = unsafe { raw::cuGreenCtxDestroy(self.raw) };
        assert!(code == raw::SUCCESS || std::thread::panicking(), "destroying a green context answers {code}");
    }
}

fn external(theirs: &TheirStream) -> Result<ExternalStream<&TheirStream>> {
    // SAFETY: the stream lives as long as its owner, which is borrowed.
    unsafe { ExternalStream::with_owner(theirs.as_raw(), theirs) }
}

/// T276
#[test]
fn t276_a_stream_of_a_green_context_and_its_events_say_so() -> Result<()> {
    let primary = device().context()?;
    let Some(green) = Green::new() else { return Ok(()) };
    let theirs = green.stream();
    let stream = external(&theirs)?;
    assert_eq!((stream.device(), stream.context().as_raw()), (device(), green.context));
    assert_ne!(stream.context(), primary);
    assert_eq!(stream.context(), external(&theirs)?.context());
    let event = stream.record_event()?;
    assert_eq!(event.context(), Some(stream.context()));
    event.synchronize()?;
    stream.synchronize()?;
    assert!(stream.query()? && !stream.is_blocking()? && !stream.is_capturing()?);
    assert_eq!(stream.priority()?, 0);
    stream.id().map(drop)
}

/// Either way, by events and by streams.
#[test]
fn streams_of_green_contexts_and_of_the_primary_one_wait_for_each_other() -> Result<()> {
    let [first, last] = streams();
    let Some(green) = Green::new() else { return Ok(()) };
    let theirs = green.stream();
    let between = external(&theirs)?;
    let hold = Hold::new(&first);
    between.wait_event(first.record_event()?)?;
    between.wait_stream(&first)?;
    let event = between.record_event()?;
    last.wait_stream(&between)?;
    last.wait_event(&event)?;
    assert!(!between.query()? && !event.query()? && !last.query()?);
    hold.release();
    last.synchronize()?;
    assert!(between.query()? && event.query()?);
    Ok(())
}

/// A comparison of contexts would refuse it; the driver does not.
#[test]
fn events_of_either_are_recorded_on_streams_of_the_other() -> Result<()> {
    let [ours] = streams();
    let Some(green) = Green::new() else { return Ok(()) };
    let theirs = green.stream();
    let stream = external(&theirs)?;
    let timed = |stream: &dyn AsStream| stream.as_stream().record_event_with(EventOptions::new().timed());
    let (start, end) = (timed(&ours)?, timed(&stream)?);
    start.record(&stream)?;
    stream.synchronize()?;
    end.record(&ours)?;
    ours.synchronize()?;
    assert_eq!((start.context(), end.context()), (Some(ours.context()), Some(stream.context())));
    assert!(start.elapsed_time(&end)?.as_millis_f32() >= 0.0);
    Ok(())
}

#[test]
fn a_stream_of_a_green_context_is_taken_over_but_not_lent() -> Result<()> {
    let cudarc = cudarc::driver::CudaContext::new(device().ordinal() as usize).expect("cudarc's view of the primary context");
    let Some(green) = Green::new() else { return Ok(()) };
    // SAFETY: made for this, and nobody else uses it.
    let stream = unsafe { Stream::from_raw(green.stream().into_raw()) }?;
    assert_eq!(stream.context().as_raw(), green.context);
    assert_eq!(stream.to_cudarc(&cudarc).map(drop), Err(Error::ForeignContext { device: device().ordinal() }));
    stream.record_event()?.synchronize()?;
    assert!(stream.destroy().is_ok());
    Ok(())
}

#[test]
fn what_is_of_a_retired_green_context_says_so() -> Result<()> {
    let [ours] = streams();
    let Some(green) = Green::new() else { return Ok(()) };
    let theirs = green.stream();
    let stream = external(&theirs)?;
    stream.context().retire();
    let over = Err(Error::ContextDestroyed { device: device().ordinal() });
    assert_eq!(stream.record(Event::new()), over);
    assert_eq!(ours.wait_stream(&stream), over);
    assert_eq!(stream.query().map(drop), over);
    Ok(())
}

#[test]
fn the_current_context_stays_as_it_is() -> Result<()> {
    let Some(green) = Green::new() else { return Ok(()) };
    let theirs = green.stream();
    let owner = &theirs;
    on_a_fresh_thread(|| {
        let stream = external(owner)?;
        assert!(contexts::current().is_null());
        stream.record_event()?.synchronize()?;
        assert!(contexts::current().is_null());
        let inside = stream.context().with_current(contexts::current)?;
        assert_eq!(inside, stream.context().as_raw());
        assert!(contexts::current().is_null());
        Ok(())
    })
}

/// The driver records an event of the primary context on it; an idle one is the event's own from then on too.
#[test]
fn an_event_of_the_primary_context_is_recorded_there() -> Result<()> {
    let [ours, last] = streams();
    let Some(green) = Green::new() else { return Ok(()) };
    let theirs = green.stream();
    let stream = external(&theirs)?;
    let new = || device().event(EventOptions::new());
    let fresh = new()?;
    drop(ours.record_event()?);
    let idle = new()?;
    let hold = Hold::new(&stream);
    for event in [&fresh, &idle] {
        event.record(&stream)?;
        assert!(!event.query()?, "{event:?}");
        last.wait_event(event)?;
        assert!(!last.query()?, "{event:?}");
    }
    hold.release();
    last.synchronize()?;
    assert!(fresh.query()? && idle.query()?);
    Ok(())
}
