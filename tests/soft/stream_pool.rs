//! What a pool of streams asks the driver, and what becomes of the streams that it does not lend again.

use std::error::Error as StdError;
use std::process::Command;
use std::sync::LazyLock;

use cuda_streams::{CaptureMode, Device, Error, ErrorCode, Result, Stream, StreamOptions, StreamPool};
use cudarc::driver::CudaContext;
use softcuda::{Scope, all_calls, calls, inject, live, reports};

use crate::common::hold::Hold;
use crate::common::{child, device, host_fn, raw, streams};
use crate::counts::{expect, sum};
use crate::table::has;

const CREATE: [(&str, u64); 6] = [
    ("cuCtxGetId", 1),
    ("cuCtxPopCurrent_v2", 1),
    ("cuCtxPushCurrent_v2", 1),
    ("cuStreamCreateWithPriority", 1),
    ("cuStreamGetId", 1),
    ("cuStreamGetPriority", 1),
];
/// Making a stream; one without an id, on drivers that have none.
fn create() -> Vec<(&'static str, u64)> {
    CREATE.into_iter().filter(|(function, _)| has(function)).collect()
}

/// Giving one back: whether its context lives, and whether it is being captured.
const RETURN: [(&str, u64); 2] = [("cuCtxGetId", 1), ("cuStreamIsCapturing", 1)];
const DESTROY: [(&str, u64); 2] = [("cuCtxGetId", 1), ("cuStreamDestroy_v2", 1)];

fn pool(size: u16) -> StreamPool {
    device().stream_pool(StreamOptions::new(), size).expect("a pool")
}

/// Drops it, and checks which driver functions that calls.
#[track_caller]
fn expect_drop<T>(expected: &[(&str, u64)], what: T) {
    expect(expected, || {
        drop(what);
        Ok(())
    });
}

#[track_caller]
fn assert_streams(expected: u64, what: &str) {
    assert_eq!(live().streams, expected, "{what}");
    assert_eq!(Scope::current().reports(), [], "{what}");
}

#[test]
fn what_is_lent_again_costs_two_questions() {
    device().context().unwrap();
    let pool = expect(&[("cuCtxGetId", 1)], || device().stream_pool(StreamOptions::new(), 2));
    let lent = expect(&create(), || pool.checkout());
    expect_drop(&RETURN, lent);
    let lent = expect(&[], || pool.checkout());
    let other = expect(&create(), || pool.checkout());
    assert!(expect(&[], || Ok(pool.checkout().is_err())), "both are lent");
    expect_drop(&RETURN, lent);
    expect_drop(&RETURN, other);
    for _ in 0..2 {
        expect(&create(), || pool.next());
    }
    for _ in 0..10 {
        expect(&[], || pool.next());
    }
    expect_drop(&sum([&DESTROY, &DESTROY, &DESTROY, &DESTROY]), pool);
}

#[test]
fn all_streams_are_destroyed_with_the_pool() -> Result<()> {
    let _scope = Scope::enter();
    let pool = pool(4);
    assert_streams(0, "a pool makes none of itself");
    let lent = [pool.checkout()?, pool.checkout()?];
    assert!(pool.next()? != pool.next()?);
    assert_streams(4, "what was asked for");
    let hold = Hold::new(&lent[0]);
    drop(lent);
    drop(pool);
    assert_streams(0, "and nothing is waited for");
    hold.release();
    Ok(())
}

#[test]
fn a_stream_that_comes_back_captured_is_destroyed() -> Result<()> {
    for mode in [CaptureMode::Global, CaptureMode::ThreadLocal, CaptureMode::Relaxed] {
        let [stream] = streams();
        let pool = pool(1);
        let mut side = Some(pool.checkout()?);
        let before = (calls("cuStreamDestroy_v2"), live().streams);
        let graph = stream.capture::<Error>(mode, |scope| {
            let side = side.take().expect("it is there");
            side.wait_stream(scope)?;
            scope.wait_stream(&side)?;
            drop(side);
            assert_eq!((calls("cuStreamDestroy_v2"), live().streams), (before.0 + 1, before.1 - 1));
            let other = expect(&create(), || pool.checkout());
            expect_drop(&RETURN, other);
            Ok(())
        });
        assert!(graph.is_ok(), "{mode:?}: {graph:?}");
    }
    Ok(())
}

/// One that nobody joins back, and one whose capture somebody has ended by a call that is not allowed.
#[test]
fn a_capture_without_an_end_is_one() {
    let _misuse = Scope::enter();
    for is_ended in [false, true] {
        let [stream] = streams();
        let pool = pool(1);
        let graph = stream.capture::<Error>(CaptureMode::ThreadLocal, |scope| {
            let side = pool.checkout()?;
            side.wait_stream(scope)?;
            if is_ended {
                assert_ne!(raw::query(&side), raw::SUCCESS);
            }
            let destroyed = calls("cuStreamDestroy_v2");
            drop(side);
            assert_eq!(calls("cuStreamDestroy_v2"), destroyed + 1);
            Ok(())
        });
        assert_eq!(graph.is_err(), is_ended);
    }
}

/// Each call of a creation fails once: nothing is lost, and the place is free.
#[test]
fn a_creation_that_fails_takes_no_place() -> Result<()> {
    let _scope = Scope::enter();
    let pool = pool(1);
    for (function, _) in create() {
        // What a guard does when it is dropped is not told.
        if function == "cuCtxPopCurrent_v2" {
            continue;
        }
        for ask in [|pool: &StreamPool| pool.checkout().map(drop), |pool: &StreamPool| pool.next().map(drop)] {
            let _failure = inject(function, ErrorCode::OUT_OF_MEMORY.get());
            assert_eq!(ask(&pool), Err(Error::Driver { call: function, code: ErrorCode::OUT_OF_MEMORY }));
            assert_streams(0, function);
        }
    }
    let (lent, shared) = (pool.checkout()?, pool.next()?);
    assert_ne!(*lent, *shared);
    assert_streams(2, "as many as there are places");
    Ok(())
}

#[test]
fn a_stream_of_which_the_driver_does_not_tell_is_destroyed() -> Result<()> {
    let _scope = Scope::enter();
    let pool = pool(1);
    let lent = pool.checkout()?;
    let failure = inject("cuStreamIsCapturing", ErrorCode::LAUNCH_FAILED.get());
    drop(lent);
    drop(failure);
    assert_streams(0, "destroyed");
    let _new = expect(&create(), || pool.checkout());
    Ok(())
}

#[test]
fn a_clone_takes_the_stream_out_of_the_pool() -> Result<()> {
    let _scope = Scope::enter();
    let pool = pool(1);
    let lent = pool.checkout()?;
    let clone = Stream::clone(&lent);
    expect_drop(&[], lent);
    let other = pool.checkout()?;
    assert_streams(2, "the clone's and the pool's");
    drop(clone);
    assert_streams(1, "it is no longer the pool's");
    drop(other);
    drop(pool);
    assert_streams(0, "all");
    Ok(())
}

#[test]
fn a_stream_that_cudarc_has_is_leaked() -> Result<(), Box<dyn StdError>> {
    let cudarc = CudaContext::new(0)?;
    streams::<1>()[0].to_cudarc(&cudarc)?;
    let _scope = Scope::enter();
    let pool = pool(1);
    let lent = pool.checkout()?;
    let theirs = lent.to_cudarc(&cudarc)?;
    drop((theirs, lent));
    let lent = expect(&[], || pool.checkout());
    let theirs = lent.to_cudarc(&cudarc)?;
    drop(lent);
    assert_eq!(theirs.clone_dtoh(&theirs.clone_htod(&[1, 2, 3])?)?, [1, 2, 3]);
    drop((pool.checkout()?, theirs));
    assert_streams(2, "the one that is leaked, and the pool's");
    drop(pool);
    assert_streams(1, "the one that is leaked");
    Ok(())
}

/// The driver may not be asked there, and the pool is not the stream's any more.
#[test]
fn a_stream_that_comes_back_inside_a_host_function_is_destroyed_later() -> Result<()> {
    static POOL: LazyLock<StreamPool> = LazyLock::new(|| pool(1));
    let [stream] = streams();
    let lent = POOL.checkout()?;
    let id = lent.id();
    let before = live().streams;
    let inside = move || {
        let before = all_calls();
        drop(lent);
        (all_calls() - before, POOL.checkout().map(drop), POOL.next().map(drop))
    };
    let refused = Err(Error::InHostFunction);
    assert_eq!(host_fn::inside(&stream, inside), (0, refused.clone(), refused));
    host_fn::until(|| live().streams == before - 1);
    assert_ne!(POOL.checkout()?.id(), id);
    Ok(())
}

/// A child whose driver tells contexts apart, and where a context may end with objects in it.
fn deadly(command: &mut Command) {
    child::newest_driver(command);
    child::with_reports(command);
}

/// What is idle, what is lent and what is shared is leaked, and no stale handle reaches the driver, which would crash.
#[test]
fn the_streams_of_a_context_that_died_are_leaked() {
    child::run("stream_pool::the_streams_of_a_context_that_died_are_leaked", deadly, || {
        let pool = pool(2);
        let (first, second) = (pool.checkout().unwrap(), pool.checkout().unwrap());
        pool.next().unwrap();
        drop(first);
        // SAFETY: no handle of the context is passed to the driver afterwards; that is what this tests.
        assert_eq!(unsafe { raw::cuDevicePrimaryCtxReset_v2(raw::device_number(device())) }, raw::SUCCESS);
        let before = calls("cuStreamIsCapturing") + calls("cuStreamDestroy_v2");
        drop(second);
        let dead = Error::ContextDestroyed { device: 0 };
        assert_eq!((pool.checkout().unwrap_err(), pool.next().unwrap_err()), (dead.clone(), dead));
        drop(pool);
        assert_eq!(calls("cuStreamIsCapturing") + calls("cuStreamDestroy_v2"), before);
        let expected = |text: &str| ["cuCtxGetId: ", "cuDevicePrimaryCtxReset_v2: context "].iter().any(|start| text.starts_with(start));
        assert!(reports().iter().all(|report| expected(report.text())), "{:?}", reports());
        let pool = Device::get(0).unwrap().stream_pool(StreamOptions::new(), 1).unwrap();
        assert_eq!(pool.checkout().unwrap().query(), Ok(true), "a new pool is of the new context");
    });
}
