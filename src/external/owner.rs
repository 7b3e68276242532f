//! What keeps a stream alive that somebody else owns.

use std::mem::ManuallyDrop;
use std::ops::Deref;

use crate::exceptions;

/// An owner, leaked in a forked child: it may be cudarc's, and its end a call of the driver.
pub(super) struct Owner<O>(ManuallyDrop<O>);

impl<O> Owner<O> {
    pub(super) fn new(owner: O) -> Self {
        Self(ManuallyDrop::new(owner))
    }

    pub(super) fn into_inner(self) -> O {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once: `this` is not dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl<O> Deref for Owner<O> {
    type Target = O;

    fn deref(&self) -> &O {
        &self.0
    }
}

impl<O> Drop for Owner<O> {
    fn drop(&mut self) {
        if !exceptions::is_forked() {
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}
