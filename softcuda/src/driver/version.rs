//! The CUDA version of this driver, and what depends on it. Which functions an old driver lacks is
//! decided where it is loaded: nobody finds them.

use super::abi::Out;
use super::codes::Code;
use super::raw::VERSIONS;
use super::setting::Setting;

/// What a driver of one version knows.
#[derive(Debug)]
pub(super) struct Version {
    /// As `cuDriverGetVersion` answers.
    pub(super) number: u32,
    /// The newest version of PTX.
    pub(super) newest_ptx: (u32, u32),
    /// The last device attribute.
    pub(super) last_attribute: u32,
    /// The last limit of a context.
    pub(super) last_limit: u32,
}

/// In ascending order, as [`VERSIONS`] has them. Attributes and limits are those of the headers.
const KNOWN: [Version; VERSIONS.len()] = [
    Version { number: 10020, newest_ptx: (6, 5), last_attribute: 105, last_limit: 5 },
    Version { number: 11040, newest_ptx: (7, 4), last_attribute: 119, last_limit: 6 },
    Version { number: 12000, newest_ptx: (8, 0), last_attribute: 129, last_limit: 6 },
    Version { number: 12080, newest_ptx: (8, 7), last_attribute: 143, last_limit: 9 },
    Version { number: 13000, newest_ptx: (9, 0), last_attribute: 147, last_limit: 9 },
];

/// Result codes, and the first version that has them; all others are older than the oldest.
const NEW_CODES: &[(Code, u32)] = &[
    (36, 13000),
    (46, 11070),
    (225, 12010),
    (226, 12080),
    (402, 12030),
    (721, 12080),
    (810, 11080),
    (811, 12000),
    (812, 12000),
    (912, 11080),
    (913, 12040),
    (914, 12040),
    (915, 12040),
    (916, 12080),
];

static VERSION: Setting = Setting::new("SOFTCUDA_VERSION", &VERSIONS);

/// Changes the version of the whole process. False for a number that is none.
pub(super) fn set(number: u32) -> bool {
    VERSION.set(number)
}

/// The version that this driver pretends to be.
pub(super) fn get() -> &'static Version {
    of(VERSION.get())
}

/// `cuDriverGetVersion`.
pub(super) fn answer(out: Out<i32>) {
    out.set(get().number.cast_signed());
}

fn of(number: u32) -> &'static Version {
    KNOWN.iter().rev().find(|version| version.number <= number).unwrap_or(&KNOWN[0])
}

impl Version {
    /// Whether this version has a name for the code.
    pub(super) fn knows(&self, code: Code) -> bool {
        NEW_CODES.iter().all(|(new, since)| *new != code || *since <= self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_that_can_be_chosen_is_known() {
        for (name, number) in VERSIONS {
            assert_eq!(of(number).number, number, "{name}");
        }
    }

    #[test]
    fn a_code_is_known_from_its_version_on() {
        assert!(of(11040).knows(719) && !of(11040).knows(46) && of(12000).knows(46));
        assert!(!of(12080).knows(36) && of(13000).knows(36));
    }
}
