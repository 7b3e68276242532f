//! Streams of ours under cudarc's safe layer.

mod common;

#[path = "../examples/graph/kernel.rs"]
mod kernel;

use std::error::Error;
use std::sync::{Arc, Weak};
use std::thread;

use common::contexts::{self, SecondContext};
use common::hold::Hold;
use common::theirs::TheirContext;
use common::{device, expect_misuse, on_a_fresh_thread, raw, streams};
use cuda_streams::{AsStream, CaptureMode, ErrorCode, Event, ExternalStream, Graph, Stream, relaxed_capture};
use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, DriverError, PushKernelArg};
use cudarc::nvrtc::Ptx;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// A context of cudarc of its own, of the same device as [`device`]: ours comes first, so that both load one driver.
fn cudarc() -> Result<Arc<CudaContext>> {
    Ok(CudaContext::new(device().ordinal() as usize)?)
}

/// Streams of ours, and what cudarc has of them. cudarc has waited for the context here, so that they can be held.
fn lent<const N: usize>(cudarc: &Arc<CudaContext>) -> Result<([Stream; N], [Arc<CudaStream>; N])> {
    let ours = streams();
    let theirs = ours.each_ref().map(|stream| stream.to_cudarc(cudarc));
    for theirs in &theirs {
        theirs.as_ref().map_err(Clone::clone)?;
    }
    Ok((ours, theirs.map(|theirs| theirs.expect("none is an error"))))
}

/// Where cudarc's slices would be used beside each other but for its waits.
#[test]
fn what_is_written_on_one_is_read_on_the_other_after_it() -> Result {
    let (ours, theirs) = lent::<2>(&cudarc()?)?;
    let source = theirs[0].clone_htod(&[7_u32; 64])?;
    let (mut data, mut seen) = (theirs[0].alloc_zeros::<u32>(64)?, theirs[1].alloc_zeros::<u32>(64)?);
    ours.iter().try_for_each(Stream::synchronize)?;
    let hold = Hold::new(&ours[0]);
    theirs[0].memcpy_dtod(&source, &mut data)?;
    theirs[1].memcpy_dtod(&data, &mut seen)?;
    assert!(!ours[1].query()?, "the second waits for the first");
    // It is freed behind the copy from it, which the first therefore waits for.
    drop(data);
    let end = ours[0].record_event()?;
    hold.release();
    end.synchronize()?;
    assert!(ours[1].query()?);
    assert_eq!(theirs[1].clone_dtoh(&seen)?, [7; 64]);
    Ok(())
}

/// Ours and cudarc's own, with events of ours and waits of cudarc's.
#[test]
fn a_pipeline_of_streams_of_both_keeps_its_order() -> Result {
    let cudarc = cudarc()?;
    let (ours, theirs) = lent::<2>(&cudarc)?;
    let own = cudarc.new_stream()?;
    let source = own.clone_htod(&(0..64).collect::<Vec<u32>>())?;
    let [mut first, mut second, mut third] = [theirs[0].alloc_zeros(64)?, own.alloc_zeros(64)?, theirs[1].alloc_zeros(64)?];
    cudarc.synchronize()?;
    let hold = Hold::new(&ours[0]);
    theirs[0].memcpy_dtod(&source, &mut first)?;
    own.memcpy_dtod(&first, &mut second)?;
    let event = Event::new();
    event.record(&own)?;
    theirs[1].memcpy_dtod(&second, &mut third)?;
    ours[1].wait_event(&event)?;
    assert!(!ours[1].query()? && !event.query()? && !own.as_stream().query()?);
    hold.release();
    ours[1].synchronize()?;
    assert!(event.query()?);
    assert_eq!(theirs[1].clone_dtoh(&third)?, (0..64).collect::<Vec<u32>>());
    Ok(())
}

#[test]
fn asking_again_gives_the_same() -> Result {
    let [first, second] = [cudarc()?, cudarc()?];
    let ([ours, other], [mut theirs, _]) = lent::<2>(&first)?;
    assert_eq!(theirs.cu_stream().cast(), ours.as_raw());
    assert!(Arc::get_mut(&mut theirs).is_none(), "it cannot be exchanged for another stream");
    assert_eq!(theirs.as_stream(), ours.as_stream());
    assert!(Arc::ptr_eq(&theirs, &ours.to_cudarc(&first)?) && Arc::ptr_eq(&theirs, &ours.clone().to_cudarc(&first)?));
    let of_second = ours.to_cudarc(&second)?;
    assert!(!Arc::ptr_eq(&theirs, &of_second), "each context of cudarc orders its own slices");
    assert!(Arc::ptr_eq(of_second.context(), &second) && Arc::ptr_eq(theirs.context(), &first));
    assert!(Arc::ptr_eq(&of_second, &ours.to_cudarc(&second)?));
    assert!(!Arc::ptr_eq(&theirs, &other.to_cudarc(&first)?));
    assert!(first.is_managing_stream_synchronization() && second.is_managing_stream_synchronization());
    Ok(())
}

#[test]
fn threads_that_ask_at_once_get_the_same() -> Result {
    let cudarc = cudarc()?;
    let [ours] = streams();
    let ask = || ours.to_cudarc(&cudarc).expect("cudarc's stream");
    let all: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    assert!(all.iter().all(|theirs| Arc::ptr_eq(theirs, &all[0])));
    check_works(&all[0])
}

#[test]
fn a_context_of_cudarc_that_orders_nothing_is_refused() -> Result {
    let cudarc = cudarc()?;
    let [stream] = streams();
    // SAFETY: nothing is allocated meanwhile.
    unsafe { cudarc.disable_event_tracking() };
    let error = stream.to_cudarc(&cudarc).map(drop).unwrap_err();
    assert_eq!(error, cuda_streams::Error::TrackingOff);
    assert!(error.to_string().contains("enable_event_tracking"), "{error}");
    assert!(!cudarc.is_in_multi_stream_mode(), "nothing was made");
    // SAFETY: nothing was allocated meanwhile.
    unsafe { cudarc.enable_event_tracking() };
    check_works(&stream.to_cudarc(&cudarc)?)?;
    // SAFETY: nothing is allocated meanwhile.
    unsafe { cudarc.disable_event_tracking() };
    assert_eq!(stream.to_cudarc(&cudarc).map(drop), Err(cuda_streams::Error::TrackingOff), "known or not");
    Ok(())
}

/// T403
#[test]
fn t403_a_context_that_is_not_primary_is_refused_on_either_side() -> Result {
    let ordinal = device().ordinal();
    let refused = Err(cuda_streams::Error::ForeignContext { device: ordinal });
    let second = SecondContext::new(device());
    // SAFETY: the context is alive and of this device, and cudarc becomes its owner.
    let foreign = unsafe { CudaContext::from_raw_context(ordinal as usize, raw::device_number(device()), second.into_raw().cast()) }?;
    let [ours] = streams();
    assert_eq!(ours.to_cudarc(&foreign).map(drop), refused);
    assert!(!foreign.is_in_multi_stream_mode());

    let second = TheirContext::new();
    // SAFETY: made for this, and nobody else uses it.
    let ours = unsafe { Stream::from_raw(second.stream().into_raw()) }?;
    assert_eq!(ours.to_cudarc(&cudarc()?).map(drop), refused);
    assert!(ours.destroy().is_ok(), "it was not lent");
    Ok(())
}

#[test]
fn a_stream_that_cudarc_has_is_not_given_up() -> Result {
    let cudarc = cudarc()?;
    let ([ours], [theirs]) = lent(&cudarc)?;
    let handle = ours.as_raw();
    let ours = ours.try_into_raw().unwrap_err();
    let (ours, error) = ours.destroy().unwrap_err();
    assert_eq!(error, cuda_streams::Error::StreamShared);
    let ours = ours.expect("it is given back");
    assert!(Arc::ptr_eq(&theirs, &ours.to_cudarc(&cudarc)?), "cudarc has it as before");
    theirs.clone_htod(&[1])?;
    drop(theirs);
    let Ok(given_up) = ours.try_into_raw() else { panic!("nobody else has it") };
    assert_eq!(given_up, handle);
    // SAFETY: given up just now.
    let ours = unsafe { Stream::from_raw(given_up) }?;
    let gone = Arc::downgrade(&ours.to_cudarc(&cudarc)?);
    assert!(gone.upgrade().is_some(), "it is kept while the stream is there");
    assert!(ours.destroy().is_ok());
    assert!(gone.upgrade().is_none(), "no way to a stream that is destroyed");
    Ok(())
}

/// Leaked rather than taken away.
#[test]
fn what_cudarc_has_works_on_after_the_last_handle() -> Result {
    let cudarc = cudarc()?;
    let ([ours, other], [theirs, _]) = lent::<2>(&cudarc)?;
    let slice = theirs.clone_htod(&[5_u32; 16])?;
    let weak = Arc::downgrade(&theirs);
    drop(ours);
    check_works(&theirs)?;
    other.wait_stream(&theirs)?;
    // The slice is freed on it.
    drop(theirs);
    assert_eq!(slice.stream().clone_dtoh(&slice)?, [5; 16]);
    assert_eq!(other.to_cudarc(&cudarc)?.clone_dtoh(&slice)?, [5; 16]);
    drop(slice);
    check_works(&upgraded(&weak))?;
    check_works(&upgraded(&weak))
}

fn upgraded(weak: &Weak<CudaStream>) -> Arc<CudaStream> {
    weak.upgrade().expect("what was leaked stays")
}

fn check_works(theirs: &Arc<CudaStream>) -> Result {
    let data = theirs.clone_htod(&[9_u32; 16])?;
    assert_eq!(theirs.clone_dtoh(&data)?, [9; 16]);
    theirs.as_stream().record_event()?.synchronize()?;
    Ok(theirs.synchronize()?)
}

/// As an owner, cudarc's share of our stream is one of cudarc's streams.
#[test]
fn what_cudarc_has_is_stored_as_an_external_stream() -> Result {
    let ([ours], [theirs]) = lent(&cudarc()?)?;
    let stored = ExternalStream::try_from(theirs)?;
    assert_eq!(stored.as_stream(), ours.as_stream());
    drop(ours);
    let event = stored.scope(|| Stream::current()?.record_event())?;
    event.synchronize()?;
    check_works(stored.owner())
}

/// The first call for a context of cudarc makes a stream with it, which leaves that context current; later ones
/// make no driver call.
#[test]
fn the_current_context_stays_as_it_is() -> Result {
    let fresh = [(); 3].map(|()| cudarc().expect("cudarc's view of the primary context"));
    let second = SecondContext::new(device());
    let lend = |cudarc: &Arc<CudaContext>| {
        let (before, ours) = (contexts::current(), device().stream()?);
        for _ in 0..2 {
            ours.to_cudarc(cudarc)?;
            assert_eq!(contexts::current(), before);
        }
        drop(ours);
        assert_eq!(contexts::current(), before, "dropping what was lent");
        Ok::<_, cuda_streams::Error>(())
    };
    on_a_fresh_thread(|| {
        lend(&fresh[0])?;
        assert!(contexts::current().is_null());
        second.with_current(|| lend(&fresh[1]))?;
        device().context()?.with_current(|| lend(&fresh[2]))?
    })?;
    Ok(())
}

/// An entry of cudarc's in ours would keep its context.
#[test]
fn nothing_of_a_stream_is_kept_when_it_is_gone() -> Result {
    let cudarc = cudarc()?;
    drop(lent::<1>(&cudarc)?);
    let before = Arc::strong_count(&cudarc);
    for _ in 0..3 {
        let (ours, theirs) = lent::<4>(&cudarc)?;
        assert_eq!(Arc::strong_count(&cudarc), before + 4);
        drop(theirs);
        assert_eq!(Arc::strong_count(&cudarc), before + 4);
        drop(ours);
        assert_eq!(Arc::strong_count(&cudarc), before);
    }
    Ok(())
}

/// What the tests of captures share: a kernel, and slices that are used on one stream alone, where they have been before.
struct Captured {
    from: CudaSlice<u32>,
    to: CudaSlice<u32>,
    theirs: Arc<CudaStream>,
    step: CudaFunction,
    cudarc: Arc<CudaContext>,
    ours: Stream,
}

impl Captured {
    fn new(clone: fn(&CudaContext, &Arc<CudaStream>, u32) -> Result<CudaSlice<u32>>) -> Result<Self> {
        kernel::twin().register();
        let cudarc = cudarc()?;
        let step = cudarc.load_module(Ptx::from_src(kernel::PTX))?.load_function(kernel::NAME)?;
        let ([ours], [theirs]) = lent(&cudarc)?;
        let (from, to) = (clone(&cudarc, &theirs, 1)?, clone(&cudarc, &theirs, 2)?);
        theirs.synchronize()?;
        Ok(Self { from, to, theirs, step, cudarc, ours })
    }

    fn fill(&mut self) -> Result<(), DriverError> {
        self.theirs.memset_zeros(&mut self.from)
    }

    fn launch(&mut self) -> Result<(), DriverError> {
        let mut launch = self.theirs.launch_builder(&self.step);
        launch.arg(&4_u32).arg(&3_u32).arg(&self.from).arg(&mut self.to);
        // SAFETY: the arguments are those of the PTX, and both slices have so many elements.
        unsafe { launch.launch(kernel::shape(4)) }.map(drop)
    }

    fn capture(&mut self) -> Result<Graph> {
        let ours = self.ours.clone();
        ours.capture(CaptureMode::default(), |_| {
            self.fill()?;
            Ok(self.launch()?)
        })
    }

    /// Launches it twice, and reads what comes of it.
    fn check(&self, graph: &Graph) -> Result {
        // SAFETY: the kernel and the slices are there until the work is done.
        let mut graph = unsafe { graph.instantiate() }?;
        for _ in 0..2 {
            // SAFETY: as above, and they are used on this stream alone.
            unsafe { graph.launch(&self.ours) }?;
        }
        let expected = kernel::step(kernel::step(2, 0, 3), 0, 3);
        assert_eq!((self.theirs.clone_dtoh(&self.from)?, self.theirs.clone_dtoh(&self.to)?), (vec![0; 4], vec![expected; 4]));
        check_works(&self.theirs)
    }
}

/// A call of cudarc's.
type Work = fn(&mut Captured) -> Result<(), DriverError>;

fn tracked(_: &CudaContext, stream: &Arc<CudaStream>, value: u32) -> Result<CudaSlice<u32>> {
    Ok(stream.clone_htod(&[value; 4])?)
}

/// Where cudarc orders nothing.
fn untracked<T>(cudarc: &CudaContext, f: impl FnOnce() -> T) -> T {
    // SAFETY: everything is on one stream.
    unsafe { cudarc.disable_event_tracking() };
    let done = f();
    // SAFETY: as above.
    unsafe { cudarc.enable_event_tracking() };
    done
}

/// The stream would wait for what used the slice before, which is outside of the capture.
#[test]
fn cudarcs_waits_for_slices_end_a_capture() -> Result {
    let _misuse = expect_misuse();
    let mut captured = Captured::new(tracked)?;
    let ours = captured.ours.clone();
    let [isolation, invalidated] = [ErrorCode::STREAM_CAPTURE_ISOLATION, ErrorCode::STREAM_CAPTURE_INVALIDATED];
    let works: [(ErrorCode, Work); 3] = [
        // It is told of the wait later.
        (invalidated, Captured::fill),
        (invalidated, |captured| relaxed_capture(|| captured.fill()).expect("the driver is there")),
        (isolation, Captured::launch),
    ];
    for (code, work) in works {
        let mut answer = Ok(());
        let result = ours.capture::<cuda_streams::Error>(CaptureMode::default(), |_| {
            answer = work(&mut captured);
            Ok(())
        });
        assert_eq!(answer.map_err(|error| ErrorCode::new(error.0 as u32)), Err(Some(code)));
        let error = result.map(drop).unwrap_err();
        assert_eq!(error, cuda_streams::Error::CaptureInvalidated { by: None, code: invalidated });
        assert!(error.to_string().contains("Stream::to_cudarc"), "{error}");
        // cudarc keeps what it could not tell for the next call.
        assert_eq!(captured.cudarc.check_err().is_err(), code == invalidated);
        check_works(&captured.theirs)?;
    }
    let graph = untracked(&captured.cudarc.clone(), || captured.capture())?;
    captured.check(&graph)
}

#[test]
fn work_that_cudarc_does_not_order_is_captured() -> Result {
    let mut captured = Captured::new(|cudarc, stream, value| untracked(cudarc, || tracked(cudarc, stream, value)))?;
    assert!(captured.cudarc.is_managing_stream_synchronization(), "but of these slices it knows nothing");
    let graph = captured.capture()?;
    captured.check(&graph)?;
    Ok(captured.cudarc.check_err()?)
}

#[test]
fn slices_that_cudarc_orders_are_captured_while_it_does_not() -> Result {
    let mut captured = Captured::new(tracked)?;
    let graph = untracked(&captured.cudarc.clone(), || captured.capture())?;
    captured.check(&graph)?;
    // And it orders them again.
    let [other] = streams();
    let theirs = other.to_cudarc(&captured.cudarc)?;
    let mut seen = theirs.alloc_zeros::<u32>(4)?;
    other.synchronize()?;
    let hold = Hold::new(&captured.ours);
    captured.fill()?;
    theirs.memcpy_dtod(&captured.from, &mut seen)?;
    assert!(!other.query()?, "it waits for the fill");
    hold.release();
    assert_eq!(theirs.clone_dtoh(&seen)?, [0; 4]);
    Ok(captured.cudarc.check_err()?)
}
