//! What processes share is made, exported, opened and given back beside an open capture, which lives on.
#![cfg(not(miri))]

mod common;

use common::beside::beside;
use common::hold::Hold;
use common::peer::{Link, play};
use common::shared::{SharedWords, say_event};
use common::{device, raw, streams};
use cuda_streams::{
    CaptureMode, CaptureStatus, Error, ErrorCode, Event, EventOptions, EventStatus, Interprocess, IpcEventHandle, IpcMemHandle, IpcMemory,
    Result, Stream,
};

fn new_event() -> Result<Event<Interprocess>> {
    device().event(EventOptions::new().interprocess())
}

/// An edge of a graph is nothing to other processes. The capture lives on, also one of others.
#[test]
fn a_record_in_a_capture_is_refused() {
    let [stream] = streams();
    let (event, code) = (new_event().unwrap(), ErrorCode::STREAM_CAPTURE_UNSUPPORTED);
    let refused = Err(Error::NotExternal { call: "cuEventRecord", code });
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        assert_eq!(scope.record(&event), refused);
        Ok(())
    });
    assert_eq!(graph.unwrap().is_empty(), Ok(true));
    beside_one_of_others(&stream, || {
        assert_eq!(event.record(&stream), refused);
        let new = stream.record_event_with(EventOptions::new().interprocess());
        assert_eq!(new.map(drop), refused);
        Ok(())
    });
    assert_eq!(event.status(), Ok(EventStatus::NotRecorded));
    // What ends a capture of others is not said to be a record.
    let [other] = streams();
    let hold = Hold::new(&other);
    event.record(&other).unwrap();
    raw::begin_capture(&stream);
    assert_eq!(event.query(), Err(Error::Driver { call: "cuEventQuery", code }));
    assert!(raw::end_capture(&stream).is_err());
    hold.release();
}

/// What another process records is in no capture.
#[test]
fn a_wait_in_a_capture_is_refused() {
    fn exporter(parent: &mut Link) -> common::peer::Result {
        let event = new_event()?;
        say_event(parent, &event);
        parent.expect_end();
        Ok(())
    }
    play("a_wait_in_a_capture_is_refused", &[("exporter", exporter)], |cast| {
        let mut exporter = cast.start("exporter");
        let ([stream], ours) = (streams(), new_event()?);
        ours.ipc_handle()?;
        // SAFETY: the other process keeps the event until this one says that it is over.
        let imported = unsafe { Event::from_ipc_handle(device(), exporter.expect_event()) }?;
        let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
            for event in [&ours, &imported] {
                assert_eq!(scope.wait_event(event), Err(Error::Capturing { call: "cuStreamWaitEvent" }));
            }
            Ok(())
        });
        assert_eq!(graph.unwrap().is_empty(), Ok(true), "the capture lives on");
        // One of others is theirs to lose.
        raw::begin_capture(&stream);
        let code = ErrorCode::STREAM_CAPTURE_UNSUPPORTED;
        assert_eq!(stream.wait_event(&imported), Err(Error::Driver { call: "cuStreamWaitEvent", code }));
        assert_eq!(stream.capture_status(), Ok(CaptureStatus::Invalidated));
        assert!(raw::end_capture(&stream).is_err());
        drop(imported);
        exporter.end();
        Ok(())
    });
}

/// Does `f` on the thread of a capture that this crate knows nothing of.
#[track_caller]
fn beside_one_of_others(stream: &Stream, f: impl Fn() -> Result<()>) {
    raw::begin_capture(stream);
    assert_eq!(f(), Ok(()));
    assert_eq!(stream.capture_status(), Ok(CaptureStatus::Active));
    raw::destroy_graph(raw::end_capture(stream).unwrap());
}

/// The handles of an event and of memory, as this crate's and as others' whose memory it is.
fn export() -> Result<()> {
    let (event, memory) = (new_event()?, IpcMemory::new(device(), 1)?);
    event.ipc_handle()?;
    // SAFETY: the memory lives until the end, and no other process gets the handle.
    let theirs = unsafe { IpcMemHandle::export(memory.as_raw()) }?;
    assert_eq!((memory.ipc_handle()?, 0), theirs);
    event.destroy()?;
    memory.close()
}

#[test]
fn what_is_shared_is_exported() {
    let [stream] = streams();
    beside(&stream, export);
    beside_one_of_others(&stream, export);
}

/// Opens both, uses the event on a stream, and gives both back.
fn import(event: IpcEventHandle, memory: IpcMemHandle, stream: &Stream) -> Result<()> {
    // SAFETY: the other process keeps the event until this one has ended.
    let event = unsafe { Event::from_ipc_handle(device(), event) }?;
    let memory = SharedWords::open(device(), memory)?;
    stream.wait_event(&event)?;
    event.record(stream)?;
    event.destroy()?;
    memory.into_memory().close()
}

#[test]
fn what_others_share_is_opened_and_given_back() {
    fn exporter(parent: &mut Link) -> common::peer::Result {
        let (event, data) = (new_event()?, SharedWords::new(device(), 7));
        say_event(parent, &event);
        data.say(parent);
        parent.expect_end();
        assert_eq!(data.read(), 7);
        Ok(())
    }
    play("what_others_share_is_opened_and_given_back", &[("exporter", exporter)], |cast| {
        let mut exporter = cast.start("exporter");
        let (event, memory) = (exporter.expect_event(), exporter.expect_memory());
        let [stream, other] = streams();
        let import = || import(event, memory, &other);
        beside(&stream, import);
        beside_one_of_others(&stream, import);
        exporter.end();
        Ok(())
    });
}
