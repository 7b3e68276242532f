//! The kernels of kernels.ptx in Rust, for the software driver.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use softcuda::Kernel;
use softcuda::ParamKind::{F32, F64, Int8, Int16, Int32, Int64, Pointer};

use crate::slots::GAVE_UP;

/// `CUDA_ERROR_LAUNCH_FAILED`
const LAUNCH_FAILED: u32 = 719;

/// Gives the twins to the software driver; does nothing on a real one.
pub(crate) fn register() {
    Kernel::new("hold", [Pointer, Int64])
        .declare(|_, memory| memory.awaited::<u32>(0, 2))
        .run(|launch| {
            let (release, running) = (launch.atomic_u32(0, 0), launch.atomic_u32(0, 1));
            let (began, limit) = (Instant::now(), Duration::from_nanos(launch.u64(1)));
            running.store(1, Ordering::Release);
            while release.load(Ordering::Acquire) == 0 {
                if began.elapsed() >= limit {
                    release.store(GAVE_UP, Ordering::Release);
                }
                thread::yield_now();
            }
        })
        .register();

    Kernel::new("fill", [Pointer, Int32])
        .declare(|_, memory| memory.write::<u32>(0, 1))
        .run(|launch| launch.slice_mut::<u32>(0)[0] = launch.u32(1))
        .register();

    Kernel::new("count", [Pointer])
        .declare(|_, memory| memory.atomic::<u32>(0, 1))
        .run(|launch| {
            let word = launch.atomic_u32(0, 0);
            for _ in 0..launch.threads() {
                word.fetch_add(1, Ordering::Relaxed);
            }
        })
        .register();

    Kernel::new("pack", [Pointer, Int8, Int16, Int32, Int64, F32, F64])
        .declare(|_, memory| memory.read_write::<u64>(0, 6))
        .run(|launch| {
            let to = launch.slice_mut::<u64>(0);
            to[0] = launch.u8(1).into();
            to[1] = launch.u16(2).into();
            to[2] = launch.u32(3).into();
            to[3] = launch.u64(4);
            to[4] = to[4] >> 32 << 32 | u64::from(launch.f32(5).to_bits());
            to[5] = launch.f64(6).to_bits();
        })
        .register();

    Kernel::new("fault", []).run(|launch| launch.fail(LAUNCH_FAILED)).register();
}
