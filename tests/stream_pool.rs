//! Pools of streams: who gets which, and what comes back.

mod common;

use std::collections::HashSet;
use std::mem::ManuallyDrop;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use common::hold::Hold;
use common::words::Words;
use common::{contexts, device, on_a_fresh_thread, raw, streams};
use cuda_streams::{AsStream as _, CaptureMode, Error, Event, Result, Stream, StreamOptions, StreamPool};
use cudarc::driver::CudaContext;

const MODES: [CaptureMode; 3] = [CaptureMode::Global, CaptureMode::ThreadLocal, CaptureMode::Relaxed];

fn pool(size: u16) -> StreamPool {
    device().stream_pool(StreamOptions::new(), size).expect("a pool")
}

/// The stream runs what is enqueued on it, behind what is.
#[track_caller]
fn assert_works(stream: &Stream) {
    let hold = Hold::new(stream);
    let event = stream.record_event().unwrap();
    assert_eq!(event.query(), Ok(false));
    hold.release();
    event.synchronize().unwrap();
}

/// T77, T365, T386, T390
#[test]
fn t077_a_pool_shares_its_streams_in_turns() -> Result<()> {
    const SIZE: usize = 32;
    let pool = pool(32);
    let streams: Vec<&Stream> = (0..200).map(|_| pool.next()).collect::<Result<_>>()?;
    assert_eq!(streams.iter().map(|stream| stream.as_raw()).collect::<HashSet<_>>().len(), SIZE, "each is another stream");
    assert_eq!(streams.iter().collect::<HashSet<_>>().len(), SIZE, "and has another id");
    assert!(streams.iter().zip(&streams[SIZE..]).all(|(stream, later)| stream == later), "every 32nd is the same");
    assert_works(streams[0]);
    Ok(())
}

#[test]
fn t384_a_pool_of_none_has_none() {
    let pool = pool(0);
    assert_eq!(pool.checkout().unwrap_err(), Error::PoolExhausted { size: 0 });
    assert_eq!(pool.next().unwrap_err(), Error::PoolExhausted { size: 0 });
}

#[test]
fn t385_streams_that_are_lent_differ_and_work() -> Result<()> {
    let pool = pool(3);
    assert_eq!((pool.size(), pool.context()), (3, device().context()?));
    let lent = [pool.checkout()?, pool.checkout()?, pool.checkout()?];
    let shared = [pool.next()?, pool.next()?, pool.next()?];
    let all: Vec<&Stream> = lent.iter().map(|stream| &**stream).chain(shared).collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 6, "none is lent and shared");
    for stream in all {
        assert!(stream.as_raw().addr() > 2, "it is none of the default streams");
        assert_works(stream);
    }
    Ok(())
}

#[test]
fn t366_pools_have_streams_of_their_own() -> Result<()> {
    let [first, second] = [pool(1), pool(1)];
    let lent = [first.checkout()?, second.checkout()?];
    let all: [&Stream; 4] = [&lent[0], &lent[1], first.next()?, second.next()?];
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 4);
    Ok(())
}

#[test]
fn t387_streams_are_made_with_the_options_of_the_pool() -> Result<()> {
    let (greatest, _) = device().context()?.stream_priorities()?.into_inner();
    for blocking in [false, true] {
        let pool = device().stream_pool(StreamOptions::new().priority(greatest).blocking(blocking), 1)?;
        let lent = pool.checkout()?;
        for stream in [&*lent, pool.next()?] {
            let (mut flags, mut priority) = (u32::MAX, i32::MAX);
            // SAFETY: the stream is alive, the out pointer is a live local.
            assert_eq!(unsafe { raw::cuStreamGetFlags(stream.as_raw(), &raw mut flags) }, raw::SUCCESS);
            // SAFETY: as above.
            assert_eq!(unsafe { raw::cuStreamGetPriority(stream.as_raw(), &raw mut priority) }, raw::SUCCESS);
            assert_eq!((flags, priority), (u32::from(!blocking), greatest));
        }
    }
    Ok(())
}

#[test]
fn a_stream_is_lent_to_one_at_a_time() -> Result<()> {
    let pool = pool(2);
    let (first, second) = (pool.checkout()?, pool.checkout()?);
    assert_ne!(*first, *second);
    for _ in 0..2 {
        let error = pool.checkout().unwrap_err();
        assert_eq!(error, Error::PoolExhausted { size: 2 });
        assert_eq!(error.to_string(), "all 2 streams of the pool are lent: give one back first, or make the pool larger");
    }
    let id = first.id();
    drop(first);
    let first = pool.checkout()?;
    assert_eq!(first.id(), id);
    assert!(pool.checkout().is_err());
    Ok(())
}

#[test]
fn a_stream_that_was_lent_before_is_the_same() -> Result<()> {
    let pool = pool(4);
    let lent = pool.checkout()?;
    let (id, raw, event) = (lent.id(), lent.as_raw(), lent.record_event()?);
    assert!(format!("{pool:?}").contains("size: 4") && format!("{lent:?}").contains(&format!("id: {id}")));
    drop(lent);
    for _ in 0..10 {
        let again = pool.checkout()?;
        assert_eq!((again.id(), again.as_raw()), (id, raw));
        again.wait_event(&event)?;
    }
    let forgotten = ManuallyDrop::new(pool.checkout()?);
    assert_ne!(pool.checkout()?.id(), id, "one that is forgotten stays lent");
    drop(ManuallyDrop::into_inner(forgotten));
    Ok(())
}

/// What the former user has enqueued runs before what the next does.
#[test]
fn a_busy_stream_keeps_its_queue() -> Result<()> {
    let pool = pool(2);
    let (source, mut target) = (Words::new(device(), 7), Words::new(device(), 1));
    let former = pool.checkout()?;
    let (id, hold) = (former.id(), Hold::new(&former));
    drop(former);
    let next = pool.checkout()?;
    assert_eq!((next.id(), next.query()), (id, Ok(false)));
    target.copy_from(&next, &source);
    let (done, other) = (next.record_event()?, pool.checkout()?);
    assert_ne!(other.id(), id);
    assert_works(&other);
    assert_eq!((done.query(), target.read()), (Ok(false), 1));
    hold.release();
    done.synchronize()?;
    assert_eq!(target.read(), 7);
    Ok(())
}

/// T364
#[test]
fn t364_work_on_streams_of_a_pool_is_ordered_by_events() -> Result<()> {
    let pool = pool(2);
    let (first, second) = (pool.checkout()?, pool.checkout()?);
    let (source, mut middle, mut target) = (Words::new(device(), 7), Words::new(device(), 1), Words::new(device(), 2));
    let hold = Hold::new(&first);
    middle.copy_from(&first, &source);
    second.wait_stream(&first)?;
    target.copy_from(second.as_stream(), &middle);
    drop((first, second));
    let (last, event) = (pool.next()?, Event::new());
    let lent = [pool.checkout()?, pool.checkout()?];
    lent.iter().try_for_each(|stream| last.wait_stream(stream))?;
    event.record(last)?;
    assert_eq!(event.query(), Ok(false));
    hold.release();
    event.synchronize()?;
    assert_eq!(target.read(), 7);
    Ok(())
}

/// As many threads as streams: none is refused, and no two have one stream at a time.
#[test]
fn threads_are_lent_streams_of_their_own() {
    const THREADS: u16 = 4;
    let rounds = if cfg!(miri) { 5 } else { 500 };
    let (pool, lent, seen) = (pool(THREADS), Mutex::new(HashSet::new()), Mutex::new(HashSet::new()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let stream = pool.checkout().expect("a stream for each thread");
                    assert!(lent.lock().unwrap().insert(stream.id()), "it is lent to one");
                    seen.lock().unwrap().insert(stream.id());
                    stream.record_event().unwrap().synchronize().unwrap();
                    assert!(lent.lock().unwrap().remove(&stream.id()));
                }
            });
        }
    });
    assert!((1..=usize::from(THREADS)).contains(&seen.into_inner().unwrap().len()), "they are made once");
    assert_works(&pool.checkout().unwrap());
}

#[test]
fn a_stream_is_given_back_by_any_thread() -> Result<()> {
    let pool = pool(1);
    let id = pool.checkout()?.id();
    let (give, taken) = channel();
    thread::scope(|scope| {
        let pool = &pool;
        scope.spawn(move || taken.into_iter().for_each(|stream: cuda_streams::PooledStream<'_>| assert_eq!(stream.id(), id)));
        for _ in 0..10 {
            let stream = loop {
                match pool.checkout() {
                    Ok(stream) => break stream,
                    Err(error) => assert_eq!(error, Error::PoolExhausted { size: 1 }),
                }
                thread::yield_now();
            };
            give.send(stream).unwrap();
        }
        drop(give);
    });
    let stream = pool.checkout()?;
    assert_eq!(stream.id(), id);
    assert_works(&stream);
    Ok(())
}

#[test]
fn threads_share_what_is_given_in_turns() {
    let pool = pool(4);
    let seen: HashSet<u64> = thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(|| [(); 8].map(|()| pool.next().unwrap().id())));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(seen.len(), 4);
}

/// A clone is a handle as any other, and the stream is its owner's then.
#[test]
fn a_stream_with_a_clone_does_not_come_back() -> Result<()> {
    let pool = pool(1);
    let lent = pool.checkout()?;
    let clone = Stream::clone(&lent);
    drop(lent);
    let other = pool.checkout()?;
    assert_ne!(*other, clone);
    assert_works(&clone);
    assert!(clone.destroy().is_ok(), "it is the only handle");
    let clone = Stream::clone(&other);
    drop(clone);
    let id = other.id();
    drop(other);
    assert_eq!(pool.checkout()?.id(), id, "a clone that is gone is nothing");
    Ok(())
}

#[test]
fn a_stream_that_cudarc_has_does_not_come_back() -> Result<(), Box<dyn std::error::Error>> {
    let (pool, cudarc) = (pool(1), CudaContext::new(0)?);
    let lent = pool.checkout()?;
    let (id, theirs) = (lent.id(), lent.to_cudarc(&cudarc)?);
    let slice = theirs.clone_htod(&[1, 2, 3])?;
    drop((slice, theirs, lent));
    let lent = pool.checkout()?;
    assert_eq!(lent.id(), id, "cudarc has nothing of it any more");
    let slice = lent.to_cudarc(&cudarc)?.clone_htod(&[1, 2, 3])?;
    drop(lent);
    assert_ne!(pool.checkout()?.id(), id);
    assert_eq!(slice.stream().clone_dtoh(&slice)?, [1, 2, 3], "it is there for cudarc");
    Ok(())
}

/// Asking whether it is being captured leaves the capture as it is.
#[test]
fn a_stream_that_is_being_captured_does_not_come_back() -> Result<()> {
    for mode in MODES {
        let [stream] = streams();
        let pool = pool(1);
        let (source, mut target) = (Words::new(device(), 7), Words::new(device(), 1));
        let mut id = None;
        let graph = stream.capture::<Error>(mode, |scope| {
            let side = pool.checkout()?;
            id = Some(side.id());
            side.wait_stream(scope)?;
            target.copy_from(&side, &source);
            scope.wait_stream(&side)?;
            drop(side);
            let other = pool.checkout()?;
            assert_ne!(Some(other.id()), id);
            assert_eq!(other.is_capturing(), Ok(false));
            other.record_event()?.synchronize()
        });
        assert_ne!(Some(pool.checkout()?.id()), id);
        let graph = graph?;
        // SAFETY: the words live until the launch is waited for.
        let mut exec = unsafe { graph.instantiate() }?;
        // SAFETY: as above.
        unsafe { exec.launch(&stream) }?;
        stream.synchronize()?;
        assert_eq!(target.read(), 7);
    }
    Ok(())
}

/// T368
#[test]
fn t368_streams_are_made_lent_and_given_back_beside_a_capture() {
    for mode in MODES {
        let [stream] = streams();
        let (pool, event) = (pool(2), Event::new());
        let graph = stream.capture::<Error>(mode, |scope| {
            let first = pool.checkout()?;
            let id = first.id();
            drop(first);
            let again = pool.checkout()?;
            assert_eq!(again.id(), id);
            let [shared, other, same] = [pool.next()?, pool.next()?, pool.next()?];
            assert!(shared != other && shared == same);
            [&*again, shared, other].into_iter().try_for_each(Stream::synchronize)?;
            scope.record(&event)
        });
        assert!(graph.is_ok(), "{mode:?}: {graph:?}");
    }
}

/// T368
#[test]
fn no_call_changes_the_current_context() {
    let pool = pool(2);
    on_a_fresh_thread(|| {
        let (lent, shared) = (pool.checkout().unwrap(), pool.next().unwrap());
        assert_works(&lent);
        assert_works(shared);
        drop(lent);
        assert!(contexts::current().is_null());
        // It moves as any value.
        drop(pool);
        assert!(contexts::current().is_null());
    });
}
