//! Events that are made for other processes, in the process that makes them.
#![cfg(not(miri))]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::{hint, thread};

use common::contexts::{self, SecondContext};
use common::hold::Hold;
use common::theirs::{NON_BLOCKING, TheirStream};
use common::words::Words;
use common::{child, device, on_a_fresh_thread, raw, streams};
use cuda_streams::{
    Error, ErrorCode, Event, EventOptions, EventStatus, ExternalStream, Interprocess, IpcEventHandle, IpcKind, IpcRefusal, Result,
};

/// A bound event that was never recorded.
fn bound() -> Result<Event<Interprocess>> {
    device().event(EventOptions::new().interprocess())
}

/// Opens a handle that is none, or that this process must not open.
fn open(handle: IpcEventHandle) -> Error {
    // SAFETY: nothing that the driver can open.
    unsafe { Event::from_ipc_handle(device(), handle) }.expect_err("there is nothing to open")
}

/// Threads that export one event at once get one handle.
#[test]
fn an_event_has_one_handle() -> Result<()> {
    let [stream] = streams();
    for event in [stream.record_event_with(EventOptions::new().interprocess())?, device().event(EventOptions::new().interprocess())?] {
        let handles: Vec<_> = thread::scope(|scope| {
            // They have no current context, and need none.
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| event.ipc_handle())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let handle = event.ipc_handle()?;
        assert!(handles.iter().all(|other| *other == Ok(handle)), "{handles:?}");
        assert_ne!(handle, stream.record_event_with(EventOptions::new().interprocess())?.ipc_handle()?);
        event.record(&stream)?;
        assert_eq!(event.ipc_handle()?, handle);
    }
    Ok(())
}

/// Of threads that export one event in scopes of two contexts at once, one says in which it is: they get one handle, which
/// is forgotten with the event.
#[test]
fn an_event_that_is_exported_in_two_contexts_at_once_has_one_handle() -> Result<()> {
    const ROUNDS: u32 = 300;
    let second = SecondContext::new(device());
    let theirs = second.with_current(|| TheirStream::in_current(NON_BLOCKING, 0));
    // SAFETY: the stream lives until the end.
    let there = unsafe { ExternalStream::from_raw(theirs.as_raw()) }?;
    let here = device().stream()?;
    for round in 0..ROUNDS {
        let (event, ready) = (Event::interprocess(), AtomicU32::new(0));
        // One of them is later by as much as either takes, in one of the rounds.
        let together = |turns| {
            ready.fetch_add(1, Ordering::AcqRel);
            while ready.load(Ordering::Acquire) < 2 {
                hint::spin_loop();
            }
            (0..turns).for_each(|_| hint::spin_loop());
        };
        let handles = thread::scope(|scope| {
            let other = scope.spawn(|| {
                there.scope(|| {
                    together(round % 100 * 10);
                    event.ipc_handle()
                })
            });
            let handle = here.scope(|| {
                together(0);
                event.ipc_handle()
            });
            [handle, other.join().unwrap()]
        });
        let handle = event.ipc_handle()?;
        assert_eq!(handles, [Ok(handle), Ok(handle)], "round {round}");
        assert!([here.context(), there.context()].map(Some).contains(&event.context()));
        drop(event);
        assert_ne!(open(handle), Error::OwnHandle { what: IpcKind::Event, code: None }, "round {round}: it is forgotten");
    }
    Ok(())
}

/// The order of memory that only this process has, through an event that others may have: what this crate knows of
/// the event is not used any more, and what is recorded here counts.
#[test]
fn an_exported_event_orders_here_as_before() -> Result<()> {
    let ([producer, consumer], source) = (streams(), Words::new(device(), 9));
    let [mut data, mut seen] = [0; 2].map(|value| Words::new(device(), value));
    let event = device().event(EventOptions::new().interprocess())?;
    assert_eq!(event.status()?, EventStatus::NotRecorded);
    event.ipc_handle()?;
    assert_eq!(event.status()?, EventStatus::Complete, "others may have recorded it");
    let hold = Hold::new(&producer);
    data.copy_from(&producer, &source);
    event.record(&producer)?;
    consumer.wait_event(&event)?;
    seen.copy_from(&consumer, &data);
    assert!(!consumer.query()? && !event.query()?);
    common::returns_after_release(hold, || event.synchronize())?;
    consumer.synchronize()?;
    assert_eq!(seen.read(), 9);
    Ok(())
}

/// Never a context on device 0 because none was named.
#[test]
fn without_a_current_device_an_unrecorded_event_is_not_exported() {
    child::run("without_a_current_device_an_unrecorded_event_is_not_exported", child::same_environment, || {
        let device = device();
        on_a_fresh_thread(|| {
            let event = Event::interprocess();
            assert_eq!(event.ipc_handle(), Err(Error::NoCurrentDevice));
            assert!(!device.is_active().unwrap(), "it has made a context");
            assert_eq!((event.device(), event.status().unwrap()), (None, EventStatus::NotRecorded), "it is as it was");
            event.bind(device).unwrap();
            assert!(event.ipc_handle().is_ok(), "the device is named");
        });
    });
}

/// T60, of one device: `two/ipc.rs` has two.
#[test]
fn an_unrecorded_event_is_created_on_the_current_device() {
    child::run("an_unrecorded_event_is_created_on_the_current_device", child::same_environment, || {
        let second = SecondContext::new(device());
        on_a_fresh_thread(|| {
            let event = Event::interprocess();
            assert!(!device().is_active().unwrap());
            second.with_current(|| event.ipc_handle()).unwrap();
            assert!(device().is_active().unwrap());
            assert_eq!(event.context(), Some(device().context().unwrap()), "the primary context, not the one that is current");
            assert!(contexts::current().is_null());
        });
    });
}

#[test]
fn an_unrecorded_event_is_created_in_the_context_of_the_scope() -> Result<()> {
    let second = SecondContext::new(device());
    let theirs = second.with_current(|| TheirStream::in_current(NON_BLOCKING, 0));
    // SAFETY: the stream lives until the end.
    let stream = unsafe { ExternalStream::from_raw(theirs.as_raw()) }?;
    assert_ne!(stream.context(), device().context()?);
    on_a_fresh_thread(|| {
        let event = Event::interprocess();
        stream.scope(|| event.ipc_handle())?;
        assert_eq!(event.context(), Some(stream.context()));
        event.record(&stream)?;
        event.synchronize()?;
        let event = Event::interprocess();
        device().stream()?.scope(|| event.ipc_handle())?;
        assert_eq!(event.context(), Some(device().context()?));
        Ok(())
    })
}

/// T445, T451: the process that exported it cannot open it. That a time between such events does not compile is a
/// doctest of `Interprocess`.
#[test]
fn t451_the_process_that_exported_a_handle_cannot_open_it() -> Result<()> {
    let event = bound()?;
    let handle = event.ipc_handle()?;
    let error = open(handle);
    assert_eq!(error, Error::OwnHandle { what: IpcKind::Event, code: None });
    assert!(error.to_string().ends_with("use the event itself; only other processes can open it"), "{error}");

    // One that this crate knows nothing of, so that the driver says it.
    let mut handle = [0_u8; 64];
    let other = bound()?;
    let raw = other.as_raw().expect("it is bound");
    // SAFETY: a live local of 64 bytes, and an event that lives.
    let mut export = || unsafe { raw::cuIpcGetEventHandle(handle.as_mut_ptr().cast(), raw) };
    assert_eq!(export(), ErrorCode::INVALID_CONTEXT.get(), "none is current");
    assert_eq!(device().context()?.with_current(export)?, raw::SUCCESS);
    let error = open(handle.into());
    assert_eq!(error, Error::OwnHandle { what: IpcKind::Event, code: Some(ErrorCode::INVALID_CONTEXT) });
    assert!(error.to_string().contains("in another container"), "the driver knows process ids only: {error}");
    Ok(())
}

/// What is dropped, destroyed or given up is nothing that this crate knows of any more.
#[test]
fn a_handle_is_forgotten_with_its_event() -> Result<()> {
    let ends: [fn(Event<Interprocess>); 4] = [
        drop,
        |event| event.destroy().expect("it is destroyed"),
        |event| drop(event.into_dynamic()),
        |event| {
            let raw = event.into_raw().expect("it is bound");
            // SAFETY: given up just now.
            assert_eq!(unsafe { raw::cuEventDestroy_v2(raw) }, raw::SUCCESS);
        },
    ];
    for end in ends {
        let event = bound()?;
        let handle = event.ipc_handle()?;
        assert_eq!(open(handle), Error::OwnHandle { what: IpcKind::Event, code: None });
        end(event);
        let error = open(handle);
        assert_ne!(error, Error::OwnHandle { what: IpcKind::Event, code: None }, "that the driver has to say");
        assert!(error.code().is_some(), "{error:?}");
    }
    // The next event may be where the last one was, and has the handle that the driver says.
    bound()?.ipc_handle()?;
    let (next, mut handle) = (bound()?, [0_u8; 64]);
    let known = next.ipc_handle()?;
    let raw = next.as_raw().expect("it is bound");
    // SAFETY: a live local of 64 bytes, and an event that lives.
    let code = device().context()?.with_current(|| unsafe { raw::cuIpcGetEventHandle(handle.as_mut_ptr().cast(), raw) })?;
    assert_eq!((code, known), (raw::SUCCESS, handle.into()));
    Ok(())
}

/// T449: by type an event that was not made for it has no handle (a doctest of `ipc_handle`); if somebody said that it
/// was, the driver knows.
#[test]
fn t449_an_event_that_was_not_made_for_it_is_not_exported() -> Result<()> {
    for raw in [device().event(EventOptions::new())?.into_raw(), device().event(EventOptions::new().timed())?.into_raw()] {
        let (context, raw) = (device().context()?, raw.expect("it is bound"));
        // SAFETY: given up just now. The options are not those it was made with, which only the driver notices.
        let event = unsafe { Event::from_raw(context, raw, EventOptions::new().interprocess()) }?;
        let error = event.ipc_handle().unwrap_err();
        let (call, code) = ("cuIpcGetEventHandle", ErrorCode::INVALID_HANDLE);
        assert_eq!(error, Error::IpcRefused { call, code, reason: IpcRefusal::NotExportable });
        let text = error.to_string();
        assert!(text.contains(call) && text.contains("INVALID_HANDLE (400)") && text.contains("Event::interprocess"), "{text}");
        event.record(&device().stream()?)?;
        event.synchronize()?;
    }
    Ok(())
}

/// T450
#[test]
fn t450_a_handle_of_nothing_is_refused() -> Result<()> {
    for byte in [0, 0xff] {
        let error = open(IpcEventHandle::from_bytes([byte; 64]));
        let (call, code) = ("cuIpcOpenEventHandle", ErrorCode::MAP_FAILED);
        assert_eq!(error, Error::IpcRefused { call, code, reason: IpcRefusal::Unreachable });
        let text = error.to_string();
        assert!(text.contains(call) && text.contains("MAP_FAILED (205)") && text.contains("are these the 64 bytes"), "{text}");
    }
    let [stream] = streams();
    stream.record_event()?.synchronize()
}
