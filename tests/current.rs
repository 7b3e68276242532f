//! No public call changes which context is current, and a device's primary context comes into being
//! only through the calls that say so. The calls are those of `common/calls.rs`.

mod common;
#[cfg(not(miri))]
#[path = "common/sources.rs"]
mod sources;

use common::calls::{Call, DEVICE_CALLS, WORLD_CALLS};
#[cfg(not(miri))]
use common::child;
use common::contexts;
#[cfg(not(miri))]
use common::contexts::SecondContext;
use common::world::World;
use common::{device, on_a_fresh_thread};

/// Makes each call, and checks that the current context is what it was.
fn check_current<T>(calls: &[Call<T>], on: &T) {
    for Call { name, run, .. } in calls {
        let before = contexts::current();
        run(on).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(contexts::current(), before, "{name} changed the current context");
    }
}

/// Drops what is ours; cudarc's streams and events are given back, because cudarc changes the current context
/// when it drops them.
fn drop_ours(world: World) -> impl Sized {
    let World { theirs, their_event, .. } = world;
    (theirs, their_event)
}

#[test]
fn t502_no_call_makes_a_context_current_where_there_is_none() {
    let world = World::new(device());
    let _theirs = on_a_fresh_thread(|| {
        assert!(contexts::current().is_null());
        check_current(DEVICE_CALLS, &world.device);
        check_current(WORLD_CALLS, &world);
        let theirs = drop_ours(world);
        assert!(contexts::current().is_null(), "dropping changed the current context");
        theirs
    });
}

/// Miri walks over all calls once, above.
#[cfg(not(miri))]
#[test]
fn no_call_replaces_the_context_of_somebody_else() {
    let world = World::new(device());
    let second = SecondContext::new(device());
    let _theirs = on_a_fresh_thread(|| {
        let theirs = second.with_current(|| {
            check_current(DEVICE_CALLS, &world.device);
            check_current(WORLD_CALLS, &world);
            drop_ours(world)
        });
        assert!(contexts::current().is_null(), "a call left a context on the stack");
        theirs
    });
}

#[cfg(not(miri))]
#[test]
fn no_call_takes_the_primary_context_away() {
    let world = World::new(device());
    world
        .context
        .with_current(|| {
            check_current(DEVICE_CALLS, &world.device);
            check_current(WORLD_CALLS, &world);
            assert_eq!(contexts::current(), world.context.as_raw());
        })
        .expect("the context becomes current");
}

#[cfg(not(miri))]
#[test]
fn t501_calls_that_need_no_context_make_none() {
    child::run("t501_calls_that_need_no_context_make_none", child::same_environment, || {
        for Call { name, run, .. } in DEVICE_CALLS.iter().filter(|call| !call.activates) {
            run(&device()).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!device().is_active().unwrap(), "{name} activates the primary context");
        }
    });
}

#[cfg(not(miri))]
#[test]
fn calls_that_make_a_context_make_it() {
    let activating = DEVICE_CALLS.iter().filter(|call| call.activates);
    child::run_each("calls_that_make_a_context_make_it", activating, |Call { name, run, .. }| {
        assert!(!device().is_active().unwrap());
        run(&device()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(device().is_active().unwrap(), "{name} does not activate the primary context");
    });
}

/// Types whose functions are not called in this test, and why.
#[cfg(not(miri))]
const EXEMPT: &[(&str, &str)] = &[
    ("Error", "a value"),
    ("ErrorCode", "a value"),
    ("DeviceAttribute", "a value"),
    ("DeviceUuid", "a value"),
    ("EventOptions", "a value; what it builds is called"),
    ("StreamOptions", "a value; what it builds is called"),
    ("ElapsedTime", "a value"),
    ("EventPoolStats", "a value"),
];

/// Not under Miri, which would take minutes to read the sources and look at no driver.
#[cfg(not(miri))]
#[test]
fn no_public_function_is_missing_from_the_list() {
    assert_eq!(sources::listed_files(), sources::declared_files(), "the sources that are read");
    let functions = sources::public_functions();
    let type_of = |function: &str| function.split_once("::").map_or(String::new(), |(owner, _)| owner.to_owned());
    let called = |function: &str| {
        let called = |name: &str| name.split(',').next() == Some(function);
        DEVICE_CALLS.iter().any(|call| called(call.name)) || WORLD_CALLS.iter().any(|call| called(call.name))
    };
    let missing: Vec<_> =
        functions.iter().filter(|function| !called(function) && EXEMPT.iter().all(|(exempt, _)| type_of(function) != *exempt)).collect();
    assert!(missing.is_empty(), "add these to common/calls.rs: {missing:?}");
    for (exempt, _) in EXEMPT {
        assert!(functions.iter().any(|function| type_of(function) == *exempt), "{exempt} has no public function: it needs no exemption");
    }
    for function in ["Device::context", "Stream::record", "Event::elapsed_time", "AsStream::as_stream", "driver_version"] {
        assert!(functions.iter().any(|found| found == function), "the sources are not read right: {function} is not found");
    }
}
