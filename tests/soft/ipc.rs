//! Sharing between processes: which driver calls are made, what failures of them leave behind, and what a dead
//! context does.

use std::process::Command;

use cuda_streams::{
    AsEvent as _, Error, ErrorCode, Event, EventOptions, Interprocess, IpcEventHandle, IpcMemHandle, IpcMemory, IpcRefusal,
};
use softcuda::{inject, live};

use crate::common::child;
use crate::common::hold::Hold;
use crate::common::peer::{Link, Result, play};
use crate::common::shared::{SharedWords, hear_event, say_event};
use crate::common::world::World;
use crate::common::{contexts, device, on_a_fresh_thread, raw, streams};
use crate::counts::{CREATE, DESTROY, expect, sum};

/// Making a context current for a call, in a context that still lives.
const ENTER: [(&str, u64); 3] = [("cuCtxGetId", 1), ("cuCtxPopCurrent_v2", 1), ("cuCtxPushCurrent_v2", 1)];
/// The mode of the thread, there and back.
const RELAXED: [(&str, u64); 1] = [("cuThreadExchangeStreamCaptureMode", 2)];
/// `Device::context`.
const CONTEXT: [(&str, u64); 1] = [("cuCtxGetId", 1)];

/// Another process with an event and memory, which it keeps until it is told that nothing more comes.
fn exporter(parent: &mut Link) -> Result {
    let ([stream], data) = (streams(), SharedWords::new(device(), 7));
    let event = stream.record_event_with(EventOptions::new().interprocess())?;
    say_event(parent, &event);
    data.say(parent);
    parent.expect_end();
    assert_eq!(data.read(), 7);
    Ok(())
}

fn open_event(handle: IpcEventHandle) -> cuda_streams::Result<Event<Interprocess>> {
    // SAFETY: the exporter keeps it.
    unsafe { Event::from_ipc_handle(device(), handle) }
}

fn open_memory(handle: IpcMemHandle) -> cuda_streams::Result<IpcMemory> {
    // SAFETY: the exporter keeps it, and nobody writes.
    unsafe { IpcMemory::open(device(), handle) }
}

/// In its context, since nobody says that it needs none.
const EXPORT: [(&str, u64); 4] = [("cuCtxGetId", 1), ("cuCtxPopCurrent_v2", 1), ("cuCtxPushCurrent_v2", 1), ("cuIpcGetEventHandle", 1)];

/// Whoever has an exported event may record it, so each question goes to the driver; its handle is asked for once.
#[test]
fn an_exported_event_is_asked_for_each_time() -> cuda_streams::Result<()> {
    let [stream] = streams();
    let event = stream.record_event_with(EventOptions::new().interprocess())?;
    event.synchronize()?;
    assert!(expect(&[], || event.query()));
    let handle = expect(&EXPORT, || event.ipc_handle());
    for _ in 0..2 {
        assert_eq!(expect(&[], || event.ipc_handle()), handle);
        asked_each_time(&event)?;
    }
    let unrecorded = Event::interprocess();
    let export = sum([&CREATE, &EXPORT]);
    stream.scope(|| expect(&export, || unrecorded.ipc_handle()));
    asked_each_time(&unrecorded)
}

fn asked_each_time(event: &Event<Interprocess>) -> cuda_streams::Result<()> {
    let [stream, other] = streams();
    for _ in 0..2 {
        assert!(expect(&[("cuEventQuery", 1)], || event.query()));
        expect(&[("cuEventQuery", 1)], || event.status());
        expect(&[("cuEventQuery", 1)], || event.as_event().query());
        expect(&[("cuEventSynchronize", 1)], || event.synchronize());
        expect(&[("cuStreamWaitEvent", 1)], || other.wait_event(event));
        expect(&[("cuEventRecord", 1)], || event.record(&stream));
        expect(&[("cuEventSynchronize", 1)], || event.synchronize());
    }
    stream.synchronize()?;
    other.synchronize()
}

#[test]
fn an_imported_event_is_asked_for_each_time() {
    play("ipc::an_imported_event_is_asked_for_each_time", &[("exporter", exporter)], |cast| {
        let mut exporter = cast.start("exporter");
        let handle = exporter.expect_event();
        device().context()?;
        let open = sum([&CONTEXT, &ENTER, &RELAXED, &[("cuIpcOpenEventHandle", 1)]]);
        let event = expect(&open, || open_event(handle));
        expect(&[], || event.ipc_handle());
        asked_each_time(&event)?;
        let event = event.into_dynamic();
        for _ in 0..2 {
            assert!(expect(&[("cuEventQuery", 1)], || event.query()));
        }
        expect(&DESTROY, || event.destroy());
        Ok(())
    });
}

#[test]
fn each_call_on_shared_memory_is_one_of_the_driver() {
    play("ipc::each_call_on_shared_memory_is_one_of_the_driver", &[("exporter", exporter)], |cast| {
        let mut exporter = cast.start("exporter");
        let (_event, handle) = (exporter.expect_event(), exporter.expect_memory());
        device().context()?;
        let memory = expect(&sum([&CONTEXT, &ENTER, &RELAXED, &[("cuMemAlloc_v2", 1)]]), || IpcMemory::new(device(), 1));
        expect(&sum([&ENTER, &[("cuIpcGetMemHandle", 1)]]), || memory.ipc_handle());
        expect(&[], || memory.ipc_handle());
        expect(&[], || Ok((memory.bytes(), memory.as_raw(), memory.context(), memory.device(), memory.is_imported())));
        expect(&sum([&ENTER, &RELAXED, &[("cuMemFree_v2", 1)]]), || memory.close());

        let open = sum([&CONTEXT, &ENTER, &RELAXED, &[("cuIpcOpenMemHandle_v2", 1), ("cuMemGetAddressRange_v2", 1)]]);
        let memory = expect(&open, || open_memory(handle));
        expect(&[], || memory.ipc_handle());
        let close = sum([&ENTER, &RELAXED, &[("cuIpcCloseMemHandle", 1)]]);
        expect(&close, || {
            drop(memory);
            Ok(())
        });
        exporter.end();
        Ok(())
    });
}

/// What the driver can refuse once there is something to open.
#[test]
fn a_failure_while_something_is_opened_leaves_nothing() {
    play("ipc::a_failure_while_something_is_opened_leaves_nothing", &[("exporter", exporter)], |cast| {
        let mut exporter = cast.start("exporter");
        let (event, memory) = (exporter.expect_event(), exporter.expect_memory());
        device().context()?;
        on_a_fresh_thread(|| {
            let before = live();
            let told = |call: &'static str| Error::Driver { call, code: ErrorCode::new(4000).expect("not 0") };
            for call in ["cuIpcOpenEventHandle", "cuCtxPushCurrent_v2"] {
                let _failure = inject(call, 4000);
                assert_eq!(open_event(event).expect_err("it fails"), told(call));
            }
            for call in ["cuIpcOpenMemHandle_v2", "cuMemGetAddressRange_v2", "cuCtxPushCurrent_v2"] {
                let before = softcuda::calls("cuIpcCloseMemHandle");
                let _failure = inject(call, 4000);
                assert_eq!(open_memory(memory).expect_err("it fails"), told(call));
                let closes = softcuda::calls("cuIpcCloseMemHandle") - before;
                assert_eq!(closes, u64::from(call == "cuMemGetAddressRange_v2"), "what is open is closed: {call}");
            }
            // A mode that cannot be set is left as it is.
            for after in 0..4 {
                let _failure = inject("cuThreadExchangeStreamCaptureMode", 4000).after(after);
                assert!(open_memory(memory).and_then(IpcMemory::close).is_ok());
            }
            let opened = open_memory(memory).expect("nothing fails any more");
            let _failure = inject("cuIpcCloseMemHandle", 4000);
            assert_eq!(opened.close(), Err(told("cuIpcCloseMemHandle")));
            let after = live();
            assert_eq!(after.events, before.events);
            assert!(contexts::current().is_null());
        });
        exporter.end();
        Ok(())
    });
}

/// The codes that drivers are known to refuse with, and what the error says of each.
#[test]
fn the_drivers_codes_have_reasons() -> cuda_streams::Result<()> {
    let refused = |call, code, reason| Error::IpcRefused { call, code, reason };
    let (event, memory) = (IpcEventHandle::from_bytes([7; 64]), IpcMemHandle::from_bytes([7; 64]));
    for code in [ErrorCode::MAP_FAILED, ErrorCode::INVALID_VALUE, ErrorCode::INVALID_HANDLE] {
        let _failures = ["cuIpcOpenEventHandle", "cuIpcOpenMemHandle_v2"].map(|call| inject(call, code.get()));
        assert_eq!(open_event(event).unwrap_err(), refused("cuIpcOpenEventHandle", code, IpcRefusal::Unreachable));
        assert_eq!(open_memory(memory).unwrap_err(), refused("cuIpcOpenMemHandle_v2", code, IpcRefusal::Unreachable));
    }
    let exported = device().event(EventOptions::new().interprocess())?;
    let allocated = IpcMemory::new(device(), 1)?;
    let code = ErrorCode::NOT_SUPPORTED;
    let calls = ["cuIpcOpenEventHandle", "cuIpcOpenMemHandle_v2", "cuIpcGetEventHandle", "cuIpcGetMemHandle"];
    let _failures = calls.map(|call| inject(call, code.get()));
    let errors =
        [open_event(event).map(drop), open_memory(memory).map(drop), exported.ipc_handle().map(drop), allocated.ipc_handle().map(drop)];
    for (call, error) in calls.into_iter().zip(errors) {
        let error = error.unwrap_err();
        assert_eq!(error, refused(call, code, IpcRefusal::Unsupported));
        assert!(error.to_string().contains("IPC_EVENT_SUPPORTED") && error.to_string().contains(call), "{error}");
    }
    assert!(exported.ipc_handle().is_ok() && allocated.ipc_handle().is_ok(), "a failure is not remembered");
    Ok(())
}

/// A handle of the other kind is none.
#[test]
fn a_handle_of_the_other_kind_is_refused() {
    play("ipc::a_handle_of_the_other_kind_is_refused", &[("exporter", exporter)], |cast| {
        let mut exporter = cast.start("exporter");
        let (event, memory) = (exporter.expect_event(), exporter.expect_memory());
        let error = open_event(IpcEventHandle::from_bytes(*memory.as_bytes())).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::MAP_FAILED));
        let error = open_memory(IpcMemHandle::from_bytes(*event.as_bytes())).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::INVALID_VALUE));
        exporter.end();
        Ok(())
    });
}

/// What was in a context that is gone is leaked, without a call that could crash.
#[test]
fn what_is_shared_of_a_dead_context_is_leaked() {
    const TEST: &str = "ipc::what_is_shared_of_a_dead_context_is_leaked";
    let scenario = || {
        play(TEST, &[("exporter", exporter)], |cast| {
            let mut exporter = cast.start("exporter");
            let (event, memory) = (exporter.expect_event(), exporter.expect_memory());
            let gone = Err(Error::ContextDestroyed { device: 0 });
            let ours = device().event(EventOptions::new().interprocess())?;
            let allocated = [IpcMemory::new(device(), 1)?, IpcMemory::new(device(), 1)?];
            ours.ipc_handle()?;
            let handle = allocated[0].ipc_handle()?;
            let (imported, opened) = (open_event(event)?, [open_memory(memory)?, open_memory(memory)?]);
            reset();
            let left = live();

            let [first, second] = allocated;
            assert_eq!(first.close(), gone);
            assert_eq!(second.ipc_handle().map(drop), gone);
            let [other, another] = opened;
            assert_eq!(other.close(), gone);
            for event in [ours, imported] {
                assert_eq!(event.query().map(drop), gone);
                assert_eq!(event.ipc_handle().map(drop), gone);
                assert_eq!(event.destroy(), gone);
            }
            drop((second, another));
            assert_eq!(live(), left, "nothing is given back");
            // Nothing of it is known any more, and in the next context all is as ever.
            assert!(!matches!(open_memory(handle), Err(Error::OwnHandle { code: None, .. })));
            assert!(open_event(event)?.query()? && open_memory(memory)?.bytes() == 2 << 20);
            exporter.end();
            Ok(())
        });
    };
    let prepare = |command: &mut Command| {
        child::newest_driver(command);
        // A reset ends a context with objects in it.
        child::with_reports(command);
    };
    child::run(TEST, prepare, scenario);
}

/// As if somebody ended the context while the driver is asked: that is told, and not what the driver makes of it.
#[test]
fn a_context_that_ends_meanwhile_is_told() {
    const TEST: &str = "ipc::a_context_that_ends_meanwhile_is_told";
    /// How often the context is asked for before the call is made that is refused.
    fn check(call: &str, code: ErrorCode, asked: u64, f: impl FnOnce() -> cuda_streams::Result<()>) {
        let _refusal = inject(call, code.get());
        let _end = inject("cuCtxGetId", ErrorCode::CONTEXT_IS_DESTROYED.get()).after(asked);
        assert_eq!(f(), Err(Error::ContextDestroyed { device: 0 }), "{call}, {code}");
    }
    child::run(TEST, child::newest_driver, || {
        for code in [ErrorCode::INVALID_CONTEXT, ErrorCode::INVALID_HANDLE, ErrorCode::CONTEXT_IS_DESTROYED] {
            device().context().unwrap();
            check("cuIpcOpenEventHandle", code, 2, || open_event(IpcEventHandle::from_bytes([7; 64])).map(drop));
            device().context().unwrap();
            check("cuIpcOpenMemHandle_v2", code, 2, || open_memory(IpcMemHandle::from_bytes([7; 64])).map(drop));
            let event = device().event(EventOptions::new().interprocess()).unwrap();
            check("cuIpcGetEventHandle", code, 1, || event.ipc_handle().map(drop));
            let memory = IpcMemory::new(device(), 1).unwrap();
            check("cuIpcGetMemHandle", code, 1, || memory.ipc_handle().map(drop));
        }
    });
}

/// Ends the primary context, as somebody else may.
fn reset() {
    // SAFETY: nothing of the context is used any more without asking whether it lives.
    let code = unsafe { raw::cuDevicePrimaryCtxReset_v2(raw::device_number(device())) };
    assert_eq!(code, raw::SUCCESS);
}

/// A failure before cudarc has the memory gives it back.
#[test]
fn memory_that_cudarc_cannot_take_comes_back() {
    let world = World::new(device());
    for call in ["cuCtxPushCurrent_v2", "cuEventCreate"] {
        for after in 0..2 {
            let memory = IpcMemory::new(device(), 1).unwrap();
            let (address, before) = (memory.as_raw(), live());
            // A code that cudarc knows.
            let failure = inject(call, ErrorCode::OUT_OF_MEMORY.get()).after(after);
            let outcome = memory.into_cudarc::<u8>(&world.theirs[0], 1);
            drop(failure);
            let Err((memory, error)) = outcome else {
                assert_eq!((call, after), ("cuCtxPushCurrent_v2", 1), "there is no second one");
                continue;
            };
            assert_eq!(error.code(), Some(ErrorCode::OUT_OF_MEMORY), "{error:?}");
            assert_eq!((memory.as_raw(), live()), (address, before));
        }
    }
}

/// The event is held when it is exported, and seen so.
#[test]
fn an_event_that_is_pending_is_exported_as_it_is() {
    fn importer(parent: &mut Link) -> Result {
        let event = hear_event(parent);
        assert!(!event.query()?);
        parent.tell("pending");
        event.synchronize()?;
        parent.expect_end();
        Ok(())
    }
    play("ipc::an_event_that_is_pending_is_exported_as_it_is", &[("importer", importer)], |cast| {
        let [stream] = streams();
        let hold = Hold::new(&stream);
        let event = stream.record_event_with(EventOptions::new().interprocess())?;
        let mut importer = cast.start("importer");
        say_event(&mut importer, &event);
        importer.expect("pending");
        hold.release();
        importer.end();
        Ok(())
    });
}

/// The driver's documentation calls it undefined: here the importer goes on, and is told if it comes too late.
#[test]
fn imported_memory_outlives_the_exporter() {
    #[expect(clippy::unnecessary_wraps, reason = "as the other parts")]
    fn exporter(parent: &mut Link) -> Result {
        let data = SharedWords::new(device(), 3);
        data.say(parent);
        parent.expect_end();
        // The process ends with the memory.
        std::mem::forget(data);
        Ok(())
    }
    play("ipc::imported_memory_outlives_the_exporter", &[("exporter", exporter)], |cast| {
        let mut exporter = cast.start("exporter");
        let handle = exporter.expect_memory();
        let mut data = SharedWords::open(device(), handle)?;
        assert_eq!(data.read(), 3);
        exporter.end();
        assert_eq!(data.read(), 3);
        let [stream] = streams();
        data.copy_from(&stream, &SharedWords::new(device(), 4));
        stream.synchronize()?;
        assert_eq!(data.read(), 4);
        data.into_memory().close()?;
        let error = SharedWords::open(device(), handle).expect_err("it is gone with its last user");
        assert_eq!(error.code(), Some(ErrorCode::INVALID_HANDLE));
        assert!(error.to_string().contains("does the process that exported it live"), "{error}");
        Ok(())
    });
}
