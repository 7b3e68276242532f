//! Events of several processes: what is recorded and waited for.

#![cfg(not(miri))]

mod support;

use std::sync::Arc;

use cudarc::driver::CudaStream;
use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_NOT_READY, CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
    CUDA_SUCCESS,
};
use cudarc::driver::sys::{CUevent, CUipcEventHandle};
use softcuda::{Schedule, Scope};
use support::graph::{ACTIVE, INVALIDATED, begin, end_on, status};
use support::peer::{Bytes as _, Link, export_event, import_event, with_second, with_seconds};
use support::peer_event::{
    destroy, export, import, interprocess_event, query, query_stream, record, stream, synchronize, try_record, try_wait, wait,
};
use support::peer_memory::{allocate, free, set};
use support::{Hold, context, misuse};

/// Each process waits for the other's record.
fn there(link: &mut Link) {
    let context = context(0);
    let stream = stream(&context);
    let (there, here) = (interprocess_event(), interprocess_event());
    let hold = Hold::new(&stream);
    record(here, &stream);
    export(link, here);
    export(link, there);
    link.expect("recorded");
    assert_eq!(query(there), CUDA_ERROR_NOT_READY, "its record waits for this process");
    hold.release();
    synchronize(there);
    assert_eq!((query(here), query(there)), (CUDA_SUCCESS, CUDA_SUCCESS));
    link.tell("done");
    destroy(here);
    destroy(there);
}

fn and_back(link: &mut Link) {
    let context = context(0);
    let stream = stream(&context);
    let (there, here) = (import(link), import(link));
    assert_eq!(query(there), CUDA_ERROR_NOT_READY);
    wait(&stream, there);
    record(here, &stream);
    assert_eq!((query(here), query_stream(&stream)), (CUDA_ERROR_NOT_READY, CUDA_ERROR_NOT_READY));
    link.tell("recorded");
    synchronize(here);
    assert_eq!((query(there), query_stream(&stream)), (CUDA_SUCCESS, CUDA_SUCCESS));
    link.expect("done");
    destroy(here);
    destroy(there);
}

#[test]
fn a_stream_waits_for_work_of_another_process() {
    with_second("a_stream_waits_for_work_of_another_process", there, and_back);
}

fn in_schedule(test: &str, name: &str, schedule: Schedule) {
    let first = |link: &mut Link, _: &dyn Fn() -> Link| {
        softcuda::install().expect("the software driver");
        let _scope = Scope::enter().scheduled(schedule);
        there(link);
        assert_eq!(softcuda::reports(), []);
    };
    with_seconds(test, &[("SOFTCUDA_SCHEDULE", name)], first, and_back);
}

#[test]
fn what_others_may_wait_for_is_not_held_until_somebody_asks() {
    in_schedule("what_others_may_wait_for_is_not_held_until_somebody_asks", "lazy", Schedule::Lazy);
}

#[test]
fn what_others_may_wait_for_is_not_held_by_chance() {
    in_schedule("what_others_may_wait_for_is_not_held_by_chance", "seeded:1", Schedule::Seeded(1));
}

#[test]
fn what_others_may_wait_for_is_not_held_by_another_chance() {
    in_schedule("what_others_may_wait_for_is_not_held_by_another_chance", "seeded:2", Schedule::Seeded(2));
}

#[test]
fn a_record_is_held_until_the_event_is_exported_and_none_afterwards() {
    with_second(
        "a_record_is_held_until_the_event_is_exported_and_none_afterwards",
        |link| {
            let context = context(0);
            let _scope = Scope::enter().scheduled(Schedule::Lazy);
            let stream = stream(&context);
            let event = interprocess_event();
            record(event, &stream);
            assert_eq!(query(event), CUDA_ERROR_NOT_READY);
            export(link, event);
            link.expect("done");
            record(event, &stream);
            link.tell("recorded again");
            link.expect("done");
            destroy(event);
        },
        |link| {
            let _context = context(0);
            let event = import(link);
            synchronize(event);
            link.tell("done");
            link.expect("recorded again");
            synchronize(event);
            link.tell("done");
            destroy(event);
        },
    );
}

#[test]
fn a_wait_is_for_the_record_at_the_time_of_the_call() {
    with_second(
        "a_wait_is_for_the_record_at_the_time_of_the_call",
        |link| {
            let context = context(0);
            let streams = [(); 2].map(|()| stream(&context));
            let event = interprocess_event();
            let holds = streams.each_ref().map(Hold::new);
            record(event, &streams[0]);
            export(link, event);
            link.expect("waits");
            record(event, &streams[1]);
            holds[0].release();
            link.tell("released");
            link.expect("the first record is done and the second is not");
            holds[1].release();
            link.expect("both are done");
            destroy(event);
        },
        |link| {
            let context = context(0);
            let stream = stream(&context);
            let event = import(link);
            wait(&stream, event);
            link.tell("waits");
            link.expect("released");
            stream.synchronize().expect("the first record");
            assert_eq!(query(event), CUDA_ERROR_NOT_READY);
            link.tell("the first record is done and the second is not");
            synchronize(event);
            link.tell("both are done");
            destroy(event);
        },
    );
}

#[test]
fn each_process_sees_what_the_other_records() {
    with_second(
        "each_process_sees_what_the_other_records",
        |link| {
            let context = context(0);
            let (stream, waits) = (stream(&context), stream(&context));
            let event = interprocess_event();
            export(link, event);
            assert_eq!(query(event), CUDA_SUCCESS, "it was never recorded");
            link.tell("record");
            link.expect("recorded");
            assert_eq!(query(event), CUDA_ERROR_NOT_READY);
            wait(&waits, event);
            let hold = Hold::new(&stream);
            record(event, &stream);
            link.tell("recorded");
            link.expect("released");
            waits.synchronize().expect("the other's record");
            assert_eq!(query(event), CUDA_ERROR_NOT_READY, "the last record is this process's");
            hold.release();
            synchronize(event);
            link.expect("done");
            destroy(event);
        },
        |link| {
            let context = context(0);
            let stream = stream(&context);
            let event = import(link);
            link.expect("record");
            let hold = Hold::new(&stream);
            record(event, &stream);
            assert_eq!(query(event), CUDA_ERROR_NOT_READY);
            link.tell("recorded");
            link.expect("recorded");
            hold.release();
            stream.synchronize().expect("its own record");
            link.tell("released");
            synchronize(event);
            link.tell("done");
            destroy(event);
        },
    );
}

/// Recorded or not. What other processes know of is no edge of a graph: neither a record nor a wait.
#[test]
fn a_wait_in_a_capture_ends_that() {
    let ends_captures = |stream: &Arc<CudaStream>, event: CUevent| {
        begin(stream);
        assert_eq!(try_record(event, stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        assert_eq!(status(stream.cu_stream()), Ok(ACTIVE));
        assert_eq!(try_wait(stream, event), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        assert_eq!(status(stream.cu_stream()), Ok(INVALIDATED));
        assert_eq!(end_on(stream.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    };
    let check = move |stream: &Arc<CudaStream>, event: CUevent| {
        ends_captures(stream, event);
        record(event, stream);
        synchronize(event);
        ends_captures(stream, event);
        wait(stream, event);
    };
    with_second(
        "a_wait_in_a_capture_ends_that",
        move |link| {
            let context = context(0);
            let event = interprocess_event();
            check(&stream(&context), event);
            export(link, event);
            check(&stream(&context), event);
            export(link, event);
            link.expect("done");
            destroy(event);
        },
        move |link| {
            let context = context(0);
            let events = [import(link), import(link)];
            for event in events {
                check(&stream(&context), event);
            }
            link.tell("done");
            events.into_iter().for_each(destroy);
        },
    );
}

#[test]
fn an_event_that_is_opened_twice_is_two() {
    with_second(
        "an_event_that_is_opened_twice_is_two",
        |link| {
            let context = context(0);
            let stream = stream(&context);
            let event = interprocess_event();
            assert_eq!(export_event(event).expect("a handle").text(), export_event(event).expect("a handle").text());
            export(link, event);
            let hold = Hold::new(&stream);
            record(event, &stream);
            link.tell("recorded");
            link.expect("one is destroyed");
            hold.release();
            link.expect("done");
            destroy(event);
        },
        |link| {
            let context = context(0);
            let stream = stream(&context);
            let handle = CUipcEventHandle::parse(&link.hear());
            let [one, other] = [(); 2].map(|()| import_event(handle).expect("an event"));
            assert_ne!(one, other);
            link.expect("recorded");
            assert_eq!((query(one), query(other)), (CUDA_ERROR_NOT_READY, CUDA_ERROR_NOT_READY));
            wait(&stream, one);
            // What was made is there without the event.
            destroy(one);
            assert_eq!((query(other), query_stream(&stream)), (CUDA_ERROR_NOT_READY, CUDA_ERROR_NOT_READY));
            // A record by the one is seen by the other, here too.
            record(other, &stream);
            link.tell("one is destroyed");
            synchronize(other);
            let again = import_event(handle).expect("an event");
            let hold = Hold::new(&stream);
            record(again, &stream);
            assert_eq!((query(again), query(other)), (CUDA_ERROR_NOT_READY, CUDA_ERROR_NOT_READY));
            hold.release();
            synchronize(other);
            link.tell("done");
            destroy(other);
            destroy(again);
        },
    );
}

#[test]
fn so_many_records_of_a_shared_event_may_be_pending() {
    const MOST: usize = 4096;
    let _scope = misuse();
    let context = context(0);
    let stream = stream(&context);
    let event = interprocess_event();
    let hold = Hold::new(&stream);
    export_event(event).expect("a handle");
    for _ in 0..MOST {
        record(event, &stream);
    }
    assert_eq!(try_record(event, &stream), CUDA_ERROR_OUT_OF_MEMORY);
    let reports = softcuda::reports();
    assert!(reports.len() == 1 && reports[0].to_string().contains("cuEventRecord: more than 4096 records"), "{reports:?}");
    assert_eq!(query(event), CUDA_ERROR_NOT_READY);
    hold.release();
    synchronize(event);
    record(event, &stream);
    synchronize(event);
    destroy(event);
}

/// A process that waits for an event of another may know by it that its own earlier work is done.
#[test]
fn order_goes_by_way_of_the_other_process() {
    with_second(
        "order_goes_by_way_of_the_other_process",
        |link| {
            let context = context(0);
            let streams = [(); 2].map(|()| stream(&context));
            let _scope = Scope::enter();
            let (there, back) = (interprocess_event(), interprocess_event());
            let mut data = streams[0].alloc_zeros::<u32>(16).expect("memory");
            // SAFETY: written before it is read.
            let mut pinned = unsafe { context.alloc_pinned::<u32>(16) }.expect("pinned memory");
            let pinned_start = pinned.as_mut_ptr().expect("its address").cast_const();
            streams[0].memcpy_dtoh(&data, &mut pinned).expect("a copy");
            record(there, &streams[0]);
            export(link, there);
            export(link, back);
            link.expect("recorded");
            wait(&streams[1], back);
            streams[1].memset_zeros(&mut data).expect("a memset");
            synchronize(back);
            softcuda::host_reads(pinned_start, 16);
            assert_eq!(softcuda::reports(), []);
            drop(data);
            for stream in &streams {
                stream.synchronize().expect("its end");
            }
            assert_eq!(softcuda::reports(), []);
            link.tell("done");
            destroy(there);
            destroy(back);
        },
        |link| {
            let context = context(0);
            let stream = stream(&context);
            let (there, back) = (import(link), import(link));
            wait(&stream, there);
            record(back, &stream);
            link.tell("recorded");
            link.expect("done");
            destroy(there);
            destroy(back);
        },
    );
}

#[test]
fn order_goes_by_way_of_the_other_processs_host() {
    with_second(
        "order_goes_by_way_of_the_other_processs_host",
        |link| {
            let context = context(0);
            let streams = [(); 2].map(|()| stream(&context));
            let memory = allocate(64);
            let event = interprocess_event();
            for is_exported in [false, true] {
                set(memory, 64, &streams[0]);
                record(event, &streams[0]);
                if !is_exported {
                    export(link, event);
                }
                link.tell("recorded");
                link.expect("done");
                set(memory, 64, &streams[1]);
                streams[1].synchronize().expect("its end");
            }
            assert_eq!(softcuda::reports(), []);
            free(memory);
            destroy(event);
        },
        |link| {
            let _context = context(0);
            let event = import(link);
            for _ in 0..2 {
                link.expect("recorded");
                synchronize(event);
                link.tell("done");
            }
            destroy(event);
        },
    );
}
