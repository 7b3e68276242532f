//! The time between two events: its sign, and which of the two is at fault when there is none.

mod common;

#[cfg(not(miri))]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(miri))]
use std::thread;
use std::time::{Duration, Instant};

use common::hold::Hold;
use common::streams;
use cuda_streams::{Dynamic, Error, Event, EventFlags, EventOptions, Result, Stream, Timed, Which};

fn timed(stream: &Stream) -> Result<Event<Timed>> {
    stream.record_event_with(EventOptions::new().timed())
}

/// T429, T430
#[test]
fn t430_the_way_back_is_the_exact_negative() -> Result<()> {
    let [stream] = streams();
    let marks = [timed(&stream)?, timed(&stream)?, timed(&stream)?];
    stream.synchronize()?;
    for start in &marks {
        assert_eq!(start.elapsed_time(start)?.as_millis_f32().abs().to_bits(), 0, "an event is at no distance from itself");
        for end in &marks {
            let (there, back) = (start.elapsed_time(end)?.as_millis_f32(), end.elapsed_time(start)?.as_millis_f32());
            assert_eq!((there + back).abs().to_bits(), 0, "{there} and {back}");
        }
    }
    let [first, second, third] = marks;
    assert!(first.elapsed_time(&second)? <= first.elapsed_time(&third)?, "time goes forward on a stream");
    assert!(second.elapsed_time(&third)?.as_millis_f32() >= 0.0);
    Ok(())
}

/// The device's time lies between what the host sees inside the two marks and what it sees outside.
#[test]
fn the_unit_is_milliseconds() -> Result<()> {
    let [stream] = streams();
    let (start, end) = (Event::timed(), Event::timed());
    let outside = Instant::now();
    start.record(&stream)?;
    start.synchronize()?;
    let inside = Instant::now();
    while inside.elapsed() < Duration::from_millis(2) {
        std::hint::spin_loop();
    }
    let inside = inside.elapsed();
    end.record(&stream)?;
    end.synchronize()?;
    let outside = outside.elapsed();
    let elapsed = Duration::try_from(start.elapsed_time(&end)?).expect("the end is after the start");
    // The two clocks may differ by a little.
    assert!(inside.mul_f64(0.99) <= elapsed && elapsed <= outside.mul_f64(1.01), "{inside:?} <= {elapsed:?} <= {outside:?}");
    Ok(())
}

/// T494
#[test]
fn t494_the_events_may_be_of_two_streams() -> Result<()> {
    let [first, second] = streams();
    let start = timed(&first)?;
    second.wait_event(&start)?;
    let end = timed(&second)?;
    end.synchronize()?;
    assert!(start.elapsed_time(&end)?.as_millis_f32() >= 0.0, "the second stream waited for the start");
    Ok(())
}

/// T7, T72
#[test]
fn t007_an_event_that_was_never_recorded_is_named() -> Result<()> {
    let [stream] = streams();
    let (recorded, new) = (timed(&stream)?, Event::timed());
    recorded.synchronize()?;
    let bound = Event::timed();
    bound.bind(stream.device())?;
    for never in [&new, &bound] {
        let never_recorded = |which| Err(Error::NotRecorded { which, code: None });
        assert_eq!(recorded.elapsed_time(never), never_recorded(Which::End));
        assert_eq!(never.elapsed_time(&recorded), never_recorded(Which::Start));
        assert_eq!(never.elapsed_time(never), never_recorded(Which::Start));
    }
    let error = recorded.elapsed_time(&new).unwrap_err();
    assert_eq!(error.to_string(), "the end event was never recorded: record it on a stream first");
    Ok(())
}

/// T426: and it does not wait, or this would never reach the release.
#[test]
fn t426_an_event_that_is_not_complete_is_named() -> Result<()> {
    let [stream] = streams();
    let done = timed(&stream)?;
    done.synchronize()?;
    let hold = Hold::new(&stream);
    let (pending, later) = (timed(&stream)?, timed(&stream)?);
    assert_eq!(done.elapsed_time(&pending), Err(Error::NotComplete { which: Which::End }));
    assert_eq!(pending.elapsed_time(&done), Err(Error::NotComplete { which: Which::Start }));
    assert_eq!(pending.elapsed_time(&later), Err(Error::NotComplete { which: Which::Start }));
    hold.release();
    stream.synchronize()?;
    assert!(done.elapsed_time(&pending)?.as_millis_f32() >= 0.0);
    assert!(pending.elapsed_time(&later)?.as_millis_f32() >= 0.0);
    Ok(())
}

#[test]
fn recording_again_makes_it_incomplete_again() -> Result<()> {
    let [stream] = streams();
    let (start, end) = (timed(&stream)?, timed(&stream)?);
    end.synchronize()?;
    start.elapsed_time(&end)?;
    let hold = Hold::new(&stream);
    end.record(&stream)?;
    assert_eq!(start.elapsed_time(&end), Err(Error::NotComplete { which: Which::End }));
    hold.release();
    end.synchronize()?;
    start.elapsed_time(&end).map(drop)
}

/// T6, T8, T116, T424, T495: which of the two, and where both: the start.
#[test]
fn t116_an_event_without_time_stamps_is_named() -> Result<()> {
    let [stream] = streams();
    let of = |flags: EventFlags| -> Result<Event<Dynamic>> {
        let event = Event::with_flags(flags)?;
        event.record(&stream)?;
        event.synchronize()?;
        Ok(event)
    };
    let (timed, untimed) = (of(EventFlags::empty())?, of(EventFlags::DISABLE_TIMING)?);
    assert_eq!(timed.elapsed_time(&untimed), Err(Error::Untimed { which: Which::End }));
    assert_eq!(untimed.elapsed_time(&timed), Err(Error::Untimed { which: Which::Start }));
    assert_eq!(untimed.elapsed_time(&untimed), Err(Error::Untimed { which: Which::Start }));
    let other = of(EventFlags::BLOCKING_SYNC)?;
    assert!(timed.elapsed_time(&other)?.as_millis_f32() >= 0.0);
    Ok(())
}

/// T517, T431
#[test]
fn t517_untimed_comes_before_never_recorded_before_not_complete() -> Result<()> {
    let [stream] = streams();
    let new = |flags| Event::with_flags(flags);
    let (never, untimed) = (new(EventFlags::empty())?, new(EventFlags::DISABLE_TIMING)?);
    let hold = Hold::new(&stream);
    let pending = new(EventFlags::empty())?;
    pending.record(&stream)?;
    untimed.record(&stream)?;
    assert_eq!(never.elapsed_time(&untimed), Err(Error::Untimed { which: Which::End }));
    assert_eq!(pending.elapsed_time(&never), Err(Error::NotRecorded { which: Which::End, code: None }));
    assert_eq!(pending.elapsed_time(&untimed), Err(Error::Untimed { which: Which::End }));
    hold.release();
    stream.synchronize()
}

/// Records of another thread during the call: a figure that mixes two of them is not told.
#[cfg(not(miri))]
#[test]
fn a_record_during_the_call_is_told() -> Result<()> {
    const ATTEMPTS: usize = 10_000_000;
    let [stream] = streams();
    let (start, end) = (timed(&stream)?, timed(&stream)?);
    stream.synchronize()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let recording = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                end.record(&stream)?;
                end.synchronize()?;
            }
            Ok(())
        });
        let told = (0..ATTEMPTS).find_map(|_| match start.elapsed_time(&end) {
            Ok(_) | Err(Error::NotComplete { which: Which::End }) => None,
            Err(error) => Some(error),
        });
        over.store(true, Ordering::Relaxed);
        assert_eq!(told, Some(Error::Rerecorded { which: Which::End }));
        recording.join().expect("the other thread")
    })
}
