//! A CUDA driver in software: the C interface of `libcuda`, on threads of the host.
//!
//! Built twice from the same files: as a library that is loaded like the real one, and, with
//! `cfg(softcuda_linked)`, as a module of the crate, for tools that cannot look into a library.
//!
//! A file uses only files above it in this list:
//!
//! | files | what they hold |
//! |---|---|
//! | `sync`, `codes`, `abi`, `handle`, `fork`, `raw`, `absent` | locks and threads; result codes; arguments; handles; forked children; what is agreed with the control API; what hardware has more of |
//! | `scope`, `calls`, `report`, `setting`, `mode`, `pageable`, `version`, `profile` | groups of threads, counted and injected calls, reports, what the driver pretends to be |
//! | `pace`, `discard` | schedules of scopes; what is dropped without the lock |
//! | `modes`, `thread` | modes of captures, current contexts |
//! | `entry` | what every call goes through |
//! | `os`, `peer`, `memory_file` | what the standard library lacks; processes; files in memory that several of them map |
//! | `ipc_handle`, `tickets`, `sharing` | handles for other processes; records of events that they share |
//! | `device`, `ranges`, `exports`, `device_file`, `buffer`, `pools`, `memory` | devices, parts of files, what of them is exported, files with the devices' memory, bytes, pools, allocations |
//! | `word`, `peer_wait`, `ptx`, `kernel`, `job` | words that streams wait for, and other processes, PTX, twins, work for threads |
//! | `clock`, `mark`, `objects`, `order` | clocks; records in captures; streams, events and contexts; who knows what came before |
//! | `side`, `value_operation`, `node`, `graphs`, `captures` | what copies and memory operations are about; nodes, graphs, user objects, captures |
//! | `history`, `races` | who touched which bytes; what is said of unordered accesses |
//! | `orphans`, `freed`, `state`, `family` | what is gone; all of it behind one lock; green contexts as parts of others |
//! | `per_thread`, `lookup`, `checks`, `capturing` | default streams of threads; handles of callers; unordered accesses; what captures allow |
//! | `flights`, `graph_leaks` | launches whose executables are gone; what scopes leave of graphs |
//! | `value_waits`, `schedule`, `demand`, `worker` | streams that words hold, what may go next, what a schedule holds back, and the threads it goes on |
//! | `peers` | order by way of other processes |
//! | `context`, `primary`, `resource`, `green`, `stream`, `event`, `limit`, `managed`, `pool`, `allocation`, `register`, `pointer`, `copy`, `peer_copy`, `ipc`, `ipc_memory`, `module`, `function`, `launch`, `mem_op`, `host_function`, `capture`, `graph`, `graph_launch`, `user_object`, `errors` | what answers the functions |
//! | `api`, `control`, `unsupported` | the functions |

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::LazyLock;

use self::api::Address;

pub mod abi;
pub mod absent;
mod allocation;
mod api;
mod buffer;
mod calls;
mod capture;
mod captures;
mod capturing;
mod checks;
mod clock;
pub mod codes;
mod context;
mod control;
mod copy;
mod demand;
mod device;
mod device_file;
mod discard;
mod entry;
mod errors;
mod event;
mod exports;
mod family;
mod flights;
mod fork;
mod freed;
mod function;
mod graph;
mod graph_launch;
mod graph_leaks;
mod graph_nodes;
mod graphs;
mod green;
mod handle;
mod history;
mod host_function;
mod ipc;
mod ipc_handle;
mod ipc_memory;
mod job;
mod kernel;
mod launch;
mod limit;
mod lookup;
mod managed;
mod mark;
mod mem_op;
mod memory;
mod memory_file;
mod mode;
mod modes;
mod module;
mod node;
mod objects;
mod order;
mod orphans;
mod os;
mod pace;
mod pageable;
mod peer;
mod peer_copy;
mod peer_wait;
mod peers;
mod per_thread;
mod pointer;
mod pool;
mod pools;
mod primary;
mod profile;
mod ptx;
mod races;
mod ranges;
pub mod raw;
mod referents;
mod register;
mod report;
mod resource;
mod schedule;
mod scope;
mod setting;
mod sharing;
mod side;
mod state;
mod stream;
mod sync;
mod thread;
mod tickets;
#[cfg(not(softcuda_linked))]
mod unsupported;
mod user_object;
mod value_operation;
mod value_waits;
mod version;
mod word;
mod worker;

pub use self::api::*;
pub use self::control::*;
pub use self::graph_nodes::{HostNode, MemsetNode};
pub use self::handle::Handle;
pub use self::ipc_handle::IpcHandle;
pub use self::managed::Location;

/// The address of an implemented function, by its name.
#[must_use]
pub fn symbol(name: &str) -> Option<*const c_void> {
    static ADDRESSES: LazyLock<HashMap<&str, Address>> =
        LazyLock::new(|| api::EXPORTS.iter().chain(control::EXPORTS_OF_CONTROL).copied().collect());
    ADDRESSES.get(name).map(|address| address.0)
}
