//! A CUDA driver in software, for tests without a GPU.
//!
//! Streams run on threads, events carry real time stamps, copies move real bytes, kernels run as
//! Rust twins. The driver is a library with the C interface of `libcuda.so`: a program reaches it
//! through the loader that it uses anyway, cudarc's included. What differs from hardware is in the
//! README, under "What it does not do".
//!
//! [`choose`] decides which driver a process uses and loads this one if it is that. The rest is for
//! tests: [`Kernel`] twins, [`inject`]ed failures, counters ([`calls`], [`live`]), [`reports`] of
//! misuse and of accesses that nothing orders ([`host_reads`] tells the driver of the program's own),
//! [`set_mode`], [`Scope`]s with a [`Schedule`] of their own, and drivers of other versions
//! ([`install_with`]).
//!
//! It says nothing about performance, and nothing about device code. Never enable it in a release.
//!
//! ```
//! use softcuda::Choice;
//!
//! match softcuda::choose()? {
//!     Choice::Software => assert!(softcuda::symbol(c"cuInit").is_some()),
//!     Choice::Real | Choice::Nothing => assert!(softcuda::symbol(c"cuInit").is_none()),
//! }
//! # Ok::<(), String>(())
//! ```

#![cfg_attr(not(any(softcuda_embedded, softcuda_linked)), allow(dead_code, reason = "there is no driver to call"))]

mod accesses;
mod arguments;
mod choice;
mod control;
mod element;
mod functions;
mod host_access;
mod injection;
mod kernel;
mod launch;
mod library_file;
mod live;
mod options;
mod pageable;
mod report;
mod schedule;
mod scope;
mod software;
mod twin;
mod versions;
mod watched;

#[cfg_attr(softcuda_linked, path = "library/bound.rs")]
#[cfg_attr(softcuda_embedded, path = "library/loaded.rs")]
#[cfg_attr(not(any(softcuda_embedded, softcuda_linked)), path = "library/unavailable.rs")]
mod library;

#[cfg(softcuda_embedded)]
mod probe;
#[cfg(softcuda_embedded)]
mod shared_object;

#[cfg(softcuda_linked)]
pub mod driver;
#[cfg(softcuda_linked)]
mod linked;
#[cfg(softcuda_linked)]
use driver::{absent, raw};
#[cfg(not(softcuda_linked))]
#[path = "driver/absent.rs"]
mod absent;
#[cfg(not(softcuda_linked))]
#[path = "driver/raw.rs"]
#[expect(unreachable_pub, reason = "public where the same file is a part of the driver")]
mod raw;

pub use absent::{ABSENT, Absent};
pub use accesses::Accesses;
pub use arguments::Arguments;
pub use choice::{Choice, choose, install, install_with, symbol};
pub use control::{Mode, all_calls, calls, live, live_on, reports, set_mode};
pub use element::Element;
pub use host_access::{host_reads, host_writes};
pub use injection::{Injection, inject};
pub use kernel::Kernel;
pub use launch::Launch;
pub use library_file::write_library;
pub use live::Live;
pub use options::{DeviceKind, Options, Version};
pub use pageable::{Pageable, set_pageable};
pub use raw::{ParamKind, Topic};
pub use report::Report;
pub use schedule::Schedule;
pub use scope::{Entered, Scope};
pub use watched::WatchedU32;

/// The README's examples, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
