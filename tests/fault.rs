//! A kernel that faults: every later call says so, none says "not yet", none crashes. In processes of
//! their own, since a device fault lasts until the process ends.

mod common;

use std::time::Duration;

use common::hold::Hold;
use common::{child, device, raw, streams};
use cuda_streams::{Error, ErrorCode, Event, EventOptions, EventStatus, Result};

#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.expect_err("the device has faulted");
    assert!(error.is_sticky(), "{error:?}");
    assert!(matches!(error, Error::Driver { code: ErrorCode::LAUNCH_FAILED, .. }), "{error:?}");
    assert!(error.to_string().ends_with("only a new process can use this device again"), "{error}");
}

/// T500
#[test]
fn t500_after_a_fault_every_call_says_so() {
    child::run("t500_after_a_fault_every_call_says_so", child::with_reports, || {
        let stream = device().stream().unwrap();
        let complete = stream.record_event().unwrap();
        complete.synchronize().unwrap();
        let timed = || stream.record_event_with(EventOptions::new().timed()).unwrap();
        let (start, end) = (timed(), timed());
        end.synchronize().unwrap();

        let hold = Hold::new(&stream);
        let pending = stream.record_event().unwrap();
        hold.fault();
        check(stream.synchronize());

        check(stream.query());
        check(stream.synchronize());
        check(stream.record_event());
        check(stream.wait_event(&start));
        check(start.record(&stream));
        check(start.query());
        check(pending.query());
        check(pending.synchronize());
        check(pending.status());
        check(end.synchronize().and_then(|()| end.record(&stream)));
        check(Event::new().record(&stream));
        check(device().stream());
        check(device().event(EventOptions::new()));
        check(device().context().and_then(cuda_streams::Context::synchronize));

        assert_eq!(complete.query(), Ok(true), "what was complete before is still known to be");
        assert_eq!(complete.synchronize(), Ok(()));
        assert_eq!(Event::new().query(), Ok(true));
        assert!(device().name().is_ok(), "properties need no context");
        drop((stream, complete, pending, start, end));
        // SAFETY: initialising is allowed at any time.
        assert_eq!(unsafe { raw::cuInit(0) }, raw::SUCCESS, "the process goes on");
    });
}

/// What is known to be done is done, whatever came after; what is not known so is asked about, and never becomes it.
#[test]
fn what_was_complete_before_a_fault_stays_so_and_nothing_else_becomes_it() {
    child::run("what_was_complete_before_a_fault_stays_so_and_nothing_else_becomes_it", child::with_reports, || {
        let [stream, other] = streams();
        let (legacy, per_thread) = (device().default_stream().unwrap(), device().per_thread_stream().unwrap());
        let [complete, recorded_again, lent] = [(); 3].map(|()| stream.record_event().unwrap());
        for event in [&complete, &recorded_again, &lent] {
            event.synchronize().unwrap();
        }
        let unasked = stream.record_event().unwrap();
        stream.synchronize().unwrap();
        assert!(lent.as_raw().is_some() && lent.query().unwrap());

        let hold = Hold::new(&stream);
        let pending = stream.record_event().unwrap();
        recorded_again.record(&stream).unwrap();
        assert_eq!((pending.query(), recorded_again.query()), (Ok(false), Ok(false)));
        hold.fault();
        check(stream.synchronize());

        for _ in 0..2 {
            for event in [&pending, &recorded_again, &lent, &unasked] {
                check(event.query());
                check(event.status());
                check(event.synchronize());
                check(other.wait_event(event));
            }
            assert_eq!((complete.query(), complete.status()), (Ok(true), Ok(EventStatus::Complete)));
            assert_eq!((complete.synchronize(), complete.synchronize_timeout(Duration::ZERO)), (Ok(()), Ok(true)));
            assert_eq!(other.wait_event(&complete), Ok(()));
            // The driver is asked whether others are capturing these; and a wait of the legacy default stream is a barrier.
            check(stream.wait_event(&complete));
            check(per_thread.wait_event(&complete));
            check(legacy.wait_event(&complete));
            // A record that is refused changes nothing.
            check(complete.record(&stream));
            check(other.wait_stream(&stream));
            check(other.synchronize_timeout(Duration::ZERO));
        }
    });
}
