//! What this process has shared with others, or they with it: the handle of each object, and why the
//! driver refuses one.

use std::collections::HashMap;
use std::ffi::c_char;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::context::Context;
use crate::driver::Answer;
use crate::error::{Error, ErrorCode, IpcKind, IpcRefusal, Result};
use crate::exceptions;

/// The bytes of a handle.
pub(crate) type Bytes = [u8; 64];

/// What has a handle, by what the driver calls it while it lives. Addresses recur in the next life of a context.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shared {
    pub(crate) kind: IpcKind,
    pub(crate) context: NonZeroU32,
    pub(crate) address: u64,
}

/// Where a handle is from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This process, which cannot open it.
    Exported,
    /// Another one.
    Imported,
}

static HANDLES: Mutex<Option<HashMap<Shared, (Bytes, Origin)>>> = Mutex::new(None);

/// Not in a forked child: another thread of its parent may have held the lock.
fn handles() -> MutexGuard<'static, Option<HashMap<Shared, (Bytes, Origin)>>> {
    HANDLES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The handle that is `known`, or else what `export` gives, which [keeps](keep) it: of threads that export at once one asks
/// the driver, since an object has one handle. What is known waits for nobody.
pub(crate) fn known_or_exported(known: impl Fn() -> Option<Bytes>, export: impl FnOnce() -> Result<Bytes>) -> Result<Bytes> {
    static EXPORTING: Mutex<()> = Mutex::new(());
    if let Some(handle) = known() {
        return Ok(handle);
    }
    let _one_at_a_time = EXPORTING.lock().unwrap_or_else(PoisonError::into_inner);
    known().map_or_else(export, Ok)
}

/// Keeps the handle of an object until that is [forgotten](forget).
pub(crate) fn keep(object: Shared, handle: Bytes, origin: Origin) {
    handles().get_or_insert_default().insert(object, (handle, origin));
}

/// The handle of an object.
pub(crate) fn handle_of(object: Shared) -> Option<Bytes> {
    handles().as_ref()?.get(&object).map(|(handle, _)| *handle)
}

/// An object is about to end: what the driver calls it may be another's soon.
pub(crate) fn forget(object: Shared) {
    if exceptions::is_forked() {
        return;
    }
    if let Some(handles) = handles().as_mut() {
        handles.remove(&object);
    }
}

/// As C has them.
pub(crate) fn to_c(handle: &Bytes) -> [c_char; 64] {
    handle.map(|byte| c_char::from_ne_bytes([byte]))
}

pub(crate) fn from_c(handle: [c_char; 64]) -> Bytes {
    handle.map(|byte| c_char::to_ne_bytes(byte)[0])
}

/// `Err` for the handle of something that this process has exported, while that is there.
pub(crate) fn check_foreign(handle: &Bytes, kind: IpcKind) -> Result<()> {
    let is_own = |(shared, known): (&Shared, &(Bytes, Origin))| shared.kind == kind && *known == (*handle, Origin::Exported);
    match handles().as_ref() {
        Some(handles) if handles.iter().any(is_own) => Err(Error::OwnHandle { what: kind, code: None }),
        _ => Ok(()),
    }
}

/// Why the driver has not opened a handle in this context, which was made current for it.
#[cold]
pub(crate) fn not_opened(context: Context, answer: Answer, what: IpcKind) -> Error {
    match refused_in(context, answer, IpcRefusal::Unreachable) {
        Error::IpcRefused { code: code @ ErrorCode::INVALID_CONTEXT, .. } => Error::OwnHandle { what, code: Some(code) },
        error => error,
    }
}

/// Why the driver refused something of this context: that it has died meanwhile, or as [`refused`] says.
#[cold]
pub(crate) fn refused_in(context: Context, answer: Answer, reason: IpcRefusal) -> Error {
    match context.refused(answer) {
        gone @ Error::ContextDestroyed { .. } => gone,
        _ => refused(answer, reason),
    }
}

/// Why the driver refused: `reason`, unless it says another by a code of its own.
#[cold]
pub(crate) fn refused(answer: Answer, reason: IpcRefusal) -> Error {
    let call = answer.call();
    match answer.code() {
        Some(code @ (ErrorCode::MAP_FAILED | ErrorCode::INVALID_VALUE | ErrorCode::INVALID_HANDLE | ErrorCode::INVALID_CONTEXT)) => {
            Error::IpcRefused { call, code, reason }
        }
        Some(code @ ErrorCode::NOT_SUPPORTED) => Error::IpcRefused { call, code, reason: IpcRefusal::Unsupported },
        _ => answer.error(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(kind: IpcKind, context: u32, address: u64) -> Shared {
        Shared { kind, context: NonZeroU32::new(context).unwrap(), address }
    }

    #[test]
    fn a_handle_is_own_while_its_object_lives() {
        let (own, theirs) = ([1; 64], [2; 64]);
        let (exported, imported) = (shared(IpcKind::Memory, 1, 1), shared(IpcKind::Event, 1, 2));
        keep(exported, own, Origin::Exported);
        keep(imported, theirs, Origin::Imported);
        assert_eq!(check_foreign(&own, IpcKind::Memory), Err(Error::OwnHandle { what: IpcKind::Memory, code: None }));
        assert_eq!(check_foreign(&own, IpcKind::Event), Ok(()), "which it is no handle of");
        assert_eq!(check_foreign(&theirs, IpcKind::Event), Ok(()));
        assert_eq!(handle_of(imported), Some(theirs));
        forget(exported);
        assert_eq!(check_foreign(&own, IpcKind::Memory), Ok(()));
        forget(imported);
    }

    #[test]
    fn an_address_in_the_next_life_of_its_context_is_another() {
        let (before, after) = (shared(IpcKind::Event, 5, 7), shared(IpcKind::Event, 6, 7));
        keep(before, [3; 64], Origin::Exported);
        assert_eq!(handle_of(after), None);
        keep(after, [4; 64], Origin::Exported);
        forget(before);
        assert_eq!(handle_of(after), Some([4; 64]));
        forget(after);
    }
}
