//! What goes to the driver.

use std::hint::black_box;

use cuda_streams::{Timed, Untimed};

use super::{UNTIMED, events, nothing};
use crate::bound::Bound::{FasterThanCudarc, Plus, Times};
use crate::bound::Bounds;
use crate::lane::Events;
use crate::measure::contender;
use crate::row::{Row, Stage};
use crate::table::Table;

const WRAPPED: Bounds = &[(&[1], Plus(5.0)), (&[4, 16], Times(1.05))];

pub(crate) fn rows(table: &mut Table<'_>) {
    table.row(&RECORD);
    table.row(&QUERY);
    table.row(&WAIT);
    table.row(&WAIT_STREAM);
}

/// One event that all threads record has one word that all of them write, which is reported and has no bound.
const RECORD: Row<Events<Untimed>> = Row {
    call: "record",
    functions: "cuEventRecord",
    stage: Stage::Drained,
    bounds: WRAPPED,
    shared: Some(&[]),
    make: events,
    prepare: nothing,
    contenders: |seat, events| {
        [
            contender(|| seat.lane.stream.record(&events.ours).expect("recorded")),
            // SAFETY: both are alive and of one context.
            contender(|| unsafe { seat.raw.record(events.raw, seat.lane.raw) }),
            contender(|| events.cudarc.record(&seat.lane.cudarc).expect("recorded")),
        ]
    },
};

const QUERY: Row<Events<Untimed>> = Row {
    call: "query, pending",
    functions: "cuEventQuery",
    stage: Stage::Held,
    shared: Some(WRAPPED),
    prepare: |seat, events| events.record(&seat.held),
    contenders: |seat, events| {
        [
            contender(|| assert!(!black_box(&events.ours).query().expect("answered"))),
            // SAFETY: the event is alive.
            contender(|| assert!(!unsafe { seat.raw.query(events.raw) })),
            contender(|| assert!(!events.cudarc.try_is_complete().expect("answered"))),
        ]
    },
    ..RECORD
};

const WAIT: Row<Events<Untimed>> = Row {
    call: "wait_event, pending",
    functions: "cuStreamWaitEvent",
    stage: Stage::Piling,
    contenders: |seat, events| {
        [
            contender(|| seat.lane.stream.wait_event(&events.ours).expect("enqueued")),
            // SAFETY: both are alive.
            contender(|| unsafe { seat.raw.wait(seat.lane.raw, events.raw) }),
            contender(|| seat.lane.cudarc.wait(&events.cudarc).expect("enqueued")),
        ]
    },
    ..QUERY
};

const WAIT_STREAM: Row<Events<Untimed>> = Row {
    call: "wait_stream",
    functions: "cuEventRecord, cuStreamWaitEvent",
    bounds: &[(&[], Plus(15.0)), (&[16], FasterThanCudarc(3.0))],
    shared: None,
    contenders: |seat, events| {
        [
            contender(|| seat.lane.stream.wait_stream(&seat.other.stream).expect("enqueued")),
            contender(|| {
                // SAFETY: both are alive and of one context.
                unsafe { seat.raw.record(events.raw, seat.other.raw) };
                // SAFETY: both are alive.
                unsafe { seat.raw.wait(seat.lane.raw, events.raw) };
            }),
            contender(|| seat.lane.cudarc.join(&seat.other.cudarc).expect("enqueued")),
        ]
    },
    ..RECORD
};

pub(crate) fn elapsed(table: &mut Table<'_>) {
    table.row(&ELAPSED);
}

/// cudarc waits for both events first.
const ELAPSED: Row<[Events<Timed>; 2]> = Row {
    call: "elapsed_time",
    functions: "cuEventElapsedTime_v2",
    stage: Stage::Calm,
    bounds: &[(&[], Plus(8.0))],
    shared: Some(&[]),
    make: |seat| {
        let new = || Events::new(seat.device, &seat.context, UNTIMED.timed()).expect("created");
        let both = [new(), new()];
        for events in &both {
            events.record(&seat.lane);
        }
        seat.drain();
        both
    },
    prepare: nothing,
    contenders: |seat, [start, end]| {
        [
            contender(|| {
                black_box(start.ours.elapsed_time(&end.ours).expect("answered"));
            }),
            contender(|| {
                // SAFETY: both are alive.
                black_box(unsafe { seat.raw.elapsed(start.raw, end.raw) });
            }),
            contender(|| {
                black_box(start.cudarc.elapsed_ms(&end.cudarc).expect("answered"));
            }),
        ]
    },
};
