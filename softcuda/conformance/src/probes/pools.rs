//! Memory pools, and allocation in stream order.

use std::sync::atomic::Ordering;

use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NOWHERE, host};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;
use crate::structs::{Access, Location, PoolProperties};

/// `CU_MEMPOOL_ATTR_*`
const RELEASE_THRESHOLD: u32 = 4;
const USED: u32 = 7;
const MOST_USED: u32 = 8;

pub(super) const PROBES: &[Probe] = &[
    Probe::bare("pool: of device 0, of 999", |f| {
        [0, 999].map(|device| f.driver.cuDeviceGetDefaultMemPool(Some(&mut Handle(0)), device)).into()
    }),
    Probe::bare("pool: in use by device 0, by 999", |f| {
        [0, 999].map(|device| f.driver.cuDeviceGetMemPool(Some(&mut Handle(0)), device)).into()
    }),
    Probe::bare("null out parameter: cuDeviceGetDefaultMemPool, cuDeviceGetMemPool", |f| {
        [f.driver.cuDeviceGetDefaultMemPool(None, 0), f.driver.cuDeviceGetMemPool(None, 0)].into()
    }),
    Probe::bare("pool: the default one is in use", |f| {
        let (mut default, mut current) = (Handle::NULL, Handle(1));
        f.driver.cuDeviceGetDefaultMemPool(Some(&mut default), 0);
        f.driver.cuDeviceGetMemPool(Some(&mut current), 0);
        verdict(default == current, "equal")
    }),
    Probe::bare("pool: attributes 0 to 10 of a fresh one", |f| {
        with_pool(f.driver, |d, pool| (0..=10).map(|number| attribute(d, pool, number)).reduce(Outcome::and).unwrap_or("none".into()))
    }),
    Probe::bare("pool: attributes 1, 2, 3 set to 0, read back", |f| {
        with_pool(f.driver, |d, pool| {
            let codes = [1, 2, 3].map(|number| d.cuMemPoolSetAttribute(pool, number, Some(&mut 0)));
            [1, 2, 3].into_iter().fold(codes.into(), |outcome: Outcome, number| outcome.and(attribute(d, pool, number)))
        })
    }),
    Probe::bare("pool: release threshold set to 2^40, read back", |f| {
        with_pool(f.driver, |d, pool| {
            let code = d.cuMemPoolSetAttribute(pool, RELEASE_THRESHOLD, Some(&mut (1 << 40)));
            Outcome::from(code).and(attribute(d, pool, RELEASE_THRESHOLD))
        })
    }),
    Probe::bare("pool: attributes 5, 6, 7, 8 set to 0, to 1", |f| {
        with_pool(f.driver, |d, pool| {
            let zero = [5, 6, 7, 8].map(|number| d.cuMemPoolSetAttribute(pool, number, Some(&mut 0)));
            Outcome::from(zero).and([5, 6, 7, 8].map(|number| d.cuMemPoolSetAttribute(pool, number, Some(&mut 1))))
        })
    }),
    Probe::bare("pool: attributes 0, 99 set", |f| {
        with_pool(f.driver, |d, pool| [0, 99].map(|number| d.cuMemPoolSetAttribute(pool, number, Some(&mut 0))).into())
    }),
    Probe::bare("pool: attribute into nothing, from nothing", |f| {
        with_pool(f.driver, |d, pool| {
            [d.cuMemPoolGetAttribute(pool, RELEASE_THRESHOLD, None), d.cuMemPoolSetAttribute(pool, RELEASE_THRESHOLD, None)].into()
        })
    }),
    Probe::bare("pool: null: attribute, trim, destroy", |f| {
        let null = Handle::NULL;
        [
            f.driver.cuMemPoolGetAttribute(null, RELEASE_THRESHOLD, Some(&mut 0)),
            f.driver.cuMemPoolTrimTo(null, 0),
            f.driver.cuMemPoolDestroy(null),
        ]
        .into()
    }),
    Probe::bare("pool: trim", |f| with_pool(f.driver, |d, pool| [d.cuMemPoolTrimTo(pool, 0), d.cuMemPoolTrimTo(pool, 1 << 40)].into())),
    Probe::bare("pool: create with properties that are none", |f| {
        let plain = PoolProperties::PLAIN;
        let place = |kind, id| PoolProperties { location: Location { kind, id }, ..plain };
        [PoolProperties { allocation: 0, ..plain }, PoolProperties { allocation: 99, ..plain }, place(0, 0), place(1, 999), place(99, 0)]
            .map(|properties| f.driver.cuMemPoolCreate(Some(&mut Handle(0)), Some(&properties)))
            .into()
    }),
    Probe::bare("pool: create of nothing, into nothing", |f| {
        [f.driver.cuMemPoolCreate(Some(&mut Handle(0)), None), f.driver.cuMemPoolCreate(None, Some(&PoolProperties::PLAIN))].into()
    }),
    Probe::alone("pool: destroy the default one", |d| {
        let mut pool = Handle::NULL;
        d.cuInit(0);
        d.cuDeviceGetDefaultMemPool(Some(&mut pool), 0);
        d.cuMemPoolDestroy(pool).into()
    }),
    Probe::alone("pool: destroyed twice", |d| {
        let mut pool = Handle::NULL;
        d.cuInit(0);
        d.cuMemPoolCreate(Some(&mut pool), Some(&PoolProperties::PLAIN));
        [d.cuMemPoolDestroy(pool), d.cuMemPoolDestroy(pool)].into()
    }),
    Probe::bare("pool: used by the device, destroyed", |f| {
        let (mut pool, mut default, mut current) = (Handle::NULL, Handle::NULL, Handle::NULL);
        f.driver.cuMemPoolCreate(Some(&mut pool), Some(&PoolProperties::PLAIN));
        f.driver.cuDeviceGetDefaultMemPool(Some(&mut default), 0);
        let set = f.driver.cuDeviceSetMemPool(0, pool);
        f.driver.cuDeviceGetMemPool(Some(&mut current), 0);
        let used = verdict(current == pool, "in use");
        let destroyed = f.driver.cuMemPoolDestroy(pool);
        f.driver.cuDeviceGetMemPool(Some(&mut current), 0);
        Outcome::from(set).and(used).and(destroyed).and(verdict(current == default, "the default one again"))
    }),
    Probe::bare("pool: used by the device: null, on 999", |f| {
        let mut default = Handle::NULL;
        f.driver.cuDeviceGetDefaultMemPool(Some(&mut default), 0);
        [f.driver.cuDeviceSetMemPool(0, Handle::NULL), f.driver.cuDeviceSetMemPool(999, default)].into()
    }),
    Probe::bare("pool: access of its own device", |f| {
        with_pool(f.driver, |d, pool| {
            let mut flags = 99;
            let mut device = Location::DEVICE;
            let code = d.cuMemPoolGetAccess(Some(&mut flags), pool, Some(&mut device));
            let set = [0, 1, 2, 3].map(|flags| d.cuMemPoolSetAccess(pool, [Access { location: device, flags }].as_ptr(), 1));
            Outcome::from(code).and(flags.to_string()).and(set)
        })
    }),
    Probe::current("pool: allocate, use, free", |f| {
        with_pool(f.driver, |d, pool| {
            let (stream, word, mut address) = (f.stream(), f.pinned(1), 0);
            let codes = [
                d.cuMemAllocFromPoolAsync(Some(&mut address), 4, pool, *stream),
                d.cuMemsetD32Async(address, 7, 1, *stream),
                d.cuMemcpyDtoHAsync_v2(host(&word[0]), address, 4, *stream),
                d.cuMemFreeAsync(address, *stream),
                d.cuStreamSynchronize(*stream),
            ];
            Outcome::from(codes).and(word[0].load(Ordering::Acquire).to_string())
        })
    }),
    Probe::current("pool: bytes in use by 4, and by 1000 more, and after", |f| {
        with_pool(f.driver, |d, pool| {
            let (stream, mut first, mut second) = (f.stream(), 0, 0);
            d.cuMemAllocFromPoolAsync(Some(&mut first), 4, pool, *stream);
            let one = attribute(d, pool, USED);
            d.cuMemAllocFromPoolAsync(Some(&mut second), 1000, pool, *stream);
            let two = attribute(d, pool, USED);
            d.cuMemFreeAsync(first, *stream);
            d.cuMemFreeAsync(second, *stream);
            d.cuStreamSynchronize(*stream);
            let (after, most) = (attribute(d, pool, USED), attribute(d, pool, MOST_USED));
            let reset = d.cuMemPoolSetAttribute(pool, MOST_USED, Some(&mut 0));
            one.and(two).and(after).and(most).and(reset).and(attribute(d, pool, MOST_USED))
        })
    }),
    Probe::current("pool: destroyed with an allocation, which is freed", |f| {
        let (stream, mut pool, mut address) = (f.stream(), Handle::NULL, 0);
        f.driver.cuMemPoolCreate(Some(&mut pool), Some(&PoolProperties::PLAIN));
        f.driver.cuMemAllocFromPoolAsync(Some(&mut address), 4, pool, *stream);
        [
            f.driver.cuMemPoolDestroy(pool),
            f.driver.cuMemsetD32Async(address, 7, 1, *stream),
            f.driver.cuMemFreeAsync(address, *stream),
            f.driver.cuStreamSynchronize(*stream),
        ]
        .into()
    }),
    Probe::current("pool: allocate from null, 0 bytes, 2^60 bytes, into nothing", |f| {
        with_pool(f.driver, |d, pool| {
            let stream = f.stream();
            [
                d.cuMemAllocFromPoolAsync(Some(&mut 0), 4, Handle::NULL, *stream),
                d.cuMemAllocFromPoolAsync(Some(&mut 0), 0, pool, *stream),
                d.cuMemAllocFromPoolAsync(Some(&mut 0), 1 << 60, pool, *stream),
                d.cuMemAllocFromPoolAsync(None, 4, pool, *stream),
            ]
            .into()
        })
    }),
    Probe::current("pool of 64 MiB: allocate 32 MiB, 64 MiB beside it", |f| {
        let (stream, mut pool, mut first) = (f.stream(), Handle::NULL, 0);
        let properties = PoolProperties { most_bytes: 64 << 20, ..PoolProperties::PLAIN };
        let created = f.driver.cuMemPoolCreate(Some(&mut pool), Some(&properties));
        let codes = [
            f.driver.cuMemAllocFromPoolAsync(Some(&mut first), 32 << 20, pool, *stream),
            f.driver.cuMemAllocFromPoolAsync(Some(&mut 0), 64 << 20, pool, *stream),
            f.driver.cuMemFreeAsync(first, *stream),
            f.driver.cuStreamSynchronize(*stream),
        ];
        Outcome::from(created).and(codes).and(f.driver.cuMemPoolDestroy(pool))
    }),
    Probe::bare("no context: cuMemAllocFromPoolAsync", |f| {
        with_pool(f.driver, |d, pool| {
            let (stream, mut address) = (f.stream(), 0);
            let code = d.cuMemAllocFromPoolAsync(Some(&mut address), 4, pool, *stream);
            d.cuMemFreeAsync(address, *stream);
            let defaults = [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD];
            Outcome::from(code).and(defaults.map(|stream| d.cuMemAllocFromPoolAsync(Some(&mut 0), 4, pool, stream)))
        })
    }),
    Probe::current("stream-ordered memory: allocate 2^60 bytes, into nothing", |f| {
        let stream = f.stream();
        [f.driver.cuMemAllocAsync(Some(&mut 0), 1 << 60, *stream), f.driver.cuMemAllocAsync(None, 4, *stream)].into()
    }),
    Probe::current("stream-ordered memory: freed twice", |f| {
        ordered(f, |f, stream, address| [f.driver.cuMemFreeAsync(address, stream), f.driver.cuMemFreeAsync(address, stream)].into())
    }),
    Probe::current("stream-ordered memory: freed by cuMemFree and once more", |f| {
        ordered(f, |f, stream, address| {
            [f.driver.cuMemFree_v2(address), f.driver.cuMemFree_v2(address), f.driver.cuMemFreeAsync(address, stream)].into()
        })
    }),
    Probe::current("stream-ordered memory: freed at an interior address", |f| {
        ordered(f, |f, stream, address| {
            let inside = [f.driver.cuMemFreeAsync(address + 8, stream), f.driver.cuMemFree_v2(address + 8)];
            Outcome::from(inside).and(f.driver.cuMemFreeAsync(address, stream))
        })
    }),
    Probe::current("stream-ordered memory: freed on another stream, ordered", |f| {
        ordered(f, |f, stream, address| {
            let other = f.stream();
            let event = f.recorded(stream);
            [f.driver.cuStreamWaitEvent(*other, *event, 0), f.driver.cuMemFreeAsync(address, *other), f.driver.cuStreamSynchronize(*other)]
                .into()
        })
    }),
    Probe::current("stream-ordered memory: on the handles 0, 1, 2", |f| {
        let streams = [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD];
        let each = streams.map(|stream| {
            let mut address = 0;
            Outcome::from([f.driver.cuMemAllocAsync(Some(&mut address), 4, stream), f.driver.cuMemFreeAsync(address, stream)])
        });
        each.into_iter().reduce(Outcome::and).unwrap_or("none".into())
    }),
    Probe::current("stream-ordered memory: free null on 0, nowhere on 0", |f| {
        [f.driver.cuMemFreeAsync(0, Handle::DEFAULT), f.driver.cuMemFreeAsync(NOWHERE, Handle::DEFAULT)].into()
    }),
    Probe::current("held: cuMemAllocAsync", |f| {
        let stream = f.stream();
        let mut address = 0;
        let outcome = f.hold(*stream).wait_and_release(|d| d.cuMemAllocAsync(Some(&mut address), 4, *stream));
        f.driver.cuMemFreeAsync(address, *stream);
        outcome
    }),
    Probe::current("held: cuMemFree of memory allocated in stream order", |f| {
        ordered(f, |f, stream, address| f.hold(stream).wait_and_release(|d| d.cuMemFree_v2(address)))
    }),
    Probe::current("held: another stream, cuMemFree of memory allocated in stream order", |f| {
        ordered(f, |f, _, address| {
            let other = f.stream();
            f.hold(*other).wait_and_release(|d| d.cuMemFree_v2(address))
        })
    }),
    Probe::current("held: cuMemFreeAsync of memory of cuMemAlloc", |f| {
        let (stream, address) = (f.stream(), f.memory(1, 0).into_address());
        f.hold(*stream).wait_and_release(|d| d.cuMemFreeAsync(address, *stream))
    }),
];

fn attribute(driver: &Driver, pool: Handle, number: u32) -> Outcome {
    let mut value = 0;
    match driver.cuMemPoolGetAttribute(pool, number, Some(&mut value)) {
        code if code.is_success() => value.to_string().into(),
        code => code.into(),
    }
}

/// Probes with a pool of its own; what its end answers.
fn with_pool(driver: &Driver, probe: impl FnOnce(&Driver, Handle) -> Outcome) -> Outcome {
    let mut pool = Handle::NULL;
    let code = driver.cuMemPoolCreate(Some(&mut pool), Some(&PoolProperties::PLAIN));
    if !code.is_success() {
        return code.into();
    }
    let outcome = probe(driver, pool);
    outcome.and(driver.cuMemPoolDestroy(pool))
}

/// Probes with memory allocated in the order of a stream, which the probe frees.
fn ordered(f: &Fixture, probe: impl FnOnce(&Fixture, Handle, u64) -> Outcome) -> Outcome {
    let (stream, mut address) = (f.stream(), 0);
    f.driver.cuMemAllocAsync(Some(&mut address), 64, *stream);
    f.driver.cuStreamSynchronize(*stream);
    let outcome = probe(f, *stream, address);
    f.driver.cuStreamSynchronize(*stream);
    outcome
}
