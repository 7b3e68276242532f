//! Functions of the host as work of a stream: their order, and what becomes of them.

mod common;

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::beside::Asks;
use common::hold::Hold;
use common::host_fn::{Drops, MANY, block_on, check_order, running, until};
use common::{device, returns_after_release, streams};
use cuda_streams::{CaptureMode, CaptureStatus, Error, EventStatus, ExternalStream, HostFn, Result, Stream};
use cudarc::driver::{CudaContext, CudaStream, sys};

/// T289, T290
#[test]
fn t290_the_null_stream_runs_them_in_order() -> Result<()> {
    check_order(device().default_stream()?)?;
    check_order(device().per_thread_stream()?)?;
    let [stream] = streams();
    check_order(stream.scope(Stream::current)?)?;
    check_order(stream)
}

/// T299, T300
#[test]
fn t300_an_external_stream_runs_them_in_order() -> Result<()> {
    let [stream] = streams();
    // SAFETY: the stream is borrowed from its owner.
    check_order(unsafe { ExternalStream::with_owner(stream.as_raw(), &stream) }?)?;
    let theirs = CudaContext::new(0).unwrap().new_stream().unwrap();
    check_order(&theirs)
}

#[test]
fn it_runs_behind_earlier_work_and_before_later_work() -> Result<()> {
    let [stream, other] = streams();
    let hold = Hold::new(&stream);
    let (tell, told) = channel();
    let function = stream.launch_host_fn(move || tell.send(()).unwrap())?;
    let behind = stream.record_event()?;
    other.wait_event(&behind)?;
    // More than a driver that begins nothing before it is asked has to be asked.
    for _ in 0..10 {
        assert!(!function.is_finished() && !behind.query()? && !other.query()?);
        assert!(told.try_recv().is_err(), "it has run before the work that is held");
    }
    hold.release();
    other.synchronize()?;
    assert_eq!(told.try_recv(), Ok(()), "it has not run before what waits for it");
    assert!(function.is_finished());
    function.join()
}

/// T487
#[test]
fn t487_an_event_behind_it_is_pending_while_it_runs() -> Result<()> {
    let [stream, other] = streams();
    let (function, end) = running(&stream);
    let behind = stream.record_event()?;
    assert_eq!((behind.query()?, behind.status()?), (false, EventStatus::Pending));
    assert!(!function.is_finished() && !stream.query()?);
    other.record_event()?.synchronize()?;
    assert!(!behind.query()?, "other streams go on");
    drop(end);
    behind.synchronize()?;
    assert!(behind.query()? && function.is_finished());
    function.join()
}

/// T475: what was copied to the host before is there. Not under Miri: to copy to it cudarc borrows the memory anew,
/// after which the address is not to be used.
#[cfg(not(miri))]
#[test]
fn t475_it_sees_the_data_of_earlier_work() -> Result<()> {
    use common::words::Words;

    let [stream] = streams();
    let (source, mut on_the_host) = (Words::new(device(), 475), Words::on_the_host());
    let address = on_the_host.as_slice().expect("nobody uses it").as_ptr().expose_provenance();
    let hold = Hold::new(&stream);
    source.copy_to_host(&stream, &mut on_the_host);
    let function = stream.launch_host_fn(move || {
        // SAFETY: the memory outlives the function, and nobody writes it any more.
        unsafe { std::ptr::with_exposed_provenance::<u32>(address).read() }
    })?;
    let seen = returns_after_release(hold, || function.join())?;
    assert_eq!(seen, 475);
    drop(on_the_host);
    Ok(())
}

#[test]
fn join_waits_for_it_and_gives_its_result() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let function = stream.launch_host_fn(|| String::from("a result"))?;
    assert_eq!(returns_after_release(hold, || function.join())?, "a result");
    Ok(())
}

#[test]
fn many_threads_launch_on_their_own_streams_and_on_one() -> Result<()> {
    let [shared] = streams();
    thread::scope(|scope| {
        for thread in 0..4 {
            let shared = &shared;
            scope.spawn(move || {
                let [own] = streams();
                for number in 0..MANY / 5 {
                    let functions = [&own, shared].map(|stream| stream.launch_host_fn(move || (thread, number)).unwrap());
                    for function in functions {
                        assert_eq!(function.join(), Ok((thread, number)));
                    }
                }
            });
        }
    });
    shared.synchronize()
}

/// T519
#[test]
fn t519_a_panic_is_the_error_of_join_and_of_nothing_else() -> Result<()> {
    let [stream] = streams();
    let drops = Drops::new();
    let (counted, after) = (drops.counted(), 1);
    let panics = stream.launch_host_fn(move || {
        let _counted = counted;
        assert_eq!(after, 2, "on purpose");
    })?;
    let detached = stream.launch_host_fn(|| panic!("on purpose, and nobody asks"))?;
    drop(detached);
    let runs = stream.launch_host_fn(|| 7)?;
    stream.synchronize()?;
    assert!(stream.query()? && panics.is_finished());
    assert_eq!(runs.join(), Ok(7));
    let error = panics.join().unwrap_err();
    assert!(matches!(&error, Error::HostFunctionPanicked { message } if message.contains("on purpose")), "{error:?}");
    assert!(error.to_string().starts_with("the host function panicked: "), "{error}");
    assert_eq!((error.code(), error.is_sticky(), drops.count()), (None, false, 1));
    let awaited = block_on(stream.launch_host_fn(|| std::panic::panic_any(7))?);
    assert_eq!(awaited, Err::<(), _>(Error::HostFunctionPanicked { message: "its payload is no text".into() }));
    check_order(&stream)
}

#[test]
fn dropping_it_lets_it_run() -> Result<()> {
    let [stream] = streams();
    let (results, captures, (tell, told)) = (Drops::new(), Drops::new(), channel());
    let hold = Hold::new(&stream);
    let (returned, taken_along) = (results.counted(), captures.counted());
    drop(stream.launch_host_fn(move || {
        let _until_its_end = taken_along;
        tell.send(thread::current().id()).unwrap();
        returned
    })?);
    assert_eq!((captures.count(), results.count()), (0, 0));
    hold.release();
    stream.synchronize()?;
    let thread = told.try_recv().expect("it has run");
    assert_ne!(thread, thread::current().id());
    assert_eq!(captures.threads(), [thread], "what it captures is dropped with it");
    until(|| results.count() == 1);
    assert_ne!(results.threads()[0], thread, "what nobody wants is dropped where drivers may be called");

    let kept = results.counted();
    let finished = stream.launch_host_fn(move || kept)?;
    stream.synchronize()?;
    drop(finished);
    assert_eq!((results.count(), results.threads()[1]), (2, thread::current().id()));
    Ok(())
}

/// Though cudarc's slices call the driver, also while a capture concerns every thread.
#[test]
fn what_nobody_wants_is_dropped_so_that_it_ends_no_capture() -> Result<()> {
    let [stream, other] = streams();
    let cudarc = CudaContext::new(stream.device().ordinal() as usize).unwrap();
    let slice = cudarc.default_stream().alloc_zeros::<u32>(64).unwrap();
    cudarc.default_stream().synchronize().unwrap();
    let ((tell, told), hold) = (channel::<()>(), Hold::new(&stream));
    drop(stream.launch_host_fn(move || (slice, tell))?);
    let graph = other.capture::<Error>(CaptureMode::Global, |scope| {
        hold.release();
        stream.synchronize()?;
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Err(RecvTimeoutError::Disconnected));
        assert_eq!(scope.status(), Ok(CaptureStatus::Active));
        Ok(())
    })?;
    assert!(graph.is_empty()?);
    assert_eq!(cudarc.check_err(), Ok(()));
    Ok(())
}

#[test]
fn it_is_awaited_in_any_executor() -> Result<()> {
    let [stream, other] = streams();
    let hold = Hold::new(&stream);
    let (first, second) = (stream.launch_host_fn(|| 1)?, other.launch_host_fn(|| 2)?);
    let sum = returns_after_release(hold, || block_on(async { Ok::<i32, Error>(first.await? + second.await?) }))?;
    assert_eq!(sum, 3);
    // On a thread of its own, and done before it is polled first.
    let done = stream.launch_host_fn(|| 4)?;
    stream.synchronize()?;
    assert_eq!(thread::spawn(move || block_on(done)).join().unwrap()?, 4);
    Ok(())
}

/// The last waker is woken, and only once; and a future that was ready is not ready again.
#[test]
fn a_future_wakes_who_polled_it_last() -> Result<()> {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let [stream] = streams();
    let [first, last] = std::array::from_fn(|_| Arc::new(Count::default()));
    let hold = Hold::new(&stream);
    let mut function = pin!(stream.launch_host_fn(|| 5)?);
    for count in [&first, &last] {
        assert!(function.as_mut().poll(&mut Context::from_waker(&Waker::from(count.clone()))).is_pending());
    }
    assert_eq!(last.0.load(Ordering::SeqCst), 0);
    hold.release();
    until(|| last.0.load(Ordering::SeqCst) == 1);
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(function.as_mut().poll(&mut context), Poll::Ready(Ok(5)));
    assert_eq!(function.as_mut().poll(&mut context), Poll::Ready(Err(Error::ResultTaken)));
    assert_eq!((first.0.load(Ordering::SeqCst), last.0.load(Ordering::SeqCst)), (0, 1));
    assert!(function.is_finished());
    Ok(())
}

#[test]
fn a_future_that_is_dropped_or_forgotten_is_let_run() -> Result<()> {
    /// What is forgotten, where a leak checker finds it.
    static FORGOTTEN: Mutex<Vec<Pin<Box<HostFn<()>>>>> = Mutex::new(Vec::new());

    let [stream] = streams();
    let drops = Drops::new();
    let hold = Hold::new(&stream);
    for forget in [false, true] {
        let counted = drops.counted();
        let mut function = Box::pin(stream.launch_host_fn(move || drop(counted))?);
        assert!(function.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        if forget {
            FORGOTTEN.lock().unwrap().push(function);
        }
    }
    hold.release();
    stream.synchronize()?;
    assert_eq!(drops.count(), 2);
    Ok(())
}

/// Captures a stream while `work` runs; how many nodes the graph has.
fn captured(theirs: &Arc<CudaStream>, work: impl FnOnce()) -> usize {
    theirs.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).unwrap();
    work();
    let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let graph = theirs.end_capture(flags).expect("the capture has survived").expect("a graph");
    let mut nodes = 0;
    // SAFETY: the graph is alive, and the place is one for a number.
    let code = unsafe { sys::cuGraphGetNodes(graph.cu_graph(), std::ptr::null_mut(), &raw mut nodes) };
    assert_eq!(code, sys::CUresult::CUDA_SUCCESS);
    nodes
}

#[test]
fn it_is_refused_while_the_stream_is_captured_and_the_capture_goes_on() -> Result<()> {
    let [stream] = streams();
    let drops = Drops::new();
    let theirs = stream.to_cudarc(&CudaContext::new(0).unwrap())?;
    let nodes = captured(&theirs, || {
        let counted = drops.counted();
        let error = stream.launch_host_fn(move || drop(counted)).map(drop).unwrap_err();
        assert_eq!(error, Error::Capturing { call: "cuLaunchHostFunc" });
        assert_eq!(drops.threads(), [thread::current().id()], "it is dropped at once");
        assert_eq!(stream.is_capturing(), Ok(true));
    });
    assert_eq!(nodes, 0);
    check_order(&stream)
}

/// Whatever the function holds calls the driver for.
#[test]
fn what_is_refused_is_dropped_so_that_it_ends_no_capture() -> Result<()> {
    let [stream, other] = streams();
    let graph = stream.capture::<Error>(CaptureMode::ThreadLocal, |scope| {
        let owner = Asks(other.clone());
        let refused = stream.launch_host_fn(move || drop(owner));
        assert_eq!(refused.map(drop), Err(Error::Capturing { call: "cuLaunchHostFunc" }));
        assert_eq!(scope.status(), Ok(CaptureStatus::Active));
        Ok(())
    })?;
    assert!(graph.is_empty()?);
    check_order(&stream)
}

#[test]
fn launching_on_another_stream_and_waiting_leave_a_capture_alone() -> Result<()> {
    let [stream, other] = streams();
    let theirs = stream.to_cudarc(&CudaContext::new(0).unwrap())?;
    let early = other.launch_host_fn(|| 1)?;
    let hold = Hold::new(&other);
    let (awaited, dropped) = (other.launch_host_fn(|| 2)?, other.launch_host_fn(|| ())?);
    let nodes = captured(&theirs, || {
        let function = other.launch_host_fn(|| 3).unwrap();
        assert!(!function.is_finished() && !awaited.is_finished());
        let mut awaited = pin!(awaited);
        assert!(awaited.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(dropped);
        assert_eq!(early.join(), Ok(1));
        assert_eq!(returns_after_release(hold, || function.join()), Ok(3));
        assert_eq!(block_on(awaited), Ok(2));
    });
    assert_eq!(nodes, 0);
    other.synchronize()
}

#[test]
fn it_shows_its_device_and_no_more() -> Result<()> {
    let [stream] = streams();
    let function = stream.launch_host_fn(|| ())?;
    assert_eq!(format!("{function:?}"), "HostFn { device: 0, .. }");
    function.join()
}
