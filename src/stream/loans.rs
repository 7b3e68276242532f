//! Shares of streams that other libraries hold.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::inner::Inner;
use crate::error::{Error, Result};
use crate::exceptions;

/// Another library's handle of a stream of ours, which the stream must outlive.
pub(crate) trait Loan: Any + Send + Sync {
    /// Ends it; gives it back if somebody still uses it.
    fn end(self: Box<Self>) -> Option<Box<dyn Loan>>;
}

/// By context and id of the stream. Not in the stream, so that a stream is a key of maps.
static LOANS: Mutex<Option<Table>> = Mutex::new(None);
/// How many streams are in the table: mostly none.
static WITH_LOANS: AtomicUsize = AtomicUsize::new(0);

type Table = HashMap<(u32, u64), Vec<Box<dyn Loan>>>;

fn table() -> MutexGuard<'static, Option<Table>> {
    LOANS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn key(&self) -> (u32, u64) {
        (self.context.number().get(), self.id)
    }

    /// The loan of this kind that `accept` takes, or else `new`.
    #[cfg(feature = "cudarc-interop")]
    pub(super) fn get_or_lend<L: Loan + Clone>(&self, accept: impl Fn(&L) -> bool, new: impl FnOnce() -> L) -> L {
        let mut table = table();
        let table = table.get_or_insert_default();
        let loans = table.entry(self.key()).or_default();
        let known = loans.iter().filter_map(|loan| (&**loan as &dyn Any).downcast_ref::<L>()).find(|loan| accept(loan)).cloned();
        let loan = known.unwrap_or_else(|| {
            let new = new();
            loans.push(Box::new(new.clone()));
            new
        });
        WITH_LOANS.store(table.len(), Ordering::Release);
        loan
    }

    /// Ends the loans that nobody uses any more; [`Error::StreamShared`] unless that is all of them. Nobody
    /// lends meanwhile: this is the last handle. In a forked child whatever may be lent stays so.
    pub(super) fn end_loans(&self) -> Result<()> {
        if WITH_LOANS.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        exceptions::check()?;
        let mut table = table();
        let Some(table) = table.as_mut() else { return Ok(()) };
        let lasting: Vec<_> = table.remove(&self.key()).into_iter().flatten().filter_map(Loan::end).collect();
        let ended = lasting.is_empty();
        if !ended {
            table.insert(self.key(), lasting);
        }
        WITH_LOANS.store(table.len(), Ordering::Release);
        if ended { Ok(()) } else { Err(Error::StreamShared) }
    }
}
