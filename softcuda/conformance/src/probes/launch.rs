//! Kernel launches: shapes, parameters, streams.

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::kernels::{Shape, launch};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("launch: one thread", |f| fill(f, [1, 1, 1], [1, 1, 1], 0)),
    Probe::current("launch: a grid of 0 in x, in y, in z", |f| {
        fill(f, [0, 1, 1], [1, 1, 1], 0).and(fill(f, [1, 0, 1], [1, 1, 1], 0)).and(fill(f, [1, 1, 0], [1, 1, 1], 0))
    }),
    Probe::current("launch: a block of 0 in x, in y, in z", |f| {
        fill(f, [1, 1, 1], [0, 1, 1], 0).and(fill(f, [1, 1, 1], [1, 0, 1], 0)).and(fill(f, [1, 1, 1], [1, 1, 0], 0))
    }),
    Probe::current("launch: blocks of 1024 and 1025 threads", |f| {
        fill(f, [1, 1, 1], [1024, 1, 1], 0).and(fill(f, [1, 1, 1], [1025, 1, 1], 0))
    }),
    Probe::current("launch: blocks of 32 × 32 and 32 × 33 threads", |f| {
        fill(f, [1, 1, 1], [32, 32, 1], 0).and(fill(f, [1, 1, 1], [32, 33, 1], 0))
    }),
    Probe::current("launch: blocks of 64 and 65 threads in z", |f| {
        fill(f, [1, 1, 1], [1, 1, 64], 0).and(fill(f, [1, 1, 1], [1, 1, 65], 0))
    }),
    Probe::current("launch: grids of 65535 and 65536 in y", |f| {
        fill(f, [1, 65535, 1], [1, 1, 1], 0).and(fill(f, [1, 65536, 1], [1, 1, 1], 0))
    }),
    Probe::current("launch: grids of 65535 and 65536 in z", |f| {
        fill(f, [1, 1, 65535], [1, 1, 1], 0).and(fill(f, [1, 1, 65536], [1, 1, 1], 0))
    }),
    Probe::current("launch: a grid of 2^31 in x", |f| fill(f, [1 << 31, 1, 1], [1, 1, 1], 0)),
    Probe::current("launch: 48 KiB of shared memory, one byte more", |f| {
        fill(f, [1, 1, 1], [1, 1, 1], 48 << 10).and(fill(f, [1, 1, 1], [1, 1, 1], (48 << 10) + 1))
    }),
    Probe::current("launch: all threads of a grid of 3 × 2 × 2, blocks of 4 × 2 × 3", |f| {
        let (stream, memory, word) = (f.stream(), f.memory(1, 0), f.pinned(1));
        let parameters = [(&raw const memory.address).cast()];
        let shape = Shape { grid: [3, 2, 2], block: [4, 2, 3], shared_bytes: 0 };
        let code = launch(f.driver, f.kernels.count, shape, *stream, &parameters);
        f.driver.cuStreamSynchronize(*stream);
        Outcome::from(code).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("launch: parameters of every size", pack),
    Probe::current("launch: a null function", |f| launch(f.driver, Handle::NULL, Shape::ONE_THREAD, *f.stream(), &[]).into()),
    Probe::current("launch: into pinned memory", |f| {
        let (stream, word) = (f.stream(), f.pinned(1));
        let code = f.kernels.fill(f.driver, crate::fixture::host(&word[0]) as u64, 7, *stream);
        f.driver.cuStreamSynchronize(*stream);
        Outcome::from(code).and(word[0].load(std::sync::atomic::Ordering::Acquire).to_string())
    }),
    Probe::current("launch: on a second context's stream", |f| {
        let (context, memory) = (f.second_context(), f.memory(1, 0));
        let code = f.kernels.fill(f.driver, memory.address, 1, *f.stream_in(context, NON_BLOCKING));
        f.driver.cuCtxDestroy_v2(context);
        code.into()
    }),
    Probe::alone("launch: neither parameters nor extra, where there are some", |d| {
        Fixture::alone(d, |f| {
            let (fill, stream, null) = (f.kernels.fill, f.stream(), std::ptr::null());
            d.cuLaunchKernel(fill, 1, 1, 1, 1, 1, 1, 0, *stream, null, null).into()
        })
    }),
];

/// Launches the kernel that writes a word, in this shape; waits for it.
fn fill(f: &Fixture, grid: [u32; 3], block: [u32; 3], shared_bytes: u32) -> Outcome {
    let (stream, memory) = (f.stream(), f.memory(1, 0));
    let shape = Shape { grid, block, shared_bytes };
    let code = f.kernels.fill_shaped(f.driver, memory.address, 1, shape, *stream);
    match f.driver.cuStreamSynchronize(*stream) {
        Code::SUCCESS => code.into(),
        fault => [code, fault].into(),
    }
}

fn pack(f: &Fixture) -> Outcome {
    let (stream, memory, word) = (f.stream(), f.memory(12, 0), f.pinned(1));
    let (byte, half, long) = (0x81_u8, 0x8283_u16, 0x8485_8687_8889_8a8b_u64);
    let (whole, single, double) = (0x8c8d_8e8f_u32, 1.5_f32, -2.25_f64);
    let parameters = [
        (&raw const memory.address).cast(),
        (&raw const byte).cast(),
        (&raw const half).cast(),
        (&raw const whole).cast(),
        (&raw const long).cast(),
        (&raw const single).cast(),
        (&raw const double).cast(),
    ];
    let code = launch(f.driver, f.kernels.pack, Shape::ONE_THREAD, *stream, &parameters);
    f.driver.cuStreamSynchronize(*stream);
    let written: [u64; 6] = std::array::from_fn(|index| {
        let address = memory.address + 8 * index as u64;
        let low = f.read(address, &word[0]);
        u64::from(low) | u64::from(f.read(address + 4, &word[0])) << 32
    });
    let sent = [byte.into(), half.into(), whole.into(), long, single.to_bits().into(), double.to_bits()];
    Outcome::from(code).and(verdict(written == sent, "all arrive"))
}
