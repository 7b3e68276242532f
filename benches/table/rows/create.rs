//! What takes an event from the pool.

use cuda_streams::Untimed;

use super::{UNTIMED, events, nothing};
use crate::bound::Bound::{Below, Plus, Times};
use crate::lane::Events;
use crate::measure::contender;
use crate::row::{Row, Stage};
use crate::table::Table;

pub(crate) fn rows(table: &mut Table<'_>) {
    table.row(&CREATE);
    table.row(&RECORD_EVENT);
    table.row(&RECORD_EVENT_AND_RECORD);
}

const CREATE: Row<()> = Row {
    call: "Device::event, drop",
    functions: "cuEventCreate, cuEventDestroy",
    stage: Stage::Calm,
    shared: None,
    bounds: &[(&[1], Below(10.0)), (&[16], Below(20.0))],
    make: |_| (),
    prepare: nothing,
    contenders: |seat, ()| {
        [
            contender(|| drop(seat.device.event(UNTIMED).expect("created"))),
            // SAFETY: nobody else has the event.
            contender(|| unsafe { seat.raw.destroy(seat.raw.create()) }),
            contender(|| drop(seat.context.new_event(None).expect("created"))),
        ]
    },
};

const RECORD_EVENT: Row<()> = Row {
    call: "record_event, drop",
    functions: "cuEventCreate, cuEventRecord, cuEventDestroy",
    stage: Stage::Drained,
    bounds: &[],
    contenders: |seat, ()| {
        [
            contender(|| drop(seat.lane.stream.record_event().expect("recorded"))),
            contender(|| {
                let event = seat.raw.create();
                // SAFETY: both are alive and of one context.
                unsafe { seat.raw.record(event, seat.lane.raw) };
                // SAFETY: nobody else has the event.
                unsafe { seat.raw.destroy(event) };
            }),
            contender(|| drop(seat.lane.cudarc.record_event(None).expect("recorded"))),
        ]
    },
    ..CREATE
};

/// The driver only records, and always the same event.
const RECORD_EVENT_AND_RECORD: Row<Events<Untimed>> = Row {
    call: "record_event, drop, against a record",
    functions: "cuEventRecord",
    stage: Stage::Drained,
    shared: None,
    bounds: &[(&[1], Plus(20.0)), (&[16], Times(1.1))],
    make: events,
    prepare: nothing,
    contenders: |seat, events| {
        let [ours, _, cudarc] = (RECORD_EVENT.contenders)(seat, &());
        // SAFETY: both are alive and of one context.
        [ours, contender(|| unsafe { seat.raw.record(events.raw, seat.lane.raw) }), cudarc]
    },
};
