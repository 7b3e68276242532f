//! Locks, threads and what a thread owns: the standard library's, or shuttle's for tests that explore
//! the orders in which threads run.

#[cfg(not(softcuda_shuttle))]
pub(super) use std::{
    sync::{Condvar, Mutex, MutexGuard},
    thread, thread_local,
};

#[cfg(softcuda_shuttle)]
pub(super) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard},
    thread, thread_local,
};

/// A static of the driver's. Each execution under shuttle has its own.
#[cfg(not(softcuda_shuttle))]
macro_rules! global {
    ($(#[doc = $doc:literal])* static $name:ident: $type:ty = $value:expr;) => {
        $(#[doc = $doc])*
        static $name: $type = $value;
    };
}
#[cfg(softcuda_shuttle)]
macro_rules! global {
    ($(#[doc = $doc:literal])* static $name:ident: $type:ty = $value:expr;) => {
        shuttle::lazy_static! {
            $(#[doc = $doc])*
            static ref $name: $type = $value;
        }
    };
}
pub(super) use global;

/// What the standard library's keys of cells have and shuttle's lack.
#[cfg(softcuda_shuttle)]
pub(super) trait KeyOfCell<T> {
    fn get(&'static self) -> T
    where
        T: Copy;
    fn set(&'static self, value: T);
    fn replace(&'static self, value: T) -> T;
}

#[cfg(softcuda_shuttle)]
impl<T> KeyOfCell<T> for thread::LocalKey<std::cell::Cell<T>> {
    fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(std::cell::Cell::get)
    }

    fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}
