//! Destructors of user objects: on which thread, and in which call.

mod support;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult::CUDA_SUCCESS;
use softcuda::{Schedule, Scope};
use support::context;
use support::graph::{Graph, begin, captured, info, user_object};
use support::user_object::{check_destroyed, destroyed, move_to, release, watched};
use support::world::{busy, per_thread};

#[test]
fn one_on_the_callers_thread_takes_none_of_the_driver() {
    let _context = context(0);
    let _scope = Scope::enter();
    let (tell, told) = channel();
    let object = user_object(move || tell.send(softcuda::live().threads).expect("the test waits"));
    assert_eq!(release(object, 1), CUDA_SUCCESS);
    assert_eq!(told.recv(), Ok(0));
}

#[test]
fn a_call_runs_all_that_it_has_made_superfluous() -> Result<(), DriverError> {
    let context = context(0);
    // With others nothing runs before a wait.
    let entered = Scope::enter().scheduled(Schedule::Plain);
    let scope = entered.scope();
    let stream = context.new_stream()?;
    let release = busy(&stream);
    let (ask, asked) = channel();
    let (answer, answered) = channel();
    thread::scope(|threads| {
        let stream = &stream;
        threads.spawn(move || {
            let _scope = scope.join();
            asked.recv().expect("the first destructor runs");
            stream.synchronize().expect("its end");
            while softcuda::live().threads > 0 {
                thread::yield_now();
            }
            answer.send(()).expect("the first destructor waits");
        });
        // Meanwhile a thread of the driver looks for work, and ends because it finds none.
        let first = user_object(move || {
            drop(release);
            ask.send(()).expect("somebody waits");
            answered.recv().expect("no thread is at work");
        });
        let (second, told) = watched();
        let graph = Graph::new();
        move_to(graph.0, first);
        move_to(graph.0, second);
        drop(graph);
        check_destroyed(&told);
    });
    Ok(())
}

#[test]
fn no_call_runs_what_the_end_of_a_launch_has_made_superfluous() -> Result<(), DriverError> {
    let context = context(0);
    let _scope = Scope::enter().scheduled(Schedule::Lazy);
    let stream = context.new_stream()?;
    let (objects, told): (Vec<_>, Vec<_>) = (0..8).map(|_| watched()).unzip();
    let graph = captured(&stream, |stream| {
        let (_, graph, _) = info(stream).expect("it captures");
        for object in objects {
            move_to(graph, object);
        }
    });
    let executable = graph.instantiate();
    assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
    drop((executable, graph));
    // The launch ends on this thread, which might hold what a destructor waits for.
    stream.synchronize()?;
    drop(context.new_stream()?);
    for told in told {
        assert_ne!(destroyed(&told), thread::current().id());
    }
    Ok(())
}

#[test]
fn a_thread_that_ends_within_a_capture_leaves_them_to_the_driver() {
    let context = context(0);
    let shared = Arc::clone(&context);
    let capture = move || {
        let (object, told) = watched();
        shared.bind_to_thread().expect("a context");
        let stream = per_thread(&shared);
        begin(&stream);
        move_to(info(&stream).expect("it captures").1, object);
        (told, thread::current().id())
    };
    let (told, ended) = thread::spawn(capture).join().expect("it captures");
    while softcuda::live().threads > 0 {
        thread::yield_now();
    }
    let thread = told.try_recv().expect("a thread of the driver has run it");
    assert!(thread != ended && thread != thread::current().id());
}
