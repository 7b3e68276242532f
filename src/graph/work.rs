//! What graphs hold: work of others, or nothing that they do not keep alive themselves.

mod sealed {
    pub trait Work {
        const NAME: &'static str;
    }
}

/// What a graph holds, and so whether instantiating and launching it is safe: [`Foreign`] or [`Contained`]. Sealed.
pub trait Work: sealed::Work {}

/// Whatever was enqueued on the streams of a capture: by this crate, by cudarc, by C. Nobody knows how long that
/// needs what it points to, so instantiating and launching it is `unsafe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Foreign {}

/// Nothing but what [`Stream::capture_events`](crate::Stream::capture_events) offers, which the graph keeps alive
/// itself: instantiating and launching it is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contained {}

impl sealed::Work for Foreign {
    const NAME: &'static str = "Foreign";
}

impl sealed::Work for Contained {
    const NAME: &'static str = "Contained";
}

impl Work for Foreign {}
impl Work for Contained {}
