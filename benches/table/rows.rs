//! The rows of the table, and what each contender calls.

mod create;
mod device;
mod known;

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
    // The place of `create::pool`: checkout and return of a stream of `StreamPool`, against cuStreamCreate and
    // cuStreamDestroy_v2 (to be added to `Raw`) and cudarc's `new_stream`, both dropped at once. Stage::Calm, an own
    // pool or one for all threads; less than 50 ns at 1 thread, less than 150 at 16.
    println!("| StreamPool, checkout and return | cuStreamCreate, cuStreamDestroy | | | not measured | | | | | | |");
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
