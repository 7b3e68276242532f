//! Waits in captures that look as if they changed nothing, and must be made: what is missing without them.

use std::error::Error;

use cuda_streams::{CaptureMode, CaptureStatus, Error as StreamError, EventOptions, Graph};
use softcuda::{Report, Scope, inject};

use crate::common::{device, raw, streams};
use crate::counts::{expect, sum};
use crate::settle::settle;
use crate::table::info;
use crate::waits_made::{Calls, MADE, WAIT, Work, complete, complete_with};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A graph that waits for the event and then reads, captured while the event was complete; or where the driver forgot
/// the wait.
fn captured_reports(options: EventOptions, is_ours: bool, is_forgotten: bool) -> Result<(usize, Vec<Report>)> {
    let _scope = Scope::enter();
    let [producer, consumer] = streams();
    let mut work = Work::new(producer);
    let event = complete_with(&work.producer, options);
    let forgotten = is_forgotten.then(|| inject(WAIT, 0));
    let enqueue = |work: &mut Work| {
        consumer.wait_event(&event)?;
        work.seen.copy_from(&consumer, &work.data);
        Ok::<_, StreamError>(())
    };
    let graph = if is_ours {
        consumer.capture::<StreamError>(CaptureMode::default(), |_| enqueue(&mut work))?
    } else {
        raw::begin_capture(&consumer);
        enqueue(&mut work)?;
        let raw = raw::end_capture(&consumer).expect("the capture goes on");
        // SAFETY: ended just now, of a stream of this context.
        unsafe { Graph::from_raw(consumer.context(), raw) }?
    };
    drop(forgotten);
    let nodes = graph.node_count()?;
    // SAFETY: what is copied lives until the consumer has been waited for.
    let mut graph = unsafe { graph.instantiate() }?;
    work.write();
    event.record(&work.producer)?;
    settle(&work.producer);
    // SAFETY: as above.
    unsafe { graph.launch(&consumer) }?;
    Ok((nodes, work.finish(consumer)?))
}

/// Each launch waits for what is recorded by then: that the event was complete at the capture says nothing of it.
#[test]
fn a_wait_for_an_external_event_is_a_node() -> Result {
    device().context()?;
    let options = EventOptions::new().external(true);
    for is_ours in [true, false] {
        assert_eq!(captured_reports(options, is_ours, false)?, (2, vec![]));
        let (nodes, reports) = captured_reports(options, is_ours, true)?;
        assert_eq!((nodes, reports.len()), (1, 1), "{reports:#?}");
    }
    Ok(())
}

/// What is recorded in a capture is waited for to join it.
#[test]
fn a_wait_for_what_a_capture_recorded_again_joins_it() {
    let [stream, side] = streams();
    for is_forgotten in [false, true] {
        let event = complete(&side);
        let joins = stream.capture::<StreamError>(CaptureMode::default(), |scope| {
            scope.record(&event)?;
            let forgotten = is_forgotten.then(|| inject(WAIT, 0));
            expect(&sum([&[(info(), 1)], MADE]), || side.wait_event(&event));
            drop(forgotten);
            assert_eq!(side.is_capturing(), Ok(!is_forgotten));
            scope.wait_stream(&side)
        });
        assert_eq!(joins.is_err(), is_forgotten);
    }
}

/// A stream that others capture: the answer is the driver's, and the capture is over.
fn check_in_a_capture_of_others(made: &Calls, is_forgotten: bool) {
    let _misuse = Scope::enter();
    let [stream, other] = streams();
    let event = complete(&other);
    raw::begin_capture(&stream);
    let forgotten = is_forgotten.then(|| inject(WAIT, 0));
    let refused = expect(made, || Ok(stream.wait_event(&event)));
    drop(forgotten);
    assert_eq!(refused.is_err(), !is_forgotten, "{refused:?}");
    let expected = if is_forgotten { CaptureStatus::Active } else { CaptureStatus::Invalidated };
    assert_eq!(stream.capture_status(), Ok(expected));
    let ended = raw::end_capture(&stream).map(raw::destroy_graph);
    assert_eq!(ended.is_err(), !is_forgotten);
}

#[test]
fn in_a_capture_of_others_the_wait_is_made() {
    let ([stream], made) = (streams(), sum([&[("cuStreamIsCapturing", 1)], MADE]));
    for is_forgotten in [false, true] {
        check_in_a_capture_of_others(&made, is_forgotten);
        // While one of this crate is open it is asked which capture it is.
        let graph = stream.capture::<StreamError>(CaptureMode::Relaxed, |_| {
            check_in_a_capture_of_others(&sum([&[(info(), 1)], MADE]), is_forgotten);
            Ok(())
        });
        assert_eq!(graph.and_then(|graph| graph.is_empty()), Ok(true));
    }
}
