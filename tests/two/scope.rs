//! The current streams and the current device where there are two devices.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use cuda_streams::{AsStream, Device, Error, Event, Result, Stream};

use crate::common::hold::Hold;
use crate::common::words::Words;
use crate::common::{assert_current, contexts, on_a_fresh_thread};
use crate::{devices, streams};

/// Checks which device is current, if any, and which streams are those of the two devices. For a stream
/// `None` stands for the default stream.
#[track_caller]
fn assert_state(device: Option<Device>, current: [Option<&Stream>; 2]) {
    assert_eq!(Device::current(), device.ok_or(Error::NoCurrentDevice));
    for (device, current) in devices().into_iter().zip(current) {
        let default = device.default_stream().expect("the default stream");
        let expected = current.map_or(default.as_stream(), Stream::as_stream);
        assert_eq!(device.current_stream().expect("a current stream").as_stream(), expected);
    }
}

/// T43, T91: the stream of the other device stays what it was.
#[test]
fn t043_scopes_over_two_devices_restore_what_was_current_before() {
    let [first, second] = devices();
    let ([zero, one], [zero_inside, one_inside]) = (streams(), streams());
    on_a_fresh_thread(|| {
        assert_state(None, [None, None]);
        zero.scope(|| {
            assert_state(Some(first), [Some(&zero), None]);
            one.scope(|| {
                assert_state(Some(second), [Some(&zero), Some(&one)]);
                zero_inside.scope(|| {
                    assert_state(Some(first), [Some(&zero_inside), Some(&one)]);
                    one_inside.scope(|| assert_state(Some(second), [Some(&zero_inside), Some(&one_inside)]));
                    assert_state(Some(first), [Some(&zero_inside), Some(&one)]);
                });
                assert_state(Some(second), [Some(&zero), Some(&one)]);
            });
            assert_state(Some(first), [Some(&zero), None]);
        });
        assert_state(None, [None, None]);
    });
}

/// T44, T78
#[test]
fn t078_the_devices_have_current_streams_of_their_own() -> Result<()> {
    let [first, second] = streams();
    let current_streams = || -> Result<()> {
        let [zero, one] = devices().map(Device::current_stream);
        let (zero, one) = (zero?, one?);
        assert_ne!(zero.as_stream(), one.as_stream());
        assert_eq!([zero.device(), one.device()], devices());
        Ok(())
    };
    current_streams()?;
    first.scope(current_streams)?;
    second.scope(current_streams)?;
    first.scope(|| second.scope(current_streams))
}

/// T40: whether it is asked for by the device or as that of the current one.
#[test]
fn t040_the_current_stream_of_a_device_is_on_that_device() -> Result<()> {
    for (device, stream) in devices().into_iter().zip(streams()) {
        let by_ordinal = Device::get(device.ordinal())?;
        let (current, again) = (device.current_stream()?, by_ordinal.current_stream()?);
        assert_eq!((current.device(), current.context()), (device, device.context()?));
        assert_eq!(current.as_stream(), again.as_stream());
        device.context()?.with_current(|| assert_current(&current))?;
        stream.scope(|| assert_current(&stream));
        assert_eq!(stream.device(), device);
    }
    Ok(())
}

/// T39, T67: the current device follows the innermost scope, and outside of all scopes the current context.
#[test]
fn t039_contexts_nest_and_set_the_current_device() -> Result<()> {
    let [first, second] = devices();
    let [zero, one] = [first.context()?, second.context()?];
    on_a_fresh_thread(|| {
        zero.with_current(|| {
            assert_state(Some(first), [None, None]);
            one.with_current(|| {
                assert_state(Some(second), [None, None]);
                zero.with_current(|| assert_state(Some(first), [None, None]))?;
                assert_state(Some(second), [None, None]);
                contexts::change();
                Ok(())
            })??;
            assert_state(Some(first), [None, None]);
            first.synchronize()?;
            second.synchronize()?;
            assert_state(Some(first), [None, None]);
            Ok(())
        })??;
        assert_state(None, [None, None]);
        Ok(())
    })
}

/// T67
#[test]
fn t067_a_scope_makes_the_device_of_its_stream_current() -> Result<()> {
    let [first, second] = devices();
    let [zero, one] = streams();
    first.context()?.with_current(|| {
        one.scope(|| {
            assert_state(Some(second), [None, Some(&one)]);
            first.synchronize()?;
            zero.synchronize()?;
            assert_state(Some(second), [None, Some(&one)]);
            assert_eq!(contexts::current(), first.context()?.as_raw(), "the driver's current context stays");
            let event = Event::new();
            event.record_current()?;
            assert_eq!(event.device(), Some(second));
            event.synchronize()
        })?;
        assert_state(Some(first), [None, None]);
        Ok(())
    })?
}

/// T76: a stream's scope sets its device's stream; a context sets the device and no stream.
#[test]
fn t076_a_context_inside_of_a_scope_changes_no_stream() -> Result<()> {
    let [first, second] = devices();
    let [zero, one] = streams();
    on_a_fresh_thread(|| {
        second.context()?.with_current(|| {
            assert_state(Some(second), [None, None]);
            zero.scope(|| {
                assert_state(Some(first), [Some(&zero), None]);
                second.context()?.with_current(|| {
                    assert_state(Some(first), [Some(&zero), None]);
                    one.scope(|| assert_state(Some(second), [Some(&zero), Some(&one)]));
                    assert_state(Some(first), [Some(&zero), None]);
                })
            })?;
            assert_state(Some(second), [None, None]);
            Ok(())
        })?
    })
}

/// T93
#[test]
fn t093_a_new_stream_is_not_current_on_either_device() {
    let [first, second] = devices();
    on_a_fresh_thread(|| {
        let [zero, one] = streams();
        assert_state(None, [None, None]);
        one.scope(|| {
            let _more = streams();
            assert_state(Some(second), [None, Some(&one)]);
        });
        zero.scope(|| assert_state(Some(first), [Some(&zero), None]));
        assert_state(None, [None, None]);
    });
}

/// T92
#[test]
fn t092_a_panic_restores_the_streams_of_both_devices() {
    let [first, _] = devices();
    let ([zero, one], [zero_inside, _]) = (streams(), streams());
    zero.scope(|| {
        let thrown = catch_unwind(AssertUnwindSafe(|| one.scope(|| zero_inside.scope(|| resume_unwind(Box::new(92))))));
        assert_eq!(thrown.unwrap_err().downcast_ref(), Some(&92));
        assert_state(Some(first), [Some(&zero), None]);
    });
}

/// T38: a copy from device to device comes behind the current streams of both.
#[test]
fn t038_current_streams_of_two_devices_are_ordered_around_a_copy() -> Result<()> {
    let [zero, one] = streams();
    let copy = |from: Device, to: Device| -> Result<()> {
        let (producer, consumer) = (from.current_stream()?, to.current_stream()?);
        let source = Words::new(from, 38);
        let (mut mail, mut target, mut seen) = (Words::on_the_host(), Words::new(to, 1), Words::new(to, 0));
        let (hold_before, hold_there) = (Hold::new(&producer), Hold::new(&consumer));
        seen.copy_from(&consumer, &target);
        source.copy_to_host(&producer, &mut mail);
        consumer.wait_stream(&producer)?;
        target.copy_from_host(&consumer, &mail);
        let end = consumer.record_event()?;
        hold_there.release();
        assert!(!end.query()?, "the copy waits for the producer");
        hold_before.release();
        end.synchronize()?;
        assert!(producer.query()?);
        assert_eq!((seen.read(), target.read()), (1, 38));
        Ok(())
    };
    let [first, second] = devices();
    zero.scope(|| one.scope(|| copy(first, second)))?;
    zero.scope(|| one.scope(|| copy(second, first)))?;
    assert_ne!(zero, one);
    Ok(())
}
