//! A process that was forked from one that uses CUDA cannot use it: every call says so, at once and without a driver
//! call, and what is dropped is leaked. In processes of their own, since what is forked there may crash.

mod common;
#[path = "common/forks.rs"]
mod forks;

use std::hint;
use std::os::unix::process::CommandExt as _;
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use common::calls::{Call, DEVICE_CALLS, WITHOUT_THE_DRIVER, WORLD_CALLS};
use common::hold::Hold;
use common::host_fn::inside;
use common::world::{World, external, foreign_event, second_context};
use common::{child, device, streams};
use cuda_streams::{
    AsStream as _, CaptureMode, Device, Error, Event, EventOptions, ExternalStream, HostFn, IpcMemory, Result, Stream, StreamOptions,
    driver_version, relaxed_capture,
};
use forks::{Finding, Side, fork, in_child};

/// The driver calls that this thread has made, where that is counted.
fn driver_calls() -> u64 {
    let is_software = softcuda::choose() == Ok(softcuda::Choice::Software);
    if is_software { softcuda::all_calls() } else { 0 }
}

/// Checks that `f` makes no driver call, and gives what it returns.
fn without_a_driver_call<R>(what: &str, f: impl FnOnce() -> R) -> Result<R, String> {
    let before = driver_calls();
    let result = f();
    if driver_calls() == before { Ok(result) } else { Err(format!("{what} calls the driver")) }
}

/// All that is wrong, as one finding.
fn all(findings: impl IntoIterator<Item = Finding>) -> Finding {
    let wrong: Vec<String> = findings.into_iter().filter_map(Finding::err).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Each answers that this is a forked child.
fn refused<const N: usize>(calls: [(&str, &dyn Fn() -> Result<()>); N]) -> Finding {
    all(calls.map(|(what, call)| match without_a_driver_call(what, call)? {
        Err(Error::ForkedChild) => Ok(()),
        other => Err(format!("{what}: {other:?}")),
    }))
}

/// Makes each call: those that a driver has a part in are refused.
fn check_calls<T>(calls: &[Call<T>], on: &T) -> Finding {
    all(calls.iter().map(|Call { name, run, .. }| {
        let expected = if WITHOUT_THE_DRIVER.contains(name) { Ok(()) } else { Err(Error::ForkedChild) };
        match without_a_driver_call(name, || run(on))? {
            answer if answer == expected => Ok(()),
            other => Err(format!("{name}: {other:?}")),
        }
    }))
}

fn check_all_calls(world: &World) -> Finding {
    all([check_calls(DEVICE_CALLS, &world.device), check_calls(WORLD_CALLS, world)])
}

/// The device works as ever.
fn use_cuda() -> Finding {
    let use_it = || {
        let stream = device().stream()?;
        let hold = Hold::new(&stream);
        let event = stream.record_event()?;
        let pending = !event.query()?;
        hold.release();
        event.synchronize().map(|()| pending)
    };
    match use_it() {
        Ok(true) => Ok(()),
        other => Err(format!("held work is pending: {other:?}")),
    }
}

/// T63
#[test]
fn t063_a_forked_child_and_its_children_get_an_error_that_says_what_to_do() {
    child::run("t063_a_forked_child_and_its_children_get_an_error_that_says_what_to_do", child::same_environment, || {
        let stream = device().stream().unwrap();
        let refused = || {
            let error = Device::get(0).err().ok_or("the device is there")?;
            let says_what_to_do = error.to_string().contains("start it with exec");
            if !says_what_to_do || (error.code(), error.is_sticky()) != (None, false) {
                return Err(error.to_string());
            }
            refused([("record", &|| stream.record_event().map(drop)), ("query", &|| stream.query().map(drop))])
        };
        in_child(|| {
            refused()?;
            in_child(refused);
            refused()
        });
        use_cuda().expect("the parent goes on");
        stream.record_event().unwrap().synchronize().unwrap();
    });
}

/// T513
#[test]
fn t513_every_call_is_refused_and_drops_do_nothing() {
    child::run("t513_every_call_is_refused_and_drops_do_nothing", child::same_environment, || {
        let world = World::new(device());
        let unknown = WITHOUT_THE_DRIVER
            .iter()
            .filter(|name| !DEVICE_CALLS.iter().any(|call| call.name == **name) && !WORLD_CALLS.iter().any(|call| call.name == **name));
        assert_eq!(unknown.count(), 0, "names that are no calls");
        in_child(|| check_all_calls(&world));

        let lent = world.device.stream().unwrap();
        lent.to_cudarc(&world.cudarc).unwrap();
        let (unbound, pending) = (Event::new(), world.stream.record_event().unwrap());
        let (of_stream, current) = (external(&world.other).unwrap(), world.current().unwrap());
        // The last share of a stream of cudarc's.
        let of_cudarc = ExternalStream::try_from(world.cudarc.new_stream().unwrap()).unwrap();
        let dropped = (lent, unbound, pending, of_stream, current, of_cudarc);
        in_child(move || {
            let World {
                stream,
                other,
                event,
                start,
                end,
                external,
                theirs,
                their_event,
                cudarc,
                second,
                shared,
                slice,
                node,
                graph,
                exec,
                ..
            } = world;
            // What is cudarc's calls the driver when it is dropped, and so does the test's own context.
            std::mem::forget((theirs, their_event, cudarc, second));
            without_a_driver_call("dropping", || {
                drop((stream, other, event, start, end, external, shared, slice, node, graph, exec, dropped));
            })
        });
    });
}

/// What this crate knows without the driver is not told either, and nothing waits.
#[test]
fn what_is_remembered_is_refused_too() {
    child::run("what_is_remembered_is_refused_too", child::same_environment, || {
        let world = World::new(device());
        let [complete, lent, queried] = std::array::from_fn(|_| world.stream.record_event().unwrap());
        complete.synchronize().unwrap();
        world.stream.synchronize().unwrap();
        assert!(lent.as_raw().is_some());
        let (never, bound) = (Event::new(), world.device.event(EventOptions::new().timed()).unwrap());
        let current = world.current().unwrap();
        let second = second_context(&world).unwrap();
        let hold = Hold::new(&world.stream);
        let pending = world.stream.record_event().unwrap();
        assert_eq!((complete.query(), queried.query(), pending.query()), (Ok(true), Ok(true), Ok(false)));
        in_child(|| {
            refused([
                ("query, complete", &|| complete.query().map(drop)),
                ("synchronize, complete", &|| complete.synchronize()),
                ("status, complete", &|| complete.status().map(drop)),
                ("wait, complete", &|| complete.wait(&world.other)),
                ("query, lent", &|| lent.query().map(drop)),
                ("query, never recorded", &|| never.query().map(drop)),
                ("wait, never recorded", &|| never.wait(&world.other)),
                ("query, bound", &|| bound.query().map(drop)),
                ("status, bound", &|| bound.status().map(drop)),
                ("wait, bound", &|| bound.wait(&world.other)),
                ("elapsed_time, bound", &|| bound.elapsed_time(&world.end).map(drop)),
                ("query, pending", &|| pending.query().map(drop)),
                ("synchronize, pending", &|| pending.synchronize()),
                ("synchronize_timeout, pending", &|| pending.synchronize_timeout(Duration::MAX).map(drop)),
                ("synchronize, foreign", &|| foreign_event(&world.their_event).synchronize()),
                ("synchronize, held", &|| world.stream.synchronize()),
                ("synchronize, held device", &|| world.device.synchronize()),
                ("record, current", &|| current.record(&pending)),
                ("query, current", &|| current.query().map(drop)),
                ("synchronize, second context", &|| second.synchronize()),
                ("with_current", &|| world.context.with_current(|| unreachable!())),
            ])
        });
        hold.release();
        pending.synchronize().unwrap();
    });
}

/// Handles are given up without a driver, but for a stream that may be lent.
#[test]
fn raw_handles_are_told_and_given_up() {
    child::run("raw_handles_are_told_and_given_up", child::same_environment, || {
        let (stream, lent) = (device().stream().unwrap(), device().stream().unwrap());
        let event = stream.record_event().unwrap();
        let (raw_stream, raw_event, context) = (stream.as_raw(), event.as_raw().unwrap(), stream.context());
        // SAFETY: the event lives; what would be taken over is leaked in a child.
        let take_over = || unsafe { Event::from_raw(context, raw_event, EventOptions::new()) }.map(drop);
        let give_up = |stream: Stream, event: Event| {
            let raw_event = event.as_raw();
            (stream.try_into_raw().ok(), event.into_raw() == raw_event)
        };
        let check = |answer, expected| if answer == expected { Ok(()) } else { Err(format!("{answer:?}, not {expected:?}")) };
        in_child(|| {
            refused([("Event::from_raw", &take_over)])?;
            without_a_driver_call("giving up", || give_up(stream, event)).and_then(|answer| check(answer, (Some(raw_stream), true)))
        });
        let cudarc = cudarc::driver::CudaContext::new(0).unwrap();
        lent.to_cudarc(&cudarc).unwrap();
        let event = lent.record_event().unwrap();
        in_child(|| without_a_driver_call("giving up", || give_up(lent, event)).and_then(|answer| check(answer, (None, true))));
    });
}

/// What a pool has lent and what it has are leaked, and it lends nothing.
#[test]
fn a_pool_of_streams_is_of_no_use_to_a_child() {
    child::run("a_pool_of_streams_is_of_no_use_to_a_child", child::same_environment, || {
        let pool = device().stream_pool(StreamOptions::new(), 2).unwrap();
        let (lent, other) = (pool.checkout().unwrap(), pool.checkout().unwrap());
        let id = other.id();
        drop(other);
        pool.next().unwrap();
        match fork() {
            Side::Parent(parent) => parent.join(),
            Side::Child(child) => child.end(|| {
                refused([("checkout", &|| pool.checkout().map(drop)), ("next", &|| pool.next().map(drop))])?;
                without_a_driver_call("giving back", || drop(lent))?;
                refused([("checkout", &|| pool.checkout().map(drop))])
            }),
        }
        drop(lent);
        let again = [pool.checkout().unwrap(), pool.checkout().unwrap()].map(|stream| stream.id());
        assert!(again.contains(&id), "the parent's pool goes on");
        pool.next().unwrap().synchronize().unwrap();
        match fork() {
            Side::Parent(parent) => parent.join(),
            Side::Child(child) => child.end(|| without_a_driver_call("dropping", || drop(pool))),
        }
    });
}

/// A fork inside of what makes a context or a stream current for a while.
#[test]
fn what_was_open_at_the_fork_ends_without_a_driver_call() {
    child::run("what_was_open_at_the_fork_ends_without_a_driver_call", child::same_environment, || {
        let device = device();
        let stream = device.stream().unwrap();
        let context = device.context().unwrap();
        let mut before = 0;
        let side = context.with_current(|| {
            stream.scope(|| {
                before = driver_calls();
                fork()
            })
        });
        match side.unwrap() {
            Side::Parent(parent) => parent.join(),
            Side::Child(child) => child.end(|| if driver_calls() == before { Ok(()) } else { Err("the driver is called".into()) }),
        }
        let answer = stream.scope(|| {
            let current = Stream::current().unwrap();
            in_child(|| {
                refused([
                    ("Stream::current", &|| Stream::current().map(drop)),
                    ("Device::current", &|| Device::current().map(drop)),
                    ("record_current", &|| Event::new().record_current()),
                ])
            });
            current.as_stream() == stream.as_stream()
        });
        assert!(answer, "the parent's scope goes on");
        use_cuda().expect("the parent goes on");
    });
}

/// A host function of the parent's runs there: a child has no part in it, and no thread that could tell.
#[test]
fn a_host_function_of_the_parent_is_over_in_a_child() {
    child::run("a_host_function_of_the_parent_is_over_in_a_child", child::same_environment, || {
        let stream = device().stream().unwrap();
        let hold = Hold::new(&stream);
        let launch = || stream.launch_host_fn(|| 7).unwrap();
        let (asked, joined, mut awaited, dropped, done) = (launch(), launch(), pin!(launch()), launch(), launch());
        let poll = |awaited: Pin<&mut HostFn<i32>>| awaited.poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll(awaited.as_mut()).is_pending());
        match fork() {
            Side::Parent(parent) => parent.join(),
            Side::Child(child) => child.end(|| {
                refused([("is_finished", &|| if asked.is_finished() { Err(Error::ForkedChild) } else { Ok(()) })])?;
                without_a_driver_call("waiting", || (joined.join(), poll(awaited.as_mut()))).and_then(|answers| match answers {
                    (Err(Error::ForkedChild), Poll::Ready(Err(Error::ForkedChild))) => Ok(()),
                    other => Err(format!("{other:?}")),
                })?;
                without_a_driver_call("dropping", || drop((asked, dropped)))
            }),
        }
        hold.release();
        assert_eq!(done.join(), Ok(7), "the parent goes on");
    });
}

/// The thread that the child has is one that the driver called: it is refused as a child, and not because of that.
#[test]
fn a_fork_inside_a_host_function_is_a_fork() {
    child::run("a_fork_inside_a_host_function_is_a_fork", child::same_environment, || {
        let (device, [stream, destroyed, dropped]) = (device(), streams());
        let (event, memory) = (stream.record_event().unwrap(), IpcMemory::new(device, 1).unwrap());
        let left = (dropped, stream.record_event().unwrap(), IpcMemory::new(device, 1).unwrap());
        inside(&stream, move || match fork() {
            Side::Parent(parent) => parent.join(),
            Side::Child(child) => child.end(|| {
                check_calls(DEVICE_CALLS, &device)?;
                let destroy = || (event.destroy(), memory.close(), destroyed.destroy().map_err(|(_, error)| error));
                without_a_driver_call("destroying", destroy).and_then(|answers| match answers {
                    (Err(Error::ForkedChild), Err(Error::ForkedChild), Err(Error::ForkedChild)) => Ok(()),
                    other => Err(format!("{other:?}")),
                })?;
                without_a_driver_call("dropping", || drop(left))
            }),
        });
        use_cuda().expect("the parent goes on");
    });
}

/// The parent's capture goes on; the child has none.
#[test]
fn a_capture_that_was_open_at_the_fork_is_the_parents() {
    child::run("a_capture_that_was_open_at_the_fork_is_the_parents", child::same_environment, || {
        let (stream, mut before, mut side) = (device().stream().unwrap(), 0, None);
        let captured = relaxed_capture(|| {
            stream.capture::<Error>(CaptureMode::Global, |scope| {
                scope.host_fn(|| ())?;
                before = driver_calls();
                side = Some(fork());
                Ok(())
            })
        });
        match side.unwrap() {
            Side::Parent(parent) => {
                parent.join();
                assert_eq!(captured.unwrap().unwrap().node_count(), Ok(1));
                use_cuda().expect("the parent goes on");
            }
            Side::Child(child) => child.end(|| match captured {
                Ok(Err(Error::ForkedChild)) if driver_calls() == before => Ok(()),
                other => Err(format!("{other:?}, {} driver calls", driver_calls() - before)),
            }),
        }
    });
}

/// Locks that other threads hold at the fork stay locked in the child.
#[test]
fn a_child_never_waits_for_threads_that_it_does_not_have() {
    child::run("a_child_never_waits_for_threads_that_it_does_not_have", child::same_environment, || {
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let world = World::new(device());
        let (world, stopped) = (&world, AtomicBool::new(false));
        let events = || {
            world.event.record(&world.stream)?;
            world.event.query()?;
            world.stream.record_event()?.destroy()
        };
        let streams = || {
            let stream = world.device.stream()?;
            stream.to_cudarc(&world.cudarc)?;
            second_context(world)?;
            driver_version().map(drop)
        };
        let contexts = || second_context(world).map(drop);
        let works: [&(dyn Fn() -> Result<()> + Sync); 4] = [&events, &streams, &streams, &contexts];
        let started = Barrier::new(works.len() + 1);
        thread::scope(|threads| {
            let _stop = Stop(&stopped);
            for work in works {
                let (started, stopped) = (&started, &stopped);
                threads.spawn(move || {
                    started.wait();
                    while !stopped.load(Ordering::Relaxed) {
                        work().unwrap();
                    }
                });
            }
            started.wait();
            for _ in 0..100 {
                let (stream, event) = (world.device.stream().unwrap(), world.stream.record_event().unwrap());
                in_child(move || {
                    check_all_calls(world)?;
                    // Everything is over already: nothing is to be looked up.
                    world.context.retire();
                    without_a_driver_call("dropping", || drop((stream, event)))
                });
            }
        });
        check_parent(world);
    });
}

/// The parent of children goes on unharmed.
fn check_parent(world: &World) {
    for Call { name, run, .. } in WORLD_CALLS {
        run(world).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(device().stream().unwrap().query().unwrap());
}

/// A fork while another thread makes the process's first call: the child can use CUDA, or is told that it cannot.
#[test]
fn a_fork_during_the_first_use_leaves_nobody_waiting() {
    // How long the thread has been under way then, in turns of a loop.
    let turns = (0..12).map(|step| 1 << (2 * step));
    child::run_each("a_fork_during_the_first_use_leaves_nobody_waiting", turns, |turns: u32| {
        let together = Barrier::new(2);
        thread::scope(|threads| {
            let first_use = threads.spawn(|| {
                together.wait();
                use_cuda()
            });
            together.wait();
            (0..turns).for_each(|_| hint::spin_loop());
            in_child(|| if Device::get(0) == Err(Error::ForkedChild) { Ok(()) } else { use_cuda() });
            first_use.join().unwrap().expect("the first use");
        });
    });
}

/// Parents that have not initialised the driver.
#[test]
fn a_child_that_is_forked_before_the_first_use_can_use_cuda() {
    let parents: [fn(); 2] = [
        || (),
        || {
            driver_version().unwrap();
            assert!(Event::new().query().unwrap());
        },
    ];
    child::run_each("a_child_that_is_forked_before_the_first_use_can_use_cuda", parents, |parent| {
        parent();
        in_child(|| {
            let world = World::new(Device::get(0).map_err(|error| error.to_string())?);
            check_parent(&world);
            in_child(|| check_all_calls(&world));
            check_parent(&world);
            Ok(())
        });
        use_cuda().expect("the parent can use it too");
        in_child(|| refused([("Device::count", &|| Device::count().map(drop))]));
    });
}

/// Where there is no driver, there is none in a child either: nothing was initialised.
#[test]
fn a_child_of_a_process_without_a_driver_is_told_just_that() {
    child::run("a_child_of_a_process_without_a_driver_is_told_just_that", child::without_a_driver, || {
        let not_found = || matches!(Device::count(), Err(Error::DriverNotFound { .. }));
        assert!(not_found());
        in_child(|| if not_found() { Ok(()) } else { Err(format!("{:?}", Device::count())) });
        assert!(not_found());
    });
}

/// `Command` has two ways: `posix_spawn`, and a fork where something is to be done before exec.
#[test]
fn a_process_that_is_started_by_exec_can_use_cuda() {
    let forks: fn(&mut Command) = |command| {
        // SAFETY: does nothing.
        unsafe { command.pre_exec(|| Ok(())) };
    };
    use_cuda().expect("the parent uses it");
    for prepare in [child::same_environment as fn(&mut Command), forks] {
        child::run("a_process_that_is_started_by_exec_can_use_cuda", prepare, || {
            World::new(device());
        });
    }
}
