//! Devices: finding them, their properties, and that asking costs no context.

mod common;

use std::collections::HashSet;

#[cfg(not(miri))]
use common::child;
use common::device;
use cuda_streams::{Device, DeviceAttribute, DeviceUuid, Error, ErrorCode, Result, driver_version};

/// How many there are: at least the one that these tests need.
fn count() -> u32 {
    assert_eq!(device().ordinal(), 0);
    Device::count().expect("devices are counted")
}

#[test]
fn count_get_and_all_agree() -> Result<()> {
    let count = count();
    let all: Vec<Device> = Device::all()?.collect();
    let by_ordinal: Vec<Device> = (0..count).map(Device::get).collect::<Result<_>>()?;
    assert_eq!(all, by_ordinal);
    assert_eq!(Device::all()?.len(), all.len());
    assert!(all.iter().map(|device| device.ordinal()).eq(0..count));
    Ok(())
}

#[test]
fn a_device_is_an_identity() -> Result<()> {
    let device = device();
    let again = device;
    assert_eq!(device, again);
    assert_eq!(Device::all()?.collect::<HashSet<_>>().len(), Device::all()?.len());
    assert!(Device::all()?.skip(1).all(|other| other != device));
    assert_eq!(format!("{device} {device:?}"), "device 0 Device(0)");
    Ok(())
}

#[test]
fn an_ordinal_that_is_not_there_is_named_with_the_count() {
    let count = count();
    for ordinal in [count, count + 1, u32::MAX] {
        let error = Device::get(ordinal).unwrap_err();
        assert_eq!(error, Error::NoSuchDevice { wanted: ordinal.to_string().into(), count });
        assert_eq!(error.to_string(), format!("no CUDA device {ordinal}: this machine has {count}"));
    }
}

#[test]
fn a_uuid_finds_its_device() -> Result<()> {
    let (count, mut uuids) = (count(), HashSet::from([DeviceUuid::from_bytes([0; 16])]));
    for device in Device::all()? {
        let uuid = device.uuid()?;
        assert_eq!(Device::by_uuid(uuid)?, device);
        let text = uuid.to_string();
        for text in [&text, &text.to_uppercase(), &text.replace("GPU-", "")] {
            assert_eq!(text.parse(), Ok(uuid), "{text}");
        }
        assert!(uuids.insert(uuid), "no device has it, or two have it: {uuid}");
    }
    assert_eq!(uuids.len() - 1, count as usize);
    Ok(())
}

#[test]
fn a_uuid_that_is_not_there_is_named() {
    let count = count();
    let unknown = DeviceUuid::from_bytes([0x5a; 16]);
    let error = Device::by_uuid(unknown).unwrap_err();
    assert_eq!(error, Error::NoSuchDevice { wanted: unknown.to_string().into(), count });
}

#[test]
fn a_pci_address_finds_its_device() -> Result<()> {
    assert!(count() > 0);
    for device in Device::all()? {
        let address = device.pci_bus_id()?;
        assert!(address.contains(':'), "{address}");
        assert_eq!(Device::by_pci_bus_id(&address)?, device);
        assert_eq!(Device::by_pci_bus_id(&address.to_lowercase())?, device);
    }
    Ok(())
}

#[test]
fn a_pci_address_that_is_none_is_named() {
    let count = count();
    for address in ["7fff:7e:1d.0", "", "no address", "0000:00\0:00.0"] {
        let error = Device::by_pci_bus_id(address).unwrap_err();
        assert_eq!(error, Error::NoSuchDevice { wanted: format!("{address:?}").into(), count });
    }
}

#[test]
fn properties_agree_with_attributes() -> Result<()> {
    let device = device();
    assert!(!device.name()?.is_empty());
    assert!(!device.name()?.contains('\0'));
    let (major, minor) = device.compute_capability()?;
    assert_eq!(i64::from(device.attribute(DeviceAttribute::COMPUTE_CAPABILITY_MAJOR)?), i64::from(major));
    assert_eq!(i64::from(device.attribute(DeviceAttribute::COMPUTE_CAPABILITY_MINOR)?), i64::from(minor));
    assert!(major >= 5, "older devices than this have no driver");
    assert!(device.total_memory()? > 1 << 20);
    assert!(!device.can_access_peer(device)?, "a device is no peer of itself");
    assert!(device.attribute(DeviceAttribute::MULTIPROCESSOR_COUNT)? > 0);
    assert!(device.attribute(DeviceAttribute::MAX_THREADS_PER_BLOCK)? >= 512);
    Ok(())
}

#[test]
fn an_unknown_attribute_is_the_drivers_error() {
    let error = device().attribute(DeviceAttribute::new(60_000)).unwrap_err();
    assert_eq!(error, Error::Driver { call: "cuDeviceGetAttribute", code: ErrorCode::INVALID_VALUE });
}

#[test]
fn the_driver_tells_its_version() -> Result<()> {
    assert!(count() > 0);
    let (major, minor) = driver_version()?;
    assert!((11, 4) <= (major, minor), "older drivers than this are not supported: {major}.{minor}");
    assert!(minor < 10);
    Ok(())
}

#[cfg(not(miri))]
#[test]
fn properties_create_no_context() {
    child::run("properties_create_no_context", child::same_environment, || {
        for device in Device::all().unwrap() {
            device.name().unwrap();
            device.pci_bus_id().unwrap();
            device.uuid().unwrap();
            device.compute_capability().unwrap();
            device.total_memory().unwrap();
            device.attribute(DeviceAttribute::WARP_SIZE).unwrap();
            for peer in Device::all().unwrap() {
                device.can_access_peer(peer).unwrap();
            }
            device.synchronize().unwrap();
        }
        for device in Device::all().unwrap() {
            assert!(!device.is_active().unwrap(), "{device} has a context");
        }
        let first = device();
        first.context().unwrap();
        assert!(first.is_active().unwrap(), "is_active sees a context that is there");
    });
}

/// T57: the first retain in a process, by many threads at once.
#[cfg(not(miri))]
#[test]
fn t057_threads_that_race_for_the_first_context_get_the_same() {
    child::run("t057_threads_that_race_for_the_first_context_get_the_same", child::same_environment, || {
        let start = std::sync::Barrier::new(8);
        let race = || {
            start.wait();
            device().context().unwrap()
        };
        let contexts: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(race)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(contexts.iter().all(|context| *context == contexts[0]), "{contexts:?}");
        assert!(device().is_active().unwrap());
    });
}
