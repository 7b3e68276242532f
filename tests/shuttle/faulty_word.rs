//! A word of shuttle's, in which a fault can be planted.

use shuttle::sync::atomic::{AtomicU32, Ordering};

/// As the file that is explored has them.
const STATE: u64 = 0b11;
const TAKEN: u64 = 2;

/// What is wrong with the words.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Plant {
    Nothing,
    /// Compare and exchange are two steps.
    TwoSteps,
    /// A change is not counted: a state that recurs is the same word.
    Recurs,
}

shuttle::lazy_static! {
    static ref PLANT: AtomicU32 = AtomicU32::new(Plant::Nothing as u32);
}

pub(crate) fn plant(plant: Plant) {
    PLANT.store(plant as u32, Ordering::SeqCst);
}

pub(crate) struct AtomicU64(shuttle::sync::atomic::AtomicU64);

impl AtomicU64 {
    pub(crate) fn new(word: u64) -> Self {
        Self(shuttle::sync::atomic::AtomicU64::new(word))
    }

    /// Whoever finds a slot taken, or gives up what he has, lets others run: so orders come up in which all is moved between
    /// two looks.
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        let word = self.0.load(order);
        if word & STATE == TAKEN {
            shuttle::thread::yield_now();
        }
        word
    }

    pub(crate) fn store(&self, word: u64, order: Ordering) {
        self.0.store(Self::planted(word), order);
    }

    pub(crate) fn compare_exchange(&self, from: u64, to: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        let to = Self::planted(to);
        if PLANT.load(Ordering::SeqCst) != Plant::TwoSteps as u32 {
            return self.0.compare_exchange(from, to, success, failure);
        }
        let word = self.0.load(Ordering::SeqCst);
        if word != from {
            return Err(word);
        }
        self.0.store(to, Ordering::SeqCst);
        Ok(word)
    }

    /// Without the bits that count, if that is planted.
    fn planted(word: u64) -> u64 {
        if PLANT.load(Ordering::SeqCst) == Plant::Recurs as u32 { word & STATE } else { word }
    }
}
