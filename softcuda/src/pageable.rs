//! How pageable memory is copied.

use crate::raw;
use crate::software::required;

/// How a copy in stream order uses host memory that is not page-locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pageable {
    /// As real drivers were seen to behave, and the default: it is read at the call, and written before
    /// the call returns.
    Observed,
    /// As late as the documentation allows: it is read and written when the copy's turn comes. A
    /// program that reuses its memory after the call is wrong by the documentation, and shows it here.
    Async,
}

/// Chooses how copies in stream order that are made from now on use pageable memory, in all threads.
/// Copies that wait, and copies from the host to the host, are not changed. `SOFTCUDA_PAGEABLE=observed|async`
/// chooses the same for a whole process.
///
/// With [`Pageable::Async`], memory passed to a copy has to stay until the copy is done, as the
/// documentation of CUDA asks anyway. cudarc's safe layer does not see to that: it relies on what real
/// drivers were seen to do.
///
/// ```
/// # softcuda::install().expect("the software driver");
/// use softcuda::Pageable;
///
/// softcuda::set_pageable(Pageable::Async);
/// // ... copies through code that promises to keep its memory ...
/// softcuda::set_pageable(Pageable::Observed);
/// ```
///
/// # Panics
///
/// If the software driver does not run.
pub fn set_pageable(pageable: Pageable) {
    let number = match pageable {
        Pageable::Observed => raw::PAGEABLE_OBSERVED,
        Pageable::Async => raw::PAGEABLE_ASYNC,
    };
    // SAFETY: the function takes a number and may be called at any time.
    let refused = unsafe { (required().softcuda_set_pageable)(number) };
    debug_assert_eq!(refused, 0, "both sides know the same ways: they have one control version");
}
