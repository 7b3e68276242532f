//! External streams of two devices.

use std::collections::HashSet;
use std::ptr;

use cuda_streams::{AsStream, Device, Error, ExternalStream, RawStream, Result};

use crate::common::hold::Hold;
use crate::common::on_a_fresh_thread;
use crate::common::theirs::{NON_BLOCKING, TheirStream};
use crate::{devices, streams};

fn theirs(device: Device) -> TheirStream {
    TheirStream::new(device.context().expect("the primary context"), NON_BLOCKING)
}

fn external_on(device: Device, raw: RawStream) -> Result<ExternalStream> {
    // SAFETY: a default stream, or one that is alive as long as what is made of it here.
    unsafe { ExternalStream::from_raw_on(device, raw) }
}

/// T55
#[test]
fn t055_the_driver_tells_the_device_and_a_named_one_is_checked() -> Result<()> {
    let [first, second] = devices();
    for (device, other) in [(first, second), (second, first)] {
        let theirs = theirs(device);
        let stream = other.context()?.with_current(|| {
            // SAFETY: its owner is dropped last.
            unsafe { ExternalStream::from_raw(theirs.as_raw()) }
        })??;
        assert_eq!((stream.device(), stream.context()), (device, device.context()?), "whatever is current");
        assert_eq!(external_on(device, theirs.as_raw())?, stream);
        let error = external_on(other, theirs.as_raw()).unwrap_err();
        assert_eq!(error, Error::DeviceMismatch { wanted: other.ordinal(), actual: device.ordinal() });
        assert_eq!(error.to_string(), format!("the stream belongs to {device}, not to {other}"));
        assert_eq!(stream.record_event()?.device(), Some(device));
        stream.synchronize()?;
    }
    Ok(())
}

/// T46
#[test]
fn the_default_streams_of_two_devices_are_unequal() -> Result<()> {
    for number in [0, 1, 2] {
        let [first, second] = devices().map(|device| external_on(device, ptr::without_provenance_mut(number)));
        let (first, second) = (first?, second?);
        assert_eq!([first.device(), second.device()], devices());
        assert_ne!(first, second);
        assert_eq!(first.as_raw(), second.as_raw());
        let hold = Hold::new(&first);
        assert!(!first.query()? && second.query()?);
        second.wait_stream(&first)?;
        assert!(!second.query()?, "handles are compared only within a context");
        hold.release();
        second.synchronize()?;
        assert_eq!(HashSet::from([first, second]).len(), 2);
    }
    Ok(())
}

#[test]
fn default_handles_are_of_the_device_that_is_current() -> Result<()> {
    on_a_fresh_thread(|| {
        for device in devices() {
            let stream = device.context()?.with_current(|| {
                // SAFETY: a default stream of a primary context.
                unsafe { ExternalStream::from_raw(ptr::null_mut()) }
            })??;
            assert_eq!((stream.device(), stream.context()), (device, device.context()?));
        }
        Ok(())
    })
}

/// T45
#[test]
fn they_answer_the_same_whatever_device_is_current() -> Result<()> {
    let devices = devices();
    for device in devices {
        for stream in [external_on(device, ptr::null_mut())?, external_on(device, ptr::without_provenance_mut(2))?] {
            let hold = Hold::new(&stream);
            for current in devices {
                assert!(!current.context()?.with_current(|| stream.query())??);
            }
            hold.release();
            let other = devices[1 - device.ordinal() as usize];
            other.context()?.with_current(|| stream.synchronize())??;
            assert!(stream.query()?);
        }
    }
    Ok(())
}

#[test]
fn streams_of_both_devices_wait_for_each_other() -> Result<()> {
    let [first, second] = streams();
    let theirs = theirs(second.device());
    let stream = external_on(second.device(), theirs.as_raw())?;
    let hold = Hold::new(&first);
    stream.wait_stream(&first)?;
    second.wait_stream(&stream)?;
    assert!(!stream.query()? && !second.query()?);
    assert_ne!(stream.as_stream(), first.as_stream());
    hold.release();
    second.synchronize()
}

/// cudarc's context of one device has no streams of the other.
#[test]
fn a_stream_is_lent_to_a_context_of_its_device_only() {
    for stream in streams() {
        let other = 1 - stream.device().ordinal();
        let cudarc = cudarc::driver::CudaContext::new(other as usize).expect("cudarc's view of the primary context");
        let refused = Err(Error::DeviceMismatch { wanted: other, actual: 1 - other });
        assert_eq!(stream.to_cudarc(&cudarc).map(drop), refused);
        assert!(!cudarc.is_in_multi_stream_mode());
    }
}
