//! A CUDA driver in software: the C interface of `libcuda`, on threads of the host.
//!
//! Built twice from the same files: as a library that is loaded like the real one, and, with
//! `cfg(softcuda_linked)`, as a module of the crate, for tools that cannot look into a library.
//!
//! A file uses only files above it in this list:
//!
//! | files | what they hold |
//! |---|---|
//! | `codes`, `raw`, `absent` | result codes; what is agreed with the control API; what hardware has more of |
//! | `scope`, `calls`, `report`, `mode` | groups of threads, counted and injected calls, reports, what the driver pretends to be |
//! | `abi`, `handle`, `thread` | arguments, handles, current contexts |
//! | `entry` | what every call goes through |
//! | `device`, `memory`, `ptx`, `kernel`, `job` | devices, bytes, PTX, twins, work for threads |
//! | `objects`, `orphans`, `state` | streams, events and contexts, behind one lock |
//! | `per_thread`, `lookup` | default streams of threads; handles of callers |
//! | `schedule`, `worker` | what may go next, and the threads it goes on |
//! | `context`, `primary`, `stream`, `event`, `allocation`, `copy`, `module`, `launch`, `host_function`, `errors` | what answers the functions |
//! | `api`, `control`, `unsupported` | the functions |

use std::ffi::c_void;

pub mod abi;
pub mod absent;
mod allocation;
mod api;
mod calls;
pub mod codes;
mod context;
mod control;
mod copy;
mod device;
mod entry;
mod errors;
mod event;
mod handle;
mod host_function;
mod job;
mod kernel;
mod launch;
mod lookup;
mod memory;
mod mode;
mod module;
mod objects;
mod orphans;
mod per_thread;
mod primary;
mod ptx;
pub mod raw;
mod report;
mod schedule;
#[expect(dead_code, reason = "the base of what follows")]
mod scope;
mod state;
mod stream;
mod thread;
#[cfg(not(softcuda_linked))]
mod unsupported;
mod worker;

pub use self::api::*;
pub use self::control::*;
pub use self::handle::Handle;

/// The address of an implemented function, by its name.
#[must_use]
pub fn symbol(name: &str) -> Option<*const c_void> {
    let exports = api::EXPORTS.iter().map(|(known, address)| (*known, address.0));
    exports.chain(control::EXPORTS_OF_CONTROL.iter().copied()).find_map(|(known, address)| (known == name).then_some(address))
}
