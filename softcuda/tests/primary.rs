//! The flags of a primary context.

mod support;

use cudarc::driver::sys::{self, CUresult};
use support::context;

const SUCCESS: CUresult = CUresult::CUDA_SUCCESS;

fn set(flags: u32) -> CUresult {
    // SAFETY: takes integers.
    unsafe { sys::cuDevicePrimaryCtxSetFlags_v2(0, flags) }
}

/// The device's flags, and those of its context, which is current.
fn flags() -> [u32; 2] {
    let (mut device, mut active, mut context) = (u32::MAX, 0, u32::MAX);
    // SAFETY: the out pointers are live locals.
    assert_eq!(unsafe { sys::cuDevicePrimaryCtxGetState(0, &raw mut device, &raw mut active) }, SUCCESS);
    assert_eq!(active, 1);
    // SAFETY: the out pointer is a live local.
    assert_eq!(unsafe { sys::cuCtxGetFlags(&raw mut context) }, SUCCESS);
    [device, context]
}

/// Seen on an H200: the driver takes them at any time, and the context follows.
#[test]
fn an_active_context_follows_the_flags_of_its_device() {
    let context = context(0);
    context.bind_to_thread().expect("the context becomes current");
    assert_eq!(flags(), [0, 8]);
    for accepted in [1, 2, 4, 16, 32, 64, 17, 0] {
        assert_eq!(set(accepted), SUCCESS, "{accepted}");
        assert_eq!(flags(), [accepted, 8 | accepted]);
    }
    assert_eq!(set(4), SUCCESS);
    for refused in [3, 5, 8, 12, 256] {
        assert_eq!(set(refused), CUresult::CUDA_ERROR_INVALID_VALUE, "{refused}");
        assert_eq!(flags(), [4, 12], "a refusal changes nothing");
    }
    assert_eq!(set(0), SUCCESS);
}
