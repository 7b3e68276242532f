//! Streams of others as the current one, and how long their owners live.

mod common;

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use common::hold::Hold;
use common::world::external_raw;
use common::{assert_current, device, on_a_fresh_thread, raw, streams};
use cuda_streams::{AsStream, CurrentStream, ExternalStream, RawStream, Result, Stream};

/// Somebody's stream, who destroys it when it is dropped.
struct Owner {
    raw: RawStream,
    gone: Arc<AtomicBool>,
}

// SAFETY: the handle of a stream may be used from any thread.
unsafe impl Send for Owner {}
// SAFETY: as above.
unsafe impl Sync for Owner {}

impl Owner {
    fn new() -> Self {
        let context = device().context().expect("the primary context");
        let mut raw = ptr::null_mut();
        // SAFETY: a context is current, the out pointer is a live local.
        let create = || unsafe { raw::cuStreamCreate(&raw mut raw, 1) };
        assert_eq!(context.with_current(create), Ok(raw::SUCCESS));
        Self { raw, gone: Arc::default() }
    }

    /// A view of it that keeps it alive, and what tells whether it is gone.
    fn share(self) -> (ExternalStream<Arc<Self>>, Arc<AtomicBool>) {
        let (raw, gone) = (self.raw, self.gone.clone());
        // SAFETY: the stream lives as long as its owner.
        let stream = unsafe { ExternalStream::with_owner(raw, Arc::new(self)) };
        (stream.expect("a stream that is alive"), gone)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // SAFETY: created by `new`, and nobody uses it after its owner.
        assert_eq!(unsafe { raw::cuStreamDestroy_v2(self.raw) }, raw::SUCCESS);
        self.gone.store(true, Ordering::Relaxed);
    }
}

/// A view that keeps nothing alive.
fn external(raw: RawStream) -> ExternalStream {
    external_raw(Some(device()), raw).expect("a stream that is alive")
}

/// T3, T54, T83: and destroying it remains the owner's.
#[test]
fn t083_an_external_stream_becomes_current_with_the_handle_it_was_made_of() -> Result<()> {
    let owner = Owner::new();
    {
        let stream = external(owner.raw);
        assert_eq!((stream.as_raw(), stream.device()), (owner.raw, device()));
        assert_ne!(stream, device().default_stream()?);
        let hold = Hold::new(&stream);
        let event = stream.scope(|| {
            assert_current(&stream);
            assert_eq!(Stream::current()?.as_raw(), owner.raw);
            Stream::current()?.record_event()
        })?;
        assert!(!event.query()?);
        hold.release();
        event.synchronize()?;
    }
    // SAFETY: its owner has it.
    assert_eq!(unsafe { raw::cuStreamQuery(owner.raw) }, raw::SUCCESS);
    let gone = owner.gone.clone();
    drop(owner);
    assert!(gone.load(Ordering::Relaxed), "the owner could destroy it");
    Ok(())
}

/// T85
#[test]
fn t085_scopes_of_external_streams_nest_with_each_other_and_with_ours() {
    let [ours, others] = streams();
    let first = external(others.as_raw());
    let (second, _) = Owner::new().share();
    assert_ne!(first, second);
    first.scope(|| {
        second.scope(|| {
            assert_current(&second);
            ours.scope(|| assert_current(&ours));
            first.scope(|| assert_current(&others));
            assert_current(&second);
        });
        assert_current(&first);
    });
}

/// T86
#[test]
fn t086_each_thread_has_its_own_external_stream_current() {
    let ours = streams::<3>();
    let both_are_inside = Barrier::new(2);
    let use_scope = &|raw: usize| {
        let stream = external(ptr::with_exposed_provenance_mut(raw));
        stream.scope(|| {
            both_are_inside.wait();
            assert_current(&stream);
            both_are_inside.wait();
        });
    };
    let [main, first, second] = ours.each_ref().map(|stream| stream.as_raw().expose_provenance());
    let main = external(ptr::with_exposed_provenance_mut(main));
    main.scope(|| {
        thread::scope(|scope| {
            for raw in [first, second] {
                scope.spawn(move || use_scope(raw));
            }
        });
        assert_current(&ours[0]);
    });
    assert_ne!(first, second);
}

#[test]
fn an_owner_lives_as_long_as_what_left_the_scope() -> Result<()> {
    let (stream, gone) = Owner::new().share();
    let hold = Hold::new(&stream);
    let raw = stream.as_raw();
    let current = stream.scope(Stream::current)?;
    drop(stream);
    let again = current.clone();
    drop(current);
    assert!(!gone.load(Ordering::Relaxed), "what left the scope keeps the owner");
    assert_eq!(again.as_raw(), raw);
    assert!(!again.query()?);
    hold.release();
    again.synchronize()?;
    drop(again);
    assert!(gone.load(Ordering::Relaxed));
    Ok(())
}

/// Nothing is kept for what does not leave the scope.
#[test]
fn an_owner_is_shared_only_with_what_left_the_scope() -> Result<()> {
    let (stream, gone) = Owner::new().share();
    let owners = || Arc::strong_count(stream.owner());
    stream.scope(|| {
        stream.scope(Stream::current).map(drop)?;
        assert_current(&stream);
        assert_eq!(owners(), 1, "the scope borrows the stream");
        Ok(())
    })?;
    assert_eq!(owners(), 1);
    let left = stream.scope(|| stream.scope(Stream::current))?;
    assert_eq!(owners(), 2);
    let more = stream.scope(|| Ok([Stream::current()?, device().current_stream()?]))?;
    assert_eq!(owners(), 3, "one for each scope that something left");
    drop((left, more));
    assert_eq!(owners(), 1);
    assert!(!gone.load(Ordering::Relaxed));
    stream.synchronize()?;
    drop(stream.into_owner());
    assert!(gone.load(Ordering::Relaxed));
    Ok(())
}

/// An owner may use streams when it is dropped, also the current one.
#[test]
fn an_owner_may_open_a_scope_when_it_is_dropped() -> Result<()> {
    struct Curious {
        stream: Owner,
        other: Stream,
    }

    impl Drop for Curious {
        fn drop(&mut self) {
            let last = external(self.stream.raw);
            let left = last.scope(|| {
                assert_current(&last);
                Stream::current()
            });
            assert_eq!(left.map(|current| current.as_raw()), Ok(self.stream.raw));
            self.other.scope(|| assert_current(&self.other));
        }
    }

    let [other] = streams();
    let stream = Owner::new();
    let (raw, gone) = (stream.raw, stream.gone.clone());
    let owner = Arc::new(Curious { stream, other: other.clone() });
    // SAFETY: the stream lives as long as its owner.
    let stream = unsafe { ExternalStream::with_owner(raw, owner) }?;
    let left = stream.scope(Stream::current)?;
    drop(stream);
    other.scope(|| {
        drop(left);
        assert!(gone.load(Ordering::Relaxed));
        assert_current(&other);
    });
    Ok(())
}

#[test]
fn default_streams_become_current_by_their_handles() -> Result<()> {
    on_a_fresh_thread(|| {
        for handle in [0, 1, 2] {
            let stream = external(ptr::without_provenance_mut(handle));
            let hold = Hold::new(&stream);
            let event = stream.scope(|| {
                assert_current(&stream);
                assert_eq!(Stream::current()?.as_raw().addr(), handle);
                Stream::current()?.record_event()
            })?;
            assert_eq!(event.context(), Some(device().context()?));
            assert!(!event.query()?);
            hold.release();
            event.synchronize()?;
        }
        Ok(())
    })
}

/// The view of the current stream is one of the stream, for whoever takes a stream.
#[test]
fn the_current_stream_is_a_stream() -> Result<()> {
    let [stream, other] = streams();
    let use_it = |current: CurrentStream| {
        let event = current.record_event()?;
        other.wait_stream(&current)?;
        current.wait_event(&event)?;
        current.wait_stream(&stream)?;
        let view = current.as_stream();
        assert_eq!((current.priority()?, current.is_blocking()?), (view.priority()?, view.is_blocking()?));
        assert_eq!((current.context(), current.device()), (view.context()?, view.device()?));
        assert_eq!(current.is_capturing(), Ok(false));
        current.synchronize()?;
        event.query()
    };
    assert_eq!(stream.scope(|| use_it(Stream::current()?)), Ok(true));
    assert_eq!(use_it(device().current_stream()?), Ok(true));
    let hold = Hold::new(&stream);
    let current = stream.scope(Stream::current)?;
    assert!(!current.query()?);
    if raw::has_ids() {
        assert_eq!(current.id(), Ok(stream.id()));
    }
    hold.release();
    current.synchronize()
}
