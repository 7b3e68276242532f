//! Events of several processes: when one of them has destroyed its own, or is gone.

#![cfg(not(miri))]

mod support;

use std::fs;
use std::sync::mpsc;

use cudarc::driver::sys::CUresult::{CUDA_ERROR_LAUNCH_FAILED, CUDA_ERROR_MAP_FAILED, CUDA_ERROR_NOT_READY, CUDA_SUCCESS};
use cudarc::driver::sys::{self, CUipcEventHandle};
use softcuda::Kernel;
use support::peer::{Bytes as _, Link, import_event, open_files, until_it_sleeps, with_second, with_seconds};
use support::peer_event::{destroy, export, import, interprocess_event, query, query_stream, record, stream, synchronize, wait};
use support::{Hold, ONE, context, kernel, misuse};

#[test]
fn an_imported_event_outlives_the_one_that_was_exported() {
    with_second(
        "an_imported_event_outlives_the_one_that_was_exported",
        |link| {
            let context = context(0);
            let stream = stream(&context);
            let event = interprocess_event();
            export(link, event);
            link.expect("imported");
            let hold = Hold::new(&stream);
            record(event, &stream);
            destroy(event);
            link.tell("destroyed");
            link.expect("pending");
            hold.release();
            link.expect("done");
        },
        |link| {
            let context = context(0);
            let stream = stream(&context);
            let handle = CUipcEventHandle::parse(&link.hear());
            let event = import_event(handle).expect("an event");
            link.tell("imported");
            link.expect("destroyed");
            assert_eq!(import_event(handle), Err(CUDA_ERROR_MAP_FAILED));
            assert_eq!(query(event), CUDA_ERROR_NOT_READY);
            link.tell("pending");
            synchronize(event);
            record(event, &stream);
            synchronize(event);
            destroy(event);
            link.tell("done");
        },
    );
}

/// Exports an event with a record that never ends by itself, and waits to be killed.
fn records_and_is_killed(link: &mut Link) {
    let context = context(0);
    let stream = stream(&context);
    let event = interprocess_event();
    let _hold = Hold::new(&stream);
    record(event, &stream);
    export(link, event);
    link.expect("nothing more");
}

#[test]
fn a_record_of_an_exporter_that_is_killed_counts_as_done() {
    with_seconds(
        "a_record_of_an_exporter_that_is_killed_counts_as_done",
        &[],
        |link, _| {
            let context = context(0);
            let stream = stream(&context);
            let handle = CUipcEventHandle::parse(&link.hear());
            let event = import_event(handle).expect("an event");
            assert_eq!(query(event), CUDA_ERROR_NOT_READY);
            wait(&stream, event);
            assert_eq!(query_stream(&stream), CUDA_ERROR_NOT_READY);
            link.kill();
            stream.synchronize().expect("the end of the other process");
            assert_eq!(query(event), CUDA_SUCCESS);
            record(event, &stream);
            synchronize(event);
            assert_eq!(import_event(handle), Err(CUDA_ERROR_MAP_FAILED));
            destroy(event);
        },
        records_and_is_killed,
    );
}

#[test]
fn a_host_that_waits_for_a_process_that_is_killed_goes_on() {
    with_seconds(
        "a_host_that_waits_for_a_process_that_is_killed_goes_on",
        &[],
        |link, _| {
            let context = context(0);
            let event = import(link);
            assert_eq!(query(event), CUDA_ERROR_NOT_READY);
            std::thread::scope(|scope| {
                let address = event.expose_provenance();
                let (sender, task) = mpsc::channel();
                let waits = scope.spawn(move || {
                    sender.send(fs::read_link("/proc/thread-self").expect("a thread")).expect("somebody listens");
                    synchronize(std::ptr::with_exposed_provenance_mut(address));
                });
                until_it_sleeps(&task.recv().expect("it begins"));
                assert!(!waits.is_finished());
                link.kill();
                waits.join().expect("it goes on");
            });
            destroy(event);
            drop(context);
        },
        records_and_is_killed,
    );
}

#[test]
fn a_context_ends_with_the_record_that_its_streams_wait_for() {
    with_seconds(
        "a_context_ends_with_the_record_that_its_streams_wait_for",
        &[],
        |link, _| {
            let _scope = misuse();
            let context = context(0);
            let stream = stream(&context);
            let event = import(link);
            wait(&stream, event);
            destroy(event);
            link.kill();
            drop(stream);
            drop(context);
            assert_eq!(softcuda::live().contexts, 0);
            assert_eq!(softcuda::reports(), []);
        },
        records_and_is_killed,
    );
}

#[test]
fn a_fault_ends_all_waits_for_another_process() {
    with_seconds(
        "a_fault_ends_all_waits_for_another_process",
        &[],
        |link, _| {
            let scope = misuse();
            let context = context(0);
            let [held, faulty] = [(); 2].map(|()| stream(&context));
            let event = import(link);
            wait(&held, event);
            Kernel::new("trap", []).run(|_| panic!("this panic is a part of the test")).register();
            let kernel = kernel(&context, "trap").expect("its twin is registered");
            std::thread::scope(|threads| {
                let address = event.expose_provenance();
                let joined = scope.scope();
                let (sender, task) = mpsc::channel();
                let waits = threads.spawn(move || {
                    let _scope = joined.join();
                    sender.send(fs::read_link("/proc/thread-self").expect("a thread")).expect("somebody listens");
                    // SAFETY: alive.
                    unsafe { sys::cuEventSynchronize(std::ptr::with_exposed_provenance_mut(address)) }
                });
                until_it_sleeps(&task.recv().expect("it begins"));
                // SAFETY: the kernel has no parameters.
                unsafe { faulty.launch_builder(&kernel).launch(ONE) }.expect("a launch");
                assert_eq!(waits.join().expect("it goes on"), CUDA_ERROR_LAUNCH_FAILED);
            });
            assert_eq!(query_stream(&held), CUDA_ERROR_LAUNCH_FAILED);
            while softcuda::live().threads > 0 {
                std::thread::yield_now();
            }
            link.kill();
        },
        records_and_is_killed,
    );
}

#[test]
fn an_event_works_on_after_an_importer_that_is_killed_while_it_records() {
    const MANY: usize = 3;
    with_seconds(
        "an_event_works_on_after_an_importer_that_is_killed_while_it_records",
        &[],
        |link, begin| {
            let context = context(0);
            let stream = stream(&context);
            let event = interprocess_event();
            let round = |link: &mut Link| {
                export(link, event);
                link.expect("recorded");
                assert_eq!(query(event), CUDA_ERROR_NOT_READY);
                wait(&stream, event);
                link.kill();
                synchronize(event);
                stream.synchronize().expect("the end of the other process");
                record(event, &stream);
                synchronize(event);
            };
            round(link);
            for _ in 1..MANY {
                round(&mut begin());
            }
            destroy(event);
        },
        |link| {
            let context = context(0);
            let stream = stream(&context);
            let event = import(link);
            let _hold = Hold::new(&stream);
            record(event, &stream);
            link.tell("recorded");
            link.expect("nothing more");
        },
    );
}

#[test]
fn what_is_destroyed_leaves_no_file_open() {
    const ROUNDS: usize = 1000;
    with_second(
        "what_is_destroyed_leaves_no_file_open",
        |link| {
            let context = context(0);
            let stream = stream(&context);
            let before = open_files();
            for _ in 0..ROUNDS {
                let event = interprocess_event();
                record(event, &stream);
                export(link, event);
                link.expect("destroyed");
                synchronize(event);
                destroy(event);
            }
            let after = open_files();
            assert!(after <= before, "{before} files, then {after}");
        },
        |link| {
            let context = context(0);
            let stream = stream(&context);
            let before = open_files();
            for _ in 0..ROUNDS {
                let event = import(link);
                record(event, &stream);
                synchronize(event);
                destroy(event);
                link.tell("destroyed");
            }
            let after = open_files();
            assert!(after <= before, "{before} files, then {after}");
        },
    );
}

/// Opens files until this process may open no more, runs `run`, and closes them.
fn without_more_files(run: impl FnOnce()) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a place for the limits.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    let few = libc::rlimit { rlim_cur: limit.rlim_max.min(256), ..limit };
    // SAFETY: limits.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few) }, 0);
    let files: Vec<std::fs::File> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    run();
    drop(files);
    // SAFETY: the limits that there were.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

#[test]
fn a_process_that_cannot_be_looked_for_is_not_gone() {
    with_seconds(
        "a_process_that_cannot_be_looked_for_is_not_gone",
        &[],
        |link, _| {
            let _context = context(0);
            let event = import(link);
            without_more_files(|| assert_eq!(query(event), CUDA_ERROR_NOT_READY));
            assert_eq!(query(event), CUDA_ERROR_NOT_READY, "nobody was told that it is done");
            link.kill();
            assert_eq!(query(event), CUDA_SUCCESS);
            destroy(event);
        },
        records_and_is_killed,
    );
}
