//! User objects: destroyed once, when nothing refers to them any more.

mod support;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use cudarc::driver::sys;
use cudarc::driver::sys::CUresult::{CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, CUDA_SUCCESS};
use cudarc::driver::{DriverError, result};
use softcuda::{Schedule, Scope};
use support::graph::{Graph, begin, captured, end_on, info, join, query, record, set, user_object};
use support::reported::{check_reported, check_silent, in_every_schedule};
use support::user_object::{check_destroyed, destroyed, is_there, move_to, release, watched};
use support::world::{World, blocking, non_blocking, settle};
use support::{Hold, context, misuse, round_trips};

#[test]
fn an_object_goes_with_the_last_reference_of_the_caller() {
    let _context = context(0);
    let (object, told) = watched();
    // SAFETY: alive.
    assert_eq!(unsafe { sys::cuUserObjectRetain(object, 2) }, CUDA_SUCCESS);
    assert_eq!(release(object, 2), CUDA_SUCCESS);
    assert!(is_there(&told));
    assert_eq!(softcuda::live().user_objects, 1);
    assert_eq!(release(object, 1), CUDA_SUCCESS);
    check_destroyed(&told);
    assert_eq!(softcuda::live().user_objects, 0);
}

#[test]
fn graphs_clones_and_executables_keep_it() -> Result<(), DriverError> {
    let stream = context(0).new_stream()?;
    let (object, told) = watched();
    let graph = captured(&stream, |stream| move_to(info(stream).expect("it captures").1, object));
    let clone = graph.clone();
    let [first, second] = [graph.instantiate(), clone.instantiate()];
    drop(graph);
    drop(first);
    drop(clone);
    assert!(is_there(&told));
    drop(second);
    check_destroyed(&told);
    Ok(())
}

#[test]
fn a_graph_refers_to_it_beside_the_caller() {
    let _context = context(0);
    let (object, told) = watched();
    let graph = Graph::new();
    // SAFETY: both are alive.
    assert_eq!(unsafe { sys::cuGraphRetainUserObject(graph.0, object, 2, 0) }, CUDA_SUCCESS);
    assert_eq!(release(object, 1), CUDA_SUCCESS);
    // SAFETY: both are alive.
    assert_eq!(unsafe { sys::cuGraphReleaseUserObject(graph.0, object, 1) }, CUDA_SUCCESS);
    assert!(is_there(&told));
    drop(graph);
    check_destroyed(&told);
}

#[test]
fn it_goes_with_a_capture_that_fails() -> Result<(), DriverError> {
    let context = context(0);
    let (stream, other) = (context.new_stream()?, context.new_stream()?);
    let event = context.new_event(None)?;
    let (invalidated, told_of_invalidated) = watched();
    begin(&stream);
    move_to(info(&stream).expect("it captures").1, invalidated);
    assert_ne!(query(&event), CUDA_SUCCESS);
    assert_eq!(end_on(stream.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    check_destroyed(&told_of_invalidated);

    let (unjoined, told_of_unjoined) = watched();
    begin(&stream);
    move_to(info(&stream).expect("it captures").1, unjoined);
    join(&other, &stream);
    assert_eq!(record(&event, &other, 1), CUDA_SUCCESS);
    assert!(end_on(stream.cu_stream()).1.is_none());
    check_destroyed(&told_of_unjoined);

    let (abandoned, told_of_abandoned) = watched();
    let origin = blocking(&context);
    begin(&origin);
    move_to(info(&origin).expect("it captures").1, abandoned);
    // SAFETY: alive, and not used any more.
    unsafe { result::stream::destroy(origin.cu_stream()) }?;
    check_destroyed(&told_of_abandoned);
    Ok(())
}

#[test]
fn a_launch_in_flight_keeps_it() -> Result<(), DriverError> {
    let context = context(0);
    // With others nothing runs before a wait.
    let _scope = Scope::enter().scheduled(Schedule::Plain);
    let stream = context.new_stream()?;
    let (object, told) = watched();
    let graph = captured(&stream, |stream| move_to(info(stream).expect("it captures").1, object));
    let executable = graph.instantiate();
    let hold = Hold::new(&stream);
    assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
    drop((executable, graph));
    round_trips(&context)?;
    assert!(is_there(&told));
    hold.release();
    assert_ne!(destroyed(&told), thread::current().id(), "nobody calls the driver");
    drop(hold);
    Ok(())
}

#[test]
fn one_that_only_a_launch_keeps_is_not_left() -> Result<(), DriverError> {
    let context = context(0);
    let outer = Scope::enter();
    // With others nothing runs before a wait.
    let inner = Scope::enter().scheduled(Schedule::Plain);
    let stream = context.new_stream()?;
    let [(object, told), (owned, told_of_owned)] = [watched(), watched()];
    let graph = captured(&stream, |stream| {
        let (_, graph, _) = info(stream).expect("it captures");
        move_to(graph, object);
        // SAFETY: both are alive.
        assert_eq!(unsafe { sys::cuGraphRetainUserObject(graph, owned, 1, 0) }, CUDA_SUCCESS);
    });
    let executable = graph.instantiate();
    let hold = Hold::new(&stream);
    assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
    drop((executable, graph));
    assert_eq!(softcuda::live().user_objects, 1);
    drop(inner);
    let reports = outer.scope().take_reports();
    assert!(reports[0].to_string().contains("a scope ended with 1 user object in it"), "{reports:#?}");
    assert!(is_there(&told));
    hold.release();
    destroyed(&told);
    assert_eq!(release(owned, 1), CUDA_SUCCESS);
    destroyed(&told_of_owned);
    drop(hold);
    Ok(())
}

#[test]
fn who_is_told_that_it_goes_comes_after_the_launches() {
    let context = context(0);
    // With others nothing runs before a wait.
    let _scope = Scope::enter().scheduled(Schedule::Plain);
    let world = World::of(&context, non_blocking);
    let World { first: stream, second: other, data, .. } = &world;
    let executables = || {
        let (object, told) = watched();
        let graph = captured(stream, |stream| {
            move_to(info(stream).expect("it captures").1, object);
            assert_eq!(set(*data, 1, 16, stream), CUDA_SUCCESS);
        });
        ([graph.instantiate(), graph.instantiate()], told)
    };
    let ([first, second], told) = executables();
    check_silent("a memset once it is destroyed", || {
        assert_eq!(first.launch(stream), CUDA_SUCCESS);
        assert_eq!(second.launch(stream), CUDA_SUCCESS);
        drop((second, first));
        destroyed(&told);
        assert_eq!(set(*data, 2, 16, other), CUDA_SUCCESS);
    });
    other.synchronize().expect("its end");
    let (executables, _told) = executables();
    check_reported("a memset before", &["cuMemsetD32Async: the write of", "after the write of", "by cuGraphLaunch"], || {
        assert_eq!(executables[0].launch(stream), CUDA_SUCCESS);
        settle(stream);
        assert_eq!(set(*data, 2, 16, other), CUDA_SUCCESS);
    });
    stream.synchronize().expect("its end");
}

#[test]
fn it_goes_in_every_schedule() {
    in_every_schedule(|context, _| {
        let (stream, other) = (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
        let event = context.new_event(None).expect("an event");
        let (object, told) = watched();
        let graph = captured(&stream, |stream| {
            move_to(info(stream).expect("it captures").1, object);
            join(&other, stream);
            record(&event, &other, 1);
            join(stream, &other);
        });
        let executable = graph.instantiate();
        drop(graph);
        for stream in [&stream, &other, &stream] {
            assert_eq!(executable.launch(stream), CUDA_SUCCESS);
        }
        drop(executable);
        stream.synchronize().expect("its end");
        destroyed(&told);
    });
}

#[test]
fn the_parent_of_a_child_keeps_it() {
    let _context = context(0);
    let (object, told) = watched();
    let (child, parent) = (Graph::new(), Graph::new());
    move_to(child.0, object);
    // SAFETY: all are alive.
    let code = unsafe { sys::cuGraphAddChildGraphNode(&mut std::ptr::null_mut(), parent.0, std::ptr::null(), 0, child.0) };
    assert_eq!(code, CUDA_SUCCESS);
    drop(child);
    assert!(is_there(&told));
    drop(parent);
    check_destroyed(&told);
}

#[test]
fn a_destructor_that_calls_the_driver_is_reported() -> Result<(), DriverError> {
    let scope = misuse();
    let event = Arc::new(context(0).new_event(None)?);
    let (tell, told) = channel();
    let inside = Arc::clone(&event);
    let object = user_object(move || {
        let code = query(&inside);
        // The event is not destroyed here.
        tell.send((code, inside)).expect("the test waits");
    });
    assert_eq!(release(object, 1), CUDA_SUCCESS);
    let (code, inside) = told.recv().expect("it is destroyed");
    assert_eq!(code, CUDA_SUCCESS, "where a call of the caller runs it");
    drop(inside);
    let reports = scope.scope().take_reports();
    assert_eq!(reports.len(), 1, "{reports:#?}");
    assert!(reports[0].to_string().contains("cuEventQuery: the destructor of a user object may not call the driver"), "{reports:#?}");
    Ok(())
}

#[test]
fn a_destructor_that_runs_another_is_one_until_its_end() -> Result<(), DriverError> {
    let scope = misuse();
    let event = Arc::new(context(0).new_event(None)?);
    let (inner, told_of_inner) = watched();
    let (tell, told) = channel();
    let (inside, inner) = (Arc::clone(&event), inner.expose_provenance());
    let outer = user_object(move || {
        let inner = std::ptr::with_exposed_provenance_mut(inner);
        let codes = [release(inner, 1), query(&inside)];
        // The event is not destroyed here.
        tell.send((codes, inside)).expect("the test waits");
    });
    assert_eq!(release(outer, 1), CUDA_SUCCESS);
    check_destroyed(&told_of_inner);
    assert_eq!(told.recv().expect("it is destroyed").0, [CUDA_SUCCESS; 2]);
    let reports: Vec<String> = scope.scope().take_reports().iter().map(ToString::to_string).collect();
    assert_eq!(reports.len(), 2, "{reports:#?}");
    for (report, call) in reports.iter().zip(["cuUserObjectRelease", "cuEventQuery"]) {
        assert!(report.contains(&format!("{call}: the destructor of a user object may not call the driver")), "{reports:#?}");
    }
    assert_eq!(query(&event), CUDA_SUCCESS);
    assert_eq!(scope.scope().take_reports(), []);
    Ok(())
}

#[test]
fn references_that_are_not_there_are_reported() {
    let scope = misuse();
    let _context = context(0);
    let (graph, (kept, told_of_kept), (lost, told_of_lost)) = (Graph::new(), watched(), watched());
    // SAFETY: both are alive.
    assert_eq!(unsafe { sys::cuGraphReleaseUserObject(graph.0, kept, 1) }, CUDA_SUCCESS);
    assert!(scope.scope().take_reports()[0].to_string().contains("1 references are given up, and the graph has 0"));
    assert!(is_there(&told_of_kept));
    assert_eq!(release(kept, 1), CUDA_SUCCESS);
    check_destroyed(&told_of_kept);

    assert_eq!(release(lost, 2), CUDA_SUCCESS);
    assert!(scope.scope().take_reports()[0].to_string().contains("2 references are given up, and the caller has 1"));
    // SAFETY: it is never destroyed.
    assert_eq!(unsafe { sys::cuUserObjectRetain(lost, 2) }, CUDA_SUCCESS);
    assert!(is_there(&told_of_lost));
    assert_eq!(softcuda::live().user_objects, 1);
    assert_eq!(release(lost, 1), CUDA_SUCCESS);
    check_destroyed(&told_of_lost);
    assert_eq!(scope.scope().take_reports(), []);
}

#[test]
fn wrong_arguments_are_refused() {
    unsafe extern "C" fn nothing(_: *mut std::ffi::c_void) {}
    let scope = misuse();
    let _context = context(0);
    let create = |count, flags| {
        // SAFETY: a valid place; the function takes anything.
        unsafe { sys::cuUserObjectCreate(&mut std::ptr::null_mut(), std::ptr::null_mut(), Some(nothing), count, flags) }
    };
    for (count, flags) in [(0, 1), (1, 0), (1, 2)] {
        assert_eq!(create(count, flags), CUDA_ERROR_INVALID_VALUE, "{count} references, flags {flags}");
    }
    let (object, told) = watched();
    assert_eq!(release(object, 0), CUDA_ERROR_INVALID_VALUE);
    assert_eq!(Scope::current().reports(), []);
    assert_eq!(release(object, 1), CUDA_SUCCESS);
    check_destroyed(&told);
    assert_eq!(release(object, 1), CUDA_ERROR_INVALID_VALUE);
    assert!(scope.scope().take_reports()[0].to_string().contains("user object 0x"));
}
