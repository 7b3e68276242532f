//! What holds on a machine without a driver. Panics where it does not; for a process that finds none.

use cuda_streams::{
    AsEvent, Device, DeviceUuid, ElapsedTime, Error, Event, EventFlags, EventOptions, EventStatus, Interprocess, Result, StreamOptions,
    Timed, Untimed, Which, driver_version,
};

/// Everything that can be reached without a device.
pub(crate) fn check() {
    // Twice, since a failure is not remembered.
    for _ in 0..2 {
        what_needs_a_driver_says_so();
        what_needs_none_works();
    }
    std::thread::spawn(what_needs_a_driver_says_so).join().expect("on another thread, too");
}

fn what_needs_a_driver_says_so() {
    let calls: [(&str, Result<()>); 6] = [
        ("driver_version", driver_version().map(drop)),
        ("Device::count", Device::count().map(drop)),
        ("Device::get", Device::get(0).map(drop)),
        ("Device::all", Device::all().map(drop)),
        ("Device::by_uuid", Device::by_uuid(DeviceUuid::from_bytes([1; 16])).map(drop)),
        ("Device::by_pci_bus_id", Device::by_pci_bus_id("0000:01:00.0").map(drop)),
    ];
    for (name, result) in calls {
        let error = result.expect_err(name);
        let text = error.to_string();
        let Error::DriverNotFound { tried } = &error else { panic!("{name}: {error:?}") };
        assert!(!tried.is_empty(), "{name} does not say what was tried");
        for attempt in tried {
            assert!(text.contains(attempt.name) && text.contains(&attempt.reason), "{name}: {attempt:?} is missing in {text:?}");
        }
        assert!(text.starts_with("no CUDA driver found; install the NVIDIA driver. Tried, in this order: "), "{text}");
        assert_eq!((error.code(), error.is_sticky()), (None, false), "{name}");
    }
}

fn what_needs_none_works() {
    static MARK: Event = Event::new();
    let dynamic = Event::with_flags(EventFlags::BLOCKING_SYNC).expect("accepted flags");
    let options = EventOptions::new().timed().blocking_sync(true);
    let timed = [Event::timed(), Event::<Timed>::default(), options.build()];
    let interprocess = [Event::interprocess(), Event::<Interprocess>::default()];
    let untimed = [Event::new(), Event::<Untimed>::default()];

    let events: [&dyn AsEvent; 9] =
        [&MARK, &dynamic, &timed[0], &timed[1], &timed[2], &interprocess[0], &interprocess[1], &untimed[0], &untimed[1]];
    for event in events {
        let event = event.as_event();
        assert_eq!((event.query(), event.synchronize(), event.status()), (Ok(true), Ok(()), Ok(EventStatus::NotRecorded)));
        assert!(format!("{event:?}").contains("device: None"), "{event:?}");
    }
    assert_eq!((MARK.device(), MARK.context(), MARK.as_raw()), (None, None, None));
    assert!(timed[2].is_timed() && timed[2].is_blocking_sync() && !timed[2].is_interprocess());
    assert_eq!(timed[0].elapsed_time(&timed[1]), Err(Error::NotRecorded { which: Which::Start, code: None }));
    assert!(dynamic.try_into_timed().is_ok());
    assert!(matches!(Event::with_flags(EventFlags::INTERPROCESS), Err(Error::InvalidEventFlags { flags: 4, .. })));
    assert_eq!(untimed.into_iter().try_for_each(Event::destroy), Ok(()));
    assert_eq!(StreamOptions::new(), StreamOptions::default());
    assert_eq!(ElapsedTime::from_millis_f32(1.5).to_string(), "1.500 ms");
}
