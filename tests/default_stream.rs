//! The driver's own streams: the legacy default stream, and each thread's.

mod common;

use common::contexts::{self, SecondContext};
use common::hold::Hold;
use common::words::Words;
use common::{device, on_a_fresh_thread, raw, returns_after_release, streams};
use cuda_streams::{AsStream, Event, Result, StreamOptions};

fn blocking() -> Result<cuda_streams::Stream> {
    device().stream_with(StreamOptions::new().blocking(true))
}

#[test]
fn the_default_stream_is_that_of_the_primary_context() -> Result<()> {
    let default = device().default_stream()?;
    let hold = Hold::new(&default);
    let event = default.record_event()?;
    assert_eq!((default.context(), default.device()), (device().context()?, device()));
    assert_eq!((event.context(), event.device()), (Some(device().context()?), Some(device())));
    assert!(!default.query()? && !event.query()?);
    returns_after_release(hold, || default.synchronize())?;
    assert!(default.query()? && event.query()?);
    Ok(())
}

/// T20: a copy to the host on the default stream comes behind all work of blocking streams.
#[test]
fn t020_a_copy_on_the_default_stream_leaves_blocking_streams_idle() -> Result<()> {
    let (default, producer) = (device().default_stream()?, blocking()?);
    let source = Words::new(device(), 20);
    let (mut data, mut on_the_host) = (Words::new(device(), 0), Words::on_the_host());
    let hold = Hold::new(&producer);
    data.copy_from(&producer, &source);
    data.copy_to_host(&default, &mut on_the_host);
    assert!(!producer.query()? && !default.query()?);
    returns_after_release(hold, || default.synchronize())?;
    assert!(producer.query()?);
    assert_eq!(on_the_host.as_slice().expect("the copy is done")[0], 20);
    Ok(())
}

/// A wait on the default stream holds back the blocking streams.
#[test]
fn blocking_streams_wait_for_what_the_default_stream_waits_for() -> Result<()> {
    let (default, waiting) = (device().default_stream()?, blocking()?);
    let [producer] = streams();
    let hold = Hold::new(&producer);
    default.wait_stream(&producer)?;
    let mark = waiting.record_event()?;
    assert!(!mark.query()?);
    hold.release();
    mark.synchronize()?;
    assert!(producer.query()?);
    Ok(())
}

#[test]
fn each_thread_has_its_own_default_stream() -> Result<()> {
    let ours = device().per_thread_stream()?;
    let hold = Hold::new(ours);
    assert!(!ours.query()?);
    let id = raw::has_ids().then(|| ours.id()).transpose()?;
    on_a_fresh_thread(|| {
        let theirs = device().per_thread_stream()?;
        theirs.record_event()?.synchronize()?;
        assert!(theirs.query()?, "it does not wait for that of the other thread");
        assert!(id.is_none() || theirs.id().map(Some) != Ok(id));
        assert!(contexts::current().is_null());
        Ok(())
    })?;
    assert!(!ours.query()?);
    hold.release();
    ours.synchronize()
}

#[test]
fn default_streams_stay_those_of_the_primary_context_where_another_is_current() -> Result<()> {
    let second = SecondContext::new(device());
    let primary = device().context()?;
    second.with_current(|| {
        let (default, per_thread) = (device().default_stream()?, device().per_thread_stream()?);
        for stream in [default.as_stream(), per_thread] {
            let hold = Hold::new(stream);
            let event = Event::new();
            event.record(stream)?;
            assert_eq!(event.context(), Some(primary));
            assert!(!event.query()? && !stream.query()?);
            assert_eq!(contexts::current(), second.as_raw());
            hold.release();
            stream.synchronize()?;
        }
        Ok(())
    })
}
