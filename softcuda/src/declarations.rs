//! What each launch declared, from the call until it runs.
//!
//! A twin's views are as long as the ranges that the driver checked when the launch was declared.
//! The closure that declared them is a user's and may answer something else the second time, so it
//! is not asked again when the launch runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::arguments::Arguments;
use crate::raw::RawAccess;

/// The ranges of a launch, or `None` if its closure panicked.
pub(crate) type Declared = Option<Arc<[RawAccess]>>;

/// The declarations of one kernel's launches that did not run yet.
#[derive(Debug, Default)]
pub(crate) struct Declarations(Mutex<HashMap<Key, Pending>>);

/// Launches with equal arguments share a declaration: the driver has no other name for a launch.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    grid: [u32; 3],
    block: [u32; 3],
    shared_bytes: u32,
    values: Box<[u64]>,
}

#[derive(Debug)]
struct Pending {
    declared: Declared,
    launches: usize,
}

impl Key {
    fn of(arguments: &Arguments<'_>) -> Self {
        Self { grid: arguments.grid(), block: arguments.block(), shared_bytes: arguments.shared_bytes(), values: arguments.values().into() }
    }
}

impl Declarations {
    /// Notes a launch. While one with the same arguments is pending, its declaration holds for
    /// this one too.
    pub(crate) fn add(&self, arguments: &Arguments<'_>, declared: Declared) -> Declared {
        let mut pending = self.lock();
        let entry = pending.entry(Key::of(arguments)).or_insert(Pending { declared, launches: 0 });
        entry.launches += 1;
        entry.declared.clone()
    }

    /// The declaration of a launch that runs now. A launch that the driver refused after it was
    /// declared is never taken: its entry stays, and holds for equal launches.
    pub(crate) fn take(&self, arguments: &Arguments<'_>) -> Declared {
        let key = Key::of(arguments);
        let mut pending = self.lock();
        let entry = pending.get_mut(&key)?;
        entry.launches -= 1;
        if entry.launches > 0 {
            return entry.declared.clone();
        }
        pending.remove(&key)?.declared
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::{AccessKind, RawLaunch};

    fn ranges(bytes: usize) -> Arc<[RawAccess]> {
        Arc::new([RawAccess { param: 0, offset: 0, bytes, kind: AccessKind::Read }])
    }

    fn bytes(declared: Declared) -> Option<usize> {
        declared.map(|ranges| ranges[0].bytes)
    }

    #[test]
    fn a_pending_launch_decides_for_its_equals() {
        let values = [64_u64];
        let launch = |blocks| RawLaunch {
            grid: [blocks, 1, 1],
            block: [1; 3],
            shared_bytes: 0,
            param_count: 1,
            params: values.as_ptr(),
            memory: std::ptr::null(),
        };
        let launches = [launch(1), launch(2)];
        // SAFETY: the values outlive the arguments.
        let [one, two] = launches.each_ref().map(|launch| unsafe { Arguments::of("test", &[], launch) });

        let declarations = Declarations::default();
        assert_eq!(bytes(declarations.add(&one, Some(ranges(4)))), Some(4));
        assert_eq!(bytes(declarations.add(&one, Some(ranges(8)))), Some(4), "the first is still pending");
        assert_eq!(bytes(declarations.add(&two, Some(ranges(8)))), Some(8), "another grid");
        assert_eq!(bytes(declarations.take(&one)), Some(4));
        assert_eq!(bytes(declarations.take(&one)), Some(4));
        assert_eq!(bytes(declarations.take(&one)), None, "no launch is left");
        assert_eq!(bytes(declarations.add(&one, Some(ranges(8)))), Some(8));
    }
}
