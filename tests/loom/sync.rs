//! What the crate's file takes from `std` there: the same of loom, and anew for each execution.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use loom::cell::UnsafeCell;
pub(crate) use loom::sync::Mutex;
pub(crate) use loom::thread;

/// What is planted in the atomics: the word's own code runs, and does what is named here instead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    Nothing,
    /// A compare-exchange is a plain store.
    Store,
    /// A compare-exchange releases nothing.
    RelaxedExchange,
    /// A load acquires nothing.
    RelaxedLoad,
}

std::thread_local! {
    static PLANT: Cell<Plant> = const { Cell::new(Plant::Nothing) };
}

/// Runs a program in every order.
pub fn explore(program: fn()) {
    explore_with(Plant::Nothing, None, program);
}

/// The same, with this planted, or in those orders only that take a thread its turn so often at most.
pub fn explore_with(plant: Plant, preemptions: Option<usize>, program: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    // loom runs all threads of a program on the calling one.
    PLANT.set(plant);
    builder.check(program);
}

/// loom's, but for three things:
/// * It can be made in a constant; loom has it from the first access on.
/// * A store is a swap. loom has no order between a compare-exchange and a store of another thread that overwrites its
///   result, and so shows threads the result after the store: what neither the language nor hardware does. What a swap
///   adds is that who reads it has seen all that earlier exchanges and stores have released. The model of the driver
///   cannot tell: its calls take turns on a lock; nor can the word, whose values have one order in any case.
/// * [`Plant`].
pub(crate) struct AtomicU64 {
    initial: u64,
    atomic: OnceLock<loom::sync::atomic::AtomicU64>,
}

impl AtomicU64 {
    pub(crate) const fn new(initial: u64) -> Self {
        Self { initial, atomic: OnceLock::new() }
    }

    fn get(&self) -> &loom::sync::atomic::AtomicU64 {
        self.atomic.get_or_init(|| loom::sync::atomic::AtomicU64::new(self.initial))
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.get().load(if PLANT.get() == Plant::RelaxedLoad { Ordering::Relaxed } else { order })
    }

    pub(crate) fn store(&self, value: u64, order: Ordering) {
        self.get().swap(value, order);
    }

    pub(crate) fn compare_exchange(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        match PLANT.get() {
            Plant::Store => {
                self.store(new, success);
                Ok(current)
            }
            Plant::RelaxedExchange => self.get().compare_exchange(current, new, Ordering::Relaxed, failure),
            _ => self.get().compare_exchange(current, new, success, failure),
        }
    }

    pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.get().fetch_add(value, order)
    }
}

/// What loom wants to know of: it finds accesses that nothing orders.
pub(crate) struct Data(UnsafeCell<bool>);

impl Default for Data {
    fn default() -> Self {
        Self(UnsafeCell::new(false))
    }
}

impl Data {
    pub(crate) fn write(&self) {
        self.0.with_mut(|written| {
            // SAFETY: loom panics if another access is not ordered before or after this one.
            unsafe { *written = true }
        });
    }

    pub(crate) fn check(&self) {
        // SAFETY: as above.
        let is_written = self.0.with(|written| unsafe { *written });
        assert!(is_written, "the data is not there yet");
    }
}

// SAFETY: loom checks each access.
unsafe impl Sync for Data {}

macro_rules! global {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;) => {
        loom::lazy_static! {
            $(#[$attribute])*
            static ref $name: $type = $value;
        }
    };
}
pub(crate) use global;

/// A cell for each of loom's threads, with the methods of the standard library's.
macro_rules! per_thread {
    ($(#[$attribute:meta])* static $name:ident: Cell<$type:ty> = const { $value:expr };) => {
        struct OfThread;

        impl OfThread {
            fn key() -> &'static loom::thread::LocalKey<Cell<$type>> {
                loom::thread_local! {
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
