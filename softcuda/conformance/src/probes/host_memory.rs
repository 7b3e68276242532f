//! Page-locked memory: flags, registration, and what its end waits for.

use std::ffi::c_void;
use std::sync::atomic::AtomicU32;

use crate::code::Code;
use crate::driver::Driver;
use crate::fixture::{Fixture, address, host, page};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

/// Bytes of a page.
const PAGE: usize = 4096;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("null out parameter: cuMemAllocHost", |f| f.driver.cuMemAllocHost_v2(None, 4).into()),
    Probe::current("pinned memory: cuMemAllocHost of 4 bytes, of 0", |f| {
        [4, 0]
            .map(|bytes| {
                let mut memory = std::ptr::null_mut();
                let code = f.driver.cuMemAllocHost_v2(Some(&mut memory), bytes);
                if !memory.is_null() {
                    f.driver.cuMemFreeHost(memory);
                }
                code
            })
            .into()
    }),
    Probe::current("pinned memory: flags read back, of cuMemAllocHost", |f| {
        let (mut memory, mut flags) = (std::ptr::null_mut(), 99);
        f.driver.cuMemAllocHost_v2(Some(&mut memory), 4);
        let code = f.driver.cuMemHostGetFlags(Some(&mut flags), memory);
        f.driver.cuMemFreeHost(memory);
        Outcome::from(code).and(flags.to_string())
    }),
    Probe::current("pinned memory: flags 0 to 7 read back", |f| {
        let flags = (0..8).map(|flags| {
            let (mut memory, mut read) = (std::ptr::null_mut(), 99);
            f.driver.cuMemHostAlloc(Some(&mut memory), 4, flags);
            let code = f.driver.cuMemHostGetFlags(Some(&mut read), memory);
            f.driver.cuMemFreeHost(memory);
            Outcome::from(code).and(read.to_string())
        });
        flags.reduce(Outcome::and).unwrap_or_else(|| "none".into())
    }),
    Probe::current("pinned memory: flags 8, 16, 2^31", |f| {
        [8, 16, 1 << 31].map(|flags| f.driver.cuMemHostAlloc(Some(&mut std::ptr::null_mut()), 4, flags)).into()
    }),
    Probe::current("pinned memory: allocate 2^60 bytes", |f| f.driver.cuMemHostAlloc(Some(&mut std::ptr::null_mut()), 1 << 60, 0).into()),
    Probe::current("pinned memory: flags of an interior address", |f| flags_of(f.driver, host(&f.pinned(4)[1]))),
    Probe::current("pinned memory: flags of pageable memory, of null", |f| {
        flags_of(f.driver, host(&page()[0])).and(flags_of(f.driver, std::ptr::null_mut()))
    }),
    Probe::current("null out parameter: cuMemHostGetFlags", |f| f.driver.cuMemHostGetFlags(None, host(&f.pinned(1)[0])).into()),
    Probe::current("pinned memory: free an interior address", |f| {
        let mut memory = std::ptr::null_mut();
        f.driver.cuMemHostAlloc(Some(&mut memory), 64, 0);
        [f.driver.cuMemFreeHost(memory.wrapping_byte_add(8)), f.driver.cuMemFreeHost(memory)].into()
    }),
    Probe::alone("pinned memory: freed twice", |d| {
        Fixture::alone(d, |_| {
            let mut memory = std::ptr::null_mut();
            d.cuMemHostAlloc(Some(&mut memory), 4, 0);
            [d.cuMemFreeHost(memory), d.cuMemFreeHost(memory)].into()
        })
    }),
    Probe::alone("memory: freed twice", |d| {
        Fixture::alone(d, |f| {
            let address = f.memory(1, 0).into_address();
            [d.cuMemFree_v2(address), d.cuMemFree_v2(address)].into()
        })
    }),
    Probe::current("pinned memory: freed by cuMemFree", |f| {
        let mut memory = std::ptr::null_mut();
        f.driver.cuMemHostAlloc(Some(&mut memory), 4, 0);
        let code = f.driver.cuMemFree_v2(memory as u64);
        if !code.is_success() {
            f.driver.cuMemFreeHost(memory);
        }
        code.into()
    }),
    Probe::current("memory of cuMemAlloc: freed by cuMemFreeHost", |f| {
        f.driver.cuMemFreeHost(f.memory(1, 0).address as *mut c_void).into()
    }),
    Probe::current("pinned memory: freed while a stream is held", |f| {
        let (stream, mut memory) = (f.stream(), std::ptr::null_mut());
        f.driver.cuMemHostAlloc(Some(&mut memory), 4, 0);
        let memory = memory as usize;
        f.hold(*stream).wait_and_release(|d| d.cuMemFreeHost(memory as *mut c_void))
    }),
    Probe::current("pinned memory: allocated while a stream is held", |f| {
        let stream = f.stream();
        f.hold(*stream).wait_and_release(|d| d.cuMemHostAlloc(Some(&mut std::ptr::null_mut()), 4, 0))
    }),
    Probe::current("memory: allocated while a stream is held", |f| {
        let stream = f.stream();
        f.hold(*stream).wait_and_release(|d| d.cuMemAlloc_v2(Some(&mut 0), 4))
    }),
    Probe::current("memory: of a second context, freed while a primary stream is held", |f| {
        let (context, held, mut address) = (f.second_context(), f.stream(), 0);
        f.within(context, || f.driver.cuMemAlloc_v2(Some(&mut address), 4));
        let outcome = f.hold(*held).wait_and_release(|d| f.within(context, || d.cuMemFree_v2(address)));
        f.driver.cuCtxDestroy_v2(context);
        outcome
    }),
    Probe::current("registered memory: with flags 0, 1, 2, 3", |f| with_flags(f, [0, 1, 2, 3])),
    Probe::current("registered memory: with flags 8 (read only)", |f| with_flags(f, [8])),
    Probe::current("registered memory: with flags 4 (of a device's registers)", |f| with_flags(f, [4])),
    Probe::current("registered memory: with flags 16, 2^31", |f| with_flags(f, [16, 1 << 31])),
    Probe::current("registered memory: twice", |f| registered(f, |f, page| f.driver.cuMemHostRegister_v2(host(&page[0]), PAGE, 0).into())),
    Probe::current("registered memory: a part of it again", |f| {
        registered(f, |f, page| f.driver.cuMemHostRegister_v2(host(&page[4]), 64, 0).into())
    }),
    Probe::current("registered memory: unregistered twice", |f| {
        registered(f, |f, page| f.driver.cuMemHostUnregister(host(&page[0])).into())
    }),
    Probe::current("registered memory: unregister an interior address", |f| {
        registered(f, |f, page| f.driver.cuMemHostUnregister(host(&page[4])).into())
    }),
    Probe::current("registered memory: unregister what never was, null", |f| {
        [f.driver.cuMemHostUnregister(host(&page()[0])), f.driver.cuMemHostUnregister(std::ptr::null_mut())].into()
    }),
    Probe::current("registered memory: register null, 0 bytes", |f| {
        [f.driver.cuMemHostRegister_v2(std::ptr::null_mut(), PAGE, 0), f.driver.cuMemHostRegister_v2(host(&page()[0]), 0, 0)].into()
    }),
    Probe::current("registered memory: not aligned", |f| {
        let page = page();
        let code = f.driver.cuMemHostRegister_v2(host(&page[5]), 44, 0);
        [code, f.driver.cuMemHostUnregister(host(&page[5]))].into()
    }),
    Probe::current("registered memory: register pinned memory, unregister it", |f| {
        let pinned = host(&f.pinned(1)[0]);
        [f.driver.cuMemHostRegister_v2(pinned, 4, 0), f.driver.cuMemHostUnregister(pinned)].into()
    }),
    Probe::current("registered memory: register device memory", |f| {
        f.driver.cuMemHostRegister_v2(f.memory(1024, 0).address as *mut c_void, PAGE, 0).into()
    }),
    Probe::current("registered memory: freed by cuMemFreeHost", |f| registered(f, |f, page| f.driver.cuMemFreeHost(host(&page[0])).into())),
    Probe::current("registered memory: flags read back", |f| registered(f, |f, page| flags_of(f.driver, host(&page[0])))),
    Probe::current("registered memory: device address", |f| {
        registered(f, |f, page| {
            let mut device = 0;
            let code = f.driver.cuMemHostGetDevicePointer_v2(Some(&mut device), host(&page[1]), 0);
            Outcome::from(code).and(verdict(device == address(&page[1]), "the host address"))
        })
    }),
    Probe::current("registered memory: a kernel writes it", |f| {
        registered(f, |f, page| {
            let stream = f.stream();
            let codes = [f.kernels.fill(f.driver, address(&page[3]), 7, *stream), f.driver.cuStreamSynchronize(*stream)];
            Outcome::from(codes).and(page[3].load(std::sync::atomic::Ordering::Acquire).to_string())
        })
    }),
    Probe::current("registered memory: unregistered while a stream is held", |f| {
        let (stream, page) = (f.stream(), page());
        f.driver.cuMemHostRegister_v2(host(&page[0]), PAGE, 0);
        f.hold(*stream).wait_and_release(|d| d.cuMemHostUnregister(host(&page[0])))
    }),
    Probe::bare("no context: cuMemHostRegister, cuMemHostUnregister", |f| {
        let page = page();
        let without = f.driver.cuMemHostRegister_v2(host(&page[0]), PAGE, 0);
        let with = f.with_primary(|| f.driver.cuMemHostRegister_v2(host(&page[0]), PAGE, 0));
        [without, with, f.driver.cuMemHostUnregister(host(&page[0]))].into()
    }),
    Probe::bare("no context: cuMemHostGetFlags", |f| flags_of(f.driver, host(&f.pinned(1)[0]))),
    Probe::bare("no context: cuMemAllocHost", |f| f.driver.cuMemAllocHost_v2(Some(&mut std::ptr::null_mut()), 4).into()),
];

fn flags_of(driver: &Driver, memory: *mut c_void) -> Outcome {
    let mut flags = 99;
    match driver.cuMemHostGetFlags(Some(&mut flags), memory) {
        Code::SUCCESS => Outcome::from(Code::SUCCESS).and(flags.to_string()),
        code => code.into(),
    }
}

/// Registers a page with each of the flags: the answer, and the flags that are read back.
fn with_flags<const N: usize>(f: &Fixture, flags: [u32; N]) -> Outcome {
    let answers = flags.map(|flags| {
        let memory = host(&page()[0]);
        match f.driver.cuMemHostRegister_v2(memory, PAGE, flags) {
            Code::SUCCESS => {
                let read = flags_of(f.driver, memory);
                f.driver.cuMemHostUnregister(memory);
                Outcome::from(Code::SUCCESS).and(read)
            }
            code => code.into(),
        }
    });
    answers.into_iter().reduce(Outcome::and).unwrap_or_else(|| "none".into())
}

/// Probes with a registered page: how that went, the probe, and the end of it.
fn registered(f: &Fixture, probe: impl FnOnce(&Fixture, &'static [AtomicU32]) -> Outcome) -> Outcome {
    let page = page();
    let code = f.driver.cuMemHostRegister_v2(host(&page[0]), PAGE, 0);
    Outcome::from(code).and(probe(f, page)).and(f.driver.cuMemHostUnregister(host(&page[0])))
}
