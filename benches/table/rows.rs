//! The rows of the table, and what each contender calls.

mod create;
mod device;
mod known;
mod pool;

use cuda_streams::{EventOptions, Untimed};

use crate::lane::Events;
use crate::row::Seat;
use crate::table::Table;

const UNTIMED: EventOptions = EventOptions::new();

pub(crate) fn all(table: &mut Table<'_>, seats: &[Seat]) {
    known::rows(table);
    create::rows(table);
    device::rows(table);
    if seats[0].raw.cuEventElapsedTime_v2.is_some() {
        device::elapsed(table);
    } else {
        println!("| elapsed_time | cuEventElapsedTime_v2 | | | not measured: the driver lacks the function | | | | | | |");
    }
    pool::rows(table);
}

/// For what goes to the driver in any case.
fn events(seat: &Seat) -> Events<Untimed> {
    Events::new(seat.device, &seat.context, UNTIMED).expect("created")
}

/// Recorded, and known to be complete.
fn complete(seat: &Seat) -> Events<Untimed> {
    let events = Events::remembered(seat.device, &seat.context, UNTIMED).expect("created");
    events.record(&seat.lane);
    events.ours.synchronize().expect("the work ends");
    events.cudarc.synchronize().expect("the work ends");
    events
}

/// For rows that hold nothing.
fn nothing<O>(_: &Seat, _: &O) {}
