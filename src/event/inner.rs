//! What every event is, whatever its mode: a driver event that is created when it is needed.

mod binding;

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::num::NonZeroU32;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::flags::{Design, EventFlags};
use super::shares;
use super::supply::{Obtained, give_up, obtain, take};
use super::word::{Seen, Word};
use crate::context::{Context, Relaxed};
use crate::driver::{Answer, CUevent, Driver};
use crate::error::{Error, ErrorCode, IpcKind, Result};
use crate::exceptions;
use crate::guard;
use crate::handle::{Object, RawEvent, StreamIn, StreamRef};
use crate::sharing::{self, Bytes, Origin, Shared};
use binding::{handle_of, unused};

/// 24 bytes: the driver's event, the word, the number of its context and its flags.
///
/// The context is set before the handle, and both for good: who sees a handle sees its context. But for one exchange: see
/// [`binding`].
pub(crate) struct Inner {
    raw: AtomicPtr<c_void>,
    pub(super) word: Word,
    /// And [`EXTERNAL`], which makes it another number: so the short ways, which compare it, are none of an external
    /// event.
    context: AtomicU32,
    flags: AtomicU32,
}

/// In the number of the context, from the beginning: where the stream of a record or a wait is being captured, these
/// are nodes of the graph.
const EXTERNAL: u32 = 1 << 31;

/// The bit for an event of this design.
const fn external(design: Design) -> u32 {
    if design.external { EXTERNAL } else { 0 }
}

/// Set for good once somebody else may record the event too: from then on what this crate knows of
/// its records is not used. Not in the word, which `record` overwrites.
const LENT: u32 = 1 << 31;
/// Set for good once it has a handle for other processes, or is of one.
const HAS_HANDLE: u32 = 1 << 30;

impl Inner {
    /// Somebody else's until now, who may have recorded it and may go on.
    pub(super) fn adopted(raw: RawEvent, context: Context, design: Design) -> Self {
        let inner = Self::holding(raw, context, design);
        inner.flags.fetch_or(LENT, Ordering::AcqRel);
        inner
    }

    /// Not bound to a context yet.
    pub(super) const fn new(design: Design) -> Self {
        Self {
            raw: AtomicPtr::new(ptr::null_mut()),
            word: Word::new(),
            context: AtomicU32::new(external(design)),
            flags: AtomicU32::new(design.flags.bits()),
        }
    }

    /// Never recorded, and bound to this context, which is alive.
    pub(crate) fn bound(context: Context, design: Design) -> Result<Self> {
        Ok(Self::holding(Self::obtained(context, design)?, context, design))
    }

    /// The handle for an event that is never recorded, and bound to this context.
    pub(super) fn obtained(context: Context, design: Design) -> Result<RawEvent> {
        obtain(context, design.flags).map(unused)
    }

    /// The handle for one that the thread has at hand, if it has any: the driver is not asked whether the context lives.
    #[inline]
    pub(super) fn at_hand(context: Context, design: Design) -> Option<RawEvent> {
        take(context, design.flags).map(|raw| unused(Obtained::Pooled(raw)))
    }

    /// Bound and recorded now. `context` is the stream's.
    ///
    /// Made at the end, of what each way gives: an event that one way has made is passed through memory, and byte by byte, as
    /// it shares its place with an error.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `recorded` of an `Event`")]
    pub(super) fn recorded(stream: StreamIn<'_>, context: Context, design: Design) -> Result<Self> {
        let (raw, word, flags) = match Self::record_at_hand(stream, context, design) {
            Some((raw, answer)) if answer.is_ok() => (raw, Word::recorded(), design.flags.bits()),
            Some((raw, answer)) => return Err(Self::refused_at_hand(raw, context, design, answer)),
            None => Self::record_otherwise(stream, design)?,
        };
        Ok(Self::with(raw, word, context.number().get() | external(design), flags))
    }

    /// Records an event that the thread has at hand, if it has any, and nothing is captured. Nobody else sees the event yet, so
    /// nothing here is an atomic read-modify-write.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of `recorded`")]
    fn record_at_hand(stream: StreamIn<'_>, context: Context, design: Design) -> Option<(RawEvent, Answer)> {
        let handle = stream.own_handle().filter(|_| !exceptions::is_capturing() && !design.external)?;
        let raw = take(context, design.flags)?;
        // SAFETY: event and stream are alive and of one context.
        Some((raw, unsafe { context.driver().cuEventRecord(raw.cast(), handle) }))
    }

    /// Why the record of an event that was at hand was refused; the event is idle again.
    #[cold]
    fn refused_at_hand(raw: RawEvent, context: Context, design: Design, answer: Answer) -> Error {
        Self::holding(raw, context, design).refused(answer, context)
    }

    /// Records an event, and gives what it is made of again: its handle, its word and its flags, which may say by now that
    /// others record it too.
    #[cold]
    fn record_otherwise(stream: StreamIn<'_>, design: Design) -> Result<(RawEvent, Word, u32)> {
        let context = stream.context();
        let obtained = obtain(context, design.flags)?;
        if exceptions::is_capturing() || design.external {
            let inner = Self::holding(unused(obtained), context, design);
            inner.record_beside_captures(stream)?;
            return Ok(inner.into_parts());
        }
        let inner = Self::holding(obtained.handle(), context, design);
        // SAFETY: event and stream are alive and of one context.
        let record = |driver: &Driver, stream| unsafe { driver.cuEventRecord(obtained.handle().cast(), stream) };
        let made = |answer: Answer| if answer.is_ok() { Ok(()) } else { Err(inner.refused(answer, context)) };
        inner.word.record(|| stream.view().call_then(context, record, made))?;
        Ok(inner.into_parts())
    }

    /// Makes `stream` wait for what is enqueued on `other` so far, by an event of this design.
    #[inline]
    pub(super) fn wait_between(stream: StreamIn<'_>, other: StreamIn<'_>, design: Design) -> Result<()> {
        let (home, context) = (other.context(), stream.context());
        let at_hand = || Some((stream.own_handle()?, other.own_handle()?, take(home, design.flags)?));
        let Some((handle, theirs, raw)) = (if exceptions::is_capturing() { None } else { at_hand() }) else {
            return Self::recorded(other, home, design)?.wait(stream.view());
        };
        // SAFETY: event and stream are alive and of one context.
        let recorded = unsafe { home.driver().cuEventRecord(raw.cast(), theirs) };
        if !recorded.is_ok() {
            return Err(Self::refused_at_hand(raw, home, design, recorded));
        }
        // SAFETY: event and stream are alive; flags must be 0.
        let waits = unsafe { context.driver().cuStreamWaitEvent(handle, raw.cast(), 0) };
        if !waits.is_ok() {
            return Err(Self::holding(raw, home, design).refused_or_captured(waits, context));
        }
        // SAFETY: of this context; it was taken above, and nobody else has had it.
        unsafe { give_up(raw, home.number(), design.flags.bits()) };
        Ok(())
    }

    /// Bound to this context, by this handle, and never recorded.
    #[inline]
    pub(super) fn holding(raw: RawEvent, context: Context, design: Design) -> Self {
        Self::with(raw, Word::new(), context.number().get() | external(design), design.flags.bits())
    }

    #[inline]
    fn with(raw: RawEvent, word: Word, context: u32, flags: u32) -> Self {
        Self { raw: AtomicPtr::new(raw), word, context: AtomicU32::new(context), flags: AtomicU32::new(flags) }
    }

    /// Its handle, its word and its flags. Its context stays what it was.
    fn into_parts(self) -> (RawEvent, Word, u32) {
        let this = ManuallyDrop::new(self);
        (this.raw.load(Ordering::Relaxed), this.word.moved(), this.flags.load(Ordering::Relaxed))
    }

    pub(crate) fn flags(&self) -> EventFlags {
        EventFlags::from_bits_retain(self.flags.load(Ordering::Relaxed) & !(LENT | HAS_HANDLE))
    }

    /// The context it is bound to.
    #[inline]
    pub(crate) fn home(&self) -> Option<Context> {
        NonZeroU32::new(self.context.load(Ordering::Acquire) & !EXTERNAL).map(Context::by_number)
    }

    /// Whether its records and waits are nodes where the stream is being captured.
    #[inline]
    pub(super) fn is_external(&self) -> bool {
        self.context.load(Ordering::Relaxed) & EXTERNAL != 0
    }

    /// Whether somebody else may record it.
    #[inline]
    pub(super) fn is_lent(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & LENT != 0
    }

    /// What the word holds now.
    #[inline]
    pub(super) fn seen(&self) -> Seen {
        self.word.load()
    }

    #[inline]
    pub(super) fn is_never_recorded(&self) -> bool {
        !self.seen().is_recorded() && !self.is_lent()
    }

    /// Whether it is known, without asking the driver, that there is nothing to wait for.
    #[inline]
    pub(super) fn is_done(&self, seen: Seen) -> bool {
        (!seen.is_recorded() || seen.is_complete()) && !self.is_lent()
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "saves about 4 ns: the view of the stream is never built")]
    pub(crate) fn record(&self, stream: StreamRef<'_>) -> Result<()> {
        let context = stream.context()?;
        if exceptions::is_capturing() {
            return self.record_beside_captures(stream.within(context));
        }
        let raw = match self.handle_in(context) {
            Some(raw) => raw,
            None if self.is_external() => return self.record_beside_captures(stream.within(context)),
            None => self.handle_or_bind(context, "cuEventRecord")?,
        };
        // SAFETY: both handles are alive: their contexts are, and self and the view hold the objects.
        let record = |driver: &Driver, stream| unsafe { driver.cuEventRecord(raw, stream) };
        let made = |answer: Answer| if answer.is_ok() { Ok(()) } else { Err(self.refused(answer, context)) };
        self.word.record(|| stream.call_then(context, record, made))
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "saves about 4 ns: the view of the stream is never built")]
    pub(crate) fn wait(&self, stream: StreamRef<'_>) -> Result<()> {
        let seen = self.seen();
        if !seen.is_recorded() && !self.is_lent() {
            if self.is_external() {
                return self.wait_beside_captures(stream.within(stream.context()?));
            }
            return exceptions::check();
        }
        let context = stream.context()?;
        if exceptions::is_capturing() {
            return self.wait_beside_captures(stream.within(context));
        }
        // An external event's may be a node, which waits for what is recorded later.
        if self.is_done(seen) && !self.is_external() && !stream.notices_waits(context) {
            return Ok(());
        }
        let raw = match self.handle_in(context) {
            Some(raw) => raw,
            None if self.is_external() => return self.wait_beside_captures(stream.within(context)),
            None => match self.handle_for_wait(context)? {
                Some(raw) => raw,
                None => return Ok(()),
            },
        };
        // SAFETY: both handles are alive, as in `record`; flags must be 0.
        let wait = |driver: &Driver, stream| unsafe { driver.cuStreamWaitEvent(stream, raw, 0) };
        stream.call_then(context, wait, |answer| if answer.is_ok() { Ok(()) } else { Err(self.refused_or_captured(answer, context)) })
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "saves about 1 ns, which is half of it where the answer is known")]
    pub(crate) fn query(&self) -> Result<bool> {
        let seen = self.seen();
        if self.is_done(seen) {
            return exceptions::check().map(|()| true);
        }
        let before = guard::count_of_global();
        if seen.is_captured() || exceptions::is_capturing() {
            return self.query_beside_captures(seen, before);
        }
        let Some((raw, home)) = self.handle()? else { return Ok(true) };
        self.ask(raw, home, seen, before)
    }

    /// Asks the driver whether the work of the record that was `seen` is done; `before` is the count of
    /// [`Relaxed::after`].
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of `query`")]
    pub(super) fn ask(&self, raw: CUevent, home: Context, seen: Seen, before: u64) -> Result<bool> {
        let query = || {
            // SAFETY: the handle is alive: its context is, and self holds the event.
            let answer = unsafe { home.driver().cuEventQuery(raw) };
            if answer.is_ok() { Ok(()) } else { Err(answer) }
        };
        match self.word.ask(seen, query) {
            Ok(()) => Ok(true),
            Err(answer) if answer.code() == Some(ErrorCode::NOT_READY) => Ok(false),
            Err(answer) => self.ask_again(raw, home, seen, before, answer),
        }
    }

    #[cold]
    fn ask_again(&self, raw: CUevent, home: Context, seen: Seen, before: u64, answer: Answer) -> Result<bool> {
        match Relaxed::after(answer, home.driver(), before) {
            Some(_relaxed) => self.ask(raw, home, seen, guard::count_of_global()),
            None => Err(self.refused_or_captured(answer, home)),
        }
    }

    #[inline]
    pub(crate) fn synchronize(&self) -> Result<()> {
        let seen = self.seen();
        if self.is_done(seen) { exceptions::check() } else { self.synchronize_pending(seen) }
    }

    #[inline(never)]
    fn synchronize_pending(&self, seen: Seen) -> Result<()> {
        let Some((raw, home)) = self.handle()? else { return Ok(()) };
        self.outside_its_capture(seen, "cuEventSynchronize")?;
        let wait = || {
            // SAFETY: the handle is alive: its context is, and self holds the event.
            let answer = Relaxed::around(home.driver(), || unsafe { home.driver().cuEventSynchronize(raw) });
            if answer.is_ok() { Ok(()) } else { Err(answer) }
        };
        self.word.ask(seen, wait).map_err(|answer| self.refused_or_captured(answer, home))
    }

    /// Its handle for other processes, if it has one.
    pub(super) fn ipc_handle(&self) -> Option<Bytes> {
        if self.flags.load(Ordering::Acquire) & HAS_HANDLE == 0 {
            return None;
        }
        sharing::handle_of(key(self.raw.load(Ordering::Acquire), self.home()?))
    }

    /// Other processes have the event from now on, or had it before: whoever they are, they may record it.
    pub(super) fn keep_ipc_handle(&self, raw: CUevent, home: Context, handle: Bytes, origin: Origin) {
        sharing::keep(key(raw.cast(), home), handle, origin);
        self.flags.fetch_or(LENT | HAS_HANDLE, Ordering::AcqRel);
    }

    /// The handle, which is the caller's from now on.
    pub(super) fn take(&mut self) -> Option<RawEvent> {
        let raw = std::mem::replace(self.raw.get_mut(), ptr::null_mut());
        if *self.flags.get_mut() & HAS_HANDLE != 0
            && let Some(home) = self.home()
        {
            sharing::forget(key(raw, home));
        }
        (!raw.is_null()).then_some(handle_of(raw))
    }

    /// Nobody is there to be told; `Event::destroy` tells. The driver lets queued waits finish.
    #[cold]
    fn destroy_untold(&mut self) {
        let _ = self.destroy();
    }

    /// Gives the driver's event back to the driver.
    pub(super) fn destroy(&mut self) -> Result<()> {
        match (self.take(), self.home()) {
            (Some(raw), Some(home)) if self.is_lent() && !shares::give_up(raw.cast(), home) => exceptions::check(),
            // SAFETY: `&mut self`, and the handle was just taken out: nobody uses it from now on.
            (Some(raw), Some(home)) => unsafe { Object::Event(raw.cast()).destroy(home) },
            _ => exceptions::check(),
        }
    }
}

impl Drop for Inner {
    #[inline]
    fn drop(&mut self) {
        let raw = *self.raw.get_mut();
        if raw.is_null() {
            return;
        }
        if let Some(context) = NonZeroU32::new(*self.context.get_mut() & !EXTERNAL)
            && *self.flags.get_mut() & (LENT | HAS_HANDLE) == 0
        {
            // SAFETY: `&mut self`: nobody uses the handle from now on, and nobody else has had it.
            return unsafe { give_up(handle_of(raw), context, *self.flags.get_mut()) };
        }
        self.destroy_untold();
    }
}

/// As it is known to the table of what is shared.
fn key(raw: RawEvent, home: Context) -> Shared {
    Shared { kind: IpcKind::Event, context: home.number(), address: raw.addr() as u64 }
}
