//! Functions of the host as work of a stream: their order, what becomes of them, and what they may not do.

mod common;

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread, ThreadId};
use std::time::{Duration, Instant};

use common::hold::Hold;
use common::{device, returns_after_release, streams};
use cuda_streams::{AsStream, Device, Error, Event, EventStatus, ExternalStream, HostFn, IpcMemory, Result, Stream};
use cudarc::driver::{CudaContext, CudaStream, sys};

/// How long something may take that another thread does.
const LIMIT: Duration = Duration::from_secs(if cfg!(miri) { 1000 } else { 10 });

/// Counts how often it is dropped, and tells on which threads.
#[derive(Clone)]
struct Drops(Arc<Mutex<Vec<ThreadId>>>);

struct Counted(Drops);

impl Drops {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn counted(&self) -> Counted {
        Counted(self.clone())
    }

    fn threads(&self) -> Vec<ThreadId> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.threads().len()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().push(thread::current().id());
    }
}

/// Waits for what another thread does.
#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "it does not come");
        thread::yield_now();
    }
}

/// Runs `f` as a host function.
fn inside<T: Send + 'static>(stream: &Stream, f: impl FnOnce() -> T + Send + 'static) -> T {
    stream.launch_host_fn(f).expect("it is launched").join().expect("it runs")
}

/// A host function of the stream that is running, until something is sent or the sender dropped.
fn running(stream: &Stream) -> (HostFn<()>, Sender<()>) {
    let ((started, has_started), (end, ended)) = (channel(), channel::<()>());
    let function = stream.launch_host_fn(move || {
        started.send(()).unwrap();
        let _ = ended.recv_timeout(LIMIT);
    });
    let function = function.expect("it is launched");
    // Not by waiting for the message alone: a driver need not begin anything before it is asked.
    until(|| {
        assert!(!stream.query().unwrap());
        has_started.try_recv().is_ok()
    });
    (function, end)
}

/// A simple executor: polls when it is woken.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// How many functions are launched where one would not tell. Miri takes its time.
const MANY: usize = if cfg!(miri) { 10 } else { 100 };

/// Checks that 100 functions of a stream run in their order, each with its own number.
fn check_order(stream: impl AsStream) -> Result<()> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let launch = |number: usize| {
        let order = order.clone();
        stream.as_stream().launch_host_fn(move || {
            order.lock().unwrap().push(number);
            2 * number
        })
    };
    let functions: Vec<HostFn<usize>> = (0..MANY).map(launch).collect::<Result<_>>()?;
    stream.as_stream().synchronize()?;
    assert_eq!(*order.lock().unwrap(), (0..MANY).collect::<Vec<_>>());
    for (number, function) in functions.into_iter().enumerate() {
        assert!(function.is_finished());
        assert_eq!(function.join()?, 2 * number);
    }
    Ok(())
}

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

/// Waiting for a function inside of one would wait for itself.
#[test]
fn join_is_refused_inside() -> Result<()> {
    let [stream, other] = streams();
    let hold = Hold::new(&other);
    let later = other.launch_host_fn(|| ())?;
    let (finished, joined) = inside(&stream, move || (later.is_finished(), later.join()));
    assert_eq!((finished, joined), (false, Err(Error::InHostFunction)));
    hold.release();
    other.synchronize()
}

/// What ends inside is given back, by a thread that may call the driver.
#[test]
fn what_is_dropped_inside_is_given_back_later() -> Result<()> {
    let [stream, plain, lent, busy] = streams();
    let cudarc = CudaContext::new(0).unwrap();
    let loan = Arc::downgrade(&lent.to_cudarc(&cudarc)?);
    assert_eq!(loan.strong_count(), 1, "the stream has the only share");
    let memory = IpcMemory::new(device(), 1)?;
    let slice = IpcMemory::new(device(), 64)?.into_cudarc::<u8>(&cudarc.default_stream(), 64).map_err(|(_, error)| error)?;
    let hold = Hold::new(&busy);
    let pending = busy.record_event()?;
    let dropped = (plain, stream.record_event()?, Event::new(), lent, pending, memory, slice);
    inside(&stream, move || drop(dropped));
    // The memory waits for all work of the context, and all that is given up later waits for the memory.
    hold.release();
    until(|| loan.strong_count() == 0);
    check_order(&stream)
}

#[test]
fn destroying_inside_is_refused_and_done_later() -> Result<()> {
    let [stream, destroyed] = streams();
    let (event, never) = (stream.record_event()?, Event::new());
    let memory = IpcMemory::new(device(), 1)?;
    let (destroyed, error) = inside(&stream, move || {
        assert_eq!(event.destroy(), Err(Error::InHostFunction));
        assert_eq!(never.destroy(), Err(Error::InHostFunction));
        assert_eq!(memory.close(), Err(Error::InHostFunction));
        destroyed.destroy().unwrap_err()
    });
    assert_eq!(error, Error::InHostFunction);
    let destroyed = destroyed.expect("a stream is given back");
    check_order(&destroyed)?;
    destroyed.destroy().map_err(|(_, error)| error)
}

/// The refusal is of a thread and of a time.
#[test]
fn other_threads_and_later_calls_are_as_ever() -> Result<()> {
    let [stream, other] = streams();
    let (function, end) = running(&stream);
    other.record_event()?.synchronize()?;
    drop(end);
    function.join()?;
    let used = other.clone();
    let thread = inside(&stream, move || {
        assert_eq!(used.query(), Err(Error::InHostFunction));
        thread::spawn(move || used.record_event())
    });
    thread.join().unwrap()?.synchronize()
}

/// An error that says what to do, and asks no driver.
#[test]
fn a_call_inside_says_what_to_do() {
    let [stream] = streams();
    let error = inside(&stream, || Device::get(0).unwrap_err());
    assert_eq!(error, Error::InHostFunction);
    assert!(error.to_string().contains("call it from another thread"), "{error}");
    assert_eq!((error.code(), error.is_sticky()), (None, false));
}

#[test]
fn it_shows_its_device_and_no_more() -> Result<()> {
    let [stream] = streams();
    let function = stream.launch_host_fn(|| ())?;
    assert_eq!(format!("{function:?}"), "HostFn { device: 0, .. }");
    function.join()
}

/// Not under Miri, which would take minutes for all calls, and has no child processes.
#[cfg(not(miri))]
mod processes {
    use common::calls::{Call, DEVICE_CALLS, WITHOUT_THE_DRIVER, WORLD_CALLS};
    use common::child;
    use common::contexts::SecondContext;
    use common::fault::Fault;
    use common::theirs::{NON_BLOCKING, TheirStream};
    use common::world::World;
    use cuda_streams::ErrorCode;

    use super::*;

    /// The driver calls that this thread has made, where that is counted.
    fn driver_calls() -> u64 {
        let is_software = softcuda::choose() == Ok(softcuda::Choice::Software);
        if is_software { softcuda::all_calls() } else { 0 }
    }

    fn check_calls<T>(calls: &[Call<T>], on: &T) -> Vec<String> {
        let check = |Call { name, run, .. }: &Call<T>| {
            let expected = if WITHOUT_THE_DRIVER.contains(name) { Ok(()) } else { Err(Error::InHostFunction) };
            let before = driver_calls();
            let answer = run(on);
            let made = driver_calls() - before;
            (answer != expected || made != 0).then(|| format!("{name}: {answer:?}, {made} driver calls"))
        };
        calls.iter().filter_map(check).collect()
    }

    #[test]
    fn every_call_is_refused_inside() {
        // A process of its own, since one of the calls retires a context.
        child::run("processes::every_call_is_refused_inside", child::same_environment, || {
            let world = Arc::new(World::new(device()));
            let stream = world.stream.clone();
            let inner = world.clone();
            let wrong = inside(&stream, move || {
                let wrong = [check_calls(DEVICE_CALLS, &inner.device), check_calls(WORLD_CALLS, &inner)].concat();
                (wrong, inner)
            });
            assert_eq!(wrong.0, Vec::<String>::new());
            check_order(&stream).unwrap();
        });
    }

    /// In a process of its own, as what follows: others may wait for the same device.
    #[test]
    fn what_belongs_to_a_dead_context_never_runs_and_is_dropped_once() {
        let test = "processes::what_belongs_to_a_dead_context_never_runs_and_is_dropped_once";
        // The events of that context are leaked, which a report tells when it ends.
        child::run(test, child::with_reports, || {
            let second = SecondContext::new(device());
            let theirs = second.with_current(|| TheirStream::in_current(NON_BLOCKING, 0));
            // SAFETY: the stream lives until the end, and so does its context.
            let stream = unsafe { ExternalStream::from_raw(theirs.as_raw()) }.unwrap();
            let (hold, drops, ran) = (Hold::new(&stream), Drops::new(), Arc::new(AtomicUsize::new(0)));
            let launch = || {
                let (counted, ran) = (drops.counted(), ran.clone());
                stream.launch_host_fn(move || drop((counted, ran.fetch_add(1, Ordering::SeqCst)))).unwrap()
            };
            let (joined, mut awaited, asked, detached) = (launch(), pin!(launch()), launch(), launch());
            drop(detached);
            assert!(awaited.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            stream.context().retire();
            let over = Error::ContextDestroyed { device: 0 };
            assert_eq!(block_on(awaited), Err::<(), _>(over.clone()));
            assert!(asked.is_finished());
            assert_eq!(asked.join(), Err(over.clone()));
            assert_eq!(joined.join(), Err(over.clone()));
            until(|| drops.count() == 4);
            assert_eq!(stream.launch_host_fn(|| ()).map(drop), Err(over));
            hold.release();
            until(|| theirs.query());
            assert_eq!((drops.count(), ran.load(Ordering::SeqCst)), (4, 0));
        });
    }

    #[test]
    fn what_is_behind_a_fault_never_runs_and_is_dropped_once() {
        let test = "processes::what_is_behind_a_fault_never_runs_and_is_dropped_once";
        let wait: [fn(HostFn<()>) -> Result<()>; 3] = [
            HostFn::join,
            |function| block_on(function),
            |function| {
                until(|| function.is_finished());
                function.join()
            },
        ];
        child::run_each_with(test, child::with_reports, wait, |wait| {
            let [stream, other] = streams();
            let (fault, drops, ran) = (Fault::load(), Drops::new(), Arc::new(AtomicUsize::new(0)));
            let hold = Hold::new(&stream);
            fault.launch(&stream);
            let launch = |stream: &Stream| {
                let (counted, ran) = (drops.counted(), ran.clone());
                stream.launch_host_fn(move || drop((counted, ran.fetch_add(1, Ordering::SeqCst)))).unwrap()
            };
            let (behind, of_others, detached) = (launch(&stream), launch(&stream), launch(&stream));
            drop(detached);
            hold.release();
            let error = wait(behind).unwrap_err();
            assert!(error.is_sticky() && error.code() == Some(ErrorCode::LAUNCH_FAILED), "{error:?}");
            until(|| drops.count() == 3);
            assert_eq!(of_others.join(), Err(error));
            let refused = drops.counted();
            let error = other.launch_host_fn(move || drop(refused)).map(drop).unwrap_err();
            assert!(error.is_sticky(), "{error:?}");
            assert_eq!((drops.count(), ran.load(Ordering::SeqCst)), (4, 0), "what is refused is dropped at once");
        });
    }
}
