//! The driver's event of an event: bound when it is needed, a new one or one that was used before.

use std::ptr;
use std::sync::atomic::Ordering;

use super::{EXTERNAL, Inner, LENT};
use crate::context::Context;
use crate::driver::CUevent;
use crate::error::Result;
use crate::event::flags::EventFlags;
use crate::event::supply::{Obtained, create_instead, destroy, give_back, give_up, obtain, replaced};
use crate::event::word::Seen;
use crate::exceptions;
use crate::handle::RawEvent;

/// In the address of the handle, which is that of an object and even: the driver's event has been another's, and is not
/// this one's yet. Either a record takes the bit away; or a new driver event takes the handle's place, where others will
/// see it, who would find the other's record in this one. Until then nobody passes the handle to the driver.
const UNUSED: usize = 1;

pub(super) fn is_unused(raw: RawEvent) -> bool {
    raw.addr() & UNUSED != 0
}

/// The handle of an event that nobody has recorded yet.
#[inline]
pub(super) fn unused(obtained: Obtained) -> RawEvent {
    match obtained {
        Obtained::New(raw) => raw,
        Obtained::Pooled(raw) => raw.map_addr(|address| address | UNUSED),
    }
}

/// The handle without the bit.
pub(super) fn handle_of(raw: RawEvent) -> RawEvent {
    raw.map_addr(|address| address & !UNUSED)
}

impl Inner {
    /// The handle that it has used, and its living context, or `None`: then it was never recorded.
    #[inline]
    pub(in crate::event) fn handle(&self) -> Result<Option<(CUevent, Context)>> {
        let bound = self.bound_handle()?;
        Ok(bound.filter(|(raw, _)| !is_unused(*raw)).map(|(raw, home)| (raw.cast(), home)))
    }

    /// The handle and its living context, or `None` if it was never recorded, as was `seen`, nor can others have done so.
    #[inline]
    pub(in crate::event) fn recorded_handle(&self, seen: Seen) -> Result<Option<(CUevent, Context)>> {
        let handle = self.handle()?;
        Ok(handle.filter(|_| seen.is_recorded() || self.is_lent()))
    }

    /// The handle, used or not, and its living context, or `None` while it is unbound.
    #[inline]
    fn bound_handle(&self) -> Result<Option<(RawEvent, Context)>> {
        let raw = self.raw.load(Ordering::Acquire);
        match self.home() {
            Some(home) if !raw.is_null() => {
                home.alive()?;
                Ok(Some((raw, home)))
            }
            _ => exceptions::check().map(|()| None),
        }
    }

    /// The handle, if the event belongs to `known`, a living context, has been used, and is not external: mostly so.
    #[inline]
    pub(super) fn handle_in(&self, known: Context) -> Option<CUevent> {
        let raw = self.raw.load(Ordering::Acquire);
        let here = !raw.is_null() && !is_unused(raw) && self.context.load(Ordering::Relaxed) == known.number().get();
        here.then_some(raw.cast())
    }

    /// The handles of both, and their context, if that is one and lives, both have been used and neither is external: mostly
    /// so.
    #[inline]
    pub(in crate::event) fn handles_with(&self, other: &Self) -> Option<(CUevent, CUevent, Context)> {
        let home = self.home().filter(|home| exceptions::is_none() && !home.has_died())?;
        Some((self.handle_in(home)?, other.handle_in(home)?, home))
    }

    /// The handle that it has used, for a wait by a stream of this context, or `None`: then it was never recorded.
    pub(in crate::event) fn handle_for_wait(&self, context: Context) -> Result<Option<CUevent>> {
        match self.handle()? {
            // A driver (580.159.04) crashes where a stream of another device, or of a second context, is to wait for an
            // interprocess event, and is not asked. Of a green context one could; so could graphs, wherever they are captured
            // and launched. By handles, since without ids a context has several records.
            Some((_, home)) if home.as_raw() != context.as_raw() && self.flags().contains(EventFlags::INTERPROCESS) => {
                Err(self.mismatch("cuStreamWaitEvent", context.name(), None))
            }
            known => Ok(known.map(|(raw, _)| raw)),
        }
    }

    /// The handle, for a record: of an event that is unused, of another context, or of one that is bound now.
    #[cold]
    pub(in crate::event) fn handle_or_bind(&self, context: Context, call: &'static str) -> Result<CUevent> {
        let raw = match self.bound_handle()? {
            // Mostly the driver refuses the record: not where one context is a green one of the other.
            Some((raw, home)) if home != context => return self.own(raw, home, false).map(RawEvent::cast),
            Some((raw, _)) => raw,
            None => self.bind(context, call)?,
        };
        if !is_unused(raw) {
            return Ok(raw.cast());
        }
        // Another thread may have done so, or given it a new one.
        match self.raw.compare_exchange(raw, handle_of(raw), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(handle_of(raw).cast()),
            Err(other) => Ok(other.cast()),
        }
    }

    /// The handle, for others: of an event that nobody has had, unless this one has recorded it. Bound now, if it is not;
    /// and the context that it is of, since another thread may have bound it meanwhile.
    pub(in crate::event) fn own_handle_or_bind(&self, context: Context, call: &'static str) -> Result<(CUevent, Context)> {
        let (raw, home) = match self.bound_handle()? {
            Some(bound) => bound,
            None => (self.bind(context, call)?, context),
        };
        // Whether it is lent then is up to the caller.
        self.own(raw, home, false).map(|raw| (raw.cast(), home))
    }

    /// The handle, which was `raw`: with a new driver event in place of one that is unused. That is idle again where the new
    /// one never will be, because it is lent now; else there would be one more each time.
    fn own(&self, raw: RawEvent, home: Context, is_lent_now: bool) -> Result<RawEvent> {
        if !is_unused(raw) {
            return Ok(raw);
        }
        let created = create_instead(home, self.flags())?;
        if let Err(other) = self.raw.compare_exchange(raw, created, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: of this context, and nobody else has the handle.
            unsafe { destroy(created, home) };
            return Ok(other);
        }
        replaced(home, self.flags());
        if is_lent_now {
            // SAFETY: of this context, and nobody has the handle: it was unused.
            unsafe { give_up(handle_of(raw), home.number(), self.flags().bits()) };
        } else {
            // SAFETY: as above.
            unsafe { destroy(handle_of(raw), home) };
        }
        Ok(created)
    }

    /// Binds it to this context, if it is not bound yet; the handle, used or not.
    #[cold]
    pub(in crate::event) fn bind(&self, context: Context, call: &'static str) -> Result<RawEvent> {
        let flags = self.flags();
        let obtained = obtain(context, flags)?;
        // SAFETY: of this context, and nobody else has the handle.
        let discard = || unsafe { give_back(obtained, context, flags) };
        let external = self.context.load(Ordering::Relaxed) & EXTERNAL;
        let number = context.number().get() | external;
        // The context first: once it is claimed, only creators in that context get further, and each of
        // them already holds an event, so a handle follows.
        let claimed = self.context.compare_exchange(external, number, Ordering::AcqRel, Ordering::Acquire);
        if claimed.is_err_and(|claimed| claimed != number) {
            discard();
            return Err(self.mismatch(call, context.name(), None));
        }
        match self.raw.compare_exchange(ptr::null_mut(), unused(obtained), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(unused(obtained)),
            Err(theirs) => {
                discard();
                Ok(theirs)
            }
        }
    }

    /// Binds it to this context.
    pub(in crate::event) fn bind_to(&self, context: Context, call: &'static str) -> Result<()> {
        match self.bound_handle()? {
            None => self.bind(context, call).map(drop),
            Some((_, home)) if home == context => Ok(()),
            Some(_) => Err(self.mismatch(call, context.name(), None)),
        }
    }

    /// Nothing is remembered from now on.
    pub(in crate::event) fn set_lent(&self) {
        self.flags.fetch_or(LENT, Ordering::AcqRel);
    }

    /// The handle, for others to use: nothing is remembered from now on. `None` also where the driver refuses a new event.
    pub(crate) fn lend(&self) -> Option<RawEvent> {
        let raw = self.raw.load(Ordering::Acquire);
        if raw.is_null() {
            return None;
        }
        let own = if is_unused(raw) { self.own(raw, self.home()?, true).ok()? } else { raw };
        self.set_lent();
        Some(own)
    }
}
