//! What the crate's files take from `std` there: the same of shuttle, and anew for each execution.

pub(crate) use shuttle::sync::atomic::{AtomicU64, AtomicUsize};
pub(crate) use shuttle::sync::{Mutex, MutexGuard};
pub(crate) use shuttle::thread;

macro_rules! global {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;) => {
        shuttle::lazy_static! {
            $(#[$attribute])*
            static ref $name: $type = $value;
        }
    };
}
pub(crate) use global;

/// A cell for each of shuttle's threads, with the methods of the standard library's.
macro_rules! per_thread {
    ($(#[$attribute:meta])* static $name:ident: Cell<$type:ty> = const { $value:expr };) => {
        struct OfThread;

        impl OfThread {
            fn key() -> &'static shuttle::thread::LocalKey<Cell<$type>> {
                shuttle::thread_local! {
                    static KEY: Cell<$type> = $value;
                }
                &KEY
            }

            fn get(&self) -> $type {
                Self::key().with(Cell::get)
            }

            fn set(&self, value: $type) {
                Self::key().with(|cell| cell.set(value));
            }
        }

        $(#[$attribute])*
        static $name: OfThread = OfThread;
    };
}
pub(crate) use per_thread as thread_local;

/// What loom wants to know of.
#[derive(Default)]
pub(crate) struct Data;

impl Data {
    pub(crate) fn write(&self) {}

    pub(crate) fn check(&self) {}
}
