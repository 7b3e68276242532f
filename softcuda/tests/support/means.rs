//! What orders two accesses of a program in `planted.rs`.

use std::sync::mpsc::channel;
use std::thread;

use cudarc::driver::result;
use cudarc::driver::sys::{self, CUresult};

use softcuda::{Schedule, Scope};

use super::planted::{World, host_function, legacy, wait};

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
    Means { name: "cuStreamWaitEvent", act: |world| wait(&world.second, world.mark), for_host: false, ..WAIT },
    Means { name: "cuStreamSynchronize", act: |world| world.first.synchronize().expect("a wait"), ..WAIT },
    Means {
        name: "cuEventSynchronize",
        // SAFETY: alive.
        act: |world| unsafe { result::event::synchronize(world.mark) }.expect("a wait"),
        ..WAIT
    },
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
                unsafe { sys::cuEventQuery(world.mark) }
            });
        },
        ..WAIT
    },
    Means {
        name: "cuEventElapsedTime",
        act: |world| {
            poll(|| {
                // SAFETY: alive.
                match unsafe { result::event::elapsed(world.mark, world.mark) } {
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
            wait(&third, world.mark);
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
    Means { name: "work of the legacy stream", act: |world| wait(&legacy(&world.context), world.mark), for_host: false, blocking: true },
    Means {
        name: "a host function that tells the host",
        act: |world| {
            // Who waits for a channel asks the driver for nothing: held work would never go.
            Scope::current().set_schedule(Schedule::Plain);
            let (tell, told) = channel();
            host_function(&world.first, move || tell.send(()).expect("the program waits"));
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
