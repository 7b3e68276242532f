//! Programs of two accesses to the same memory that must be ordered.

use std::ptr;

use cudarc::driver::result;
use softcuda::Schedule;

use super::world::{BYTES, WORDS, World, allocate, busy, from_device, kernel, on_device};
use super::world::{pinned, pinned_from_device, pinned_to_device, set, to_device, unseen};

/// What is wrong with a program if nothing orders its accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Of one stream for another.
    MissingWait,
    /// Of memory in use, by a stream or by the host.
    EarlyFree,
    /// The host reads or writes memory that a stream uses.
    EarlyHostAccess,
}

/// Two accesses that must be ordered.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) mistake: Mistake,
    pub(crate) first: fn(&World),
    pub(crate) second: fn(&World),
    /// The second is the host's, not the second stream's.
    pub(crate) by_host: bool,
    /// The second waits for all work of the context by itself, which no documentation promises.
    pub(crate) waits: bool,
    /// What the report says.
    pub(crate) report: &'static [&'static str],
}

const STREAMS: Program =
    Program { name: "", mistake: Mistake::MissingWait, first: |_| (), second: |_| (), by_host: false, waits: false, report: &[] };
const HOST: Program = Program { mistake: Mistake::EarlyHostAccess, by_host: true, ..STREAMS };

pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        name: "a copy to the device, and one from it",
        first: |world| to_device(world.data, &world.first),
        second: |world| from_device(world.data, &world.second),
        report: &["cuMemcpyDtoHAsync_v2: the read of bytes 0..64", "after the write of bytes 0..64", "by cuMemcpyHtoDAsync_v2;"],
        ..STREAMS
    },
    Program {
        name: "a copy to the device, and a kernel",
        first: |world| to_device(world.data, &world.first),
        second: |world| kernel(world, &world.second),
        report: &["cuLaunchKernel: the write of bytes 0..64", "by kernel `add` is not", "by cuMemcpyHtoDAsync_v2;"],
        ..STREAMS
    },
    Program {
        name: "a kernel, and a memset",
        first: |world| kernel(world, &world.first),
        second: |world| set(world.data, BYTES, &world.second),
        report: &["cuMemsetD8Async: the write of", "after the write of", "by kernel `add`;"],
        ..STREAMS
    },
    Program {
        name: "a read, and a write",
        first: |world| on_device(world.other, world.data, &world.first),
        second: |world| set(world.data, BYTES, &world.second),
        report: &["cuMemsetD8Async: the write of", "after the read of bytes 0..64", "by cuMemcpyDtoDAsync_v2;"],
        ..STREAMS
    },
    Program {
        name: "a part, and the whole",
        first: |world| set(world.data + 8, 8, &world.first),
        second: |world| on_device(world.other, world.data, &world.second),
        report: &["the read of bytes 0..64", "after the write of bytes 8..16", "by cuMemsetD8Async;"],
        ..STREAMS
    },
    Program {
        name: "an allocation, and a use",
        first: allocate,
        second: |world| set(world.spare.get(), BYTES, &world.second),
        report: &["cuMemsetD8Async: the write of", "after the allocation of", "by cuMemAllocAsync;"],
        ..STREAMS
    },
    Program {
        name: "a use, and a free",
        mistake: Mistake::EarlyFree,
        first: |world| {
            allocate(world);
            set(world.spare.get(), BYTES, &world.first);
        },
        second: |world| {
            // SAFETY: allocated by the first access.
            unsafe { result::free_async(world.spare.take(), world.second.cu_stream()) }.expect("a free");
        },
        report: &["cuMemFreeAsync: the free of bytes 0..64", "after the write of", "by cuMemsetD8Async;"],
        ..STREAMS
    },
    Program {
        name: "a use, and a free by a call that need not wait",
        mistake: Mistake::EarlyFree,
        first: |world| {
            allocate(world);
            set(world.spare.get(), BYTES, &world.first);
        },
        second: |world| {
            // SAFETY: allocated by the first access.
            unsafe { result::free_sync(world.spare.take()) }.expect("a free");
        },
        waits: true,
        report: &["cuMemFree_v2: the free of bytes 0..64", "by the host is not ordered after the write of", "by cuMemsetD8Async;"],
        ..HOST
    },
    Program {
        name: "a copy to page-locked memory, and a read by the host",
        first: pinned_from_device,
        second: |world| softcuda::host_reads(world.pinned, WORDS),
        report: &["the read of bytes 0..64", "by the host is not ordered after the write of", "by cuMemcpyDtoHAsync_v2;"],
        ..HOST
    },
    Program {
        name: "a copy from page-locked memory, and a write by the host",
        first: |world| pinned_to_device(world, world.pinned),
        second: |world| softcuda::host_writes(world.pinned.wrapping_add(1), 1),
        report: &["the write of bytes 4..8", "by the host is not ordered after the read of bytes 0..64", "by cuMemcpyHtoDAsync_v2;"],
        ..HOST
    },
    Program {
        name: "a copy from page-locked memory, and its free",
        mistake: Mistake::EarlyFree,
        first: |world| {
            world.spare_pinned.set(pinned());
            pinned_to_device(world, world.spare_pinned.get());
        },
        second: |world| {
            // SAFETY: allocated by the first access; the driver waits for the copy.
            unsafe { result::free_host(world.spare_pinned.replace(ptr::null_mut()).cast()) }.expect("a free");
        },
        waits: true,
        report: &["cuMemFreeHost: the free of bytes 0..64", "by the host is not ordered after the read of", "by cuMemcpyHtoDAsync_v2;"],
        ..HOST
    },
];

/// When the first access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// When the schedule says so.
    Any,
    /// Before the second is enqueued, although nobody that the program knows has waited for it.
    Early,
    /// After the second was enqueued.
    Late,
}

impl Program {
    /// The paces at which the accesses may go in a schedule if nothing orders them.
    pub(crate) fn paces(&self, schedule: Schedule) -> &'static [Pace] {
        if cfg!(softcuda_linked) {
            // Bytes that race as well would be seen by Miri and the sanitizers: one access goes after the other.
            return if schedule == Schedule::Lazy { &[Pace::Any, Pace::Early] } else { &[Pace::Early] };
        }
        if self.waits { &[Pace::Any, Pace::Early] } else { &[Pace::Any, Pace::Early, Pace::Late] }
    }
}

/// Runs a program, with `between` between the accesses.
pub(crate) fn run(program: &Program, world: &World, pace: Pace, between: impl FnOnce(&World)) {
    let held = (pace == Pace::Late).then(|| busy(&world.first));
    (program.first)(world);
    world.record_mark();
    between(world);
    if pace == Pace::Early {
        let mark = &world.mark;
        unseen(|| mark.synchronize());
    }
    (program.second)(world);
    drop(held);
}
