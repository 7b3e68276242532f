//! One driver call an operation, and none where the answer is known.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _};

use cuda_streams::{AsStream, Device, Event, EventOptions, Result};
use softcuda::calls;

use crate::common::contexts::SecondContext;
use crate::common::hold::Hold;
use crate::common::{device, on_a_fresh_thread, streams};
use crate::table::{driver_functions, elapsed_time, has};

/// The driver functions that `f` calls, with how often, in alphabetical order; and what it returns.
fn counted<R>(f: impl FnOnce() -> R) -> (Vec<(&'static str, u64)>, R) {
    let mut functions = driver_functions();
    functions.sort_unstable();
    let before: Vec<u64> = functions.iter().map(|name| calls(name)).collect();
    let all_before = softcuda::all_calls();
    let result = f();
    let all = softcuda::all_calls() - all_before;
    let made: Vec<_> =
        functions.iter().zip(before).map(|(name, before)| (*name, calls(name) - before)).filter(|(_, made)| *made > 0).collect();
    assert_eq!(made.iter().map(|(_, made)| made).sum::<u64>(), all, "a call outside of the table");
    (made, result)
}

/// Calls `f` and checks which driver functions it calls. A driver without ids is not asked for them.
#[track_caller]
pub(crate) fn expect<R>(expected: &[(&str, u64)], f: impl FnOnce() -> Result<R>) -> R {
    let (made, result) = counted(f);
    let expected: Vec<_> = expected.iter().copied().filter(|(name, _)| *name != "cuCtxGetId" || has(name)).collect();
    assert_eq!(made, expected);
    result.expect("the call succeeds")
}

/// Creating an event in a context that still lives.
const CREATE: [(&str, u64); 4] = [("cuCtxGetId", 1), ("cuCtxPopCurrent_v2", 1), ("cuCtxPushCurrent_v2", 1), ("cuEventCreate", 1)];
/// Destroying one.
const DESTROY: [(&str, u64); 2] = [("cuCtxGetId", 1), ("cuEventDestroy_v2", 1)];

fn sum<const N: usize>(parts: [&[(&'static str, u64)]; N]) -> Vec<(&'static str, u64)> {
    let mut sum = BTreeMap::new();
    for (name, calls) in parts.into_iter().flatten() {
        *sum.entry(*name).or_default() += calls;
    }
    sum.into_iter().collect()
}

#[test]
fn an_operation_is_one_call() {
    let [stream, other] = streams();
    let event = Event::new();
    event.record(&stream).unwrap();
    let hold = Hold::new(&stream);
    expect(&[("cuEventRecord", 1)], || event.record(&stream));
    assert!(!expect(&[("cuEventQuery", 1)], || event.query()));
    expect(&[("cuEventQuery", 1)], || event.status());
    expect(&[("cuStreamWaitEvent", 1)], || event.wait(&other));
    expect(&[("cuStreamWaitEvent", 1)], || other.wait_event(&event));
    assert!(!expect(&[("cuStreamQuery", 1)], || stream.query()));
    hold.release();
    expect(&[("cuEventSynchronize", 1)], || event.synchronize());
    expect(&[("cuStreamSynchronize", 1)], || stream.synchronize());
    expect(&DESTROY, || event.destroy());
    expect(&[("cuCtxGetId", 1), ("cuStreamDestroy_v2", 1)], || other.destroy().map_err(|(_, error)| error));
}

#[test]
fn completion_is_remembered_until_the_next_record() {
    let [stream] = streams();
    for ask in [Event::query, |event: &Event| event.synchronize().map(|()| true)] {
        let event = stream.record_event().unwrap();
        stream.synchronize().unwrap();
        let (made, _) = counted(|| ask(&event).unwrap());
        assert_eq!(made.len(), 1, "the first time the driver is asked");
        for _ in 0..3 {
            assert!(expect(&[], || event.query()));
            expect(&[], || event.synchronize());
            expect(&[], || event.status());
        }
        event.record(&stream).unwrap();
        expect(&[("cuEventQuery", 1)], || event.query());
    }
}

#[test]
fn a_never_recorded_event_costs_nothing() {
    let [stream] = streams();
    let bound = device().event(EventOptions::new()).unwrap();
    for event in [&Event::new(), &bound] {
        assert!(expect(&[], || event.query()));
        expect(&[], || event.synchronize());
        expect(&[], || event.status());
        expect(&[], || stream.wait_event(event));
    }
    expect(&[], || Ok((Event::timed(), Event::interprocess())));
    expect(&[], || Event::new().destroy());
}

#[test]
fn the_first_record_creates_the_event() {
    let [stream] = streams();
    let event = Event::new();
    let expected = sum([&CREATE, &[("cuEventRecord", 1)]]);
    expect(&expected, || event.record(&stream));
    let event = expect(&expected, || stream.record_event());
    expect(&DESTROY, || {
        drop(event);
        Ok(())
    });
}

#[test]
fn wait_stream_is_a_record_and_a_wait() {
    let [first, second] = streams();
    let expected = sum([&CREATE, &[("cuEventRecord", 1), ("cuStreamWaitEvent", 1)], &DESTROY]);
    expect(&expected, || first.wait_stream(&second));
    expect(&[], || first.wait_stream(&first));
    expect(&[], || first.wait_stream(first.clone()));
}

#[test]
fn what_a_handle_knows_costs_nothing() {
    let [stream, other] = streams();
    let event = stream.record_event().unwrap();
    expect(&[], || {
        let clone = stream.clone();
        clone.hash(&mut DefaultHasher::new());
        assert!(clone == stream && stream != other);
        assert!(!format!("{stream:?} {event:?} {:?}", stream.context()).is_empty());
        let _ = (stream.id(), stream.priority(), stream.is_blocking(), stream.device(), stream.context(), stream.as_raw());
        let _ = (event.device(), event.context(), event.flags(), event.is_timed());
        let _ = (stream.context().id(), stream.context().as_raw(), Device::get(0)?, Device::count()?);
        Ok(())
    });
}

#[test]
fn a_lent_event_is_asked_for_each_time() {
    let [stream, other] = streams();
    let event = stream.record_event().unwrap();
    event.synchronize().unwrap();
    expect(&[], || event.query());
    assert!(event.as_raw().is_some());
    for _ in 0..2 {
        assert!(expect(&[("cuEventQuery", 1)], || event.query()));
        expect(&[("cuEventSynchronize", 1)], || event.synchronize());
        expect(&[("cuStreamWaitEvent", 1)], || other.wait_event(&event));
    }
}

#[test]
fn elapsed_time_is_one_call() {
    let [stream] = streams();
    let timed = || stream.record_event_with(EventOptions::new().timed()).unwrap();
    let (start, end) = (timed(), timed());
    end.synchronize().unwrap();
    expect(&[(elapsed_time(), 1)], || start.elapsed_time(&end));
}

/// The default handles mean a stream of the current context: it is changed only where it is another.
#[test]
fn a_default_stream_pushes_only_where_another_context_is_current() {
    let legacy = cudarc::driver::CudaContext::new(device().ordinal() as usize).unwrap().default_stream();
    let event = Event::new();
    event.record(&legacy).unwrap();
    let record = || event.record(&legacy);
    let pushed = [("cuCtxGetCurrent", 1), ("cuCtxPopCurrent_v2", 1), ("cuCtxPushCurrent_v2", 1), ("cuEventRecord", 1)];
    on_a_fresh_thread(|| expect(&pushed, record));
    SecondContext::new(device()).with_current(|| expect(&pushed, record));
    let context = legacy.as_stream().context().unwrap();
    context.with_current(|| expect(&[("cuCtxGetCurrent", 1), ("cuEventRecord", 1)], record)).unwrap();
}
