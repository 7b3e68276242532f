//! The rows of the table: what each contender calls.

use std::error::Error;
use std::hint::black_box;
use std::ptr;

use cuda_streams::{EventOptions, Mode};

use crate::bench::Bench;
use crate::lane::Lane;

type Result = std::result::Result<(), Box<dyn Error>>;

const UNTIMED: EventOptions = EventOptions::new();

pub(crate) fn all(bench: &Bench) -> Result {
    record(bench, "record", UNTIMED, bench.idle())?;
    record(bench, "record, stream held", UNTIMED, bench.held(&bench.lane, || ()))?;
    record(bench, "record, timed", UNTIMED.timed(), bench.idle())?;
    record_on_default(bench)?;
    query_pending(bench)?;
    query_complete(bench)?;
    wait_event(bench)?;
    create(bench);
    record_event(bench);
    wait_stream(bench)
}

fn record<M: Mode>(bench: &Bench, call: &str, options: EventOptions<M>, stage: impl FnMut(&mut dyn FnMut())) -> Result {
    let Bench { raw, lane, .. } = bench;
    let events = bench.events(options)?;
    bench.row(
        [call, "cuEventRecord"],
        stage,
        || lane.stream.record(&events.ours).expect("recorded"),
        // SAFETY: both are alive and of one context.
        || unsafe { raw.record(events.raw, lane.raw) },
        || events.cudarc.record(&lane.cudarc).expect("recorded"),
    );
    Ok(())
}

/// The context is current, as cudarc leaves it: torch's default stream in a torch program.
fn record_on_default(bench: &Bench) -> Result {
    let Bench { raw, context, lane, .. } = bench;
    let (ours, theirs) = (lane.stream.device().default_stream()?, context.default_stream());
    let events = bench.events(UNTIMED)?;
    bench.row(
        ["record, default stream", "cuEventRecord"],
        bench.idle(),
        || ours.record(&events.ours).expect("recorded"),
        // SAFETY: both are alive and of one context, which is current.
        || unsafe { raw.record(events.raw, ptr::null_mut()) },
        || events.cudarc.record(&theirs).expect("recorded"),
    );
    Ok(())
}

fn query_pending(bench: &Bench) -> Result {
    let events = bench.events(UNTIMED)?;
    bench.row(
        ["query, pending", "cuEventQuery"],
        bench.held(&bench.other, || events.record(&bench.other)),
        || assert!(!black_box(&events.ours).query().expect("answered")),
        // SAFETY: the event is alive.
        || assert!(!unsafe { bench.raw.query(events.raw) }),
        || assert!(!events.cudarc.try_is_complete().expect("answered")),
    );
    Ok(())
}

fn query_complete(bench: &Bench) -> Result {
    let events = bench.remembered_events(UNTIMED)?;
    events.record(&bench.other);
    bench.synchronize();
    bench.row(
        ["query, complete", "cuEventQuery"],
        bench.idle(),
        || assert!(black_box(&events.ours).query().expect("answered")),
        // SAFETY: the event is alive.
        || assert!(unsafe { bench.raw.query(events.raw) }),
        || assert!(events.cudarc.try_is_complete().expect("answered")),
    );
    Ok(())
}

fn wait_event(bench: &Bench) -> Result {
    let Bench { raw, lane, other, .. } = bench;
    let events = bench.events(UNTIMED)?;
    bench.row(
        ["wait_event, pending", "cuStreamWaitEvent"],
        bench.held(other, || events.record(other)),
        || lane.stream.wait_event(&events.ours).expect("enqueued"),
        // SAFETY: both are alive.
        || unsafe { raw.wait(lane.raw, events.raw) },
        || lane.cudarc.wait(&events.cudarc).expect("enqueued"),
    );
    Ok(())
}

fn create(bench: &Bench) {
    let Bench { raw, lane: Lane { stream, .. }, .. } = bench;
    bench.row(
        ["create, drop", "cuEventCreate, cuEventDestroy"],
        bench.idle(),
        || drop(stream.device().event(UNTIMED).expect("created")),
        // SAFETY: nobody else has the event.
        || unsafe { raw.destroy(raw.create()) },
        || drop(bench.context.new_event(None).expect("created")),
    );
}

fn record_event(bench: &Bench) {
    let Bench { raw, lane, .. } = bench;
    bench.row(
        ["record_event, drop", "cuEventCreate, cuEventRecord, cuEventDestroy"],
        bench.idle(),
        || drop(lane.stream.record_event().expect("recorded")),
        || {
            let event = raw.create();
            // SAFETY: both are alive and of one context.
            unsafe { raw.record(event, lane.raw) };
            // SAFETY: nobody else has the event.
            unsafe { raw.destroy(event) };
        },
        || drop(lane.cudarc.record_event(None).expect("recorded")),
    );
}

fn wait_stream(bench: &Bench) -> Result {
    let Bench { raw, lane, other, .. } = bench;
    let events = bench.events(UNTIMED)?;
    bench.row(
        ["wait_stream", "cuEventRecord, cuStreamWaitEvent"],
        bench.idle(),
        || lane.stream.wait_stream(&other.stream).expect("enqueued"),
        || {
            // SAFETY: both are alive and of one context.
            unsafe { raw.record(events.raw, other.raw) };
            // SAFETY: both are alive.
            unsafe { raw.wait(lane.raw, events.raw) };
        },
        || lane.cudarc.join(&other.cudarc).expect("enqueued"),
    );
    Ok(())
}
