//! Memory: allocation, pinned memory, arguments out of range.

use std::ffi::c_void;

use crate::driver::Handle;
use crate::fixture::{Fixture, NOWHERE, host};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("memory: allocate 0 bytes", |f| f.driver.cuMemAlloc_v2(Some(&mut 0), 0).into()),
    Probe::current("memory: allocate 2^60 bytes", |f| f.driver.cuMemAlloc_v2(Some(&mut 0), 1 << 60).into()),
    Probe::current("null out parameter: cuMemAlloc", |f| f.driver.cuMemAlloc_v2(None, 4).into()),
    Probe::current("memory: alignment of 1 byte", |f| verdict(f.memory(1, 0).address.is_multiple_of(256), "256")),
    Probe::current("memory: free null", |f| f.driver.cuMemFree_v2(0).into()),
    Probe::current("memory: free what was never allocated", |f| f.driver.cuMemFree_v2(NOWHERE).into()),
    Probe::current("memory: free an interior address", |f| f.driver.cuMemFree_v2(f.memory(64, 0).address + 4).into()),
    Probe::current("memory: free and total", |f| {
        let (mut free, mut total) = (0, 0);
        let code = f.driver.cuMemGetInfo_v2(Some(&mut free), Some(&mut total));
        Outcome::from(code).and(verdict(0 < free && free <= total, "free at most total"))
    }),
    Probe::current("memory: freed while a stream is held", |f| {
        let (stream, address) = (f.stream(), f.memory(1, 0).into_address());
        let hold = f.hold(*stream);
        hold.wait_and_release(|d| d.cuMemFree_v2(address))
    }),
    Probe::current("stream-ordered memory: allocate, use, free", |f| {
        let (stream, word, mut address) = (f.stream(), f.pinned(1), 0);
        let codes = [
            f.driver.cuMemAllocAsync(Some(&mut address), 4, *stream),
            f.driver.cuMemsetD32Async(address, 7, 1, *stream),
            f.driver.cuMemcpyDtoHAsync_v2(host(&word[0]), address, 4, *stream),
            f.driver.cuMemFreeAsync(address, *stream),
            f.driver.cuStreamSynchronize(*stream),
        ];
        Outcome::from(codes).and(word[0].load(std::sync::atomic::Ordering::Acquire).to_string())
    }),
    Probe::current("stream-ordered memory: allocate 0 bytes", |f| f.driver.cuMemAllocAsync(Some(&mut 0), 0, *f.stream()).into()),
    Probe::current("stream-ordered memory: freed by cuMemFree", |f| {
        let (stream, mut address) = (f.stream(), 0);
        f.driver.cuMemAllocAsync(Some(&mut address), 4, *stream);
        f.driver.cuStreamSynchronize(*stream);
        f.driver.cuMemFree_v2(address).into()
    }),
    Probe::current("memory of cuMemAlloc: freed by cuMemFreeAsync", |f| {
        let (stream, memory) = (f.stream(), f.memory(1, 0));
        let code = f.driver.cuMemFreeAsync(memory.address, *stream);
        f.driver.cuStreamSynchronize(*stream);
        if code.is_success() {
            memory.into_address();
        }
        code.into()
    }),
    Probe::current("stream-ordered memory: free null", |f| f.driver.cuMemFreeAsync(0, *f.stream()).into()),
    Probe::current("stream-ordered memory: free what was never allocated", |f| f.driver.cuMemFreeAsync(NOWHERE, *f.stream()).into()),
    Probe::current("pinned memory: allocate 0 bytes", |f| allocate_pinned(f, 0, 0)),
    Probe::current("pinned memory: flags 1 (portable)", |f| allocate_pinned(f, 4, 1)),
    Probe::current("pinned memory: flags 2 (device map)", |f| allocate_pinned(f, 4, 2)),
    Probe::current("pinned memory: flags 4 (write combined)", |f| allocate_pinned(f, 4, 4)),
    Probe::current("pinned memory: flags 256", |f| allocate_pinned(f, 4, 256)),
    Probe::current("null out parameter: cuMemHostAlloc", |f| f.driver.cuMemHostAlloc(None, 4, 0).into()),
    Probe::current("pinned memory: device address", |f| {
        let (word, mut address) = (host(&f.pinned(1)[0]), 0);
        let code = f.driver.cuMemHostGetDevicePointer_v2(Some(&mut address), word, 0);
        Outcome::from(code).and(verdict(address == word as u64, "the host address"))
    }),
    Probe::current("pinned memory: device address of an interior address", |f| {
        let (word, mut address) = (host(&f.pinned(4)[1]), 0);
        let code = f.driver.cuMemHostGetDevicePointer_v2(Some(&mut address), word, 0);
        Outcome::from(code).and(verdict(address == word as u64, "the host address"))
    }),
    Probe::current("pinned memory: device address, flags 1", |f| {
        f.driver.cuMemHostGetDevicePointer_v2(Some(&mut 0), host(&f.pinned(1)[0]), 1).into()
    }),
    Probe::current("pinned memory: device address of null", |f| {
        f.driver.cuMemHostGetDevicePointer_v2(Some(&mut 0), std::ptr::null_mut(), 0).into()
    }),
    Probe::current("pinned memory: device address of pageable memory", |f| {
        f.driver.cuMemHostGetDevicePointer_v2(Some(&mut 0), [0_u8; 4].as_mut_ptr().cast(), 0).into()
    }),
    Probe::current("pinned memory: free null", |f| f.driver.cuMemFreeHost(std::ptr::null_mut()).into()),
    Probe::current("pinned memory: free pageable memory", |f| f.driver.cuMemFreeHost([0_u8; 4].as_mut_ptr().cast()).into()),
    Probe::current("memset: 0 bytes", |f| f.driver.cuMemsetD8Async(f.memory(1, 0).address, 1, 0, *f.stream()).into()),
    Probe::current("memset: of words at an odd address", |f| {
        f.driver.cuMemsetD32Async(f.memory(2, 0).address + 1, 1, 1, *f.stream()).into()
    }),
    Probe::current("memset: nowhere", |f| {
        [f.driver.cuMemsetD8_v2(NOWHERE, 1, 4), f.driver.cuMemsetD8Async(NOWHERE, 1, 4, *f.stream())].into()
    }),
    Probe::current("copy: 0 bytes", |f| {
        let (memory, stream) = (f.memory(1, 0), f.stream());
        [
            f.driver.cuMemcpyHtoD_v2(memory.address, [0_u32].as_ptr().cast(), 0),
            f.driver.cuMemcpyDtoH_v2([0_u32].as_mut_ptr().cast(), memory.address, 0),
            f.driver.cuMemcpyDtoDAsync_v2(memory.address, memory.address, 0, *stream),
        ]
        .into()
    }),
    Probe::current("copy: to nowhere", |f| {
        let word = f.pinned(1);
        [f.driver.cuMemcpyHtoD_v2(NOWHERE, host(&word[0]), 4), f.driver.cuMemcpyHtoDAsync_v2(NOWHERE, host(&word[0]), 4, *f.stream())]
            .into()
    }),
    Probe::current("copy: from nowhere", |f| {
        let word = f.pinned(1);
        [f.driver.cuMemcpyDtoH_v2(host(&word[0]), NOWHERE, 4), f.driver.cuMemcpyDtoHAsync_v2(host(&word[0]), NOWHERE, 4, *f.stream())]
            .into()
    }),
    Probe::current("copy: device to device, from nowhere", |f| {
        f.driver.cuMemcpyDtoDAsync_v2(f.memory(1, 0).address, NOWHERE, 4, *f.stream()).into()
    }),
    Probe::current("copy: to null host memory", |f| f.driver.cuMemcpyDtoH_v2(std::ptr::null_mut(), f.memory(1, 0).address, 4).into()),
    Probe::current("copy: beyond the end of an allocation", beyond_the_end),
    Probe::current("copy: there and back, pageable", |f| {
        let (memory, stream, sent, mut back) = (f.memory(256, 0), f.stream(), [0xabcd_1234_u32; 256], [0_u32; 256]);
        let codes = [
            f.driver.cuMemcpyHtoD_v2(memory.address, sent.as_ptr().cast(), 1024),
            f.driver.cuStreamSynchronize(*stream),
            f.driver.cuMemcpyDtoH_v2(back.as_mut_ptr().cast(), memory.address, 1024),
        ];
        Outcome::from(codes).and(verdict(sent == back, "the same bytes"))
    }),
    Probe::current("memset: bytes, then words, read back", |f| {
        let (memory, stream, word) = (f.memory(2, 0), f.stream(), f.pinned(2));
        f.driver.cuMemsetD8Async(memory.address, 0x5a, 8, *stream);
        f.driver.cuMemsetD32Async(memory.address + 4, 0x0102_0304, 1, *stream);
        f.driver.cuStreamSynchronize(*stream);
        let [first, second] = [0, 1].map(|at| f.read(memory.address + 4 * at, &word[0]));
        format!("{first:#x} {second:#x}").into()
    }),
];

fn allocate_pinned(f: &Fixture, bytes: usize, flags: u32) -> Outcome {
    let mut memory: *mut c_void = std::ptr::null_mut();
    let code = f.driver.cuMemHostAlloc(Some(&mut memory), bytes, flags);
    if code.is_success() {
        f.driver.cuMemFreeHost(memory);
    }
    code.into()
}

/// A copy of twice the allocation's size: 4 MiB, so that the driver maps nothing else beside it.
fn beyond_the_end(f: &Fixture) -> Outcome {
    const WORDS: usize = 1 << 20;
    let (memory, mut twice) = (f.memory(WORDS, 0), vec![0_u32; 2 * WORDS]);
    let code = f.driver.cuMemcpyDtoH_v2(twice.as_mut_ptr().cast(), memory.address, 8 * WORDS);
    Outcome::from(code).and(f.driver.cuStreamQuery(Handle::DEFAULT))
}
