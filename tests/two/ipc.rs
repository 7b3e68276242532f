//! Sharing between processes where there are two devices.

use cuda_streams::{CaptureMode, Error, ErrorCode, Event, EventOptions, IpcMemHandle, IpcMemory, Result};
use cudarc::driver::CudaContext;

use crate::common::child;
use crate::common::hold::Hold;
use crate::common::peer::{self, Cast, Link, play};
use crate::common::shared::{SharedWords, hear_event, say_event};
use crate::{devices, streams};

/// T60: which device is current decides only for an event that was never recorded.
#[test]
fn t060_an_event_is_exported_while_another_device_is_current() -> Result<()> {
    let [first, second] = streams();
    let recorded = first.record_event_with(EventOptions::new().interprocess())?;
    let unrecorded = Event::interprocess();
    let handles = second.device().context()?.with_current(|| (recorded.ipc_handle(), unrecorded.ipc_handle()))?;
    assert_ne!(handles.0?, handles.1?);
    assert_eq!((recorded.device(), unrecorded.device()), (Some(first.device()), Some(second.device())));
    unrecorded.record(&second)?;
    assert!(matches!(unrecorded.record(&first), Err(Error::ContextMismatch(_))));

    let in_scope = Event::interprocess();
    second.device().context()?.with_current(|| first.scope(|| in_scope.ipc_handle()))??;
    assert_eq!(in_scope.device(), Some(first.device()), "the scope comes before what is current");
    second.synchronize()
}

/// T501: what is shared of one device leaves the other without a context, in both processes.
#[test]
fn t501_sharing_activates_no_other_device() {
    fn check_inactive() -> peer::Result {
        assert!(!devices()[0].is_active()?, "the first device has a context");
        Ok(())
    }
    fn child(parent: &mut Link) -> peer::Result {
        let [_, device] = devices();
        // SAFETY: the parent keeps the event until this process ends.
        let event = unsafe { Event::from_ipc_handle(device, parent.expect_event()) }?;
        let memory = SharedWords::open(device, parent.expect_memory())?;
        check_inactive()?;
        let stream = device.stream()?;
        stream.wait_event(&event)?;
        event.record(&stream)?;
        event.synchronize()?;
        assert_eq!(memory.read(), 7);
        drop((event, memory));
        check_inactive()?;
        parent.expect_end();
        Ok(())
    }
    fn parent(cast: &Cast) -> peer::Result {
        let [_, device] = devices();
        let (event, memory) = (Event::interprocess(), SharedWords::new(device, 7));
        device.context()?.with_current(|| event.ipc_handle())??;
        assert_eq!(event.device(), Some(device));
        let mut child = cast.start("child");
        say_event(&mut child, &event);
        memory.say(&mut child);
        child.end();
        drop((event, memory));
        check_inactive()
    }
    const TEST: &str = "ipc::t501_sharing_activates_no_other_device";
    // In a process where no other test has used the first device.
    child::run(TEST, child::same_environment, || play(TEST, &[("child", child)], parent));
}

/// The event is of the other device. Of a wait the driver is not asked.
fn assert_refused(result: Result<()>) {
    let Err(Error::ContextMismatch(mismatch)) = result else { panic!("{result:?}") };
    let code = (mismatch.call == "cuEventRecord").then_some(ErrorCode::INVALID_HANDLE);
    assert_eq!((mismatch.event.device, mismatch.other.device, mismatch.code), (0, 1, code));
}

/// As an imported one, which another process has made.
#[test]
fn a_stream_of_the_other_device_waits_for_an_interprocess_event_by_another_stream() -> Result<()> {
    let [first, second] = streams();
    let event = first.record_event_with(EventOptions::new().interprocess())?;
    assert_refused(event.wait(&second));
    assert_refused(event.record(&second));
    event.ipc_handle()?;
    let hold = Hold::new(&first);
    event.record(&first)?;
    assert_refused(event.wait(&second));
    let near = first.device().stream()?;
    near.wait_event(&event)?;
    second.wait_stream(&near)?;
    assert!(!second.query()?);
    hold.release();
    second.synchronize()?;
    assert!(event.query()?);
    Ok(())
}

/// Where captures are open.
#[test]
fn a_stream_beside_captures_waits_for_no_interprocess_event_of_the_other_device() -> Result<()> {
    let [first, second] = streams();
    let event = first.record_event_with(EventOptions::new().interprocess())?;
    let hold = Hold::new(&first);
    event.record(&first)?;
    let near = first.device().stream()?;
    near.capture::<Error>(CaptureMode::Relaxed, |_| {
        assert_refused(event.wait(&second));
        Ok(())
    })?;
    hold.release();
    event.synchronize()?;
    // Nothing to wait for, with captures and without.
    event.wait(&second)?;
    near.capture::<Error>(CaptureMode::Relaxed, |_| event.wait(&second)).map(drop)
}

/// Their nodes are of the event's context, wherever they run: also where the capture began on the other device.
#[test]
fn graphs_take_interprocess_events_to_the_other_device() -> Result<()> {
    let [first, second] = streams();
    let shared = Event::interprocess();
    let external = EventOptions::new().interprocess().external(true).build();
    external.record(&first)?;
    external.synchronize()?;
    shared.record(&first)?;
    shared.ipc_handle()?;
    let waits = first.capture_events::<Error>(|scope| scope.fork().wait_event(&shared))?;
    let captured = second.capture::<Error>(CaptureMode::Relaxed, |scope| scope.wait_event(&external))?;
    let joined = second.capture::<Error>(CaptureMode::Relaxed, |scope| {
        first.wait_stream(scope)?;
        first.wait_event(&external)?;
        scope.wait_stream(&first)
    })?;
    let mut contained = [waits.try_clone()?.instantiate()?, waits.instantiate()?];
    let check = |event: &Event<_>, launch: &mut dyn FnMut() -> Result<()>| {
        let hold = Hold::new(&first);
        event.record(&first)?;
        launch()?;
        assert!(!second.query()?, "it waits for the record");
        hold.release();
        second.synchronize()?;
        assert!(event.query()?);
        Ok(())
    };
    for exec in &mut contained {
        exec.upload(&second)?;
        check(&shared, &mut || exec.launch(&second))?;
    }
    for graph in [captured, joined] {
        // SAFETY: nothing is in it but a wait for an event that the graph keeps.
        let mut exec = unsafe { graph.instantiate() }?;
        // SAFETY: as above.
        check(&external, &mut || unsafe { exec.launch(&second) })?;
    }
    let mut records = first.capture_events::<Error>(|scope| scope.record(&shared))?.instantiate()?;
    let captured = second.capture::<Error>(CaptureMode::Relaxed, |scope| scope.record(&external))?;
    // SAFETY: nothing is in it but a record of an event that the graph keeps.
    let mut captured = unsafe { captured.instantiate() }?;
    let hold = Hold::new(&second);
    records.launch(&second)?;
    // SAFETY: as above.
    unsafe { captured.launch(&second) }?;
    assert!(!shared.query()? && !external.query()?, "the launch is a record");
    hold.release();
    shared.synchronize()?;
    external.synchronize()
}

/// T447: events order devices across processes: what one waits for is of the other's device, and the data with it.
#[test]
fn a_stream_waits_for_an_event_of_the_other_device_and_process() {
    fn child(parent: &mut Link) -> peer::Result {
        let [near, stream] = streams();
        let data = SharedWords::hear(parent);
        parent.tell("ready");
        let event = hear_event(parent);
        assert_eq!(event.device(), Some(devices()[0]));
        assert_refused(stream.wait_event(&event));
        near.wait_event(&event)?;
        stream.wait_stream(&near)?;
        let waits = near.capture_events::<Error>(|scope| scope.wait_event(&event))?;
        let graphs = stream.device().stream()?;
        waits.instantiate()?.launch(&graphs)?;
        let done = [stream.record_event()?, graphs.record_event()?];
        assert!(!done[0].query()? && !done[1].query()?);
        parent.tell("waiting");
        done.iter().try_for_each(Event::synchronize)?;
        assert!(event.query()?);
        assert_eq!(data.read(), 7);
        assert_refused(event.record(&stream));
        near.capture_events::<Error>(|scope| scope.record(&event))?.instantiate()?.launch(&graphs)?;
        event.synchronize()?;
        parent.expect_end();
        Ok(())
    }
    play("ipc::a_stream_waits_for_an_event_of_the_other_device_and_process", &[("child", child)], |cast| {
        let [stream, _] = streams();
        let (mut data, seven) = (SharedWords::new(devices()[0], 0), SharedWords::new(devices()[0], 7));
        let mut child = cast.start("child");
        data.say(&mut child);
        child.expect("ready");
        let hold = Hold::new(&stream);
        data.copy_from(&stream, &seven);
        let event = stream.record_event_with(EventOptions::new().interprocess())?;
        say_event(&mut child, &event);
        child.expect("waiting");
        hold.release();
        child.end();
        Ok(())
    });
}

/// Where the devices are peers; else the driver says that they are not.
#[test]
fn memory_of_one_device_is_opened_by_the_other() {
    fn child(parent: &mut Link) -> peer::Result {
        let [owner, other] = devices();
        let handle = parent.expect_memory();
        match SharedWords::open(other, handle) {
            Ok(memory) => {
                assert!(other.can_access_peer(owner)?);
                assert_eq!(memory.memory().device(), other, "through which it is reached");
                assert_eq!(memory.read(), 7);
            }
            Err(error) => assert!(!other.can_access_peer(owner)?, "{error}"),
        }
        parent.expect_end();
        Ok(())
    }
    play("ipc::memory_of_one_device_is_opened_by_the_other", &[("child", child)], |cast| {
        let memory = SharedWords::new(devices()[0], 7);
        let mut child = cast.start("child");
        memory.say(&mut child);
        child.end();
        Ok(())
    });
}

#[test]
fn cudarcs_view_is_of_the_memorys_device() -> Result<()> {
    let [first, second] = devices();
    let theirs = [first, second].map(|device| {
        let context = CudaContext::new(device.ordinal() as usize).expect("cudarc's view of the primary context");
        context.new_stream().expect("a stream of cudarc")
    });
    let memory = IpcMemory::new(second, 1)?;
    let (memory, error) = memory.into_cudarc::<u8>(&theirs[0], 1).expect_err("another device");
    assert_eq!(error, Error::DeviceMismatch { wanted: 1, actual: 0 });
    memory.into_cudarc::<u8>(&theirs[1], 1).map(drop).map_err(|(_, error)| error)
}

/// In a process where nothing was used before.
#[test]
fn memory_is_of_the_device_that_is_named() {
    child::run_each("ipc::memory_is_of_the_device_that_is_named", [0, 1], |index: usize| {
        let (used, unused) = (devices()[index], devices()[1 - index]);
        let memory = IpcMemory::new(used, 1).unwrap();
        memory.ipc_handle().unwrap();
        // SAFETY: the memory lives, and no other process gets the handle.
        unsafe { IpcMemHandle::export(memory.as_raw()) }.unwrap();
        let event = Event::interprocess();
        used.stream().unwrap().scope(|| event.ipc_handle()).unwrap();
        assert_eq!(event.device(), Some(used));
        drop((memory, event));
        assert!(used.is_active().unwrap() && !unused.is_active().unwrap());
    });
}
