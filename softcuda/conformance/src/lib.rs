//! One probe list, run on a real CUDA driver and on the software one.
//!
//! A probe makes a few driver calls and answers with result codes and small words, never with a
//! time, an address or anything else that varies. What a real driver answers is recorded and
//! committed (a golden); a test holds the software driver against every golden. It is to answer the
//! same but for three things: where a real driver crashes it refuses; an attribute of the device is as
//! `softcuda::ABSENT` says where hardware has more; and the few rows of excused.txt, each with a reason.
//!
//! ```text
//! SOFTCUDA=soft conformance                                  # one line a probe
//! SOFTCUDA=soft conformance --unrecorded                     # of those that no golden holds yet
//! SOFTCUDA=real conformance --golden goldens/h200-580.159.04.txt
//! ```

mod attributes;
mod breakdown;
mod child;
mod code;
mod comparison;
mod driver;
mod fixture;
mod forked;
mod graphs;
mod handles;
mod hold;
mod host_function;
mod kernels;
mod machine;
mod outcome;
mod peer;
mod probe;
mod probes;
mod recording;
mod runner;
mod slots;
mod structs;
mod twins;
mod user_objects;

pub use child::run as run_child;
pub use comparison::{Difference, Excuses, breakdowns, differences, explanation, unexplaining};
pub use driver::Driver;
pub use machine::today;
pub use peer::{PEER, run as run_peer};
pub use probes::Probes;
pub use recording::Recording;
pub use runner::Runner;

use probe::Probe;

/// Counted up when the lines about error names change their form.
const ERROR_NAMES_REVISION: u32 = 1;

/// Runs the probes, and with those that the goldens hold asks for the attributes of device 0 and the names of all codes: a
/// recording of the driver that is open.
///
/// # Errors
///
/// The driver has no device, or a child process cannot be started.
pub fn record(driver: &Driver, runner: &Runner, date: String) -> Result<Recording, String> {
    let mut lines = runner.run(driver)?;
    if runner.probes != Probes::Unrecorded {
        let names = (0..1000).filter_map(|code| Some((format!("error {code}"), driver.error_name(code)?)));
        lines.extend(attributes::lines(driver).chain(names).filter(|line| line.0.starts_with(&runner.only)));
    }
    Ok(Recording {
        hardware: machine::hardware(driver),
        driver: machine::driver_version(driver),
        date,
        digest: digest(runner.probes.list()),
        lines,
    })
}

/// A digest of the probes' names and revisions in order, and of the attributes' numbers: recordings of other lists say nothing
/// about this one.
fn digest<'a>(probes: impl Iterator<Item = &'a Probe>) -> String {
    // FNV-1a
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for &byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for probe in probes {
        add(probe.name.as_bytes());
        add(&[0]);
        add(&probe.revision.to_le_bytes());
    }
    attributes::numbers().for_each(|number| add(&number.to_le_bytes()));
    add(&ERROR_NAMES_REVISION.to_le_bytes());
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_fit_their_column() {
        let mut names = HashSet::new();
        for probe in Probes::All.list() {
            assert!(names.insert(probe.name), "{:?} names two probes", probe.name);
            assert!(probe.name.chars().count() <= recording::COLUMN - 2, "{:?} is too long", probe.name);
            assert!(!probe.name.contains("  "), "{:?} holds two spaces in a row", probe.name);
        }
    }

    #[test]
    fn the_digest_tells_lists_apart() {
        let probes: Vec<Probe> = Probes::All.list().copied().collect();
        let whole = digest(probes.iter());
        assert_eq!(whole, digest(Probes::All.list()));
        assert_ne!(whole, digest(probes[1..].iter()), "one probe less");
        assert_ne!(whole, digest(probes.iter().rev()), "another order");
        let mut revised = probes;
        revised[0].revision += 1;
        assert_ne!(whole, digest(revised.iter()), "another revision");
    }
}
