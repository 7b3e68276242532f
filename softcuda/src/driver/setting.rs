//! A setting of the whole process: read from the environment at its first use, unless it was set before.

use std::sync::atomic::{AtomicU32, Ordering};

use super::report;

/// One of the numbers that a list has names for.
#[derive(Debug)]
pub(super) struct Setting {
    variable: &'static str,
    /// The first is meant where the variable is not set.
    names: &'static [(&'static str, u32)],
    value: AtomicU32,
}

const NOT_READ_YET: u32 = u32::MAX;

impl Setting {
    pub(super) const fn new(variable: &'static str, names: &'static [(&'static str, u32)]) -> Self {
        Self { variable, names, value: AtomicU32::new(NOT_READ_YET) }
    }

    pub(super) fn get(&self) -> u32 {
        match self.value.load(Ordering::Relaxed) {
            NOT_READ_YET => self.read(),
            value => value,
        }
    }

    /// False for a number that the list does not have.
    pub(super) fn set(&self, value: u32) -> bool {
        let known = self.names.iter().any(|(_, number)| *number == value);
        if known {
            self.value.store(value, Ordering::Relaxed);
        }
        known
    }

    #[cold]
    fn read(&self) -> u32 {
        let name = std::env::var(self.variable).unwrap_or_else(|_| self.names[0].0.to_owned());
        let Some((_, value)) = self.names.iter().find(|(known, _)| *known == name) else {
            let names: Vec<_> = self.names.iter().map(|(name, _)| *name).collect();
            report::refuse_variable(self.variable, &name, &names.join(", "));
        };
        // Two threads may read at once; both find the same.
        match self.value.compare_exchange(NOT_READ_YET, *value, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => *value,
            Err(set_meanwhile) => set_meanwhile,
        }
    }
}
