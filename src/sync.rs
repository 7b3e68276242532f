//! What the files that are explored under shuttle and loom take from the standard library; tests/shuttle and tests/loom
//! give them their own.

pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize};
pub(crate) use std::sync::{Mutex, MutexGuard};
pub(crate) use std::thread_local;

/// A static. Each run under shuttle has its own.
macro_rules! global {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;) => {
        $(#[$attribute])*
        static $name: $type = $value;
    };
}
pub(crate) use global;
