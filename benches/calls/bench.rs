//! What the rows of the table have in common: streams, events, rounds.

use std::error::Error;
use std::sync::Arc;

use cuda_streams::{Device, EventOptions, Mode};
use cudarc::driver::CudaContext;

use crate::hold::Hold;
use crate::lane::{Events, Lane};
use crate::measure::{Quartiles, contender, interleave};
use crate::raw::Raw;

/// Calls of one contender in a round. Those of all four stay far below the number of operations
/// (about 1,000) that a stream takes before the next one blocks.
pub(crate) const CALLS: u32 = 64;

pub(crate) struct Bench {
    pub(crate) raw: &'static Raw,
    pub(crate) context: Arc<CudaContext>,
    /// What the contenders enqueue on.
    pub(crate) lane: Lane,
    /// Another, for what they wait for.
    pub(crate) other: Lane,
    pub(crate) rounds: usize,
}

impl Bench {
    pub(crate) fn new(device: Device, rounds: usize) -> Result<Self, Box<dyn Error>> {
        let context = CudaContext::new(device.ordinal() as usize)?;
        let (lane, other) = (Lane::new(device, &context)?, Lane::new(device, &context)?);
        Ok(Self { raw: Raw::get(), context, lane, other, rounds })
    }

    /// See [`Events::new`].
    pub(crate) fn events<M: Mode>(&self, options: EventOptions<M>) -> Result<Events<M>, Box<dyn Error>> {
        Events::new(self.lane.stream.device(), &self.context, options)
    }

    /// See [`Events::remembered`].
    pub(crate) fn remembered_events<M: Mode>(&self, options: EventOptions<M>) -> Result<Events<M>, Box<dyn Error>> {
        Events::remembered(self.lane.stream.device(), &self.context, options)
    }

    /// A round on streams that have nothing else to do.
    pub(crate) fn idle(&self) -> impl FnMut(&mut dyn FnMut()) {
        |run| {
            run();
            self.synchronize();
        }
    }

    /// A round while `lane` is held; what `prepare` enqueues is pending.
    pub(crate) fn held(&self, lane: &Lane, prepare: impl Fn()) -> impl FnMut(&mut dyn FnMut()) {
        move |run| {
            let hold = Hold::new(&lane.stream);
            prepare();
            run();
            hold.release();
            self.synchronize();
        }
    }

    pub(crate) fn synchronize(&self) {
        for lane in [&self.lane, &self.other] {
            lane.stream.synchronize().expect("the work ends");
        }
    }

    /// Measures a row of the table and prints it.
    pub(crate) fn row(
        &self,
        [call, functions]: [&str; 2],
        stage: impl FnMut(&mut dyn FnMut()),
        ours: impl FnMut(),
        driver: impl FnMut() + Clone,
        cudarc: impl FnMut(),
    ) {
        let contenders = [contender(ours), contender(driver.clone()), contender(cudarc), contender(driver)];
        let samples = interleave(self.rounds, CALLS, stage, contenders);
        let [ours, driver, cudarc] = [0, 1, 2].map(|which| Quartiles::of(samples.iter().map(|sample| sample[which])).median);
        let [over, noise] = [0, 3].map(|which| Quartiles::of(samples.iter().map(|sample| sample[which] - sample[1])));
        println!(
            "| {call} | {functions} | {ours:.1} | {driver:.1} | {cudarc:.1} | {over} | {noise} | {:.3} | {:.3} |",
            ours / driver,
            cudarc / driver
        );
    }
}
