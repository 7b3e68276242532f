//! What needs no driver: the event is known to be complete.

use std::hint::black_box;

use cuda_streams::Untimed;

use super::{complete, nothing};
use crate::bound::Bound::{Below, FasterThanDriver};
use crate::bound::Bounds;
use crate::lane::Events;
use crate::measure::contender;
use crate::row::{Row, Stage};
use crate::table::Table;

const ASKED: Bounds = &[(&[1], Below(3.0)), (&[16], Below(5.0)), (&[16], FasterThanDriver(1900.0))];
const LEFT_OUT: Bounds = &[(&[1], Below(5.0)), (&[16], Below(10.0))];
const ASKED_FOR_CAPTURES: Bounds = &[(&[], Below(30.0))];

pub(crate) fn rows(table: &mut Table<'_>) {
    table.row(&QUERY);
    table.row(&SYNCHRONIZE);
    table.row(&WAIT);
    table.row(&WAIT_LENT);
}

const QUERY: Row<Events<Untimed>> = Row {
    call: "query, complete",
    functions: "cuEventQuery",
    stage: Stage::Calm,
    bounds: ASKED,
    shared: Some(ASKED),
    make: complete,
    prepare: nothing,
    contenders: |seat, events| {
        [
            contender(|| assert!(black_box(&events.ours).query().expect("answered"))),
            // SAFETY: the event is alive.
            contender(|| assert!(unsafe { seat.raw.query(events.raw) })),
            contender(|| assert!(events.cudarc.try_is_complete().expect("answered"))),
        ]
    },
};

const SYNCHRONIZE: Row<Events<Untimed>> = Row {
    call: "synchronize, complete",
    functions: "cuEventSynchronize",
    contenders: |seat, events| {
        [
            contender(|| black_box(&events.ours).synchronize().expect("answered")),
            // SAFETY: the event is alive.
            contender(|| unsafe { seat.raw.synchronize(events.raw) }),
            contender(|| events.cudarc.synchronize().expect("answered")),
        ]
    },
    ..QUERY
};

/// The driver and cudarc wait on a stream that is lent, which to them is nothing.
const WAIT: Row<Events<Untimed>> = Row {
    call: "wait_event, complete",
    functions: "cuStreamWaitEvent",
    stage: Stage::OthersDrained,
    bounds: LEFT_OUT,
    shared: Some(LEFT_OUT),
    contenders: |seat, events| {
        [
            contender(|| black_box(&seat.unlent).wait_event(black_box(&events.ours)).expect("left out")),
            // SAFETY: both are alive.
            contender(|| unsafe { seat.raw.wait(seat.lane.raw, events.raw) }),
            contender(|| seat.lane.cudarc.wait(&events.cudarc).expect("enqueued")),
        ]
    },
    ..QUERY
};

const WAIT_LENT: Row<Events<Untimed>> = Row {
    call: "wait_event, complete, lent stream",
    bounds: ASKED_FOR_CAPTURES,
    shared: Some(ASKED_FOR_CAPTURES),
    contenders: |seat, events| {
        let [_, driver, cudarc] = (WAIT.contenders)(seat, events);
        [contender(|| black_box(&seat.lane.stream).wait_event(black_box(&events.ours)).expect("left out")), driver, cudarc]
    },
    ..WAIT
};
