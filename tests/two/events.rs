//! An event belongs to one context, and says so where it meets another.

use std::sync::Barrier;
use std::thread;

use cuda_streams::{Error, ErrorCode, Event, EventOptions, EventStatus, Result};

use crate::common::hold::Hold;
use crate::{devices, streams};

/// The devices in a mismatch, and the call that found it. The driver was asked, but for binding.
fn mismatch<T: std::fmt::Debug>(result: Result<T>) -> (&'static str, u32, u32) {
    let error = result.unwrap_err();
    let text = error.to_string();
    let code = error.code();
    let Error::ContextMismatch(mismatch) = error else { panic!("{error:?}") };
    let (call, event, other) = (mismatch.call, mismatch.event.device, mismatch.other.device);
    assert!(code.is_none() || code == Some(ErrorCode::INVALID_HANDLE), "{code:?}");
    assert!(text.contains(call) && text.contains(&format!("of device {event}")) && text.contains(&format!("of device {other}")), "{text}");
    (call, event, other)
}

/// T42
#[test]
fn t042_an_event_takes_the_device_of_the_stream() -> Result<()> {
    for stream in streams() {
        let event = Event::new();
        assert_eq!(event.device(), None);
        event.record(&stream)?;
        assert_eq!(event.device(), Some(stream.device()));
        assert_eq!(stream.record_event()?.device(), Some(stream.device()));
        event.synchronize()?;
    }
    Ok(())
}

/// T89, T435
#[test]
fn t435_an_event_of_one_device_is_not_recorded_on_the_other() -> Result<()> {
    let [first, second] = streams();
    let event = Event::new();
    let hold = Hold::new(&first);
    event.record(&first)?;
    assert_eq!(mismatch(event.record(&second)), ("cuEventRecord", 0, 1));
    assert_eq!(event.status()?, EventStatus::Pending, "its record on the first is what it was");
    assert_eq!(event.device(), Some(first.device()));
    hold.release();
    event.synchronize()?;
    event.record(&first)?;
    event.synchronize()
}

#[test]
fn an_event_that_is_bound_is_not_bound_elsewhere() -> Result<()> {
    let [first, second] = devices();
    let event = second.event(EventOptions::new())?;
    assert_eq!(mismatch(event.bind(first)), ("cuEventCreate", 1, 0));
    event.bind(second)?;
    assert_eq!(mismatch(event.record(first.stream()?)), ("cuEventRecord", 1, 0));
    assert_eq!(event.status()?, EventStatus::NotRecorded);
    Ok(())
}

/// T517
#[test]
fn t517_events_of_two_devices_have_no_common_clock() -> Result<()> {
    let [first, second] = streams();
    let timed = |stream: &cuda_streams::Stream| stream.record_event_with(EventOptions::new().timed());
    let (start, end) = (timed(&first)?, timed(&second)?);
    start.synchronize()?;
    end.synchronize()?;
    let (call, ..) = mismatch(start.elapsed_time(&end));
    assert!(call.starts_with("cuEventElapsedTime"), "{call}");
    assert_eq!(mismatch(start.elapsed_time(&end)), (call, 0, 1));
    assert_eq!(mismatch(end.elapsed_time(&start)), (call, 1, 0));

    let hold = Hold::new(&second);
    end.record(&second)?;
    assert_eq!(mismatch(start.elapsed_time(&end)), (call, 0, 1), "that comes before not complete");
    hold.release();
    second.synchronize()
}

#[test]
fn threads_that_race_to_bind_an_event_agree_on_one_device() -> Result<()> {
    let streams = streams();
    for _ in 0..50 {
        let (event, start) = (Event::new(), Barrier::new(2));
        let record = |index: usize| {
            start.wait();
            event.record(&streams[index])
        };
        let results = thread::scope(|scope| [0, 1].map(|index| scope.spawn(move || record(index))).map(|thread| thread.join().unwrap()));
        let winner = results.iter().position(Result::is_ok).expect("one of the two");
        assert_eq!(event.device(), Some(streams[winner].device()));
        assert_eq!(mismatch(results.into_iter().nth(1 - winner).unwrap()), ("cuEventRecord", [0, 1][winner], [1, 0][winner]));
        event.synchronize()?;
    }
    Ok(())
}

/// T49: who waits for one device holds up neither the other device nor the threads that use it.
#[test]
fn t049_a_wait_for_one_device_leaves_the_other_alone() -> Result<()> {
    let ([busy, free], [_, waiting]) = (streams(), streams());
    let hold = Hold::new(&busy);
    let event = busy.record_event()?;
    waiting.wait_event(&event)?;
    let beside = || {
        let event = free.record_event()?;
        event.synchronize()?;
        assert!(!waiting.query()?);
        hold.release();
        Ok::<(), Error>(())
    };
    thread::scope(|scope| {
        let beside = scope.spawn(beside);
        event.synchronize()?;
        beside.join().expect("the other thread")
    })?;
    assert!(event.query()?);
    waiting.synchronize()
}

/// T443
#[test]
fn t443_each_device_has_its_threads() {
    thread::scope(|scope| {
        for device in devices().into_iter().chain(devices()) {
            scope.spawn(move || {
                for _ in 0..20 {
                    let stream = device.stream().unwrap();
                    let (start, end) = (Event::timed(), Event::timed());
                    start.record(&stream).unwrap();
                    end.record(&stream).unwrap();
                    end.synchronize().unwrap();
                    assert!(start.elapsed_time(&end).unwrap().as_millis_f32() >= 0.0);
                }
            });
        }
    });
}
