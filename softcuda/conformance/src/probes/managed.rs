//! Managed memory: one address for the host and the device.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NOWHERE, address, host, page};
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::structs::Location;

/// `CU_MEM_ATTACH_*`
const GLOBAL: u32 = 1;

const BYTES: usize = 4096;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("null out parameter: cuMemAllocManaged", |f| f.driver.cuMemAllocManaged(None, 4, GLOBAL).into()),
    Probe::current("managed memory: flags 0, 1, 2, 3, 4, 8", |f| {
        [0, 1, 2, 3, 4, 8]
            .map(|flags| {
                let mut memory = 0;
                let code = f.driver.cuMemAllocManaged(Some(&mut memory), 4, flags);
                if code.is_success() {
                    f.driver.cuMemFree_v2(memory);
                }
                code
            })
            .into()
    }),
    Probe::current("managed memory: allocate 0 bytes", |f| f.driver.cuMemAllocManaged(Some(&mut 0), 0, GLOBAL).into()),
    Probe::bare("no context: cuMemAllocManaged", |f| f.driver.cuMemAllocManaged(Some(&mut 0), 4, GLOBAL).into()),
    Probe::current("managed memory: the host writes, a copy reads", |f| {
        managed(f, |f, words| {
            let read = f.pinned(1);
            words[0].store(7, Ordering::Release);
            f.read(address(&words[0]), &read[0]).to_string().into()
        })
    }),
    Probe::current("managed memory: a kernel writes, the host reads", |f| {
        managed(f, |f, words| {
            let stream = f.stream();
            let codes = [f.kernels.fill(f.driver, address(&words[1]), 7, *stream), f.driver.cuStreamSynchronize(*stream)];
            Outcome::from(codes).and(words[1].load(Ordering::Acquire).to_string())
        })
    }),
    Probe::current("managed memory: a memset, the host reads", |f| {
        managed(f, |f, words| {
            let stream = f.stream();
            let codes = [f.driver.cuMemsetD32Async(address(&words[1]), 7, 1, *stream), f.driver.cuStreamSynchronize(*stream)];
            Outcome::from(codes).and(words[1].load(Ordering::Acquire).to_string())
        })
    }),
    Probe::current("managed memory: the host uses it while a stream is held", |f| {
        managed(f, |f, words| {
            let stream = f.stream();
            let hold = f.hold(*stream);
            f.kernels.fill(f.driver, address(&words[0]), 2, *stream);
            words[0].store(1, Ordering::Release);
            let before = words[0].load(Ordering::Acquire);
            hold.release();
            f.driver.cuStreamSynchronize(*stream);
            format!("{before}, {}", words[0].load(Ordering::Acquire)).into()
        })
    }),
    Probe::current("managed memory: freed by cuMemFreeHost, by cuMemFreeAsync", |f| {
        let (mut first, mut second, stream) = (0, 0, f.stream());
        f.driver.cuMemAllocManaged(Some(&mut first), BYTES, GLOBAL);
        f.driver.cuMemAllocManaged(Some(&mut second), BYTES, GLOBAL);
        let host = f.driver.cuMemFreeHost(first as *mut _);
        let ordered = f.driver.cuMemFreeAsync(second, *stream);
        let synchronized = f.driver.cuStreamSynchronize(*stream);
        let then = [(first, host), (second, ordered)].map(|(memory, freed)| match freed {
            Code::SUCCESS => freed,
            _ => f.driver.cuMemFree_v2(memory),
        });
        Outcome::from([host, ordered, synchronized]).and(then)
    }),
    Probe::current("managed memory: freed while a stream is held", |f| {
        let (stream, mut memory) = (f.stream(), 0);
        f.driver.cuMemAllocManaged(Some(&mut memory), BYTES, GLOBAL);
        f.hold(*stream).wait_and_release(|d| d.cuMemFree_v2(memory))
    }),
    Probe::current("managed memory: as if it were pinned: device address, flags", |f| {
        managed(f, |f, words| {
            let memory = host(&words[0]);
            [f.driver.cuMemHostGetDevicePointer_v2(Some(&mut 0), memory, 0), f.driver.cuMemHostGetFlags(Some(&mut 0), memory)].into()
        })
    }),
    Probe::current("managed memory: advice 0 to 8", |f| {
        managed(f, |f, words| {
            let to = address(&words[0]);
            std::array::from_fn::<Code, 9, _>(|advice| f.driver.cuMemAdvise(to, BYTES, u32::try_from(advice).unwrap_or(99), 0)).into()
        })
    }),
    Probe::current("managed memory: advice for the host, for device 999", |f| {
        managed(f, |f, words| [-1, 999].map(|device| f.driver.cuMemAdvise(address(&words[0]), BYTES, 3, device)).into())
    }),
    Probe::current("managed memory: read-mostly advice for device 999", |f| {
        managed(f, |f, words| f.driver.cuMemAdvise(address(&words[0]), BYTES, 1, 999).into())
    }),
    Probe::current("managed memory: advice by location: device 0, 999, host, 0, 9", |f| {
        managed(f, |f, words| {
            [(1, 0), (1, 999), (2, 0), (0, 0), (9, 0)]
                .map(|(kind, id)| f.driver.cuMemAdvise_v2(address(&words[0]), BYTES, 3, Location { kind, id }))
                .into()
        })
    }),
    Probe::current("managed memory: advice on 0 bytes, on more than there is", |f| {
        managed(f, |f, words| [0, 1 << 40].map(|bytes| f.driver.cuMemAdvise(address(&words[0]), bytes, 3, 0)).into())
    }),
    Probe::current("advice: on device memory, pinned, pageable, nowhere", |f| {
        let memory = f.memory(1024, 0);
        [memory.address, address(&f.pinned(1024)[0]), address(&page()[0]), NOWHERE]
            .map(|place| f.driver.cuMemAdvise(place, 4096, 3, 0))
            .into()
    }),
    Probe::current("managed memory: prefetched to the device, to the host, to 999", |f| {
        managed(f, |f, words| {
            let stream = f.stream();
            let codes = [0, -1, 999].map(|device| f.driver.cuMemPrefetchAsync(address(&words[0]), BYTES, device, *stream));
            Outcome::from(codes).and(f.driver.cuStreamSynchronize(*stream))
        })
    }),
    Probe::current("managed memory: prefetched by location, with flags 1", |f| {
        managed(f, |f, words| {
            let (stream, to) = (f.stream(), address(&words[0]));
            let codes = [0, 1].map(|flags| f.driver.cuMemPrefetchAsync_v2(to, BYTES, Location::DEVICE, flags, *stream));
            Outcome::from(codes).and(f.driver.cuStreamSynchronize(*stream))
        })
    }),
    Probe::current("managed memory: prefetched on the handles 0, 1, 2", |f| {
        managed(f, |f, words| {
            let streams = [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD];
            streams.map(|stream| f.driver.cuMemPrefetchAsync(address(&words[0]), BYTES, 0, stream)).into()
        })
    }),
    Probe::current("managed memory: prefetch of 0 bytes, of more than there is", |f| {
        managed(f, |f, words| {
            let stream = f.stream();
            [0, 1 << 40].map(|bytes| f.driver.cuMemPrefetchAsync(address(&words[0]), bytes, 0, *stream)).into()
        })
    }),
    Probe::current("prefetch: of device memory, pinned, pageable, nowhere", |f| {
        let (memory, stream) = (f.memory(1024, 0), f.stream());
        [memory.address, address(&f.pinned(1024)[0]), address(&page()[0]), NOWHERE]
            .map(|place| f.driver.cuMemPrefetchAsync(place, 4096, 0, *stream))
            .into()
    }),
    Probe::current("held: a prefetch of managed memory", |f| {
        managed(f, |f, words| {
            let (stream, to) = (f.stream(), address(&words[0]));
            f.hold(*stream).wait_and_release(|d| d.cuMemPrefetchAsync(to, BYTES, 0, *stream))
        })
    }),
    Probe::current("managed memory: attached to a stream, flags 0, 1, 2, 4, 8", |f| {
        managed(f, |f, words| {
            let stream = f.stream();
            let codes = [0, 1, 2, 4, 8].map(|flags| f.driver.cuStreamAttachMemAsync(*stream, address(&words[0]), 0, flags));
            Outcome::from(codes).and(f.driver.cuStreamSynchronize(*stream))
        })
    }),
    Probe::current("managed memory: a part attached, all of it, to handle 0", |f| {
        managed(f, |f, words| {
            let (stream, to) = (f.stream(), address(&words[0]));
            [
                f.driver.cuStreamAttachMemAsync(*stream, to, BYTES / 2, GLOBAL),
                f.driver.cuStreamAttachMemAsync(*stream, to, BYTES, GLOBAL),
                f.driver.cuStreamAttachMemAsync(Handle::DEFAULT, to, 0, GLOBAL),
            ]
            .into()
        })
    }),
    Probe::current("managed memory: attached alone to the handles 0, 1, 2", |f| {
        managed(f, |f, words| {
            let streams = [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD];
            let codes = streams.map(|stream| f.driver.cuStreamAttachMemAsync(stream, address(&words[0]), 0, 4));
            Outcome::from(codes).and(f.driver.cuStreamAttachMemAsync(Handle::PER_THREAD, address(&words[0]), 0, GLOBAL))
        })
    }),
    Probe::current("managed memory: attached at an interior address, with flags 3", |f| {
        managed(f, |f, words| {
            let stream = f.stream();
            [
                f.driver.cuStreamAttachMemAsync(*stream, address(&words[4]), 0, GLOBAL),
                f.driver.cuStreamAttachMemAsync(*stream, address(&words[0]), 0, 3),
            ]
            .into()
        })
    }),
    Probe::current("attach: device memory, pinned, pageable, nowhere", |f| {
        let (memory, stream) = (f.memory(1024, 0), f.stream());
        [memory.address, address(&f.pinned(1024)[0]), address(&page()[0]), NOWHERE]
            .map(|place| f.driver.cuStreamAttachMemAsync(*stream, place, 0, GLOBAL))
            .into()
    }),
    Probe::bare("no context: cuMemAdvise, cuMemPrefetchAsync, cuStreamAttachMemAsync", |f| {
        let (mut memory, stream) = (0, f.stream());
        f.with_primary(|| f.driver.cuMemAllocManaged(Some(&mut memory), BYTES, GLOBAL));
        let codes = [
            f.driver.cuMemAdvise(memory, BYTES, 3, 0),
            f.driver.cuMemPrefetchAsync(memory, BYTES, 0, *stream),
            f.driver.cuStreamAttachMemAsync(*stream, memory, 0, GLOBAL),
        ];
        f.with_primary(|| f.driver.cuMemFree_v2(memory));
        codes.into()
    }),
];

/// Probes with managed memory, as the host sees it.
fn managed(f: &Fixture, probe: impl FnOnce(&Fixture, &'static [AtomicU32]) -> Outcome) -> Outcome {
    let mut memory = 0;
    let code = f.driver.cuMemAllocManaged(Some(&mut memory), BYTES, GLOBAL);
    if !code.is_success() {
        return code.into();
    }
    // SAFETY: fresh managed memory of this size, page-aligned, used by the host through atomics alone;
    // the probes that get it do not keep it, and it is freed behind them.
    let words = unsafe { std::slice::from_raw_parts(memory as *const AtomicU32, BYTES / size_of::<AtomicU32>()) };
    let outcome = probe(f, words);
    f.driver.cuCtxSynchronize();
    f.driver.cuMemFree_v2(memory);
    outcome
}
