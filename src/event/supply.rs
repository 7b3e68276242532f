//! Where driver events come from, and where they go: idle ones are used again.

use std::num::NonZeroU32;
use std::ptr;

use super::flags::EventFlags;
use super::pool::{self, Kind};
use crate::context::Context;
use crate::driver::CUevent;
use crate::error::Result;
use crate::exceptions;
use crate::handle::{Object, RawEvent};

/// A driver event that nobody else has.
#[derive(Clone, Copy)]
pub(super) enum Obtained {
    /// Never recorded.
    New(RawEvent),
    /// It has been another's, and is as that has left it.
    Pooled(RawEvent),
}

impl Obtained {
    #[inline]
    pub(super) fn handle(self) -> RawEvent {
        match self {
            Self::New(raw) | Self::Pooled(raw) => raw,
        }
    }
}

/// An idle event of these flags that the thread has at hand.
#[inline]
pub(super) fn take(context: Context, flags: EventFlags) -> Option<RawEvent> {
    pool::take(context.number(), Kind::of(flags.bits())?)
}

/// An event of these flags: an idle one, or a new one. The context is alive.
#[cold]
pub(super) fn obtain(context: Context, flags: EventFlags) -> Result<Obtained> {
    if let Some(raw) = take(context, flags) {
        return Ok(Obtained::Pooled(raw));
    }
    let number = context.number();
    let Some(kind) = Kind::of(flags.bits()).filter(|_| keeps_events(context)) else { return create(context, flags).map(Obtained::New) };
    // Either asks whether the context lives, which taking one that is at hand does not.
    let obtained = match pool::fetch(number, kind) {
        Some(raw) => context.verify().map(|()| Obtained::Pooled(raw)).inspect_err(|_| {
            pool::give(number, kind, raw);
            pool::given_back(number, kind);
        }),
        None => create(context, flags).map(Obtained::New),
    };
    match obtained {
        // A new context may be another's successor.
        Ok(Obtained::New(_)) if pool::created(number, kind) => pool::forget_where(|number| Context::by_number(number).has_died()),
        Err(_) if context.has_died() => pool::forget(number),
        _ => {}
    }
    obtained
}

/// Whether what is given up of the context will be asked for again. Not if it is somebody else's and has no id: it has
/// another number each time then.
fn keeps_events(context: Context) -> bool {
    context.id().is_some() || context.is_primary()
}

/// A new driver event.
pub(super) fn create(context: Context, flags: EventFlags) -> Result<RawEvent> {
    let _current = context.enter()?;
    let mut raw: CUevent = ptr::null_mut();
    // SAFETY: the context is current, the out pointer is a live local.
    context.check(unsafe { context.driver().cuEventCreate(&raw mut raw, flags.bits()) })?;
    Ok(raw.cast())
}

/// Gives up an event: idle from now on if others can use it, or else destroyed.
///
/// # Safety
///
/// Of this context, with these flags, and nobody uses the handle from now on.
#[inline]
pub(super) unsafe fn give_up(raw: RawEvent, context: NonZeroU32, flags: u32) {
    match Kind::of(flags) {
        Some(kind) if pool::keep(context, kind, raw) => {}
        // SAFETY: the caller's contract.
        kind => unsafe { give_up_slowly(raw, context, kind) },
    }
}

/// # Safety
///
/// Of this context, and nobody uses the handle from now on.
#[cold]
unsafe fn give_up_slowly(raw: RawEvent, number: NonZeroU32, kind: Option<Kind>) {
    let context = Context::by_number(number);
    if let Some(kind) = kind
        && !exceptions::is_forked()
        && !context.has_died()
        && keeps_events(context)
    {
        return pool::give(number, kind, raw);
    }
    // SAFETY: the caller's contract.
    unsafe { destroy(raw, context) };
}

/// Destroys an event. Nobody is there to be told how that went.
///
/// # Safety
///
/// Of this context, and nobody uses the handle from now on.
pub(super) unsafe fn destroy(raw: RawEvent, context: Context) {
    // SAFETY: the caller's contract.
    let destroyed = unsafe { Object::Event(raw.cast()).destroy(context) };
    let _ = destroyed;
}

/// Gives up what was obtained, in this context and with these flags, and is not used.
///
/// # Safety
///
/// Nobody uses the handle from now on.
pub(super) unsafe fn give_back(obtained: Obtained, context: Context, flags: EventFlags) {
    // SAFETY: the caller's contract.
    unsafe { give_up(obtained.handle(), context.number(), flags.bits()) };
    if let (Obtained::Pooled(_), Some(kind)) = (obtained, Kind::of(flags.bits())) {
        pool::given_back(context.number(), kind);
    }
}

/// A new driver event, though an idle one of these flags was taken.
pub(super) fn create_instead(context: Context, flags: EventFlags) -> Result<RawEvent> {
    let raw = create(context, flags)?;
    if let Some(kind) = Kind::of(flags.bits()) {
        pool::created(context.number(), kind);
    }
    Ok(raw)
}

/// That one is used, and not the idle one.
pub(super) fn replaced(context: Context, flags: EventFlags) {
    if let Some(kind) = Kind::of(flags.bits()) {
        pool::given_back(context.number(), kind);
    }
}
