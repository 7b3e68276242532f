//! What only the software driver can show: failures on demand, counted calls, contexts that die.

#[path = "../common/mod.rs"]
mod common;

mod errors;
mod foreign;

// Not under Miri, which has no child processes, and takes minutes for tables of all calls and for each
// schedule.
#[cfg(not(miri))]
mod capture;
#[cfg(not(miri))]
mod counts;
#[cfg(not(miri))]
mod counts_of_others;
#[cfg(not(miri))]
mod cudarc_order;
#[cfg(not(miri))]
mod dead_context;
#[cfg(not(miri))]
mod event_pool;
#[cfg(not(miri))]
mod event_supply;
#[cfg(not(miri))]
mod failures;
#[cfg(not(miri))]
mod graph_example;
#[cfg(not(miri))]
mod host_fn;
#[cfg(not(miri))]
mod ipc;
#[cfg(not(miri))]
mod ipc_forged;
#[cfg(not(miri))]
mod leaks;
#[cfg(not(miri))]
mod left_out_waits;
#[cfg(not(miri))]
mod lent_streams;
#[cfg_attr(miri, expect(dead_code, reason = "most of its users are left out"))]
mod live;
#[cfg(not(miri))]
mod many_threads;
#[cfg(not(miri))]
mod modes;
#[cfg(not(miri))]
mod old_driver;
#[cfg(not(miri))]
mod overlap;
#[cfg(not(miri))]
mod reports;
#[cfg(not(miri))]
mod retired;
#[cfg(not(miri))]
mod scope;
#[cfg(not(miri))]
mod settle;
#[cfg(not(miri))]
mod start;
#[cfg(not(miri))]
mod stream_pool;
#[cfg_attr(miri, expect(dead_code, reason = "most of its users are left out"))]
mod table;
#[cfg(not(miri))]
mod waits_in_captures;
#[cfg(not(miri))]
mod waits_made;
