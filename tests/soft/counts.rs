//! One driver call an operation, and none where the answer is known.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _};

use cuda_streams::{Device, Event, EventOptions, Result};
use softcuda::calls;

use crate::common::hold::Hold;
use crate::common::{device, streams};
use crate::live::trim;
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
pub(crate) const CREATE: [(&str, u64); 4] =
    [("cuCtxGetId", 1), ("cuCtxPopCurrent_v2", 1), ("cuCtxPushCurrent_v2", 1), ("cuEventCreate", 1)];
/// Destroying one.
pub(crate) const DESTROY: [(&str, u64); 2] = [("cuCtxGetId", 1), ("cuEventDestroy_v2", 1)];

pub(crate) fn sum<const N: usize>(parts: [&[(&'static str, u64)]; N]) -> Vec<(&'static str, u64)> {
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
    trim();
    expect(&expected, || event.record(&stream));
    let other = expect(&expected, || stream.record_event());
    expect(&DESTROY, || other.destroy());
    expect(&[], || {
        drop(event);
        Ok(())
    });
    expect(&[("cuEventRecord", 1)], || stream.record_event());
    let event = Event::new();
    expect(&[("cuEventRecord", 1)], || event.record(&stream));
}

#[test]
fn an_idle_event_is_made_and_dropped_without_a_call() {
    let new = || device().event(EventOptions::new());
    device().context().unwrap();
    trim();
    drop(expect(&sum([&[("cuCtxGetId", 1)], &CREATE]), new));
    let event = expect(&[], new);
    // Others would find the record of another event in it.
    let raw = expect(&CREATE, || Ok(event.as_raw().expect("it is bound")));
    assert_eq!(expect(&[], || Ok(event.as_raw())), Some(raw));
    let [first, second] = [expect(&[], new), expect(&sum([&[("cuCtxGetId", 1)], &CREATE]), new)];
    expect(&DESTROY, || second.destroy());
    expect(&[], || {
        drop(first);
        Ok(())
    });
}

#[test]
fn wait_stream_is_a_record_and_a_wait() {
    let [first, second] = streams();
    trim();
    let expected = [("cuEventRecord", 1), ("cuStreamWaitEvent", 1)];
    expect(&sum([&CREATE, &expected]), || first.wait_stream(&second));
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
