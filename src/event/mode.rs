//! The modes of an event: what it can do, as a type.

use super::flags::EventFlags;

mod sealed {
    use super::EventFlags;

    pub trait Mode {
        /// The driver flags of an event of this mode.
        const FLAGS: EventFlags;
        const NAME: &'static str;
    }
}
pub(super) use sealed::Mode as SealedMode;

/// The kind of an event: [`Untimed`], [`Timed`], [`Interprocess`] or [`Dynamic`]. Sealed: the driver
/// allows these combinations and no others.
pub trait Mode: SealedMode {}

macro_rules! modes {
    ($($(#[$doc:meta])* $name:ident = $flags:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {}

        impl SealedMode for $name {
            const FLAGS: EventFlags = $flags;
            const NAME: &'static str = stringify!($name);
        }

        impl Mode for $name {}
    )*};
}

modes! {
    /// Orders work and takes no time stamps: the cheap default.
    Untimed = EventFlags::DISABLE_TIMING;
    /// Takes time stamps.
    Timed = EventFlags::empty();
    /// Can be shared with other processes; takes no time stamps. Where a device shares nothing
    /// ([`DeviceAttribute::IPC_EVENT_SUPPORTED`](crate::DeviceAttribute::IPC_EVENT_SUPPORTED) is 0), exporting and opening
    /// are [`Error::IpcRefused`](crate::Error::IpcRefused) with `NOT_SUPPORTED`.
    ///
    /// Streams of other contexts cannot [wait](crate::Event::wait) for one, but graphs can, wherever they are captured and
    /// launched; and only one that is [`external`](crate::EventOptions::external) can be recorded on a stream that is being
    /// captured.
    ///
    /// The time between two such events does not compile:
    ///
    /// ```compile_fail,E0599
    /// use cuda_streams::Event;
    ///
    /// Event::interprocess().elapsed_time(&Event::interprocess());
    /// ```
    Interprocess = EventFlags::DISABLE_TIMING.union(EventFlags::INTERPROCESS);
    /// Decided, and checked, at run time.
    Dynamic = EventFlags::empty();
}
