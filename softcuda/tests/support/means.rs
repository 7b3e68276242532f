//! What orders two accesses of a program in `planted.rs`.

use std::sync::mpsc::channel;
use std::thread;

use cudarc::driver::result;
use cudarc::driver::sys::{self, CUresult};

use super::world::{World, host_function, legacy, unseen};

/// Something between two accesses that orders them.
pub(crate) struct Means {
    pub(crate) name: &'static str,
    pub(crate) act: fn(&World),
    /// The host knows as well.
    pub(crate) for_host: bool,
    /// It is a rule of the legacy stream, for blocking streams.
    pub(crate) blocking: bool,
}

const WAIT: Means = Means { name: "", act: |_| (), for_host: true, blocking: false };

pub(crate) const MEANS: &[Means] = &[
    Means { name: "cuStreamWaitEvent", act: |world| world.second.wait(&world.mark).expect("a wait"), for_host: false, ..WAIT },
    Means { name: "cuStreamSynchronize", act: |world| world.first.synchronize().expect("a wait"), ..WAIT },
    Means { name: "cuEventSynchronize", act: |world| world.mark.synchronize().expect("a wait"), ..WAIT },
    Means { name: "cuCtxSynchronize", act: |_| result::ctx::synchronize().expect("a wait"), ..WAIT },
    Means {
        name: "cuStreamQuery",
        act: |world| {
            poll(|| {
                // SAFETY: alive.
                unsafe { sys::cuStreamQuery(world.first.cu_stream()) }
            });
        },
        ..WAIT
    },
    Means {
        name: "cuEventQuery",
        act: |world| {
            poll(|| {
                // SAFETY: alive.
                unsafe { sys::cuEventQuery(world.mark.cu_event()) }
            });
        },
        ..WAIT
    },
    Means {
        name: "cuEventElapsedTime",
        act: |world| {
            poll(|| {
                // SAFETY: alive.
                match unsafe { result::event::elapsed(world.mark.cu_event(), world.mark.cu_event()) } {
                    Ok(_) => CUresult::CUDA_SUCCESS,
                    Err(error) => error.0,
                }
            });
        },
        ..WAIT
    },
    Means {
        name: "a wait by a third stream, which is waited for",
        act: |world| {
            let third = world.context.new_stream().expect("a stream");
            third.wait(&world.mark).expect("a wait");
            third.synchronize().expect("a wait");
        },
        ..WAIT
    },
    Means {
        name: "a synchronous copy",
        // SAFETY: the memory is alive.
        act: |world| unsafe { result::memcpy_dtoh_sync(&mut [0_u32; 1], world.other) }.expect("a copy"),
        blocking: true,
        ..WAIT
    },
    Means {
        name: "work of the legacy stream",
        act: |world| legacy(&world.context).wait(&world.mark).expect("a wait"),
        for_host: false,
        blocking: true,
    },
    Means {
        name: "a host function that tells the host",
        act: |world| {
            let (tell, told) = channel();
            host_function(&world.first, move || tell.send(()).expect("the program waits"));
            // Who waits for a channel asks the driver for nothing: work that is held goes when somebody else does.
            let stream = &world.first;
            unseen(|| stream.synchronize());
            told.recv().expect("the host function runs");
        },
        ..WAIT
    },
];

fn poll(query: impl Fn() -> CUresult) {
    loop {
        match query() {
            CUresult::CUDA_SUCCESS => return,
            code => assert_eq!(code, CUresult::CUDA_ERROR_NOT_READY),
        }
        thread::yield_now();
    }
}
