//! Memory of several processes: what they do with it.

#![cfg(not(miri))]

mod support;

use cudarc::driver::PushKernelArg as _;
use cudarc::driver::sys;
use cudarc::driver::sys::CUpointer_attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL;
use cudarc::driver::sys::CUresult::{CUDA_ERROR_NOT_READY, CUDA_ERROR_OUT_OF_MEMORY, CUDA_SUCCESS};
use softcuda::{Schedule, Scope};
use support::peer::{Bytes as _, Link, close_memory, export_memory, with_second, with_seconds};
use support::peer_memory::{allocate, export, free, import, read, write};
use support::{Hold, ONE, add, context, misuse, peer_event};

#[test]
fn both_processes_have_the_same_bytes() {
    /// In the middle of a page, and of several.
    const SIZES: [usize; 3] = [100, 5000, 3 << 20];
    with_second(
        "both_processes_have_the_same_bytes",
        |link| {
            let _context = context(0);
            for bytes in SIZES {
                // So that the begin of a page is not the begin of the next.
                let (before, memory) = (allocate(300), allocate(bytes));
                write(memory, b"there");
                export(link, memory);
                link.expect("read and written");
                assert_eq!(&read(memory), b"there");
                assert_eq!(&read(memory + bytes as u64 - 4), b"back");
                free(memory);
                free(before);
            }
        },
        |link| {
            let _context = context(0);
            for bytes in SIZES {
                let memory = import(link);
                assert_eq!(&read(memory), b"there");
                write(memory + bytes as u64 - 4, b"back");
                assert_eq!(close_memory(memory), CUDA_SUCCESS);
                link.tell("read and written");
            }
        },
    );
}

#[test]
fn an_address_within_an_allocation_exports_the_allocation() {
    with_second(
        "an_address_within_an_allocation_exports_the_allocation",
        |link| {
            let _context = context(0);
            let memory = allocate(100);
            write(memory, b"begin");
            let [whole, within] = [memory, memory + 99].map(|address| export_memory(address).expect("a handle").text());
            assert_eq!(whole, within);
            link.tell(&within);
            link.expect("read");
            free(memory);
        },
        |link| {
            let _context = context(0);
            let memory = import(link);
            assert_eq!(&read(memory), b"begin");
            let mut range = (0, 0);
            // SAFETY: two places for results.
            let code = unsafe { sys::cuMemGetAddressRange_v2(&raw mut range.0, &raw mut range.1, memory + 1) };
            assert_eq!((code, range), (CUDA_SUCCESS, (memory, 100)));
            assert_eq!(close_memory(memory), CUDA_SUCCESS);
            link.tell("read");
        },
    );
}

/// The other process changes what this one has written, with nobody waiting on the host.
fn writes_and_reads(link: &mut Link) {
    const COUNT: usize = 1000;
    let context = context(0);
    let stream = peer_event::stream(&context);
    let [there, back] = [(); 2].map(|()| peer_event::interprocess_event());
    let memory = allocate(COUNT * 4);
    peer_event::export(link, there);
    peer_event::export(link, back);
    export(link, memory);
    let hold = Hold::new(&stream);
    // SAFETY: alive until the stream is waited for.
    unsafe { sys::cuMemsetD32Async(memory, 41, COUNT, stream.cu_stream()) }.result().expect("a memset");
    peer_event::record(there, &stream);
    link.tell("recorded");
    link.expect("recorded");
    peer_event::wait(&stream, back);
    // SAFETY: written before it is read.
    let mut pinned = unsafe { context.alloc_pinned::<u32>(COUNT) }.expect("pinned memory");
    let start = pinned.as_mut_ptr().expect("its address");
    // SAFETY: both are alive until the stream is waited for.
    unsafe { sys::cuMemcpyDtoHAsync_v2(start.cast(), memory, COUNT * 4, stream.cu_stream()) }.result().expect("a copy");
    hold.release();
    stream.synchronize().expect("its end");
    assert_eq!(pinned.as_slice().expect("the copy"), [42; COUNT]);
    link.tell("done");
    peer_event::destroy(there);
    peer_event::destroy(back);
    free(memory);
}

fn adds_one(link: &mut Link) {
    const COUNT: u32 = 1000;
    let context = context(0);
    let stream = peer_event::stream(&context);
    let kernel = add(&context);
    let [there, back] = [(); 2].map(|()| peer_event::import(link));
    let memory = import(link);
    link.expect("recorded");
    peer_event::wait(&stream, there);
    let mut launch = stream.launch_builder(&kernel);
    launch.arg(&COUNT).arg(&1_u32).arg(&memory);
    // SAFETY: the memory is open until the stream is waited for.
    unsafe { launch.launch(ONE) }.expect("a launch");
    peer_event::record(back, &stream);
    assert_eq!(peer_event::query(back), CUDA_ERROR_NOT_READY);
    link.tell("recorded");
    link.expect("done");
    assert_eq!(close_memory(memory), CUDA_SUCCESS);
    peer_event::destroy(there);
    peer_event::destroy(back);
}

#[test]
fn a_kernel_works_on_memory_between_work_of_another_process() {
    with_second("a_kernel_works_on_memory_between_work_of_another_process", writes_and_reads, adds_one);
}

#[test]
fn the_same_where_work_is_held() {
    let first = |link: &mut Link, _: &dyn Fn() -> Link| {
        softcuda::install().expect("the software driver");
        let _scope = Scope::enter().scheduled(Schedule::Lazy);
        writes_and_reads(link);
        assert_eq!(softcuda::reports(), []);
    };
    with_seconds("the_same_where_work_is_held", &[("SOFTCUDA_SCHEDULE", "seeded:3")], first, adds_one);
}

#[test]
fn a_stream_waits_for_a_word_that_another_process_writes() {
    with_second(
        "a_stream_waits_for_a_word_that_another_process_writes",
        |link| {
            let context = context(0);
            let stream = context.new_stream().expect("a stream");
            let memory = allocate(64);
            write(memory, &[0; 4]);
            // SAFETY: alive.
            unsafe { sys::cuStreamWaitValue32_v2(stream.cu_stream(), memory, 7, 1) }.result().expect("a wait");
            export(link, memory);
            stream.synchronize().expect("the other process writes");
            link.tell("done");
            free(memory);
        },
        |link| {
            let context = context(0);
            let stream = context.new_stream().expect("a stream");
            let memory = import(link);
            // SAFETY: alive.
            unsafe { sys::cuStreamWriteValue32_v2(stream.cu_stream(), memory, 7, 0) }.result().expect("a write");
            stream.synchronize().expect("its end");
            link.expect("done");
            assert_eq!(close_memory(memory), CUDA_SUCCESS);
        },
    );
}

#[test]
fn memory_of_another_device_is_reached_when_it_is_opened() {
    with_second(
        "memory_of_another_device_is_reached_when_it_is_opened",
        |link| {
            let _context = context(1);
            let memory = allocate(64);
            export(link, memory);
            link.expect("written");
            assert_eq!(read(memory), [7_u8; 64]);
            free(memory);
        },
        |link| {
            let context = context(0);
            let memory = import(link);
            let stream = context.new_stream().expect("a stream");
            // SAFETY: alive until the stream is waited for.
            unsafe { sys::cuMemsetD8Async(memory, 7, 64, stream.cu_stream()) }.result().expect("a memset");
            stream.synchronize().expect("its end");
            let mut device = -1;
            // SAFETY: a place for an ordinal.
            let code = unsafe { sys::cuPointerGetAttribute((&raw mut device).cast(), CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, memory) };
            assert_eq!((code, device), (CUDA_SUCCESS, 1));
            assert_eq!(close_memory(memory), CUDA_SUCCESS);
            link.tell("written");
        },
    );
}

/// A file that is longer than a process may make ends it by a signal. The driver itself is shorter than that.
#[test]
fn where_files_may_not_be_so_long_memory_is_not_shared() {
    const TEST: &str = "where_files_may_not_be_so_long_memory_is_not_shared";
    const LIMITED: &str = "SOFTCUDA_TEST_LIMITED";
    if std::env::var_os(LIMITED).is_some() {
        let scope = misuse();
        let _context = context(0);
        let memory = allocate(64);
        write(memory, b"here");
        assert_eq!(&read(memory), b"here");
        assert_eq!(export_memory(memory).err(), Some(CUDA_ERROR_OUT_OF_MEMORY));
        assert_eq!(scope.scope().take_reports().len(), 1);
        return free(memory);
    }
    let own = std::env::current_exe().expect("this test's path");
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -f 1000000 && exec \"$0\" \"$@\""]).arg(own).args([TEST, "--exact"]).env(LIMITED, "1");
    let output = limited.output().expect("a shell");
    assert!(output.status.success(), "{}: {output:?}", output.status);
}

#[test]
fn a_word_that_another_process_may_wait_for_is_not_held() {
    with_seconds(
        "a_word_that_another_process_may_wait_for_is_not_held",
        &[],
        |link, _| {
            let context = context(0);
            let _scope = Scope::enter().scheduled(Schedule::Lazy);
            let stream = context.new_stream().expect("a stream");
            let memory = allocate(64);
            write(memory, &[0; 4]);
            export(link, memory);
            link.expect("waits");
            // SAFETY: alive.
            unsafe { sys::cuStreamWriteValue32_v2(stream.cu_stream(), memory, 7, 0) }.result().expect("a write");
            link.expect("done");
            free(memory);
        },
        |link| {
            let context = context(0);
            let stream = context.new_stream().expect("a stream");
            let memory = import(link);
            // SAFETY: alive.
            unsafe { sys::cuStreamWaitValue32_v2(stream.cu_stream(), memory, 7, 1) }.result().expect("a wait");
            link.tell("waits");
            stream.synchronize().expect("the other process writes");
            assert_eq!(close_memory(memory), CUDA_SUCCESS);
            link.tell("done");
        },
    );
}
