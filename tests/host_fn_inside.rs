//! What a function that the driver calls may not do, and what is given up there.

mod common;

use std::sync::Arc;
use std::thread;

use common::calls::{Call, DEVICE_CALLS, WITHOUT_THE_DRIVER, WORLD_CALLS};
use common::child;
use common::hold::Hold;
use common::host_fn::{check_order, inside, running, until};
use common::world::World;
use common::{device, streams};
use cuda_streams::{Device, Error, Event, IpcMemory, Result};
use cudarc::driver::CudaContext;

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

/// By the driver's thread, which has it at hand from then on.
#[test]
fn an_event_that_is_dropped_inside_is_idle() -> Result<()> {
    let [stream] = streams();
    let event = stream.record_event()?;
    let before = stream.context().event_pool();
    inside(&stream, move || drop(event));
    // Waiting for a function may have created events too, which others drop.
    until(|| {
        let after = stream.context().event_pool();
        after.idle as u64 - before.idle as u64 == 1 + after.created - before.created
    });
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

/// Not under Miri, which would take minutes, and has no child processes.
#[cfg(not(miri))]
#[test]
fn every_call_is_refused_inside() {
    // A process of its own, since one of the calls retires a context.
    child::run("every_call_is_refused_inside", child::same_environment, || {
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
