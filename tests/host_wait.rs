//! How the host waits for a device: set and read back, before its context exists and after.

mod common;

#[cfg(not(miri))]
use common::child;
use common::{device, raw, streams};
use cuda_streams::{Device, Error, HostWait, Result};

/// Each way, with the driver's flag for it.
const WAYS: [(HostWait, u32); 4] = [(HostWait::Spin, 1), (HostWait::Yield, 2), (HostWait::Block, 4), (HostWait::Auto, 0)];
/// Flags of a primary context that are of another matter.
const OTHERS: u32 = 16;

/// The flags of the primary context and whether it is active, as the driver says.
fn state(device: Device) -> (u32, bool) {
    let (mut flags, mut active) = (u32::MAX, i32::MAX);
    // SAFETY: the out pointers are live locals.
    let code = unsafe { raw::cuDevicePrimaryCtxGetState(raw::device_number(device), &raw mut flags, &raw mut active) };
    assert_eq!(code, raw::SUCCESS);
    (flags, active != 0)
}

fn set(device: Device, flags: u32) {
    // SAFETY: takes integers.
    assert_eq!(unsafe { raw::cuDevicePrimaryCtxSetFlags_v2(raw::device_number(device), flags) }, raw::SUCCESS);
}

/// The flags of the context that is current.
fn current_flags() -> u32 {
    let mut flags = u32::MAX;
    // SAFETY: the out pointer is a live local.
    assert_eq!(unsafe { raw::cuCtxGetFlags(&raw mut flags) }, raw::SUCCESS);
    flags
}

/// T373
#[test]
fn t373_it_is_set_and_read_back_and_the_context_follows() -> Result<()> {
    let context = device().context()?;
    let [stream] = streams();
    for (way, flag) in WAYS {
        device().set_host_wait(way)?;
        assert_eq!(device().host_wait()?, way);
        assert_eq!(state(device()), (flag, true));
        assert_eq!(context.with_current(current_flags)? & 7, flag, "the context is there already");
        let event = stream.record_event()?;
        stream.synchronize()?;
        event.synchronize()?;
        context.synchronize()?;
    }
    assert_eq!(HostWait::default(), HostWait::Auto);
    Ok(())
}

#[test]
fn the_other_flags_stay_as_they_are() -> Result<()> {
    let device = device();
    set(device, OTHERS);
    for (way, flag) in WAYS {
        device.set_host_wait(way)?;
        assert_eq!((state(device).0, device.host_wait()?), (OTHERS | flag, way));
    }
    set(device, 0);
    Ok(())
}

#[cfg(not(miri))]
#[test]
fn before_the_context_exists_it_is_kept_for_it() {
    child::run("before_the_context_exists_it_is_kept_for_it", child::same_environment, || {
        let device = device();
        for (way, flag) in WAYS.into_iter().rev() {
            device.set_host_wait(way).unwrap();
            assert_eq!(device.host_wait(), Ok(way));
            assert_eq!(state(device), (flag, false), "no context is made");
        }
        let (way, flag) = WAYS[0];
        let context = device.context().unwrap();
        assert_eq!((device.host_wait(), context.with_current(current_flags).unwrap() & 7), (Ok(way), flag));
    });
}

/// Whoever else sets it is seen.
#[test]
fn it_is_what_the_driver_says() -> Result<()> {
    let device = device();
    for (way, flag) in WAYS {
        set(device, flag);
        assert_eq!(device.host_wait()?, way);
    }
    Ok::<_, Error>(())
}
