//! Two devices have two contexts, and what is done with one leaves the other alone.

use std::collections::HashSet;
#[cfg(not(miri))]
use std::sync::Barrier;
#[cfg(not(miri))]
use std::thread;

use cuda_streams::{AsStream, Device, Result, Stream, StreamOptions};

#[cfg(not(miri))]
use crate::common::calls::{Call, DEVICE_CALLS, WORLD_CALLS};
use crate::common::raw;
#[cfg(not(miri))]
use crate::common::world::World;
#[cfg(not(miri))]
use crate::common::{child, contexts, on_a_fresh_thread};
use crate::{devices, streams};

#[test]
fn two_devices_are_told_apart() -> Result<()> {
    let [first, second] = devices();
    assert_ne!(first, second);
    assert_ne!(first.uuid()?, second.uuid()?);
    assert_ne!(first.pci_bus_id()?, second.pci_bus_id()?);
    assert_ne!(first.context()?, second.context()?);
    assert_ne!(first.context()?.as_raw(), second.context()?.as_raw());
    assert_eq!(first.context()?.id() != second.context()?.id(), raw::has_ids());
    for device in [first, second] {
        assert_eq!(Device::by_uuid(device.uuid()?)?, device);
        assert_eq!(Device::by_pci_bus_id(&device.pci_bus_id()?)?, device);
        assert_eq!(device.context()?.device(), device);
    }
    Ok(())
}

/// T44, T410
#[test]
fn t044_a_stream_belongs_to_the_device_it_was_made_for() {
    let [first, second] = streams();
    assert_eq!([first.device(), second.device()], devices());
    assert_ne!(first, second);
    let ids: HashSet<u64> = (0..4).flat_map(|_| streams()).map(|stream| stream.id()).collect();
    assert_eq!(ids.len(), 8, "ids are unique over devices");
}

/// T45
#[test]
fn t045_a_stream_answers_the_same_whatever_device_is_current() -> Result<()> {
    let check = |stream: &Stream| -> Result<()> {
        let hold = crate::common::hold::Hold::new(stream);
        let event = stream.record_event()?;
        for device in devices() {
            let answers = device.context()?.with_current(|| (stream.query(), event.query(), stream.priority()))?;
            assert_eq!(answers, (Ok(false), Ok(false), 0));
        }
        hold.release();
        let [first, second] = devices();
        let other = if stream.device() == first { second } else { first };
        other.context()?.with_current(|| stream.synchronize())??;
        assert!(event.query()?);
        Ok(())
    };
    streams().iter().try_for_each(check)
}

/// T47
#[test]
fn t047_a_stream_has_the_least_or_the_greatest_priority_of_its_device() -> Result<()> {
    for device in devices() {
        let (greatest, least) = device.context()?.stream_priorities()?.into_inner();
        assert!(greatest < least);
        for priority in [greatest, least] {
            let stream = device.stream_with(StreamOptions::new().priority(priority))?;
            assert_eq!((stream.priority(), stream.device()), (priority, device));
            assert_eq!(stream.as_stream().priority(), Ok(priority), "the driver says so");
        }
    }
    Ok(())
}

/// T57: the first context of each device, made by threads at once.
#[cfg(not(miri))]
#[test]
fn t057_threads_initialise_two_devices_at_once() {
    child::run("contexts::t057_threads_initialise_two_devices_at_once", child::same_environment, || {
        let start = Barrier::new(8);
        let work = &|ordinal| {
            start.wait();
            let stream = Device::get(ordinal).unwrap().stream().unwrap();
            stream.record_event().unwrap().synchronize().unwrap();
            stream.context()
        };
        let contexts: HashSet<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|index| scope.spawn(move || work(index % 2))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(contexts, HashSet::from(devices().map(|device| device.context().unwrap())));
    });
}

#[test]
fn peers_are_enabled_once_and_again() -> Result<()> {
    let [first, second] = devices();
    for (here, there) in [(first, second), (second, first)] {
        if here.can_access_peer(there)? {
            here.enable_peer_access(there)?;
            here.enable_peer_access(there)?;
        } else {
            let error = here.enable_peer_access(there).unwrap_err();
            assert_eq!(error.code(), Some(cuda_streams::ErrorCode::PEER_ACCESS_UNSUPPORTED));
        }
    }
    Ok(())
}

/// Not under Miri, which walks over all calls in `current.rs`.
#[cfg(not(miri))]
#[test]
fn no_call_on_one_device_replaces_the_context_of_the_other() {
    let [first, second] = devices();
    for (here, there) in [(first, second), (second, first)] {
        let world = World::new(here);
        let foreign = there.context().unwrap();
        let _theirs = on_a_fresh_thread(move || {
            let theirs = foreign.with_current(|| {
                check(DEVICE_CALLS, &world.device, |name| assert_eq!(contexts::current(), foreign.as_raw(), "{name}"));
                check(WORLD_CALLS, &world, |name| assert_eq!(contexts::current(), foreign.as_raw(), "{name}"));
                world.theirs
            });
            assert!(contexts::current().is_null());
            theirs
        });
    }
}

#[cfg(not(miri))]
fn check<T>(calls: &[Call<T>], on: &T, after: impl Fn(&str)) {
    for Call { name, run, .. } in calls {
        run(on).unwrap_or_else(|error| panic!("{name}: {error}"));
        after(name);
    }
}

/// T501: each device in a process where the other one has no context.
#[cfg(not(miri))]
#[test]
fn t501_no_call_activates_another_device() {
    child::run_each("contexts::t501_no_call_activates_another_device", [0, 1], |index| {
        let (used, unused) = (devices()[index], devices()[1 - index]);
        let inactive = |name: &str| assert!(!unused.is_active().unwrap(), "{name} on {used} activates {unused}");
        check(DEVICE_CALLS, &used, inactive);
        let world = World::new(used);
        check(WORLD_CALLS, &world, inactive);
        drop(world);
        inactive("drop");
    });
}

#[cfg(not(miri))]
#[test]
fn peer_access_activates_both_devices() {
    child::run("contexts::peer_access_activates_both_devices", child::same_environment, || {
        let [first, second] = devices();
        assert!(!first.is_active().unwrap() && !second.is_active().unwrap());
        // Whether the devices are peers is of no importance here.
        let _ = second.enable_peer_access(first);
        assert!(first.is_active().unwrap() && second.is_active().unwrap());
    });
}
