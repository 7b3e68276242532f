//! Waits that look as if they changed nothing, and must be made: without them the software driver reports a race.

use std::error::Error;
use std::ptr;
use std::thread;

use cuda_streams::{
    AsEvent, AsStream, CaptureMode, Error as StreamError, Event, EventOptions, EventRef, ExternalStream, Stream, StreamOptions,
};
use cudarc::driver::CudaContext;
use softcuda::{Report, Scope, Topic, inject};

use crate::common::raw;
use crate::common::words::Words;
use crate::common::{device, streams};
use crate::counts::{expect, sum};
use crate::settle::settle;
use crate::table::info;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

pub(crate) const WAIT: &str = "cuStreamWaitEvent";

pub(crate) type Calls = [(&'static str, u64)];

/// The wait alone.
pub(crate) const MADE: &Calls = &[(WAIT, 1)];
/// For an external event, of which it may be a node.
fn asked() -> Vec<(&'static str, u64)> {
    sum([&[(info(), 1)], MADE])
}

/// What one stream writes and another reads.
pub(crate) struct Work {
    pub(crate) producer: Stream,
    one: Words,
    pub(crate) data: Words,
    pub(crate) seen: Words,
}

impl Work {
    /// In a scope that was entered now.
    pub(crate) fn new(producer: Stream) -> Self {
        let [data, seen] = [0; 2].map(|value| Words::new(device(), value));
        Self { producer, one: Words::new(device(), 1), data, seen }
    }

    /// The producer writes.
    pub(crate) fn write(&mut self) {
        self.data.copy_from(&self.producer, &self.one);
    }

    /// The consumer reads what was written, which is settled: bytes do not race where a wait is left out.
    fn read(&mut self, consumer: impl AsStream) {
        settle(&self.producer);
        self.seen.copy_from(consumer, &self.data);
    }

    /// What is reported of it, which is nothing but races.
    pub(crate) fn finish(self, consumer: impl AsStream) -> Result<Vec<Report>> {
        consumer.as_stream().synchronize()?;
        self.producer.synchronize()?;
        assert_eq!(self.seen.read(), 1);
        drop(self);
        let reports = Scope::current().take_reports();
        assert!(reports.iter().all(|report| report.topic() == Topic::Race), "{reports:#?}");
        Ok(reports)
    }
}

/// An event that is remembered complete.
pub(crate) fn complete(stream: impl AsStream) -> Event {
    complete_with(stream, EventOptions::new())
}

pub(crate) fn complete_with(stream: impl AsStream, options: EventOptions) -> Event {
    let event = options.build();
    event.record(stream).expect("a record");
    event.synchronize().expect("its work is done");
    assert!(expect(&[], || event.query()), "it is remembered");
    event
}

/// An event with what is dropped after the wait: that might tell the host that the work is done.
struct Kept<T>(Event, T);

impl<T> AsEvent for Kept<T> {
    fn as_event(&self) -> EventRef<'_> {
        self.0.as_event()
    }
}

/// Somebody else records the event.
fn record_elsewhere(event: EventRef<'_>, stream: &Stream) {
    let event = event.as_raw().expect("it is bound");
    // SAFETY: both handles are alive, and of one context.
    assert_eq!(unsafe { raw::cuEventRecord(event, stream.as_raw()) }, raw::SUCCESS);
}

/// Writes, and gives an event that is behind it, whatever it was before.
type Twin = fn(&mut Work) -> Result<Box<dyn AsEvent>>;

/// The wait for the event of a twin, and a read behind it; or the same where the driver forgets the wait.
fn reports(twin: Twin, expected: &Calls, is_forgotten: bool) -> Result<Vec<Report>> {
    let _scope = Scope::enter();
    let [producer, consumer] = streams();
    let mut work = Work::new(producer);
    let event = twin(&mut work)?;
    // It answers success and does nothing.
    let forgotten = is_forgotten.then(|| inject(WAIT, 0));
    expect(expected, || event.as_event().wait(&consumer));
    drop(forgotten);
    work.read(&consumer);
    drop(event);
    work.finish(consumer)
}

#[track_caller]
fn check(what: &str, twin: Twin, expected: &Calls) -> Result {
    device().context()?;
    assert_eq!(reports(twin, expected, false)?, [], "{what}");
    let forgotten = reports(twin, expected, true)?;
    assert_eq!(forgotten.len(), 1, "{what}: nothing else orders the two: {forgotten:#?}");
    Ok(())
}

#[test]
fn an_event_that_was_recorded_again_is_pending_again() -> Result {
    check(
        "by this thread",
        |work| {
            let event = complete(&work.producer);
            work.write();
            event.record(&work.producer)?;
            Ok(Box::new(event))
        },
        MADE,
    )?;
    check(
        "by another thread",
        |work| {
            let (event, scope) = (complete(&work.producer), Scope::current());
            thread::scope(|threads| {
                let recording = threads.spawn(|| {
                    let _joined = scope.join();
                    work.write();
                    event.record(&work.producer)
                });
                recording.join().expect("no panic")
            })?;
            Ok(Box::new(event))
        },
        MADE,
    )?;
    check(
        "by another stream than before",
        |work| {
            let [other] = streams();
            let event = complete(other);
            work.write();
            work.producer.as_stream().record(&event)?;
            Ok(Box::new(event))
        },
        MADE,
    )
}

/// Complete in fact, which nobody has been told: then the driver's wait is what tells.
#[test]
fn an_event_that_nobody_has_asked_about_is_not_known_to_be_complete() -> Result {
    let unasked: Twin = |work| {
        work.write();
        let event = work.producer.record_event()?;
        settle(&work.producer);
        Ok(Box::new(event))
    };
    check("recorded once", unasked, MADE)?;
    let of_another: Twin = |work| {
        // Its driver's event was another's, which is complete.
        drop(complete(&work.producer));
        work.write();
        let event = Event::new();
        event.record(&work.producer)?;
        Ok(Box::new(event))
    };
    check("a driver's event that is used again", of_another, MADE)
}

#[test]
fn what_others_record_is_waited_for() -> Result {
    check(
        "Event::as_raw",
        |work| {
            let event = complete(&work.producer);
            assert!(event.as_raw().is_some());
            work.write();
            record_elsewhere(event.as_event(), &work.producer);
            Ok(Box::new(event))
        },
        MADE,
    )?;
    check(
        "EventRef::as_raw, before the first record",
        |work| {
            let event = device().event(EventOptions::new())?;
            assert!(event.as_event().as_raw().is_some());
            work.write();
            record_elsewhere(event.as_event(), &work.producer);
            Ok(Box::new(event))
        },
        MADE,
    )?;
    check(
        "EventRef::from_raw",
        |work| {
            let event = complete(&work.producer);
            let handle = event.as_raw().expect("it is bound");
            work.write();
            // SAFETY: the event lives until the end.
            unsafe { EventRef::from_raw(handle) }.record(&work.producer)?;
            Ok(Box::new(event))
        },
        MADE,
    )?;
    check(
        "into_raw and from_raw",
        |work| {
            let handle = complete(&work.producer).into_raw().expect("it is bound");
            // SAFETY: given up just now, and made so in this context.
            let event = unsafe { Event::from_raw(work.producer.context(), handle, EventOptions::new()) }?;
            event.synchronize()?;
            work.write();
            // SAFETY: both are alive, and of one context.
            assert_eq!(unsafe { raw::cuEventRecord(handle, work.producer.as_raw()) }, raw::SUCCESS);
            Ok(Box::new(event))
        },
        MADE,
    )
}

/// A launch is a record, of which this crate does not know.
#[test]
fn what_a_graph_records_is_waited_for() -> Result {
    check(
        "a node that was added",
        |work| {
            let event = complete(&work.producer);
            let graph = work.producer.capture_events::<StreamError>(|scope| scope.record(&event))?;
            event.synchronize()?;
            work.write();
            let mut graph = graph.instantiate()?;
            graph.launch(&work.producer)?;
            Ok(Box::new(Kept(event, graph)))
        },
        MADE,
    )?;
    check(
        "a node that was captured",
        |work| {
            let event = complete_with(&work.producer, EventOptions::new().external(true));
            let graph = work.producer.capture::<StreamError>(CaptureMode::default(), |scope| scope.record(&event))?;
            event.synchronize()?;
            work.write();
            // SAFETY: the graph has nothing but the node, whose event it keeps.
            let mut graph = unsafe { graph.instantiate() }?;
            // SAFETY: as above.
            unsafe { graph.launch(&work.producer) }?;
            Ok(Box::new(Kept(event, graph)))
        },
        &asked(),
    )
}

/// Exported: from then on the driver is asked, whatever was known before. (For what the other process
/// does see `ipc_events.rs`.)
#[test]
fn what_another_process_may_have_recorded_is_waited_for() -> Result {
    let [stream, other] = streams();
    let event = Event::interprocess();
    event.record(&stream)?;
    event.synchronize()?;
    expect(&[], || other.wait_event(&event));
    event.ipc_handle()?;
    for _ in 0..2 {
        assert!(event.query()?);
        expect(MADE, || other.wait_event(&event));
    }
    Ok(())
}

/// The other stream's work is found by an event of the call's own, which is new each time.
#[test]
fn a_wait_for_a_stream_is_always_made() -> Result {
    device().context()?;
    let run = |is_forgotten: bool| {
        let _scope = Scope::enter();
        let [producer, consumer] = streams();
        let mut work = Work::new(producer);
        let expected = [("cuEventRecord", 1), (WAIT, 1)];
        // From here on there is an idle event.
        consumer.wait_stream(&work.producer)?;
        work.producer.synchronize()?;
        expect(&expected, || consumer.wait_stream(&work.producer));
        work.write();
        let forgotten = is_forgotten.then(|| inject(WAIT, 0));
        expect(&expected, || consumer.wait_stream(&work.producer));
        drop(forgotten);
        work.read(&consumer);
        work.finish(consumer)
    };
    assert_eq!(run(false)?, []);
    assert_eq!(run(true)?.len(), 1);
    Ok(())
}

/// On the legacy default stream a wait is a barrier between blocking streams, for whatever event.
#[test]
fn a_wait_of_the_legacy_default_stream_is_a_barrier() -> Result {
    let context = device().context()?;
    let cudarc = CudaContext::new(device().ordinal() as usize)?;
    let handle = |number| {
        // SAFETY: nothing is asked of a default stream.
        unsafe { ExternalStream::from_raw_on(device(), ptr::without_provenance_mut(number)) }
    };
    let (zero, one, current) = (handle(0)?, handle(1)?, context.with_current(Stream::current)??);
    let theirs = cudarc.default_stream();
    let legacy: [&dyn AsStream; 4] = [&zero, &one, &theirs, &current];
    let run = |legacy: &dyn AsStream, options: EventOptions, expected: &Calls, is_forgotten: bool| -> Result<_> {
        let _scope = Scope::enter();
        let ([free], blocking) = (streams(), || device().stream_with(StreamOptions::new().blocking(true)));
        let (mut work, consumer) = (Work::new(blocking()?), blocking()?);
        let event = complete_with(&free, options);
        work.write();
        let forgotten = is_forgotten.then(|| inject(WAIT, 0));
        context.with_current(|| expect(expected, || event.wait(legacy.as_stream())))?;
        drop(forgotten);
        work.read(&consumer);
        work.finish(consumer)
    };
    let current: &Calls = &[("cuCtxGetCurrent", 1)];
    let (made, asked) = (sum([current, MADE]), sum([current, current, &asked()]));
    for legacy in legacy {
        for (options, expected) in [(EventOptions::new(), &made), (EventOptions::new().external(true), &asked)] {
            assert_eq!(run(legacy, options, expected, false)?, [], "{:?}", legacy.as_stream());
            assert_eq!(run(legacy, options, expected, true)?.len(), 1, "{:?}", legacy.as_stream());
        }
    }
    Ok(())
}
