//! What the crate's files take from `std` there: the same of shuttle, and anew for each execution.

#![allow(unused_imports, dead_code, reason = "each test file uses a part of this")]

use std::cell::Cell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::ptr;

pub(crate) use shuttle::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize};
pub(crate) use shuttle::sync::{Mutex, MutexGuard};
pub(crate) use shuttle::thread;
use shuttle::thread::{AccessError, LocalKey, ThreadId};

macro_rules! global {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;) => {
        shuttle::lazy_static! {
            $(#[$attribute])*
            static ref $name: $type = $value;
        }
    };
}
pub(crate) use global;

/// A value for each of shuttle's threads, with the methods of the standard library's. As there, what has no destructor is
/// there for those of other values, however late they run.
pub(crate) enum OfThread<T: 'static> {
    Plain(fn() -> T),
    Destructed(LocalKey<T>),
}

/// Where a thread has its value.
struct Place(*const ());

// SAFETY: the thread alone uses what is there.
unsafe impl Send for Place {}

shuttle::lazy_static! {
    /// The plain values, by thread and key. Its lock is not shuttle's: it is no part of what is explored.
    static ref PLAIN: std::sync::Mutex<HashMap<(ThreadId, usize), Place>> = std::sync::Mutex::default();
}

impl<T: 'static> OfThread<T> {
    pub(crate) const fn new(init: fn() -> T) -> Self {
        if std::mem::needs_drop::<T>() { Self::Destructed(LocalKey { init, _p: PhantomData }) } else { Self::Plain(init) }
    }

    pub(crate) fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        match self {
            Self::Plain(init) => {
                let key = (shuttle::thread::current().id(), ptr::from_ref(self).addr());
                let value = PLAIN.lock().unwrap().entry(key).or_insert_with(|| Place(ptr::from_mut(Box::leak(Box::new(init()))).cast())).0;
                // SAFETY: leaked, and of this key, which says what it is, and of this thread.
                Ok(f(unsafe { &*value.cast::<T>() }))
            }
            Self::Destructed(key) => key.try_with(f),
        }
    }

    pub(crate) fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.try_with(f).expect("it is not destroyed yet")
    }
}

impl<T: Copy + 'static> OfThread<Cell<T>> {
    pub(crate) fn get(&'static self) -> T {
        self.with(Cell::get)
    }

    pub(crate) fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }
}

macro_rules! per_thread {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = const { $value:expr };) => {
        $(#[$attribute])*
        static $name: crate::sync::OfThread<$type> = crate::sync::OfThread::new(|| $value);
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
