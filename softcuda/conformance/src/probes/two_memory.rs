//! Memory of two devices: copies, access, allocation. Only where there are two.

use std::sync::atomic::Ordering;

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING, address, host};
use crate::handles::DISABLE_TIMING;
use crate::kernels::{Shape, launch};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;
use crate::structs::{Access, Location, PoolProperties};

pub(super) const PROBES: &[Probe] = &[
    Probe::bare("two: peer access possible, each way", |f| {
        [(0, 1), (1, 0), (1, 1)]
            .map(|(device, peer)| {
                let mut can = -1;
                f.driver.cuDeviceCanAccessPeer(Some(&mut can), device, peer);
                can.to_string()
            })
            .join(", ")
            .into()
    }),
    Probe::current("two: cuMemcpyPeer there and back", |f| {
        on_other(f, |f, other| {
            let (from, back, word) = (f.memory(1, 7), f.memory(1, 0), f.pinned(1));
            let codes = [
                f.driver.cuMemcpyPeer(other.memory, other.context, from.address, f.primary, 4),
                f.driver.cuMemcpyPeer(back.address, f.primary, other.memory, other.context, 4),
                f.driver.cuCtxSynchronize(),
            ];
            Outcome::from(codes).and(f.read(back.address, &word[0]).to_string())
        })
    }),
    Probe::current("two: cuMemcpyPeerAsync behind a hold", |f| {
        on_other(f, |f, other| {
            let (stream, from) = (f.stream(), f.memory(1, 7));
            let hold = f.hold(*stream);
            let code = f.driver.cuMemcpyPeerAsync(other.memory, other.context, from.address, f.primary, 4, *stream);
            let outcome = Outcome::from(code).and(hold.query_and_release(*f.recorded(*stream)));
            outcome.and(read(f, other.memory))
        })
    }),
    Probe::current("two: cuMemcpyPeer, the contexts exchanged", |f| {
        on_other(f, |f, other| {
            let from = f.memory(1, 7);
            let codes = [
                f.driver.cuMemcpyPeer(other.memory, f.primary, from.address, other.context, 4),
                f.driver.cuMemcpyPeer(other.memory, Handle::NULL, from.address, Handle::NULL, 4),
            ];
            f.driver.cuCtxSynchronize();
            Outcome::from(codes).and(read(f, other.memory))
        })
    }),
    Probe::current("two: cuMemcpyDtoD, cuMemcpy between them", |f| {
        on_other(f, |f, other| {
            let (first, second, back) = (f.memory(1, 7), f.memory(1, 8), f.memory(1, 0));
            let one = f.driver.cuMemcpyDtoD_v2(other.memory, first.address, 4);
            f.driver.cuCtxSynchronize();
            let seen = read(f, other.memory);
            let two = f.driver.cuMemcpy(other.memory, second.address, 4);
            f.driver.cuCtxSynchronize();
            let again = read(f, other.memory);
            let three = f.driver.cuMemcpyDtoD_v2(back.address, other.memory, 4);
            f.driver.cuCtxSynchronize();
            Outcome::from(one).and(seen).and(two).and(again).and(three).and(read(f, back.address))
        })
    }),
    Probe::current("two: cuMemcpyDtoDAsync on a stream of either", |f| {
        on_other(f, |f, other| {
            let (here, there, from) = (f.stream(), f.stream_in(other.context, NON_BLOCKING), f.memory(1, 7));
            [*here, *there]
                .map(|stream| {
                    let codes =
                        [f.driver.cuMemcpyDtoDAsync_v2(other.memory, from.address, 4, stream), f.driver.cuStreamSynchronize(stream)];
                    Outcome::from(codes)
                })
                .into_iter()
                .reduce(Outcome::and)
                .unwrap_or("none".into())
                .and(read(f, other.memory))
        })
    }),
    Probe::current("two: the other's memory to the host, on a stream of this one", |f| {
        on_other(f, |f, other| {
            let (stream, word) = (f.stream(), f.pinned(1));
            let codes = [f.driver.cuMemcpyDtoHAsync_v2(host(&word[0]), other.memory, 4, *stream), f.driver.cuStreamSynchronize(*stream)];
            Outcome::from(codes).and(word[0].load(Ordering::Acquire).to_string())
        })
    }),
    Probe::current("two: a memset of the other's memory, on a stream of this one", |f| {
        on_other(f, |f, other| {
            let stream = f.stream();
            let codes = [
                f.driver.cuMemsetD32Async(other.memory, 7, 1, *stream),
                f.driver.cuStreamSynchronize(*stream),
                f.driver.cuMemsetD32_v2(other.memory, 8, 1),
                f.driver.cuCtxSynchronize(),
            ];
            Outcome::from(codes).and(read(f, other.memory))
        })
    }),
    Probe::current("two: the other's memory freed here", |f| {
        on_other(f, |f, other| {
            let mut memory = 0;
            f.within(other.context, || f.driver.cuMemAlloc_v2(Some(&mut memory), 4));
            f.driver.cuMemFree_v2(memory).into()
        })
    }),
    Probe::current("two: memory freed here while a stream of the other is held", |f| {
        on_other(f, |f, other| {
            // Only device 0 has the kernel of a hold: the other's stream waits for an event behind one.
            let (held, waiting) = (f.stream(), f.stream_in(other.context, NON_BLOCKING));
            let mut memory = 0;
            f.within(other.context, || f.driver.cuMemAlloc_v2(Some(&mut memory), 4));
            let hold = f.hold(*held);
            let event = f.recorded(*held);
            f.driver.cuStreamWaitEvent(*waiting, *event, 0);
            let outcome = hold.wait_and_release(|d| f.within(other.context, || d.cuMemFree_v2(memory)));
            f.driver.cuStreamSynchronize(*waiting);
            outcome
        })
    }),
    Probe::current("two: type, device, context of the other's memory", |f| {
        on_other(f, |f, other| {
            let attribute = |number| {
                let mut value = 0_u64;
                let code = f.driver.cuPointerGetAttribute((&raw mut value).cast(), number, other.memory);
                (code, value)
            };
            let (kind, ordinal, context) = (attribute(2), attribute(9), attribute(1));
            let owner = verdict(context.1 == other.context.0 as u64, "its own");
            Outcome::from([kind.0, ordinal.0, context.0]).and(format!("{}, {}", kind.1, ordinal.1)).and(owner)
        })
    }),
    Probe::current("two: peer access with flags 1, to null", |f| {
        on_other(f, |f, other| [f.driver.cuCtxEnablePeerAccess(other.context, 1), f.driver.cuCtxEnablePeerAccess(Handle::NULL, 0)].into())
    }),
    Probe::alone("two: a kernel writes the other's memory without access", |d| {
        Fixture::alone(d, |f| on_other(f, |f, other| fill(f, other.memory)))
    }),
    Probe::alone("two: a kernel writes the other's memory with access", |d| {
        Fixture::alone(d, |f| {
            on_other(f, |f, other| {
                let enabled = d.cuCtxEnablePeerAccess(other.context, 0);
                Outcome::from(enabled).and(fill(f, other.memory)).and(read(f, other.memory))
            })
        })
    }),
    Probe::alone("two: a kernel writes the other's memory, access taken back", |d| {
        Fixture::alone(d, |f| {
            on_other(f, |f, other| {
                let codes = [d.cuCtxEnablePeerAccess(other.context, 0), d.cuCtxDisablePeerAccess(other.context)];
                Outcome::from(codes).and(fill(f, other.memory))
            })
        })
    }),
    Probe::alone("two: access to a second context of the other", |d| {
        Fixture::alone(d, |f| {
            let mut second = Handle::NULL;
            let codes = [d.cuCtxCreate_v2(Some(&mut second), 0, 1), d.cuCtxPopCurrent_v2(Some(&mut Handle(0)))];
            Outcome::from(codes).and([d.cuCtxEnablePeerAccess(second, 0), d.cuCtxEnablePeerAccess(f.primary, 0)])
        })
    }),
    Probe::alone("two: a kernel writes memory of the other's stream order", |d| {
        Fixture::alone(d, |f| {
            on_other(f, |f, other| {
                let (stream, mut memory) = (f.stream_in(other.context, NON_BLOCKING), 0);
                f.within(other.context, || d.cuMemAllocAsync(Some(&mut memory), 4, *stream));
                d.cuStreamSynchronize(*stream);
                let enabled = d.cuCtxEnablePeerAccess(other.context, 0);
                Outcome::from(enabled).and(fill(f, memory))
            })
        })
    }),
    Probe::current("two: pinned memory of this one in a copy of the other", |f| {
        on_other(f, |f, other| {
            let (stream, word) = (f.stream_in(other.context, NON_BLOCKING), f.pinned(1));
            word[0].store(7, Ordering::Release);
            let codes = [f.driver.cuMemcpyHtoDAsync_v2(other.memory, host(&word[0]), 4, *stream), f.driver.cuStreamSynchronize(*stream)];
            Outcome::from(codes).and(read(f, other.memory))
        })
    }),
    Probe::current("two: a value in pinned memory, waited for by the other", |f| {
        on_other(f, |f, other| {
            let (stream, here, tail) = (f.stream_in(other.context, NON_BLOCKING), f.stream(), f.event_in(other.context, DISABLE_TIMING));
            let word = &f.pinned(1)[0];
            let code = f.driver.cuStreamWaitValue32_v2(*stream, address(word), 1, 1);
            f.driver.cuEventRecord(*tail, *stream);
            let held = f.settled_query(*tail);
            let written = f.driver.cuStreamWriteValue32_v2(*here, address(word), 1, 0);
            let end = f.ends(*tail);
            word.store(1, Ordering::Release);
            [code, held, written, end].into()
        })
    }),
    Probe::current("two: a value in the other's memory", |f| {
        on_other(f, |f, other| {
            let stream = f.stream();
            let code = f.driver.cuStreamWriteValue32_v2(*stream, other.memory, 7, 0);
            Outcome::from([code, f.driver.cuStreamSynchronize(*stream)]).and(read(f, other.memory))
        })
    }),
    Probe::alone("two: a value in the other's memory with access", |d| {
        Fixture::alone(d, |f| {
            on_other(f, |f, other| {
                let stream = f.stream();
                let codes = [
                    d.cuCtxEnablePeerAccess(other.context, 0),
                    d.cuStreamWriteValue32_v2(*stream, other.memory, 7, 0),
                    d.cuStreamWaitValue32_v2(*stream, other.memory, 7, 1),
                    f.ends(*f.recorded(*stream)),
                ];
                Outcome::from(codes).and(read(f, other.memory))
            })
        })
    }),
    Probe::alone("two: a kernel writes memory of a pool of the other that lets it", |d| {
        Fixture::alone(d, |f| {
            on_other(f, |f, other| {
                let (stream, mut pool, mut memory) = (f.stream_in(other.context, NON_BLOCKING), Handle::NULL, 0);
                let (mut before, mut after, mut device) = (99, 99, Location::DEVICE);
                let properties = PoolProperties { location: Location { kind: 1, id: 1 }, ..PoolProperties::PLAIN };
                let created = d.cuMemPoolCreate(Some(&mut pool), Some(&properties));
                d.cuMemPoolGetAccess(Some(&mut before), pool, Some(&mut device));
                let set = d.cuMemPoolSetAccess(pool, [Access { location: device, flags: 3 }].as_ptr(), 1);
                d.cuMemPoolGetAccess(Some(&mut after), pool, Some(&mut device));
                let allocated = d.cuMemAllocFromPoolAsync(Some(&mut memory), 4, pool, *stream);
                d.cuStreamSynchronize(*stream);
                Outcome::from([created, set, allocated]).and(format!("{before}, {after}")).and(fill(f, memory))
            })
        })
    }),
    Probe::bare("two: their pools", |f| {
        let mut pools = [Handle::NULL; 2];
        let codes = [0, 1].map(|device| {
            let index = usize::from(device == 1);
            f.driver.cuDeviceGetDefaultMemPool(Some(&mut pools[index]), device)
        });
        Outcome::from(codes).and(verdict(pools[0] != pools[1], "different"))
    }),
    Probe::bare("two: a pool of the one used by the other", |f| {
        let mut pool = Handle::NULL;
        f.driver.cuDeviceGetDefaultMemPool(Some(&mut pool), 1);
        f.driver.cuDeviceSetMemPool(0, pool).into()
    }),
    Probe::current("two: allocated from the other's pool on a stream of this one", |f| {
        let (stream, mut pool, mut memory) = (f.stream(), Handle::NULL, 0);
        f.driver.cuDeviceGetDefaultMemPool(Some(&mut pool), 1);
        let code = f.driver.cuMemAllocFromPoolAsync(Some(&mut memory), 4, pool, *stream);
        f.driver.cuMemFreeAsync(memory, *stream);
        [code, f.driver.cuStreamSynchronize(*stream)].into()
    }),
    Probe::alone("two: a fault here, a stream and an event of the other", |d| {
        Fixture::alone(d, |f| {
            on_other(f, |f, other| {
                let (stream, there) = (f.stream().into_handle(), f.stream_in(other.context, NON_BLOCKING).into_handle());
                let event = f.event_in(other.context, 0).into_handle();
                launch(d, f.kernels.fault, Shape::ONE_THREAD, stream, &[]);
                [d.cuStreamSynchronize(stream), d.cuStreamQuery(there), d.cuEventRecord(event, there), d.cuEventSynchronize(event)].into()
            })
        })
    }),
    Probe::alone("two: a fault here, new things of the other", |d| {
        Fixture::alone(d, |f| {
            on_other(f, |f, other| {
                let stream = f.stream().into_handle();
                launch(d, f.kernels.fault, Shape::ONE_THREAD, stream, &[]);
                let noticed = d.cuStreamSynchronize(stream);
                let pushed = d.cuCtxPushCurrent_v2(other.context);
                let made = [d.cuStreamCreate(Some(&mut Handle(0)), 0), d.cuMemAlloc_v2(Some(&mut 0), 4), d.cuCtxSynchronize()];
                Outcome::from([noticed, pushed]).and(made)
            })
        })
    }),
];

/// The primary context of device 1, and a word in its memory, 3 at first.
struct Other {
    context: Handle,
    memory: u64,
}

/// Probes with them; the primary context of device 0 stays current.
fn on_other(f: &Fixture, probe: impl FnOnce(&Fixture, &Other) -> Outcome) -> Outcome {
    let mut other = Other { context: Handle::NULL, memory: 0 };
    let code = f.driver.cuDevicePrimaryCtxRetain(Some(&mut other.context), 1);
    if !code.is_success() {
        return code.into();
    }
    f.within(other.context, || {
        f.driver.cuMemAlloc_v2(Some(&mut other.memory), 4);
        f.driver.cuMemsetD32_v2(other.memory, 3, 1);
        f.driver.cuCtxSynchronize()
    });
    let outcome = probe(f, &other);
    f.within(other.context, || f.driver.cuMemFree_v2(other.memory));
    f.driver.cuDevicePrimaryCtxRelease_v2(1);
    outcome
}

/// A word of either device's memory.
fn read(f: &Fixture, from: u64) -> Outcome {
    let word = f.pinned(1);
    match f.driver.cuMemcpy(address(&word[0]), from, 4) {
        Code::SUCCESS => word[0].load(Ordering::Acquire).to_string().into(),
        code => code.into(),
    }
}

/// A kernel of device 0 writes 7 to a word of the other's.
fn fill(f: &Fixture, to: u64) -> Outcome {
    let stream = f.stream();
    [f.kernels.fill(f.driver, to, 7, *stream), f.driver.cuStreamSynchronize(*stream)].into()
}
