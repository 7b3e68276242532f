//! Context records: what every handle knows of its context.

use std::ffi::c_ulonglong;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use once_cell::sync::OnceCell;

use crate::device::Device;
use crate::driver::{Answer, CUctx, Driver};
use crate::error::{Error, ErrorCode, Result};

/// One life of one context. Never freed, so that a handle pays for no reference count.
///
/// A context can die under us only by somebody's `unsafe` (a reset, a release too many); the driver
/// then does not answer errors for its old handles, it crashes. So every driver call on a handle
/// reads [`alive`](Self::alive) first, and a record that has died stays dead: the device's next life
/// gets a record of its own, even where the pointer recurs.
pub(super) struct Record {
    driver: &'static Driver,
    raw: CUctx,
    id: Option<u64>,
    device: Device,
    number: NonZeroU32,
    alive: AtomicBool,
}

// SAFETY: a context handle may be used from any thread, says the driver; the rest is Send.
unsafe impl Send for Record {}
// SAFETY: as above; what changes is atomic.
unsafe impl Sync for Record {}

impl Record {
    /// A new record for a context that is retained and stays so, or that outlives all its handles.
    pub(super) fn intern(driver: &'static Driver, raw: CUctx, device: Device) -> Result<&'static Self> {
        let id = id_of(driver, raw).transpose()?;
        Ok(table::push(|number| Self { driver, raw, id, device, number, alive: AtomicBool::new(true) }))
    }

    /// The record with this number, which an event holds in four bytes.
    #[inline]
    pub(super) fn by_number(number: NonZeroU32) -> &'static Self {
        table::get(number)
    }

    #[inline]
    pub(super) fn driver(&self) -> &'static Driver {
        self.driver
    }

    pub(super) fn raw(&self) -> CUctx {
        self.raw
    }

    pub(super) fn id(&self) -> Option<u64> {
        self.id
    }

    pub(super) fn device(&self) -> Device {
        self.device
    }

    #[inline]
    pub(super) fn number(&self) -> NonZeroU32 {
        self.number
    }

    /// Whether its handles may be passed to the driver.
    #[inline]
    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    /// `Err` if its handles must not be passed to the driver any more.
    #[inline]
    pub(super) fn alive(&self) -> Result<()> {
        if self.is_alive() { Ok(()) } else { Err(self.destroyed()) }
    }

    /// Asks the driver whether this is still the same life of the context: before each creation.
    pub(super) fn verify(&self) -> Result<()> {
        self.alive()?;
        match id_of(self.driver, self.raw) {
            Some(Ok(id)) if Some(id) != self.id => Err(self.died()),
            Some(Err(Error::Driver { code: ErrorCode::CONTEXT_IS_DESTROYED, .. })) => Err(self.died()),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// The error for an answer that is not success; remembers the context's death.
    #[cold]
    pub(super) fn refused(&self, answer: Answer) -> Error {
        if answer.code() == Some(ErrorCode::CONTEXT_IS_DESTROYED) { self.died() } else { answer.error() }
    }

    #[cold]
    fn died(&self) -> Error {
        self.alive.store(false, Ordering::Relaxed);
        self.destroyed()
    }

    #[cold]
    fn destroyed(&self) -> Error {
        Error::ContextDestroyed { device: self.device.ordinal() }
    }
}

/// The driver's id of a context; `None` on drivers before 12.0.
fn id_of(driver: &Driver, raw: CUctx) -> Option<Result<u64>> {
    let mut id: c_ulonglong = 0;
    // SAFETY: the out pointer is a live local; for a context that is gone the driver answers
    // CONTEXT_IS_DESTROYED, or the id of the one now at this address.
    let answer = unsafe { driver.cuCtxGetId(raw, &raw mut id) }?;
    Some(answer.ok().map(|()| id))
}

/// All records by number: grows, never moves, read without a lock.
mod table {
    use super::{Mutex, NonZeroU32, OnceCell, PoisonError, Record};

    /// Chunk `k` holds `FIRST << k` records; together more than there are numbers.
    const FIRST: u32 = 16;
    const CHUNKS: usize = 28;
    static TABLE: [OnceCell<Box<[OnceCell<Record>]>>; CHUNKS] = [const { OnceCell::new() }; CHUNKS];
    static NEXT: Mutex<u32> = Mutex::new(0);

    fn place(index: u32) -> (usize, usize) {
        let chunk = (index / FIRST + 1).ilog2();
        let before = FIRST * ((1 << chunk) - 1);
        (chunk as usize, (index - before) as usize)
    }

    pub(super) fn push(record: impl FnOnce(NonZeroU32) -> Record) -> &'static Record {
        let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
        let (chunk, slot) = place(*next);
        let chunk = TABLE[chunk].get_or_init(|| (0..FIRST << chunk).map(|_| OnceCell::new()).collect());
        *next += 1;
        let number = NonZeroU32::MIN.saturating_add(*next - 1);
        chunk[slot].get_or_init(|| record(number))
    }

    #[inline]
    pub(super) fn get(number: NonZeroU32) -> &'static Record {
        let (chunk, slot) = place(number.get() - 1);
        TABLE[chunk].get().and_then(|chunk| chunk[slot].get()).expect("numbers come from push")
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn places_are_dense_and_distinct() {
            let mut expected = (0, 0);
            for index in 0..5000 {
                assert_eq!(place(index), expected, "index {index}");
                expected.1 += 1;
                if expected.1 == (FIRST as usize) << expected.0 {
                    expected = (expected.0 + 1, 0);
                }
            }
            assert!(place(u32::MAX - FIRST).0 < CHUNKS);
        }
    }
}
