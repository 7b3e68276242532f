//! Memory of several processes: how it is closed and freed, and what is refused.

#![cfg(not(miri))]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use cudarc::driver::result;
use cudarc::driver::sys::CUresult::{CUDA_ERROR_INVALID_CONTEXT, CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE, CUDA_SUCCESS};
use cudarc::driver::sys::{self, CUipcMemHandle};
use support::green::answer;
use support::peer::{
    Bytes as _, Link, close_memory, export_memory, import_memory, open_files, with_second, with_seconds, without_a_context,
};
use support::peer_memory::{allocate, export, free, import, read, try_free, write};
use support::{Hold, context, misuse, round_trips};

#[test]
fn memory_that_is_opened_twice_has_one_address_and_is_closed_twice() {
    with_second(
        "memory_that_is_opened_twice_has_one_address_and_is_closed_twice",
        |link| {
            let _context = context(0);
            let memory = allocate(64);
            write(memory, b"here");
            export(link, memory);
            link.expect("closed");
            free(memory);
        },
        |link| {
            let _scope = misuse();
            let _context = context(0);
            let handle = CUipcMemHandle::parse(&link.hear());
            let [one, other] = [(); 2].map(|()| import_memory(handle).expect("memory"));
            assert_eq!(one, other);
            assert_eq!(close_memory(one), CUDA_SUCCESS);
            assert_eq!(&read(one), b"here");
            assert_eq!(try_free(one), CUDA_ERROR_INVALID_VALUE, "it is not this process's");
            assert_eq!(close_memory(one + 1), CUDA_ERROR_INVALID_VALUE);
            assert_eq!(close_memory(one), CUDA_SUCCESS);
            assert_eq!(close_memory(one), CUDA_ERROR_INVALID_VALUE);
            let again = import_memory(handle).expect("memory");
            assert_ne!(again, one, "addresses are not used again");
            assert_eq!(close_memory(again), CUDA_SUCCESS);
            link.tell("closed");
        },
    );
}

#[test]
fn what_cannot_be_shared_is_refused() {
    with_second(
        "what_cannot_be_shared_is_refused",
        |link| {
            let _scope = misuse();
            let context = context(0);
            let stream = context.new_stream().expect("a stream");
            let memory = allocate(64);
            let handle = export_memory(memory).expect("a handle");
            assert_eq!(import_memory(handle), Err(CUDA_ERROR_INVALID_CONTEXT), "this process has exported it");
            // SAFETY: a null pointer is refused.
            assert_eq!(unsafe { sys::cuIpcGetMemHandle(std::ptr::null_mut(), memory) }, CUDA_ERROR_INVALID_VALUE);
            // SAFETY: the stream is alive.
            let pooled = unsafe { result::malloc_async(stream.cu_stream(), 64) }.expect("memory");
            // SAFETY: not read before it is written.
            let mut pinned = unsafe { context.alloc_pinned::<u8>(64) }.expect("pinned memory");
            let pinned = pinned.as_mut_ptr().expect("its address").expose_provenance() as u64;
            for address in [pooled, pinned, 0, memory + 64] {
                assert_eq!(export_memory(address).err(), Some(CUDA_ERROR_INVALID_VALUE), "{address:#x}");
            }
            // SAFETY: not used any more.
            unsafe { result::free_async(pooled, stream.cu_stream()) }.expect("its end");
            without_a_context();
            assert_eq!(export_memory(memory).err(), Some(CUDA_ERROR_INVALID_CONTEXT), "no context is current");
            context.bind_to_thread().expect("current again");
            export(link, memory);
            link.expect("refused");
            free(memory);
            assert_eq!(export_memory(memory).err(), Some(CUDA_ERROR_INVALID_VALUE));
            let reports = softcuda::reports();
            assert!(
                reports.iter().any(|report| report.to_string().contains("is in no live allocation, freed by cuMemFree_v2")),
                "{reports:?}"
            );
            link.tell("freed");
        },
        |link| {
            let context = context(0);
            let handle = CUipcMemHandle::parse(&link.hear());
            for flags in [0, 2] {
                // SAFETY: the driver judges the handle.
                let code = answer(0, |out| unsafe { sys::cuIpcOpenMemHandle_v2(out, handle, flags) });
                assert_eq!(code, Err(CUDA_ERROR_INVALID_VALUE), "flags {flags}");
            }
            // SAFETY: a null pointer is refused.
            assert_eq!(unsafe { sys::cuIpcOpenMemHandle_v2(std::ptr::null_mut(), handle, 1) }, CUDA_ERROR_INVALID_VALUE);
            without_a_context();
            assert_eq!(import_memory(handle), Err(CUDA_ERROR_INVALID_CONTEXT), "no context is current");
            context.bind_to_thread().expect("current again");
            // SAFETY: the driver judges the handle.
            let memory = answer(0, |out| unsafe { sys::cuIpcOpenMemHandle_v2(out, handle, 3) }).expect("only the first flag counts");
            assert_eq!(export_memory(memory).err(), Some(CUDA_ERROR_INVALID_VALUE), "it is another process's");
            assert_eq!(close_memory(memory), CUDA_SUCCESS);
            link.tell("refused");
            link.expect("freed");
            assert_eq!(import_memory(handle), Err(CUDA_ERROR_INVALID_HANDLE), "the memory is freed");
        },
    );
}

#[test]
fn a_close_waits_for_all_work() {
    with_second(
        "a_close_waits_for_all_work",
        |link| {
            let _context = context(0);
            let memory = allocate(64);
            export(link, memory);
            link.expect("closed");
            free(memory);
        },
        |link| {
            let context = context(0);
            let stream = context.new_stream().expect("a stream");
            let memory = import(link);
            let hold = Hold::new(&stream);
            let closed = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    assert_eq!(close_memory(memory), CUDA_SUCCESS);
                    closed.store(true, Ordering::Release);
                });
                round_trips(&context).expect("other work");
                assert!(!closed.load(Ordering::Acquire));
                hold.release();
            });
            link.tell("closed");
        },
    );
}

#[test]
fn freed_memory_that_is_open_elsewhere_is_not_given_to_others() {
    const BYTES: usize = 1 << 20;
    with_second(
        "freed_memory_that_is_open_elsewhere_is_not_given_to_others",
        |link| {
            let _context = context(0);
            let memory = allocate(BYTES);
            write(memory, b"old");
            export(link, memory);
            link.expect("imported");
            free(memory);
            let next = allocate(BYTES);
            write(next, b"new");
            link.tell("freed");
            link.expect("closed");
            free(next);
        },
        |link| {
            let _context = context(0);
            let memory = import(link);
            link.tell("imported");
            link.expect("freed");
            assert_eq!(&read(memory), b"old");
            assert_eq!(close_memory(memory), CUDA_SUCCESS);
            link.tell("closed");
        },
    );
}

#[test]
fn imported_memory_outlives_a_process_that_is_killed() {
    with_seconds(
        "imported_memory_outlives_a_process_that_is_killed",
        &[],
        |link, _| {
            let _context = context(0);
            let handle = CUipcMemHandle::parse(&link.hear());
            let memory = import_memory(handle).expect("memory");
            link.kill();
            assert_eq!(&read(memory), b"left");
            write(memory, b"mine");
            assert_eq!(&read(memory), b"mine");
            assert_eq!(import_memory(handle), Ok(memory), "it is open here");
            assert_eq!([close_memory(memory), close_memory(memory)], [CUDA_SUCCESS; 2]);
            assert_eq!(import_memory(handle), Err(CUDA_ERROR_INVALID_HANDLE));
        },
        |link| {
            let _context = context(0);
            let memory = allocate(8 << 20);
            write(memory, b"left");
            export(link, memory);
            link.expect("nothing more");
        },
    );
}

#[test]
fn what_is_closed_leaves_no_file_open_and_no_memory() {
    /// All of them would not fit.
    const ROUNDS: usize = 300;
    const BYTES: usize = 64 << 20;
    with_second(
        "what_is_closed_leaves_no_file_open_and_no_memory",
        |link| {
            let _context = context(0);
            free(allocate(1));
            let before = open_files();
            for _ in 0..ROUNDS {
                let memory = allocate(BYTES);
                export(link, memory);
                link.expect("closed");
                free(memory);
            }
            let after = open_files();
            assert!(after <= before, "{before} files, then {after}");
        },
        |link| {
            let _context = context(0);
            let before = (open_files(), mappings());
            for _ in 0..ROUNDS {
                let memory = import(link);
                assert_eq!(close_memory(memory), CUDA_SUCCESS);
                link.tell("closed");
            }
            let after = (open_files(), mappings());
            assert!(after.0 <= before.0 && after.1 == before.1, "{before:?}, then {after:?}");
        },
    );
}

/// How many parts of files of devices this process maps.
fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("what is mapped");
    maps.lines().filter(|line| line.contains("softcuda-device")).count()
}

/// Opens what it is told of, and waits to be killed.
fn opens_and_is_killed(link: &mut Link) {
    let _context = context(0);
    loop {
        import(link);
        link.tell("opened");
    }
}

#[test]
fn what_a_killed_process_had_open_is_given_back() {
    const ROUNDS: usize = 6;
    const BYTES: usize = 64 << 20;
    with_seconds(
        "what_a_killed_process_had_open_is_given_back",
        &[],
        |link, begin| {
            let _context = context(0);
            let before = shared_memory();
            for round in 0..ROUNDS {
                let memory = allocate(BYTES);
                let mut link = begin();
                export(&mut link, memory);
                link.expect("opened");
                // Half of them are freed while they are in use.
                if round % 2 == 0 {
                    link.kill();
                    free(memory);
                } else {
                    free(memory);
                    link.kill();
                }
            }
            free(allocate(1));
            link.kill();
            let left = shared_memory().saturating_sub(before);
            assert!(left <= BYTES, "{left} bytes are left");
        },
        opens_and_is_killed,
    );
}

#[test]
fn small_pieces_that_are_freed_go_back_to_the_system() {
    const PIECES: usize = 1000;
    const BYTES: usize = 300_000;
    /// What is kept for the next, and parts of pages.
    const MOST: usize = 72 << 20;
    let _context = context(0);
    let before = shared_memory();
    let pieces: Vec<_> = (0..PIECES).map(|_| allocate(BYTES)).collect();
    assert!(shared_memory() - before >= PIECES * BYTES);
    // Every second one first, so that none touches another.
    for memory in pieces.iter().step_by(2).chain(pieces.iter().skip(1).step_by(2)) {
        free(*memory);
    }
    let left = shared_memory().saturating_sub(before);
    assert!(left <= MOST, "{left} bytes are left");
}

/// Bytes of memory of files that this process has, and that has been written.
fn shared_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("what this process has");
    let line = status.lines().find_map(|line| line.strip_prefix("RssShmem:")).expect("the system counts it");
    line.trim().strip_suffix(" kB").expect("as it does").parse::<usize>().expect("a number") << 10
}
