//! Work that takes time: it runs on a thread, without the driver's lock.

use std::ffi::c_void;

use super::abi::HostFunction;
use super::codes::Outcome;
use super::kernel::PendingLaunch;
use super::memory::Span;

/// One side of a copy.
#[derive(Debug)]
pub(super) enum Place {
    /// Memory that the driver knows and holds.
    Known(Span),
    /// Memory of a caller who waits until the copy is done.
    Waiting(CallerMemory),
}

/// An address that stays valid while its owner waits inside the driver.
#[derive(Debug)]
pub(super) struct CallerMemory(pub(super) *mut u8);

// SAFETY: the owner waits, so that the thread which copies is the only one to use it.
unsafe impl Send for CallerMemory {}

impl Place {
    fn start(&self) -> *mut u8 {
        match self {
            Self::Known(span) => span.start(),
            Self::Waiting(memory) => memory.0,
        }
    }
}

/// What a host function is called with.
#[derive(Debug)]
pub(super) struct UserData(pub(super) *mut c_void);

// SAFETY: whoever launches a host function promises that it may run on any thread.
unsafe impl Send for UserData {}

/// Work for a thread.
#[derive(Debug)]
pub(super) enum Job {
    /// Bytes from one place to another.
    Copy { from: Place, to: Place, bytes: usize },
    /// A pattern of one or four bytes, over and over.
    Fill { target: Span, pattern: Pattern },
    /// A kernel.
    Kernel(Box<PendingLaunch>),
    /// A function of the caller.
    HostFunction(HostFunction, UserData),
}

/// What memory is set to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pattern {
    Byte(u8),
    Word(u32),
}

impl Job {
    /// Whether it ends by itself, and soon: it runs nothing of the caller's.
    pub(super) fn is_short(&self) -> bool {
        matches!(self, Self::Copy { .. } | Self::Fill { .. })
    }

    /// Runs it; an error is a fault of the device.
    pub(super) fn run(self) -> Outcome {
        match self {
            Self::Copy { from, to, bytes } => {
                // SAFETY: both sides hold `bytes` bytes that stay until this is done: they were checked against
                // their allocations when this was enqueued, or belong to a caller who vouched for them and waits.
                unsafe { to.start().copy_from(from.start(), bytes) };
                Ok(())
            }
            Self::Fill { target, pattern } => {
                fill(&target, pattern);
                Ok(())
            }
            Self::Kernel(launch) => launch.run(),
            Self::HostFunction(function, user) => {
                // SAFETY: the caller of cuLaunchHostFunc promised that this call may be made, once, on any thread.
                unsafe { function(user.0) };
                Ok(())
            }
        }
    }
}

fn fill(target: &Span, pattern: Pattern) {
    match pattern {
        // SAFETY: the span holds that many bytes.
        Pattern::Byte(byte) => unsafe { target.start().write_bytes(byte, target.bytes()) },
        Pattern::Word(word) => {
            for i in 0..target.bytes() / size_of::<u32>() {
                let place = target.start().cast::<[u8; size_of::<u32>()]>().wrapping_add(i);
                // SAFETY: word `i` lies in the span.
                unsafe { place.write(word.to_ne_bytes()) };
            }
        }
    }
}

impl Pattern {
    /// Bytes of one repetition.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Byte(_) => size_of::<u8>(),
            Self::Word(_) => size_of::<u32>(),
        }
    }
}
