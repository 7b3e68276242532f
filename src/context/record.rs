//! Context records: what every handle knows of its context.

use std::ffi::c_ulonglong;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::device::Device;
use crate::driver::{CUcontext, Driver};
use crate::error::Result;

/// One life of one context. Never freed, so that a handle pays for no reference count.
///
/// A context can die under us only by somebody's `unsafe` (a reset, a release too many); the driver
/// then does not answer errors for its old handles, it crashes. So every driver call on a handle
/// reads `alive` first, and a record that has died stays dead: the device's next life gets a record
/// of its own, even where the pointer recurs.
pub(super) struct Record {
    pub(super) driver: &'static Driver,
    pub(super) raw: CUcontext,
    pub(super) id: Option<u64>,
    pub(super) device: Device,
    pub(super) number: NonZeroU32,
    pub(super) alive: AtomicBool,
    /// The driver has said that it is gone, before `alive` said that it is over.
    pub(super) is_gone: AtomicBool,
}

// SAFETY: a context handle may be used from any thread, says the driver; the rest is Send.
unsafe impl Send for Record {}
// SAFETY: as above; what changes is atomic.
unsafe impl Sync for Record {}

impl Record {
    /// The record for a context that stays alive: one that is retained, or that somebody vouches for. One
    /// for each life, so that whoever retires it does so for all.
    pub(super) fn intern(driver: &'static Driver, raw: CUcontext, device: Device) -> Result<&'static Self> {
        let id = id_of(driver, raw).transpose()?;
        let new = |number| Self { driver, raw, id, device, number, alive: AtomicBool::new(true), is_gone: AtomicBool::new(false) };
        Ok(table::find_or_push(|record| id.is_some_and(|id| record.is_of(raw, id)), new))
    }

    /// The record of the life with this id, if a handle of it may still be used.
    pub(super) fn find(raw: CUcontext, id: u64) -> Option<&'static Self> {
        table::find(|record| record.is_of(raw, id))
    }

    /// Two lives of one pointer have two ids, so without ids there is no telling.
    fn is_of(&self, raw: CUcontext, id: u64) -> bool {
        self.raw == raw && self.id == Some(id) && self.alive.load(Ordering::Relaxed)
    }

    /// Ends every record of this context's life. Without ids that is every record of the handle: a context
    /// has several then.
    pub(super) fn retire(&self) {
        table::for_each(|record| {
            if record.raw == self.raw && record.id == self.id {
                record.alive.store(false, Ordering::Release);
            }
        });
    }

    /// The record with this number.
    #[inline]
    pub(super) fn by_number(number: NonZeroU32) -> &'static Self {
        table::get(number)
    }
}

/// The driver's id of a context; `None` on drivers before 12.0.
pub(super) fn id_of(driver: &Driver, raw: CUcontext) -> Option<Result<u64>> {
    let mut id: c_ulonglong = 0;
    // SAFETY: the out pointer is a live local; for a context that is gone the driver answers
    // an error, or the id of the one now at this address.
    let answer = unsafe { driver.cuCtxGetId(raw, &raw mut id) }?;
    Some(answer.ok().map(|()| id))
}

/// All records by number: grows, never moves, read by number without a lock, which a forked child could not take.
mod table {
    use std::num::NonZeroU32;
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, Ordering};
    use std::sync::{Mutex, OnceLock, PoisonError};

    use super::Record;

    /// The first records, which are all that most programs have, are found at once.
    const DIRECT: usize = 64;
    static FIRST: [AtomicPtr<Record>; DIRECT] = [const { AtomicPtr::new(ptr::null_mut()) }; DIRECT];
    /// The others, in rows of [`DIRECT`] records, twice as many, and so on.
    static LATER: [OnceLock<Row>; 26] = [const { OnceLock::new() }; 26];
    static ALL: Mutex<Vec<&'static Record>> = Mutex::new(Vec::new());

    type Row = Box<[OnceLock<&'static Record>]>;

    /// The first record that is wanted, or else a new one.
    pub(super) fn find_or_push(is_wanted: impl Fn(&Record) -> bool, new: impl FnOnce(NonZeroU32) -> Record) -> &'static Record {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.iter().copied().find(|record| is_wanted(record)) {
            return known;
        }
        let index = all.len();
        let number = u32::try_from(index).map_or(NonZeroU32::MAX, |index| NonZeroU32::MIN.saturating_add(index));
        let record: &'static Record = Box::leak(Box::new(new(number)));
        all.push(record);
        if let Some(first) = FIRST.get(index) {
            first.store(ptr::from_ref(record).cast_mut(), Ordering::Release);
        } else {
            let (row, length, column) = place(index);
            let row = LATER[row].get_or_init(|| (0..length).map(|_| OnceLock::new()).collect());
            row[column].get_or_init(|| record);
        }
        record
    }

    #[inline]
    pub(super) fn get(number: NonZeroU32) -> &'static Record {
        let index = number.get() as usize - 1;
        if let Some(first) = FIRST.get(index) {
            // SAFETY: null, or a record, which is never freed; Acquire pairs with the store in `push`.
            if let Some(record) = unsafe { first.load(Ordering::Acquire).as_ref() } {
                return record;
            }
        }
        later(index)
    }

    pub(super) fn find(is_wanted: impl Fn(&Record) -> bool) -> Option<&'static Record> {
        ALL.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().find(|record| is_wanted(record))
    }

    pub(super) fn for_each(f: impl FnMut(&Record)) {
        ALL.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().for_each(f);
    }

    #[cold]
    fn later(index: usize) -> &'static Record {
        let (row, _, column) = place(index);
        let record = LATER[row].get().and_then(|row| row[column].get());
        record.expect("a number is given out with its record in its place")
    }

    /// The row of a record that is none of the first, the row's length, and the place in it.
    const fn place(index: usize) -> (usize, usize, usize) {
        let row = (index / DIRECT).ilog2() as usize;
        let length = DIRECT << row;
        (row, length, index - length)
    }

    #[cfg(test)]
    #[test]
    fn rows_follow_each_other() {
        assert_eq!([64, 127, 128, 255, 256].map(place), [(0, 64, 0), (0, 64, 63), (1, 128, 0), (1, 128, 127), (2, 256, 0)]);
        assert_eq!(place(u32::MAX as usize - 1), (25, DIRECT << 25, (DIRECT << 25) - 2));
    }
}
