//! Schedules: what goes when, and what holds in each of them. Every test has a scope of its own.

mod support;

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::sync::{Arc, Mutex};

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::{self, CUevent_flags, CUevent_wait_flags, CUresult, CUstream};
use cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError, PinnedHostSlice, result};
use softcuda::{Entered, Schedule, Scope};
use support::{Hold, context, round_trips};

/// A scope with that schedule, and a context.
fn scheduled(schedule: Schedule) -> (Entered, Arc<CudaContext>) {
    let context = context(0);
    (Scope::enter().scheduled(schedule), context)
}

fn is_complete(event: &CudaEvent) -> bool {
    event.try_is_complete().expect("the event is alive")
}

/// Page-locked bytes, all 1.
fn ones(context: &Arc<CudaContext>) -> PinnedHostSlice<u8> {
    // SAFETY: written before it is read.
    let mut bytes = unsafe { context.alloc_pinned::<u8>(4) }.expect("pinned memory");
    bytes.as_mut_slice().expect("no copy uses it").fill(1);
    bytes
}

/// What is in page-locked memory now, whatever copy is still to come.
fn now(bytes: *const u8) -> u8 {
    // SAFETY: the memory lives, and no copy is at work on it.
    unsafe { bytes.read() }
}

#[test]
fn lazy_work_waits_for_somebody_who_waits() -> Result<(), DriverError> {
    let (_scope, context) = scheduled(Schedule::Lazy);
    let stream = context.new_stream()?;
    let mut bytes = ones(&context);
    let first = bytes.as_ptr()?;
    let zeros = stream.alloc_zeros::<u8>(4)?;
    stream.memcpy_dtoh(&zeros, &mut bytes)?;
    let event = stream.record_event(None)?;
    round_trips(&context)?;
    assert!(!is_complete(&event));
    assert_eq!((now(first), softcuda::live().threads), (1, 0));
    stream.synchronize()?;
    assert!(is_complete(&event));
    assert_eq!(now(first), 0);
    Ok(())
}

#[test]
fn only_what_is_waited_for_goes() -> Result<(), DriverError> {
    let (_scope, context) = scheduled(Schedule::Lazy);
    let [asked, before, other] = [context.new_stream()?, context.new_stream()?, context.new_stream()?];
    let (needed, waited_for) = (before.record_event(None)?, asked.record_event(None)?);
    asked.wait(&needed)?;
    let (end, behind, beside) = (asked.record_event(None)?, before.record_event(None)?, other.record_event(None)?);
    waited_for.synchronize()?;
    assert_eq!([&waited_for, &needed, &end].map(is_complete), [true, false, false]);
    end.synchronize()?;
    assert_eq!([&waited_for, &needed, &end].map(is_complete), [true; 3]);
    assert_eq!([&behind, &beside].map(is_complete), [false, false]);
    context.synchronize()?;
    assert_eq!([&behind, &beside].map(is_complete), [true, true]);
    Ok(())
}

#[test]
fn a_program_that_polls_goes_on() -> Result<(), DriverError> {
    let (_scope, context) = scheduled(Schedule::Lazy);
    let stream = context.new_stream()?;
    let event = stream.record_event(None)?;
    assert_eq!([(); 5].map(|()| is_complete(&event)), [false, false, false, true, true]);

    // SAFETY: the stream is alive.
    let query = || unsafe { sys::cuStreamQuery(stream.cu_stream()) };
    stream.record_event(None)?;
    assert_eq!([(); 3].map(|()| query()), [CUresult::CUDA_ERROR_NOT_READY; 3]);
    assert_eq!(query(), CUresult::CUDA_SUCCESS);

    let timed = || stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT));
    let (start, end) = (timed()?, timed()?);
    // SAFETY: both events are alive.
    let elapsed = || unsafe { result::event::elapsed(start.cu_event(), end.cu_event()) };
    let not_ready = Err(DriverError(CUresult::CUDA_ERROR_NOT_READY));
    assert_eq!([(); 3].map(|()| elapsed()), [not_ready; 3]);
    // The fourth asks for both, and still says what it found.
    assert_eq!(elapsed(), not_ready);
    assert!(elapsed().is_ok());
    Ok(())
}

#[test]
fn what_waits_by_the_way_lets_work_go() -> Result<(), DriverError> {
    let (_scope, context) = scheduled(Schedule::Lazy);
    let stream = context.new_stream()?;
    // SAFETY: a context is current; the memory is freed below.
    let address = unsafe { result::malloc_sync(4) }?;
    let event = stream.record_event(None)?;
    // Freeing waits for the work of the context.
    // SAFETY: allocated above, and not used any more.
    unsafe { result::free_sync(address) }?;
    assert!(is_complete(&event));

    let event = stream.record_event(None)?;
    // A copy to pageable memory waits for itself, and so for what comes before.
    assert_eq!(stream.clone_dtoh(&stream.alloc_zeros::<u8>(2)?)?, [0; 2]);
    assert!(is_complete(&event));
    Ok(())
}

#[test]
fn a_hold_holds_in_every_schedule() -> Result<(), DriverError> {
    let seeds = if cfg!(miri) { 1 } else { 10 };
    for schedule in [Schedule::Plain, Schedule::Lazy].into_iter().chain((0..seeds).map(Schedule::Seeded)) {
        let (_scope, context) = scheduled(schedule);
        let [busy, other] = [context.new_stream()?, context.new_stream()?];
        let hold = Hold::new(&busy);
        let behind = busy.record_event(None)?;
        let beside = other.record_event(None)?;
        other.synchronize()?;
        assert_eq!([&behind, &beside].map(is_complete), [false, true], "{schedule:?}");
        hold.release();
        busy.synchronize()?;
        assert!(is_complete(&behind));
    }
    Ok(())
}

#[test]
fn what_was_held_goes_with_the_scope_or_its_schedule() -> Result<(), DriverError> {
    let (scope, context) = scheduled(Schedule::Lazy);
    let stream = context.new_stream()?;
    let event = stream.record_event(None)?;
    assert!(!is_complete(&event));
    scope.scope().set_schedule(Schedule::Plain);
    assert!(is_complete(&event));

    scope.scope().set_schedule(Schedule::Lazy);
    event.record(&stream)?;
    assert!(!is_complete(&event));
    drop(scope);
    assert!(is_complete(&event));
    Ok(())
}

#[test]
fn work_of_a_destroyed_stream_goes_when_it_is_waited_for() -> Result<(), DriverError> {
    let (_scope, context) = scheduled(Schedule::Lazy);
    let stream = result::stream::create(StreamKind::NonBlocking)?;
    let event = context.new_event(None)?;
    // SAFETY: both are alive.
    unsafe { result::event::record(event.cu_event(), stream) }?;
    // SAFETY: alive, and not used any more.
    unsafe { result::stream::destroy(stream) }?;
    assert!(!is_complete(&event));
    event.synchronize()?;
    assert!(is_complete(&event));
    Ok(())
}

/// The numbers of host functions in the order in which they ran.
type Order = Arc<Mutex<Vec<usize>>>;

/// Enqueues a host function that writes down its number.
fn note(stream: CUstream, order: &Order, number: usize) {
    unsafe extern "C" fn push(note: *mut c_void) {
        // SAFETY: `note` passes a box, and the driver calls once.
        let (order, number) = *unsafe { Box::from_raw(note.cast::<(Order, usize)>()) };
        order.lock().expect("nobody panics with it").push(number);
    }
    let note: Box<(Order, usize)> = Box::new((order.clone(), number));
    // SAFETY: the stream is alive; the function takes the box back.
    unsafe { result::stream::launch_host_function(stream, push, Box::into_raw(note).cast()) }.expect("a host function");
}

/// Seeds that are tried. Miri takes seconds for each: there chance need not show in so few.
const SEEDS: u64 = if cfg!(miri) { 2 } else { 20 };

/// The order of host functions on three streams that nothing orders.
fn order_of_three(seed: u64) -> Vec<usize> {
    let (_scope, context) = scheduled(Schedule::Seeded(seed));
    let streams = [(); 3].map(|()| context.new_stream().expect("a stream"));
    let order = Order::default();
    for number in 0..9 {
        note(streams[number % 3].cu_stream(), &order, number);
    }
    context.synchronize().expect("no fault");
    let order = order.lock().expect("nobody panics with it");
    order.clone()
}

#[test]
fn a_seed_decides_the_order() {
    let orders: Vec<_> = (0..SEEDS).map(order_of_three).collect();
    for (seed, order) in orders.iter().enumerate() {
        assert_eq!(&order_of_three(seed as u64), order, "seed {seed}");
    }
    assert!(cfg!(miri) || orders.iter().any(|order| *order != orders[0]), "every seed gives {:?}", orders[0]);
}

/// A copy, and another that lacks a wait for it: what the second one reads.
fn unordered(seed: u64) -> u8 {
    let (_scope, context) = scheduled(Schedule::Seeded(seed));
    let [first, second] = [context.new_stream().expect("a stream"), context.new_stream().expect("a stream")];
    let mut target = first.clone_htod(&[1_u8; 4]).expect("memory");
    let mut bytes = ones(&context);
    first.synchronize().expect("no fault");
    first.memset_zeros(&mut target).expect("a memset");
    second.memcpy_dtoh(&target, &mut bytes).expect("a copy");
    context.synchronize().expect("no fault");
    bytes.as_slice().expect("the copy is done")[0]
}

#[test]
fn a_missing_wait_shows_in_some_seeds_and_each_time_in_these() {
    let found: Vec<u8> = (0..SEEDS).map(unordered).collect();
    assert!(cfg!(miri) || (found.contains(&0) && found.contains(&1)), "{found:?}");
    assert_eq!((0..SEEDS).map(unordered).collect::<Vec<_>>(), found);
}

/// Numbers that a seed decides, for programs; the driver's own are not these.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }
}

/// A stream of a program, and what it is ordered after so far.
struct Lane {
    stream: CUstream,
    is_blocking: bool,
    /// Numbers of the host functions that come before what is enqueued next.
    after: BTreeSet<usize>,
}

/// Enqueues 40 operations, chosen by the dice, on the legacy stream, two blocking streams and two others:
/// host functions, and waits of one stream for another. Checks that the host functions ran in an order
/// that is allowed.
fn check_program(context: &Arc<CudaContext>, dice: &mut Dice) -> Vec<usize> {
    let created = [true, true, false, false].map(|is_blocking| {
        let kind = if is_blocking { StreamKind::Default } else { StreamKind::NonBlocking };
        (result::stream::create(kind).expect("a stream"), is_blocking)
    });
    let streams = [(std::ptr::null_mut(), true)].into_iter().chain(created);
    let mut lanes: Vec<_> = streams.map(|(stream, is_blocking)| Lane { stream, is_blocking, after: BTreeSet::new() }).collect();
    let legacy = 0;
    let (order, event) = (Order::default(), context.new_event(None).expect("an event"));
    let mut after: Vec<BTreeSet<usize>> = Vec::new();
    for _ in 0..40 {
        let (at, other) = (dice.roll(lanes.len()), dice.roll(lanes.len()));
        // Each operation is ordered by the rules of the legacy stream, a record or a wait too.
        let obey = |lanes: &mut Vec<Lane>, at: usize| {
            let barrier = |index: usize| if at == legacy { lanes[index].is_blocking } else { lanes[at].is_blocking && index == legacy };
            let before: BTreeSet<usize> =
                (0..lanes.len()).filter(|index| barrier(*index)).flat_map(|index| lanes[index].after.clone()).collect();
            lanes[at].after.extend(before);
        };
        obey(&mut lanes, at);
        if dice.roll(3) == 0 {
            // SAFETY: event and stream are alive.
            unsafe { result::event::record(event.cu_event(), lanes[at].stream) }.expect("a record");
            let recorded = lanes[at].after.clone();
            obey(&mut lanes, other);
            let flags = CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
            // SAFETY: as above.
            unsafe { result::stream::wait_event(lanes[other].stream, event.cu_event(), flags) }.expect("a wait");
            lanes[other].after.extend(recorded);
        } else {
            let number = after.len();
            note(lanes[at].stream, &order, number);
            after.push(lanes[at].after.clone());
            lanes[at].after.insert(number);
        }
    }
    context.synchronize().expect("no fault");
    for (stream, _) in created {
        // SAFETY: alive, and not used any more.
        unsafe { result::stream::destroy(stream) }.expect("the stream is destroyed");
    }
    let order = order.lock().expect("nobody panics with it").clone();
    let mut places = vec![None; after.len()];
    for (place, number) in order.iter().enumerate() {
        assert_eq!(places[*number].replace(place), None, "{number} ran twice: {order:?}");
    }
    for (number, after) in after.iter().enumerate() {
        assert!(places[number].is_some(), "{number} never ran: {order:?}");
        for before in after {
            assert!(places[*before] < places[number], "{number} ran before {before}: {order:?}");
        }
    }
    order
}

#[test]
fn waits_and_barriers_are_kept_in_every_schedule() {
    let programs = if cfg!(miri) { 2 } else { 40 };
    let schedules = [Schedule::Plain, Schedule::Lazy, Schedule::Seeded(1), Schedule::Seeded(2), Schedule::Seeded(3)];
    let mut differ = false;
    for program in 0..programs {
        let orders = schedules.map(|schedule| {
            let (_scope, context) = scheduled(schedule);
            check_program(&context, &mut Dice(program))
        });
        differ |= orders[2..].iter().any(|order| *order != orders[2]);
    }
    assert!(cfg!(miri) || differ, "the schedules are all the same");
}

/// Whether the driver's own bookkeeping keeps up with a queue that nobody has waited for.
#[test]
fn long_queues_go_in_the_end() -> Result<(), DriverError> {
    let operations = if cfg!(miri) { 20 } else { 500 };
    for schedule in [Schedule::Lazy, Schedule::Seeded(5)] {
        let (_scope, context) = scheduled(schedule);
        let streams: Vec<Arc<CudaStream>> = (0..8).map(|_| context.new_stream()).collect::<Result<_, _>>()?;
        let event = context.new_event(None)?;
        for step in 0..operations {
            let (from, to) = (&streams[step % 8], &streams[(3 * step + 1) % 8]);
            event.record(from)?;
            to.wait(&event)?;
        }
        context.synchronize()?;
        assert!(is_complete(&event), "{schedule:?}");
    }
    Ok(())
}
