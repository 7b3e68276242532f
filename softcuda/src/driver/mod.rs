//! A CUDA driver in software: the C interface of `libcuda`, on threads of the host.
//!
//! Built twice from the same files: as a library that is loaded like the real one, and, with
//! `cfg(softcuda_linked)`, as a module of the crate, for tools that cannot look into a library.
//!
//! A file uses only files above it in this list:
//!
//! | files | what they hold |
//! |---|---|
//! | `codes`, `raw` | result codes; what is agreed with the control API |
//! | `scope`, `calls`, `report`, `mode`, `pageable` | groups of threads, counted and injected calls, reports, what the driver pretends to be |
//! | `discard` | what is dropped without the lock |
//! | `abi`, `handle`, `thread` | arguments, handles, current contexts |
//! | `entry` | what every call goes through |
//! | `device`, `buffer`, `pools`, `memory`, `word`, `ptx`, `kernel`, `job` | devices, bytes, pools, allocations, words that streams wait for, PTX, twins, work for threads |
//! | `objects`, `orphans`, `state` | streams, events and contexts, behind one lock |
//! | `per_thread`, `lookup` | default streams of threads; handles of callers |
//! | `value_waits`, `schedule`, `worker` | streams that words hold, what may go next, and the threads it goes on |
//! | `context`, `primary`, `stream`, `event`, `managed`, `pool`, `allocation`, `register`, `pointer`, `copy`, `module`, `launch`, `mem_op`, `host_function`, `errors` | what answers the functions |
//! | `api`, `control`, `unsupported` | the functions |

use std::ffi::c_void;

pub mod abi;
mod allocation;
mod api;
mod buffer;
mod calls;
pub mod codes;
mod context;
mod control;
mod copy;
mod device;
mod discard;
mod entry;
mod errors;
mod event;
mod handle;
mod host_function;
mod job;
mod kernel;
mod launch;
mod lookup;
mod managed;
mod mem_op;
mod memory;
mod mode;
mod module;
mod objects;
mod orphans;
mod pageable;
mod per_thread;
mod pointer;
mod pool;
mod pools;
mod primary;
mod ptx;
pub mod raw;
mod register;
mod report;
mod schedule;
#[expect(dead_code, reason = "the base of what follows")]
mod scope;
mod state;
mod stream;
mod thread;
#[cfg(not(softcuda_linked))]
mod unsupported;
mod value_waits;
mod word;
mod worker;

pub use self::api::*;
pub use self::control::*;
pub use self::handle::Handle;
pub use self::managed::Location;

/// The address of an implemented function, by its name.
#[must_use]
pub fn symbol(name: &str) -> Option<*const c_void> {
    let exports = api::EXPORTS.iter().map(|(known, address)| (*known, address.0));
    exports.chain(control::EXPORTS_OF_CONTROL.iter().copied()).find_map(|(known, address)| (known == name).then_some(address))
}
