//! Work that takes time: it runs on a thread, without the driver's lock.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::abi::{Callback, HostFunction};
use super::buffer::Span;
use super::codes::{self, Outcome};
use super::handle::Handle;
use super::kernel::PendingLaunch;
use super::peer_wait::PeerWait;
use super::raw::AccessKind;
use super::word::ValueWait;

/// One side of a copy.
#[derive(Debug)]
pub(super) enum Place {
    /// Memory that the driver knows and holds.
    Known(Span),
    /// Pageable memory of a caller, who waits until the copy is done or has promised that it stays until then.
    Callers(CallerMemory),
}

/// An address that its owner keeps valid.
#[derive(Debug)]
pub(super) struct CallerMemory(pub(super) *mut u8);

// SAFETY: whoever passed it promised that nobody uses it in a way that conflicts with the copy.
unsafe impl Send for CallerMemory {}

impl Place {
    fn start(&self) -> *mut u8 {
        match self {
            Self::Known(span) => span.start(),
            Self::Callers(memory) => memory.0,
        }
    }
}

/// What a host function is called with.
#[derive(Clone, Copy, Debug)]
pub(super) struct UserData(pub(super) *mut c_void);

// SAFETY: whoever launches a host function promises that it may run on any thread.
unsafe impl Send for UserData {}
// SAFETY: as above; the address itself never changes.
unsafe impl Sync for UserData {}

/// Work for a thread.
#[derive(Debug)]
pub(super) enum Job {
    /// Bytes from one place to another.
    Copy { from: Place, to: Place, bytes: usize },
    /// A pattern, over and over.
    Fill { target: Span, pattern: Pattern },
    /// A kernel.
    Kernel(Box<PendingLaunch>),
    /// A function of the caller.
    HostFunction(HostFunction, UserData),
    /// The same with a stream by its handle, and a code.
    Callback(Callback, Handle, UserData),
    /// A word that the stream waits for.
    ValueWait(ValueWait),
    /// A record of another process that the stream waits for.
    PeerWait(PeerWait),
}

/// What memory is set to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pattern {
    Byte(u8),
    Half(u16),
    Word(u32),
}

/// What a job waits for that work of others brings. The word is set when the wait is over.
#[derive(Clone, Debug)]
pub(super) enum Wait {
    /// A word in memory.
    Word(Arc<AtomicBool>),
    /// A record of another process.
    Peer(Arc<AtomicBool>),
}

impl Wait {
    pub(super) fn over(&self) -> &AtomicBool {
        let (Self::Word(over) | Self::Peer(over)) = self;
        over
    }
}

impl Job {
    /// What it waits for, if it does nothing else.
    pub(super) fn wait(&self) -> Option<Wait> {
        match self {
            Self::ValueWait(wait) => Some(Wait::Word(Arc::clone(&wait.over))),
            Self::PeerWait(wait) => Some(Wait::Peer(Arc::clone(&wait.over))),
            _ => None,
        }
    }

    /// Whether it is a function of the caller's: one runs at a time in a context.
    pub(super) fn is_host_function(&self) -> bool {
        matches!(self, Self::HostFunction(..) | Self::Callback(..))
    }

    /// Whether it runs after a fault too, and is told of that.
    pub(super) fn outlives_faults(&self) -> bool {
        matches!(self, Self::Callback(..))
    }

    /// Whether it ends by itself, and soon: it runs nothing of the caller's.
    pub(super) fn is_short(&self) -> bool {
        matches!(self, Self::Copy { .. } | Self::Fill { .. })
    }

    /// Whether it may wait for a word that others write. Another process may as well, for one in memory that it shares.
    pub(super) fn waits_for_words(&self) -> bool {
        match self {
            Self::ValueWait(_) | Self::PeerWait(_) => true,
            Self::Kernel(launch) => launch.ranges.iter().any(|range| range.access.kind == AccessKind::Awaited),
            _ => false,
        }
    }

    /// Runs it; an error is a fault of the device. `before` is what was one before.
    pub(super) fn run(self, before: Outcome) -> Outcome {
        match self {
            Self::Copy { from, to, bytes } => {
                // SAFETY: both sides hold `bytes` bytes that stay until this is done: they were checked against
                // their allocations when this was enqueued, or belong to a caller who vouched for them.
                unsafe { to.start().copy_from(from.start(), bytes) };
                Ok(())
            }
            Self::Fill { target, pattern } => {
                fill(&target, pattern);
                Ok(())
            }
            Self::Kernel(launch) => launch.run(),
            Self::HostFunction(function, user) => {
                // SAFETY: the caller of cuLaunchHostFunc promised that this call may be made, once, or once in each launch of a graph, on any thread.
                unsafe { function(user.0) };
                Ok(())
            }
            Self::Callback(function, stream, user) => {
                // SAFETY: the caller of cuStreamAddCallback promised that this call may be made, once, on any thread.
                unsafe { function(stream.raw(), before.err().unwrap_or(codes::SUCCESS), user.0) };
                Ok(())
            }
            Self::ValueWait(wait) => wait.run(),
            Self::PeerWait(wait) => wait.run(),
        }
    }
}

fn fill(target: &Span, pattern: Pattern) {
    match pattern {
        // SAFETY: the span holds that many bytes, or their caller registered them and has to keep them until this is done.
        Pattern::Byte(byte) => unsafe { target.start().write_bytes(byte, target.bytes()) },
        Pattern::Half(half) => repeat(target, half.to_ne_bytes()),
        Pattern::Word(word) => repeat(target, word.to_ne_bytes()),
    }
}

fn repeat<const N: usize>(target: &Span, bytes: [u8; N]) {
    for i in 0..target.bytes() / N {
        let place = target.start().cast::<[u8; N]>().wrapping_add(i);
        // SAFETY: repetition `i` lies in the span, which is there as above.
        unsafe { place.write(bytes) };
    }
}

impl Pattern {
    /// Bytes of one repetition.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Byte(_) => size_of::<u8>(),
            Self::Half(_) => size_of::<u16>(),
            Self::Word(_) => size_of::<u32>(),
        }
    }
}
