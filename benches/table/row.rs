//! What a row is, before it is measured.

use std::error::Error;
use std::sync::Arc;

use cuda_streams::{Device, Stream};
use cudarc::driver::CudaContext;

use crate::bound::Bounds;
use crate::lane::Lane;
use crate::measure::Contender;
use crate::raw::Raw;

/// A call, and how it is measured.
pub(crate) struct Row<O> {
    pub(crate) call: &'static str,
    pub(crate) functions: &'static str,
    pub(crate) stage: Stage,
    /// Of the lines where each thread has an object of its own.
    pub(crate) bounds: Bounds,
    /// Of those where all threads have one, if there are any.
    pub(crate) shared: Option<Bounds>,
    /// The object of a thread, or of all.
    pub(crate) make: fn(&Seat) -> O,
    /// Called for each object whenever [`Seat::held`] has been held.
    pub(crate) prepare: fn(&Seat, &O),
    /// What this crate, the driver and cudarc call, by a thread in this seat.
    pub(crate) contenders: for<'a> fn(&'a Seat, &'a O) -> [Contender<'a>; 3],
}

/// In which state the streams are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Idle, and nothing is enqueued.
    Calm,
    /// Idle; what the contenders enqueue is done before the next one is measured.
    Drained,
    /// The same, but this crate's contender should enqueue nothing.
    OthersDrained,
    /// [`Seat::held`] is held, and nothing is enqueued behind it.
    Held,
    /// The same, and what the contenders enqueue waits for it.
    Piling,
}

impl Stage {
    pub(crate) fn enqueues_nothing(self) -> bool {
        matches!(self, Self::Calm | Self::Held)
    }

    pub(crate) fn holds(self) -> bool {
        matches!(self, Self::Held | Self::Piling)
    }

    pub(crate) fn drains(self) -> bool {
        matches!(self, Self::Drained | Self::OthersDrained)
    }

    /// How many calls the contender makes in a slice at most. A stream takes about 1,000 operations before the
    /// next one blocks, and has to share that where there are more streams than hardware queues (8). As many as can be, since
    /// the first ones find cold caches.
    pub(crate) fn limit(self, contender: usize, threads: usize) -> u32 {
        const UNLIMITED: u32 = 1 << 20;
        match self {
            Self::Calm | Self::Held => UNLIMITED,
            Self::OthersDrained if contender == 0 => UNLIMITED,
            Self::Drained | Self::OthersDrained => 256,
            Self::Piling if threads == 1 => 192,
            Self::Piling if threads <= 4 => 64,
            Self::Piling => 32,
        }
    }
}

/// What a thread has for all rows.
pub(crate) struct Seat {
    pub(crate) raw: &'static Raw,
    pub(crate) context: Arc<CudaContext>,
    pub(crate) device: Device,
    /// What the contenders enqueue on.
    pub(crate) lane: Lane,
    /// Another, for what they wait for.
    pub(crate) other: Lane,
    /// A stream whose handle nobody has asked for.
    pub(crate) unlent: Stream,
    /// One for all seats.
    pub(crate) held: Arc<Lane>,
}

impl Seat {
    /// As many as there may be threads.
    pub(crate) fn all(device: Device, count: usize) -> Result<Vec<Self>, Box<dyn Error>> {
        let context = CudaContext::new(device.ordinal() as usize)?;
        let held = Arc::new(Lane::new(device, &context)?);
        let new = |_| {
            Ok(Self {
                raw: Raw::get(),
                context: context.clone(),
                device,
                lane: Lane::new(device, &context)?,
                other: Lane::new(device, &context)?,
                unlent: device.stream()?,
                held: held.clone(),
            })
        };
        (0..count).map(new).collect()
    }

    /// Waits for what this seat's thread has enqueued.
    pub(crate) fn drain(&self) {
        for stream in [&self.other.stream, &self.lane.stream, &self.unlent] {
            stream.synchronize().expect("the work ends");
        }
    }
}
