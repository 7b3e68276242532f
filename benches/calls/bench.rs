//! What the rows of the table have in common: streams, events, rounds.

use std::error::Error;
use std::sync::Arc;

use cuda_streams::{Device, Event, EventOptions, Mode, Stream};
use cudarc::driver::{CudaContext, CudaEvent, CudaStream, sys};

use crate::hold::Hold;
use crate::measure::{Quartiles, contender, interleave};
use crate::raw::Raw;

/// Calls of one contender in a round. Those of all four stay far below the number of operations
/// (about 1,000) that a stream takes before the next one blocks.
pub(crate) const CALLS: u32 = 64;

/// A stream of this crate, as all contenders use it.
pub(crate) struct Lane {
    pub(crate) raw: sys::CUstream,
    /// Dropped before the stream that it borrows.
    pub(crate) cudarc: Arc<CudaStream>,
    pub(crate) stream: Stream,
}

impl Lane {
    fn new(device: Device, context: &Arc<CudaContext>) -> Result<Self, Box<dyn Error>> {
        let stream = device.stream()?;
        let raw = stream.as_raw().cast();
        // SAFETY: the stream is of the device's primary context, which is cudarc's too, and dropped after the wrapper.
        let cudarc = unsafe { context.wrap_borrowed_stream(raw) };
        Ok(Self { raw, cudarc, stream })
    }
}

/// An event of this crate and one of cudarc's. The driver contender uses one of the two: calls on two
/// driver events may differ by more than what is measured here.
pub(crate) struct Events<M: Mode> {
    pub(crate) ours: Event<M>,
    pub(crate) raw: sys::CUevent,
    pub(crate) cudarc: CudaEvent,
}

impl<M: Mode> Events<M> {
    pub(crate) fn record(&self, lane: &Lane) {
        self.ours.record(&lane.stream).expect("recorded");
        self.cudarc.record(&lane.cudarc).expect("recorded");
    }
}

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

    /// Events of which the driver contender uses ours: for what asks the driver in any case.
    pub(crate) fn events<M: Mode>(&self, options: EventOptions<M>) -> Result<Events<M>, Box<dyn Error>> {
        let events = self.remembered_events(options)?;
        let raw = events.ours.as_raw().expect("created").cast();
        Ok(Events { raw, ..events })
    }

    /// Events of which the driver contender uses cudarc's. Ours is not lent, so that it remembers its
    /// completion.
    pub(crate) fn remembered_events<M: Mode>(&self, options: EventOptions<M>) -> Result<Events<M>, Box<dyn Error>> {
        use sys::CUevent_flags::{CU_EVENT_DEFAULT, CU_EVENT_DISABLE_TIMING};
        let ours = self.lane.stream.device().event(options)?;
        let cudarc = self.context.new_event(Some(if ours.is_timed() { CU_EVENT_DEFAULT } else { CU_EVENT_DISABLE_TIMING }))?;
        Ok(Events { ours, raw: cudarc.cu_event(), cudarc })
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
