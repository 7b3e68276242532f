//! Streams: how they are made, told apart, asked, waited for and given up.

mod common;

use std::collections::HashSet;
use std::thread;

use common::hold::Hold;
use common::words::Words;
use common::{contexts, device, on_a_fresh_thread, raw, returns_after_release, streams};
use cuda_streams::{AsStream, Error, Result, Stream, StreamOptions};

#[test]
fn t463_a_new_stream_has_the_default_options() -> Result<()> {
    let [stream] = streams();
    assert_eq!((stream.priority(), stream.is_blocking()), (0, false));
    assert_eq!((stream.device(), stream.context()), (device(), device().context()?));
    assert!(stream.as_raw().addr() > 2, "it is none of the default streams");
    assert!(stream.query()?);
    Ok(())
}

#[test]
fn t383_the_driver_has_the_flags_that_were_asked_for() -> Result<()> {
    for blocking in [false, true] {
        let stream = device().stream_with(StreamOptions::new().blocking(blocking))?;
        let mut flags = u32::MAX;
        // SAFETY: the stream is alive, the out pointer is a live local.
        let code = unsafe { raw::cuStreamGetFlags(stream.as_raw(), &raw mut flags) };
        assert_eq!((code, flags), (raw::SUCCESS, u32::from(!blocking)));
        assert_eq!(stream.is_blocking(), blocking);
    }
    Ok(())
}

#[test]
fn t464_a_priority_is_mapped_to_the_nearest_and_read_back() -> Result<()> {
    let range = device().context()?.stream_priorities()?;
    let (greatest, least) = range.clone().into_inner();
    for wanted in [i32::MIN, greatest - 1, greatest, 0, least, least + 1, i32::MAX] {
        let stream = device().stream_with(StreamOptions::new().priority(wanted))?;
        let mut priority = i32::MAX;
        // SAFETY: the stream is alive, the out pointer is a live local.
        let code = unsafe { raw::cuStreamGetPriority(stream.as_raw(), &raw mut priority) };
        assert_eq!((code, priority), (raw::SUCCESS, wanted.clamp(greatest, least)), "asked for {wanted} of {range:?}");
        assert_eq!(stream.priority(), priority);
    }
    Ok(())
}

#[test]
fn t465_work_on_streams_of_every_priority_is_done() -> Result<()> {
    let priorities = device().context()?.stream_priorities()?;
    let source = Words::new(device(), 465);
    thread::scope(|scope| {
        for priority in priorities {
            let source = &source;
            scope.spawn(move || {
                let stream = device().stream_with(StreamOptions::new().priority(priority)).unwrap();
                let mut copy = Words::new(device(), 0);
                copy.copy_from(&stream, source);
                stream.synchronize().unwrap();
                assert_eq!(copy.read(), 465);
            });
        }
    });
    Ok(())
}

#[test]
fn t459_query_is_false_while_held_and_true_after() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    assert!(!stream.query()?);
    assert!(!stream.as_stream().query()?);
    hold.release();
    stream.synchronize()?;
    assert!(stream.query()?);
    Ok(())
}

/// T94
#[test]
fn t094_a_stream_is_done_before_its_work_and_after_it() -> Result<()> {
    let [stream] = streams();
    assert!(stream.query()?);
    let hold = Hold::new(&stream);
    let event = stream.record_event()?;
    assert!(!stream.query()? && !event.query()?);
    hold.release();
    stream.synchronize()?;
    assert!(stream.query()? && event.query()?);
    Ok(())
}

#[test]
fn t471_synchronize_waits_for_the_work() -> Result<()> {
    let [stream] = streams();
    stream.synchronize()?;
    let (source, mut copy) = (Words::new(device(), 471), Words::new(device(), 0));
    let hold = Hold::new(&stream);
    copy.copy_from(&stream, &source);
    returns_after_release(hold, || stream.synchronize())?;
    assert!(stream.query()?);
    assert_eq!(copy.read(), 471);
    Ok(())
}

#[test]
fn work_behind_a_hold_changes_nothing_before_the_release() -> Result<()> {
    let [stream] = streams();
    let (source, mut copy) = (Words::new(device(), 2), Words::new(device(), 1));
    let hold = Hold::new(&stream);
    copy.copy_from(&stream, &source);
    assert_eq!(copy.read(), 1);
    hold.release();
    stream.synchronize()?;
    assert_eq!(copy.read(), 2);
    Ok(())
}

/// T508, T470: the driver gives the handle of a destroyed stream to the next one; the id is new.
#[test]
fn t508_ids_are_unique_although_handles_recur() -> Result<()> {
    const ROUNDS: usize = if cfg!(miri) { 8 } else { 20 };
    let mut ids = HashSet::new();
    for _ in 0..ROUNDS {
        let stream = device().stream()?;
        let hold = Hold::new(&stream);
        ids.insert(stream.id());
        drop(stream);
        hold.release();
    }
    assert_eq!(ids.len(), ROUNDS);
    Ok(())
}

#[test]
fn t470_ids_are_unique_over_threads() {
    let streams: Vec<Stream> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(streams::<8>)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(streams.iter().map(Stream::id).collect::<HashSet<_>>().len(), 32);
    assert_eq!(streams.iter().collect::<HashSet<_>>().len(), 32);
}

#[test]
fn t098_equality_is_that_of_the_stream() {
    let [first, second] = streams();
    let clone = first.clone();
    assert_eq!(first, clone);
    assert_ne!(first, second);
    let mut set = HashSet::from([first]);
    assert!(!set.insert(clone));
    assert!(set.insert(second));
}

#[test]
fn t095_debug_names_type_device_and_id() -> Result<()> {
    let stream = device().stream_with(StreamOptions::new().blocking(true))?;
    let id = stream.id();
    assert_ne!(id, 0, "no stream has this id");
    assert_eq!(format!("{stream:?}"), format!("Stream {{ device: 0, id: {id}, priority: 0, blocking: true }}"));
    let raw = stream.as_raw();
    assert_eq!(format!("{:?}", stream.as_stream()), format!("StreamRef {{ device: 0, raw: {raw:?} }}"));
    Ok(())
}

#[test]
fn t073_a_clone_is_the_same_stream_and_outlives_the_original() -> Result<()> {
    let [stream] = streams();
    let (id, raw) = (stream.id(), stream.as_raw());
    let clone = stream.clone();
    let hold = Hold::new(&stream);
    drop(stream);
    assert_eq!((clone.id(), clone.as_raw()), (id, raw));
    assert!(!clone.query()?);
    hold.release();
    clone.synchronize()
}

#[test]
fn t455_destroy_gives_a_shared_stream_back() -> Result<()> {
    let [stream] = streams();
    let clone = stream.clone();
    let (given_back, error) = stream.destroy().unwrap_err();
    assert_eq!(error, Error::StreamShared);
    let stream = given_back.expect("the handle comes back");
    let hold = Hold::new(&stream);
    assert!(!stream.query()?, "and works");
    hold.release();
    drop(clone);
    stream.destroy().map_err(|(_, error)| error)
}

#[test]
fn t457_giving_up_a_busy_stream_neither_waits_nor_loses_work() -> Result<()> {
    for give_up in [|stream: Stream| drop(stream), |stream: Stream| stream.destroy().unwrap()] {
        let [stream] = streams();
        let (source, mut copy) = (Words::new(device(), 457), Words::new(device(), 0));
        let hold = Hold::new(&stream);
        copy.copy_from(&stream, &source);
        let end = stream.record_event()?;
        give_up(stream);
        assert!(!end.query()?, "the work is still held");
        hold.release();
        end.synchronize()?;
        assert_eq!(copy.read(), 457);
    }
    Ok(())
}

#[test]
fn t503_a_stream_is_used_and_dropped_on_another_thread() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let event = on_a_fresh_thread(move || {
        let event = stream.record_event();
        drop(stream);
        assert!(contexts::current().is_null(), "the thread has no context before and none after");
        event
    })?;
    assert!(!event.query()?);
    hold.release();
    event.synchronize()
}

#[test]
fn t404_threads_make_use_and_drop_streams_at_once() {
    let use_up = || {
        let [stream] = streams();
        let event = stream.record_event().unwrap();
        event.synchronize().unwrap();
        let id = stream.id();
        stream.destroy().unwrap();
        id
    };
    let (threads, streams) = if cfg!(miri) { (5, 4) } else { (10, 10) };
    let ids: HashSet<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| (0..streams).map(|_| use_up()).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), threads * streams, "each stream was another one");
}

/// In a process of its own, since the default stream and every blocking stream of a
/// process wait for each other.
#[cfg(not(miri))]
#[test]
fn t461_the_legacy_stream_waits_for_blocking_streams_only() {
    common::child::run("t461_the_legacy_stream_waits_for_blocking_streams_only", common::child::same_environment, || {
        let blocking = device().stream_with(StreamOptions::new().blocking(true)).unwrap();
        let [independent] = streams();
        let legacy = cudarc::driver::CudaContext::new(0).unwrap().default_stream();

        let hold = Hold::new(&independent);
        legacy.as_stream().record_event().unwrap().synchronize().unwrap();
        hold.release();

        let hold = Hold::new(&blocking);
        let mark = legacy.as_stream().record_event().unwrap();
        assert!(!mark.query().unwrap(), "the legacy stream waits for the blocking one");
        independent.record_event().unwrap().synchronize().unwrap();
        hold.release();
        mark.synchronize().unwrap();
        assert!(blocking.query().unwrap());
    });
}
