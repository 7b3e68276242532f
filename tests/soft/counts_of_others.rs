//! How many driver calls it takes where somebody else's streams, events and contexts are used, and default
//! streams.

use std::hash::{DefaultHasher, Hash as _};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use cuda_streams::{AsEvent, AsStream, Context, Event, EventFlags, EventOptions, EventRef, ExternalStream, HostWait, RawStream, Stream};
use cudarc::driver::CudaContext;

use crate::common::contexts::SecondContext;
use crate::common::hold::Hold;
use crate::common::theirs::{NON_BLOCKING, TheirEvent, TheirStream};
use crate::common::{device, on_a_fresh_thread, raw, streams};
use crate::counts::{CREATE, expect, sum};
use crate::live::trim;
use crate::table::{has, info};

type Calls = [(&'static str, u64)];

fn theirs() -> TheirStream {
    TheirStream::new(device().context().expect("the primary context"), NON_BLOCKING)
}

fn external(raw: RawStream) -> cuda_streams::Result<ExternalStream> {
    // SAFETY: a default stream, or one that is alive as long as what is made of it here.
    unsafe { ExternalStream::from_raw(raw) }
}

/// Where the driver has no ids, a context is known by being current.
const WITHOUT_IDS: &Calls =
    &[("cuCtxGetDevice", 1), ("cuCtxPopCurrent_v2", 1), ("cuCtxPushCurrent_v2", 1), ("cuDevicePrimaryCtxGetState", 1)];

/// What it takes to know a context again.
fn known() -> &'static Calls {
    if has("cuCtxGetId") { &[("cuCtxGetId", 1)] } else { WITHOUT_IDS }
}

#[test]
fn an_external_stream_is_one_question_and_one_for_its_context() {
    let theirs = theirs();
    let expected = sum([&[("cuStreamGetCtx", 1)], known()]);
    for _ in 0..2 {
        expect(&expected, || external(theirs.as_raw()));
        // SAFETY: its owner is dropped last.
        expect(&expected, || unsafe { ExternalStream::with_owner(theirs.as_raw(), &theirs) });
        // SAFETY: as above.
        expect(&expected, || unsafe { ExternalStream::from_raw_on(device(), theirs.as_raw()) });
    }
}

#[test]
fn a_second_context_is_looked_at_once() {
    let [second, another] = [(); 2].map(|()| SecondContext::new(device()));
    let foreign = |second: &SecondContext| {
        // SAFETY: the context is alive, and nothing is used of it after its end.
        unsafe { Context::from_raw(second.as_raw()) }
    };
    // Its id to find it and to keep it, and that of the primary context, which it is not.
    let first = sum([WITHOUT_IDS, &[("cuCtxGetId", 3)]]);
    let context = expect(&first, || foreign(&second));
    expect(&first, || foreign(&another));
    expect(known(), || foreign(&second));
    let theirs = TheirStream::new(context, NON_BLOCKING);
    expect(&sum([&[("cuStreamGetCtx", 1)], known()]), || external(theirs.as_raw()));
}

#[test]
fn a_default_stream_is_the_question_what_is_current() {
    let context = device().context().unwrap();
    let expected = sum([&[("cuCtxGetCurrent", 1)], known()]);
    for number in [0, 1, 2] {
        let raw = ptr::without_provenance_mut(number);
        context.with_current(|| expect(&expected, || external(raw))).unwrap();
        // SAFETY: nothing is asked of a default stream.
        expect(&[("cuCtxGetId", 1)], || unsafe { ExternalStream::from_raw_on(device(), raw) });
    }
    expect(&[("cuCtxGetId", 1)], || device().default_stream());
    expect(&[("cuCtxGetId", 1)], || device().per_thread_stream());
}

/// The default handles mean a stream of the current context: it is changed only where it is another.
#[test]
fn a_default_stream_pushes_only_where_another_context_is_current() {
    const ASKED: (&str, u64) = ("cuCtxGetCurrent", 1);
    const PUSHED: &Calls = &[("cuCtxPopCurrent_v2", 1), ("cuCtxPushCurrent_v2", 1)];
    let context = device().context().unwrap();
    let cudarc = CudaContext::new(device().ordinal() as usize).unwrap();
    let handles = [0, 1, 2].map(ptr::without_provenance_mut);
    // SAFETY: nothing is asked of a default stream.
    let ours = handles.map(|raw| unsafe { ExternalStream::from_raw_on(device(), raw) }.unwrap());
    let theirs = [cudarc.default_stream(), cudarc.per_thread_stream()];
    let [stream] = streams();
    let event = stream.record_event().unwrap();
    let check = |stream: &dyn AsStream, pushed: &Calls| {
        let stream = stream.as_stream();
        let with = |call| sum([&[ASKED, (call, 1)], pushed]);
        expect(&with("cuEventRecord"), || event.record(stream));
        expect(&with("cuStreamWaitEvent"), || event.wait(stream));
        expect(&with("cuStreamQuery"), || stream.query());
        expect(&with("cuStreamSynchronize"), || stream.synchronize());
        expect(&with("cuStreamIsCapturing"), || stream.is_capturing());
        expect(&with("cuStreamGetPriority"), || stream.priority());
    };
    let check_all = |pushed: &Calls| {
        for stream in &ours {
            check(stream, pushed);
        }
        for stream in &theirs {
            check(stream, pushed);
        }
    };
    on_a_fresh_thread(|| {
        check_all(PUSHED);
        SecondContext::new(device()).with_current(|| check_all(PUSHED));
        context.with_current(|| check_all(&[])).unwrap();
    });
}

/// An explicit handle says by itself where it belongs.
#[test]
fn an_operation_on_an_external_stream_is_one_call() {
    let theirs = theirs();
    let stream = external(theirs.as_raw()).unwrap();
    let event = stream.record_event().unwrap();
    let hold = Hold::new(&stream);
    on_a_fresh_thread(|| {
        expect(&[("cuEventRecord", 1)], || stream.record(&event));
        expect(&[("cuStreamWaitEvent", 1)], || stream.wait_event(&event));
        assert!(!expect(&[("cuStreamQuery", 1)], || stream.query()));
        expect(&[("cuStreamIsCapturing", 1)], || stream.is_capturing());
        expect(&[("cuStreamGetPriority", 1)], || stream.priority());
        expect(&[("cuStreamGetFlags", 1), ("cuStreamIsCapturing", 1)], || stream.is_blocking());
        expect(&[], || stream.wait_stream(&stream));
    });
    hold.release();
    expect(&[("cuStreamSynchronize", 1)], || stream.synchronize());
    if has("cuStreamGetId") {
        expect(&[("cuStreamGetId", 1), ("cuStreamIsCapturing", 1)], || stream.id());
    }
}

#[test]
fn comparing_and_printing_streams_of_others_costs_nothing() {
    let (theirs, other) = (theirs(), theirs());
    let [stream, another] = [&theirs, &other].map(|theirs| external(theirs.as_raw()).unwrap());
    let legacy = device().default_stream().unwrap();
    let current = legacy.scope(Stream::current).unwrap();
    expect(&[], || {
        assert!(stream == stream && stream != another && stream != legacy);
        assert_eq!(current.as_stream(), legacy.as_stream());
        stream.hash(&mut DefaultHasher::new());
        assert!(!format!("{stream:?} {legacy:?} {current:?} {:?}", stream.as_stream()).is_empty());
        let _ = (stream.as_raw(), stream.context(), stream.device(), stream.owner());
        stream.into_owner();
        Ok(())
    });
}

#[test]
fn an_operation_on_an_event_of_others_is_one_call() {
    let ([stream], their_stream) = (streams(), CudaContext::new(device().ordinal() as usize).unwrap().new_stream().unwrap());
    let theirs = TheirEvent::new(device().context().unwrap(), EventFlags::DISABLE_TIMING.bits());
    let their_event = their_stream.record_event(None).unwrap();
    // SAFETY: the event lives until the end.
    let by_handle = unsafe { EventRef::from_raw(theirs.as_raw()) };
    for event in [by_handle, their_event.as_event()] {
        let hold = Hold::new(&stream);
        expect(&[("cuEventRecord", 1)], || stream.record(event));
        expect(&[("cuStreamWaitEvent", 1)], || stream.wait_event(event));
        assert!(!expect(&[("cuEventQuery", 1)], || event.query()));
        expect(&[("cuEventQuery", 1)], || event.status());
        assert!(!expect(&[("cuEventQuery", 1)], || event.synchronize_timeout(Duration::ZERO)));
        hold.release();
        expect(&[("cuEventSynchronize", 1)], || event.synchronize());
        assert!(expect(&[("cuEventQuery", 1)], || event.query()), "nothing is remembered");
        expect(&[], || Ok((event.as_raw(), format!("{event:?}"))));
    }
}

/// The graph of a capture of others may be gone at any time: no call is made on it.
#[test]
fn in_a_capture_of_others_nothing_is_asked_of_their_graph() {
    let ([stream], event) = (streams(), EventOptions::new().external(true).build());
    event.record(&stream).unwrap();
    raw::begin_capture(&stream);
    expect(&sum([&[(info(), 1), ("cuEventRecordWithFlags", 1)]]), || event.record(&stream));
    expect(&sum([&[(info(), 1), ("cuStreamWaitEvent", 1)]]), || event.wait(&stream));
    raw::destroy_graph(raw::end_capture(&stream).unwrap());
}

/// Behind the work that is enqueued so far, so that later work is not waited for.
#[test]
fn a_wait_with_a_limit_asks_once_in_no_time_and_a_stream_by_an_event() {
    let [stream] = streams();
    let event = stream.record_event().unwrap();
    stream.synchronize().unwrap();
    assert!(expect(&[("cuStreamQuery", 1)], || stream.synchronize_timeout(Duration::ZERO)));
    assert!(expect(&[("cuEventQuery", 1)], || event.synchronize_timeout(Duration::ZERO)));
    assert!(expect(&[], || event.synchronize_timeout(Duration::MAX)), "it is remembered");
    let hold = Hold::new(&stream);
    event.record(&stream).unwrap();
    assert!(!expect(&[("cuEventQuery", 1)], || event.synchronize_timeout(Duration::ZERO)));
    let expected = sum([&[("cuStreamQuery", 1)], &CREATE, &[("cuEventRecord", 1), ("cuEventQuery", 1)]]);
    trim();
    assert!(!expect(&expected, || stream.synchronize_timeout(Duration::ZERO)));
    hold.release();
    stream.synchronize().unwrap();
    expect(&[], || Event::new().synchronize_timeout(Duration::MAX));
}

#[test]
fn giving_up_costs_nothing_and_taking_over_asks_what_there_is_to_know() {
    let [stream] = streams();
    let raw = expect(&[], || Ok(stream.try_into_raw().unwrap()));
    let asked = [("cuStreamGetCtx", 1), ("cuStreamGetFlags", 1), ("cuStreamGetPriority", 1), ("cuStreamIsCapturing", 1)];
    let id: &Calls = if has("cuStreamGetId") { &[("cuStreamGetId", 1)] } else { &[] };
    // SAFETY: given up just now.
    let stream = expect(&sum([&asked, id, known()]), || unsafe { Stream::from_raw(raw) });
    let event = stream.record_event().unwrap();
    let context = stream.context();
    expect(&[], || {
        let raw = event.into_raw().unwrap();
        // SAFETY: given up just now.
        unsafe { Event::from_raw(context, raw, EventOptions::new()) }.map(std::mem::forget)
    });
    drop(stream);
}

#[test]
fn a_stream_that_is_lent_to_cudarc_again_costs_nothing() {
    let ([stream], cudarc) = (streams(), CudaContext::new(device().ordinal() as usize).unwrap());
    let theirs = stream.to_cudarc(&cudarc).unwrap();
    assert!(Arc::ptr_eq(&theirs, &expect(&[], || stream.to_cudarc(&cudarc))));
    let another = streams::<1>();
    expect(&[], || another[0].to_cudarc(&cudarc));
    let external = ExternalStream::try_from(theirs).unwrap();
    expect(&[("cuStreamQuery", 1)], || external.query());
    drop(external);
    expect(&[("cuCtxGetId", 1), ("cuStreamDestroy_v2", 1)], || {
        drop(stream);
        Ok(())
    });
}

#[test]
fn how_the_host_waits_is_asked_and_set() {
    let device = device();
    expect(&[("cuDevicePrimaryCtxGetState", 1)], || device.host_wait());
    expect(&[("cuDevicePrimaryCtxGetState", 1), ("cuDevicePrimaryCtxSetFlags_v2", 1)], || device.set_host_wait(HostWait::Auto));
}
