//! A stream of a pool, against one that is created and destroyed.

use std::sync::Arc;

use cuda_streams::{StreamOptions, StreamPool};
use cudarc::driver::CudaStream;

use super::nothing;
use crate::bound::Bound::Below;
use crate::bound::Bounds;
use crate::measure::contender;
use crate::row::{Row, Stage};
use crate::table::Table;

pub(crate) fn rows(table: &mut Table<'_>) {
    table.row(&CHECKOUT);
}

const LENT: Bounds = &[(&[1], Below(50.0)), (&[16], Below(150.0))];

struct Pool {
    pool: StreamPool,
    /// With no stream but the one that is made, cudarc waits for the context.
    _theirs: Arc<CudaStream>,
}

const CHECKOUT: Row<Pool> = Row {
    call: "StreamPool, checkout and return",
    functions: "cuStreamCreate, cuStreamDestroy",
    stage: Stage::Calm,
    bounds: LENT,
    shared: Some(LENT),
    make: |seat| Pool {
        pool: seat.device.stream_pool(StreamOptions::new(), 32).expect("a pool"),
        _theirs: seat.context.new_stream().expect("created"),
    },
    prepare: nothing,
    contenders: |seat, Pool { pool, .. }| {
        [
            contender(|| drop(pool.checkout().expect("lent"))),
            // SAFETY: nobody else has the stream.
            contender(|| unsafe { seat.raw.destroy_stream(seat.raw.create_stream()) }),
            contender(|| drop(seat.context.new_stream().expect("created"))),
        ]
    },
};
