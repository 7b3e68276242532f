//! Memory that is made for other processes, in the process that makes it.
#![cfg(not(miri))]

mod common;

use std::sync::Arc;

use common::contexts::{self, SecondContext};
use common::{child, device, on_a_fresh_thread, raw};
use cuda_streams::{Error, ErrorCode, IpcKind, IpcMemHandle, IpcMemory, IpcRefusal, Result};
use cudarc::driver::{CudaContext, CudaStream, result};

const MIB: usize = 1 << 20;

fn cudarc() -> Arc<CudaStream> {
    let context = CudaContext::new(device().ordinal() as usize).expect("cudarc's view of the primary context");
    context.new_stream().expect("a stream of cudarc")
}

/// Opens a handle that is none, or that this process must not open.
fn open(handle: IpcMemHandle) -> Error {
    // SAFETY: nothing that the driver can open.
    unsafe { IpcMemory::open(device(), handle) }.expect_err("there is nothing to open")
}

fn is_own(error: &Error) -> bool {
    *error == Error::OwnHandle { what: IpcKind::Memory, code: None }
}

#[test]
fn memory_has_as_many_bytes_as_asked_for_and_blocks_of_its_own() -> Result<()> {
    for (asked, bytes) in [(1, 2 * MIB), (2 * MIB - 1, 2 * MIB), (2 * MIB, 2 * MIB), (2 * MIB + 1, 4 * MIB)] {
        let memory = IpcMemory::new(device(), asked)?;
        assert_eq!(memory.bytes(), bytes, "{asked}");
        assert!(memory.as_raw() != 0 && !memory.is_imported());
        assert_eq!((memory.device(), memory.context()), (device(), device().context()?));
        memory.close()?;
    }
    let refused = |bytes| {
        let error = IpcMemory::new(device(), bytes).expect_err("so much there is not");
        assert!(matches!(error, Error::Driver { call: "cuMemAlloc_v2", .. }), "{error:?}");
        error.code().expect("of the driver")
    };
    assert_eq!(refused(0), ErrorCode::INVALID_VALUE);
    assert_eq!(refused(usize::MAX), ErrorCode::OUT_OF_MEMORY, "it cannot even be rounded");
    assert_eq!(refused(1 << 60), ErrorCode::OUT_OF_MEMORY);
    Ok(())
}

#[test]
fn memory_has_one_handle() -> Result<()> {
    let (first, second) = (IpcMemory::new(device(), 1)?, IpcMemory::new(device(), 1)?);
    let handles: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| first.ipc_handle())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let handle = first.ipc_handle()?;
    assert!(handles.iter().all(|other| *other == Ok(handle)), "{handles:?}");
    assert_ne!(second.ipc_handle()?, handle);
    Ok(())
}

#[test]
fn the_process_that_exported_memory_cannot_open_it() -> Result<()> {
    let memory = IpcMemory::new(device(), 1)?;
    let handle = memory.ipc_handle()?;
    let error = open(handle);
    assert!(is_own(&error), "{error:?}");
    assert!(error.to_string().contains("use the memory itself"), "{error}");
    memory.close()?;
    let error = open(handle);
    assert!(!is_own(&error), "that the driver has to say: {error:?}");

    let memory = IpcMemory::new(device(), 1)?;
    let handle = memory.ipc_handle()?;
    drop(memory);
    assert!(!is_own(&open(handle)));

    // One that this crate does not keep.
    let memory = IpcMemory::new(device(), 1)?;
    // SAFETY: the memory lives until the end, and no other process gets the handle.
    let (handle, offset) = unsafe { IpcMemHandle::export(memory.as_raw()) }?;
    assert_eq!(offset, 0);
    assert_eq!(open(handle), Error::OwnHandle { what: IpcKind::Memory, code: Some(ErrorCode::INVALID_CONTEXT) });
    Ok(())
}

#[test]
fn a_handle_of_nothing_is_refused() {
    for byte in [0, 0xff] {
        let error = open(IpcMemHandle::from_bytes([byte; 64]));
        let (call, code) = ("cuIpcOpenMemHandle_v2", ErrorCode::INVALID_VALUE);
        assert_eq!(error, Error::IpcRefused { call, code, reason: IpcRefusal::Unreachable });
        let text = error.to_string();
        assert!(text.contains(call) && text.contains("INVALID_VALUE (1)") && text.contains("are these the 64 bytes"), "{text}");
    }
}

#[test]
fn memory_of_others_is_exported_with_the_offset() -> Result<()> {
    let allocate = || {
        // SAFETY: a context is current.
        unsafe { result::malloc_sync(5 * MIB) }.expect("device memory")
    };
    let context = device().context()?;
    let pointer = context.with_current(allocate)?;
    let mut handles = Vec::new();
    for offset in [0, 1, 256, 5 * MIB - 1] {
        // SAFETY: the memory lives until it is freed below, and no other process gets the handle.
        let (handle, found) = on_a_fresh_thread(|| unsafe { IpcMemHandle::export(pointer + offset as u64) })?;
        assert_eq!(found, offset);
        handles.push(handle);
    }
    assert!(handles.iter().all(|handle| *handle == handles[0]), "all are of one allocation");
    // SAFETY: allocated above, and nobody uses it any more.
    context.with_current(|| unsafe { result::free_sync(pointer) })?.expect("it is freed");
    Ok(())
}

/// What cudarc allocates is of a pool, if the device has one.
#[test]
fn memory_that_cannot_be_exported_is_refused_with_the_reason() {
    let stream = cudarc();
    // SAFETY: it is freed below, on the same stream, and not read.
    let pooled = unsafe { result::malloc_async(stream.cu_stream(), 256) }.expect("memory of the pool");
    // SAFETY: the memory lives, and no other process gets a handle.
    let error = unsafe { IpcMemHandle::export(pooled) }.expect_err("memory of a pool");
    let (call, code) = ("cuIpcGetMemHandle", ErrorCode::INVALID_VALUE);
    assert_eq!(error, Error::IpcRefused { call, code, reason: IpcRefusal::NotExportable });
    let text = error.to_string();
    assert!(text.contains(call) && text.contains("stream order") && text.contains("use `IpcMemory`"), "{text}");
    // SAFETY: allocated above, and nobody uses it.
    unsafe { result::free_async(pooled, stream.cu_stream()) }.expect("it is freed");

    // SAFETY: no pointer at all, which the driver refuses.
    let error = unsafe { IpcMemHandle::export(0x10) }.expect_err("there is no memory");
    assert_eq!(error.code(), Some(ErrorCode::INVALID_VALUE));
}

/// Memory that a pointer says is of another context than the primary one.
#[test]
fn memory_of_a_context_of_others_is_exported() -> Result<()> {
    let second = SecondContext::new(device());
    second.with_current(|| {
        // SAFETY: a context is current.
        let pointer = unsafe { result::malloc_sync(2 * MIB) }.expect("device memory");
        // SAFETY: the memory lives until it is freed below, and no other process gets the handle.
        let exported = unsafe { IpcMemHandle::export(pointer + 100) };
        assert_eq!(contexts::current(), second.as_raw());
        // SAFETY: allocated above, and nobody uses it any more.
        unsafe { result::free_sync(pointer) }.expect("it is freed");
        assert_eq!(exported?.1, 100);
        Ok(())
    })
}

#[test]
fn cudarcs_view_is_checked_and_leaves_the_current_context_alone() -> Result<()> {
    let (stream, memory) = (cudarc(), IpcMemory::new(device(), 1)?);
    let (memory, error) = memory.into_cudarc::<u64>(&stream, 2 * MIB / 8 + 1).expect_err("so many are not there");
    assert_eq!(error, Error::OutOfBounds { len: 2 * MIB / 8 + 1, most: 2 * MIB / 8 });
    let (memory, error) = memory.into_cudarc::<u64>(&stream, usize::MAX).expect_err("so many are not anywhere");
    assert_eq!(error, Error::OutOfBounds { len: usize::MAX, most: 2 * MIB / 8 });

    let address = memory.as_raw();
    let second = SecondContext::new(device());
    let slice = second.with_current(|| memory.into_cudarc::<u64>(&stream, 2 * MIB / 8)).map_err(|(_, error)| error)?;
    assert_eq!((slice.memory().as_raw(), slice.as_view().len()), (address, 2 * MIB / 8));
    second.with_current(|| drop(slice));
    on_a_fresh_thread(|| {
        let memory = IpcMemory::new(device(), 1)?;
        let slice = memory.into_cudarc::<u8>(&stream, 0).map_err(|(_, error)| error)?;
        assert!(contexts::current().is_null());
        drop(slice);
        assert!(contexts::current().is_null());
        Ok(())
    })
}

/// cudarc's view never frees the memory, and dropping it does, once.
#[test]
fn cudarcs_view_gives_the_memory_back_once() -> Result<()> {
    let stream = cudarc();
    let mut slice = IpcMemory::new(device(), 1)?.into_cudarc::<u8>(&stream, 1000).map_err(|(_, error)| error)?;
    let pointer = slice.memory().as_raw();
    stream.memset_zeros(&mut slice.as_view_mut()).expect("it is filled");
    assert_eq!(stream.clone_dtoh(&slice.as_view()).expect("it is read"), [0; 1000]);
    drop(slice);
    // SAFETY: nothing any more, which the driver refuses.
    let error = unsafe { IpcMemHandle::export(pointer) }.expect_err("it is freed");
    assert_eq!(error.code(), Some(ErrorCode::INVALID_VALUE));
    Ok(())
}

/// In a process where the primary context is not there yet.
#[test]
fn memory_makes_the_context_of_its_device() {
    child::run("memory_makes_the_context_of_its_device", child::same_environment, || {
        let device = device();
        assert!(!device.is_active().unwrap());
        on_a_fresh_thread(|| {
            let memory = IpcMemory::new(device, 1).unwrap();
            assert!(device.is_active().unwrap() && contexts::current().is_null());
            assert_eq!(memory.context(), device.context().unwrap());
            drop(memory);
            assert!(contexts::current().is_null());
        });
        assert!(raw::has_ids() || device.is_active().unwrap());
    });
}
