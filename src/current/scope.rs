//! The open scopes of each thread.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;

use crate::context::Context;
use crate::device::Device;
use crate::handle::RawStream;

/// The stream of a scope, as it is shown to who asks for the current one.
pub(super) struct Shown {
    raw: Cell<RawStream>,
    context: Cell<Context>,
    /// What keeps the stream alive once the scope has ended.
    keep: RefCell<Option<Box<dyn Any>>>,
}

/// An open scope, on the stack of the call that opened it.
pub(super) struct Scope {
    shown: Rc<Shown>,
    outer: Cell<Option<NonNull<Scope>>>,
}

thread_local! {
    /// The innermost scope of this thread. Has no destructor, so that it is there until the thread ends.
    static INNERMOST: Cell<Option<NonNull<Scope>>> = const { Cell::new(None) };
    /// What ended scopes leave for the next ones, so that those allocate nothing.
    static SPARE: RefCell<Vec<Rc<Shown>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` in a scope; `keep` gives what keeps the stream alive after it.
#[inline]
pub(super) fn scope<R>(raw: RawStream, context: Context, keep: impl FnOnce() -> Box<dyn Any>, f: impl FnOnce() -> R) -> R {
    struct Leave<'a, K: FnOnce() -> Box<dyn Any>>(&'a Scope, Option<K>);

    impl<K: FnOnce() -> Box<dyn Any>> Drop for Leave<'_, K> {
        fn drop(&mut self) {
            self.0.leave();
            let shown = &self.0.shown;
            if Rc::strong_count(shown) > 1 {
                *shown.keep.borrow_mut() = self.1.take().map(|keep| keep());
            } else {
                // Refused only while the thread ends.
                let _ = SPARE.try_with(|spare| spare.borrow_mut().push(shown.clone()));
            }
        }
    }

    let scope = Scope { shown: Shown::new(raw, context), outer: Cell::new(INNERMOST.get()) };
    INNERMOST.set(Some(NonNull::from(&scope)));
    let _leave = Leave(&scope, Some(keep));
    f()
}

impl Shown {
    #[inline]
    pub(super) fn raw(&self) -> RawStream {
        self.raw.get()
    }

    #[inline]
    pub(super) fn context(&self) -> Context {
        self.context.get()
    }

    #[inline]
    fn new(raw: RawStream, context: Context) -> Rc<Self> {
        let Some(spare) = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten() else {
            return Rc::new(Self { raw: Cell::new(raw), context: Cell::new(context), keep: RefCell::new(None) });
        };
        spare.raw.set(raw);
        spare.context.set(context);
        spare
    }
}

impl Scope {
    #[inline]
    pub(super) fn show(&self) -> Rc<Shown> {
        self.shown.clone()
    }

    #[inline]
    pub(super) fn context(&self) -> Context {
        self.shown.context()
    }

    #[inline]
    pub(super) fn device(&self) -> Device {
        self.context().device()
    }

    #[inline]
    fn leave(&self) {
        if INNERMOST.get() == Some(NonNull::from(self)) {
            INNERMOST.set(self.outer.get());
        } else {
            self.leave_from_within();
        }
    }

    /// Where stacks are switched under us, as coroutines do, scopes may end in another order than they
    /// began.
    #[cold]
    fn leave_from_within(&self) {
        let is_inside = |scope: &Scope| scope.outer.get() == Some(NonNull::from(self));
        find(is_inside, |scope| scope.outer.set(self.outer.get()));
    }
}

/// What `take` makes of the innermost open scope of this thread that is wanted.
#[inline]
pub(super) fn find<R>(is_wanted: impl Fn(&Scope) -> bool, take: impl FnOnce(&Scope) -> R) -> Option<R> {
    let mut next = INNERMOST.get();
    loop {
        // SAFETY: open, so on the stack of a call of `scope` on this thread that has not returned: it takes itself out
        // of the list before, panicking or not.
        let scope = unsafe { next?.as_ref() };
        if is_wanted(scope) {
            return Some(take(scope));
        }
        next = scope.outer.get();
    }
}
