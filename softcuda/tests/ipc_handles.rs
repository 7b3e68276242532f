//! Handles for other processes: who makes them, and which are refused.

#![cfg(not(miri))]

mod support;

use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_INVALID_CONTEXT, CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_MAP_FAILED, CUDA_SUCCESS,
};
use cudarc::driver::sys::CUstreamCaptureMode::{
    CU_STREAM_CAPTURE_MODE_GLOBAL as GLOBAL, CU_STREAM_CAPTURE_MODE_RELAXED as RELAXED, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL as LOCAL,
};
use cudarc::driver::sys::{self, CUipcEventHandle, CUipcMemHandle};
use support::green::answer;
use support::peer::{Bytes, close_memory, export_event, export_memory, import_event, import_memory, with_second, without_a_context};
use support::peer_event::{destroy, export, interprocess_event, record, stream, synchronize};
use support::peer_memory::{allocate, free};
use support::{context, misuse};

#[test]
fn a_handle_that_says_nothing_is_refused() {
    with_second(
        "a_handle_that_says_nothing_is_refused",
        |link| {
            let _context = context(0);
            let event = interprocess_event();
            export(link, event);
            let memory = allocate(64);
            link.tell(&export_memory(memory).expect("a handle").text());
            link.expect("done");
            destroy(event);
            free(memory);
        },
        |link| {
            let _context = context(0);
            let (event, memory) = (CUipcEventHandle::parse(&link.hear()), CUipcMemHandle::parse(&link.hear()));
            for byte in [0, 0xff] {
                assert_eq!(import_event(Bytes::of([byte; 64])), Err(CUDA_ERROR_MAP_FAILED));
                assert_eq!(import_memory(Bytes::of([byte; 64])), Err(CUDA_ERROR_INVALID_VALUE));
            }
            assert_eq!(import_event(Bytes::of(memory.bytes())), Err(CUDA_ERROR_MAP_FAILED), "it is of memory");
            assert_eq!(import_memory(Bytes::of(event.bytes())), Err(CUDA_ERROR_INVALID_VALUE), "it is of an event");
            for bit in 0..512 {
                let flip = |mut bytes: [u8; 64]| {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    bytes
                };
                assert_eq!(import_event(Bytes::of(flip(event.bytes()))), Err(CUDA_ERROR_MAP_FAILED), "bit {bit}");
                assert_eq!(import_memory(Bytes::of(flip(memory.bytes()))), Err(CUDA_ERROR_INVALID_VALUE), "bit {bit}");
            }
            for length in 0..64 {
                let mut bytes = [0; 64];
                bytes[..length].copy_from_slice(&event.bytes()[..length]);
                let is_whole = bytes == event.bytes();
                assert_eq!(import_event(Bytes::of(bytes)).is_ok(), is_whole, "the first {length} bytes");
            }
            link.tell("done");
        },
    );
}

#[test]
fn an_event_is_opened_on_its_own_device() {
    with_second(
        "an_event_is_opened_on_its_own_device",
        |link| {
            let _context = context(1);
            let event = interprocess_event();
            export(link, event);
            link.expect("done");
            destroy(event);
        },
        |link| {
            let scope = misuse();
            let _contexts = [1, 0].map(context);
            let event = CUipcEventHandle::parse(&link.hear());
            assert_eq!(import_event(event), Err(CUDA_ERROR_MAP_FAILED));
            let reports = scope.scope().take_reports();
            assert!(reports.len() == 1 && reports[0].to_string().contains("the event is of device 1"), "{reports:?}");
            let context = context(1);
            context.bind_to_thread().expect("device 1 becomes current");
            destroy(import_event(event).expect("its own device"));
            link.tell("done");
        },
    );
}

#[test]
fn events_are_exported_by_their_creator_and_opened_by_others() {
    with_second(
        "events_are_exported_by_their_creator_and_opened_by_others",
        |link| {
            let context = context(0);
            let event = interprocess_event();
            let handle = export_event(event).expect("a handle");
            assert_eq!(import_event(handle), Err(CUDA_ERROR_INVALID_CONTEXT), "this process has exported it");
            // SAFETY: a null pointer is refused.
            assert_eq!(unsafe { sys::cuIpcGetEventHandle(std::ptr::null_mut(), event) }, CUDA_ERROR_INVALID_VALUE);
            assert_eq!(export_event(std::ptr::null_mut()).err(), Some(CUDA_ERROR_INVALID_VALUE), "it is none");
            let plain = answer(std::ptr::null_mut(), |out| {
                // SAFETY: a context is current.
                unsafe { sys::cuEventCreate(out, 2) }
            });
            let plain = plain.expect("an event");
            assert_eq!(export_event(plain).err(), Some(CUDA_ERROR_INVALID_HANDLE), "it was not created so");
            destroy(plain);
            without_a_context();
            assert_eq!(export_event(event).err(), Some(CUDA_ERROR_INVALID_CONTEXT), "no context is current");
            context.bind_to_thread().expect("current again");
            export(link, event);
            link.expect("done");
            destroy(event);
        },
        |link| {
            let context = context(0);
            let handle = CUipcEventHandle::parse(&link.hear());
            // SAFETY: a null pointer is refused.
            assert_eq!(unsafe { sys::cuIpcOpenEventHandle(std::ptr::null_mut(), handle) }, CUDA_ERROR_INVALID_VALUE);
            without_a_context();
            assert_eq!(import_event(handle), Err(CUDA_ERROR_INVALID_CONTEXT), "no context is current");
            context.bind_to_thread().expect("current again");
            let event = import_event(handle).expect("an event");
            assert_eq!(export_event(event).err(), Some(CUDA_ERROR_INVALID_HANDLE), "it is another process's");
            record(event, &stream(&context));
            synchronize(event);
            // SAFETY: alive.
            let elapsed = answer(0.0, |out| unsafe { sys::cuEventElapsedTime_v2(out, event, event) });
            assert_eq!(elapsed, Err(CUDA_ERROR_INVALID_HANDLE));
            destroy(event);
            link.tell("done");
        },
    );
}

#[test]
fn the_mode_of_captures_is_the_threads() {
    let _context = context(0);
    let exchange = |mode| {
        let mut mode = mode;
        // SAFETY: a place for a mode.
        let code = unsafe { sys::cuThreadExchangeStreamCaptureMode(&raw mut mode) };
        (code, mode)
    };
    assert_eq!(exchange(RELAXED), (CUDA_SUCCESS, GLOBAL));
    std::thread::scope(|scope| scope.spawn(|| assert_eq!(exchange(LOCAL), (CUDA_SUCCESS, GLOBAL))).join()).expect("another thread");
    assert_eq!(exchange(GLOBAL), (CUDA_SUCCESS, RELAXED));
    // SAFETY: a null pointer is refused.
    assert_eq!(unsafe { sys::cuThreadExchangeStreamCaptureMode(std::ptr::null_mut()) }, CUDA_ERROR_INVALID_VALUE);
}

/// A handle with another number at a place of eight bytes, and the sum that belongs to it.
fn changed(handle: CUipcMemHandle, place: usize, change: impl Fn(u64) -> u64) -> CUipcMemHandle {
    const SUM: usize = 56;
    let mut bytes = handle.bytes();
    let number = u64::from_le_bytes(*bytes[8 * place..].first_chunk().expect("eight bytes"));
    bytes[8 * place..][..8].copy_from_slice(&change(number).to_le_bytes());
    let sum = bytes[..SUM].iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    bytes[SUM..].copy_from_slice(&sum.to_le_bytes());
    Bytes::of(bytes)
}

#[test]
fn a_handle_opens_what_was_exported_and_nothing_else() {
    const OFFSET: usize = 5;
    const BYTES: usize = 6;
    with_second(
        "a_handle_opens_what_was_exported_and_nothing_else",
        |link| {
            let _context = context(0);
            let [memory, next] = [allocate(4096), allocate(4096)];
            link.tell(&export_memory(memory).expect("a handle").text());
            link.expect("done");
            free(memory);
            free(next);
        },
        |link| {
            let _context = context(0);
            let handle = CUipcMemHandle::parse(&link.hear());
            let refused = Err(CUDA_ERROR_INVALID_HANDLE);
            for bytes in [1, 4095, 4097, 8192, 1 << 40, u64::MAX] {
                assert_eq!(import_memory(changed(handle, BYTES, |_| bytes)), refused, "{bytes} bytes");
            }
            for offset in [1, 512, 4096, 0_u64.wrapping_sub(4096), 1 << 40] {
                assert_eq!(import_memory(changed(handle, OFFSET, |here| here.wrapping_add(offset))), refused, "{offset:#x} on");
            }
            for place in [1, 2, 3, 4] {
                // No process has such a number, and none may be found that exported the like.
                assert!(import_memory(changed(handle, place, |number| number ^ 1 << 40)).is_err(), "number {place}");
            }
            let memory = import_memory(changed(handle, BYTES, |bytes| bytes)).expect("as it was");
            assert_eq!(close_memory(memory), CUDA_SUCCESS);
            link.tell("done");
        },
    );
}
