//! Which driver this process uses: the real one, the software one or none.

use std::ffi::{CStr, c_void};
use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::{env, fmt};

use crate::library;
use crate::options::{Machine, Options, one_of};
#[cfg(softcuda_embedded)]
use crate::probe::real_devices;
use crate::raw::{MODES, PAGEABLES, REPORTS as REPORT_CHOICES, SCHEDULES, schedule_named};

/// The environment variable that chooses.
const CHOOSE: &str = "SOFTCUDA";
/// The environment variable that says which choice a test run was meant to end in.
const EXPECT: &str = "SOFTCUDA_EXPECT";
/// The environment variable that the software driver reads at its first call.
const MODE: &str = "SOFTCUDA_MODE";
/// Another one.
const SCHEDULE: &str = "SOFTCUDA_SCHEDULE";
/// Another one, read at the first report.
const REPORTS: &str = "SOFTCUDA_REPORTS";
/// Another one, read at the first copy.
const PAGEABLE: &str = "SOFTCUDA_PAGEABLE";

static CHOSEN: OnceLock<Result<Chosen, String>> = OnceLock::new();

/// The driver of this process, and what the software driver is if it is that.
#[derive(Clone, Debug)]
struct Chosen {
    choice: Choice,
    machine: Machine,
}

/// The driver of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The CUDA driver of the machine.
    Real,
    /// The software driver, loaded.
    Software,
    /// No driver: whoever looks for one is to find nothing, on any machine.
    Nothing,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "real driver",
            Self::Software => "software driver",
            Self::Nothing => "no driver",
        })
    }
}

/// Chooses the driver of this process, once, and loads the software driver if it is that.
///
/// The variable `SOFTCUDA` decides:
///
/// | value | driver |
/// |---|---|
/// | `auto`, or not set | the real one if `libcuda.so.1` is there and has a device, else the software one |
/// | `real` | the real one, also where there is none |
/// | `soft` | the software one, also on a machine with a GPU |
/// | `none` | none |
///
/// One line on the standard error output tells which it is. Call this before anything else looks
/// for a driver: from then on `libcuda.so` is the software driver, for every library of the process.
///
/// # Errors
///
/// The text says what to change: an unknown value of a variable (those that the driver itself reads included), a software
/// driver that cannot be loaded, or a choice other than `SOFTCUDA_EXPECT=real|soft` demands. Later
/// calls answer the same.
pub fn choose() -> Result<Choice, String> {
    CHOSEN.get_or_init(by_environment).as_ref().map(|chosen| chosen.choice).map_err(Clone::clone)
}

/// Makes the software driver the driver of this process, whatever the environment says: for tests
/// that mean nothing on another one. To be called before anything else looks for a driver.
///
/// # Errors
///
/// If another driver has been chosen, if the software driver cannot be loaded, or if a variable has an
/// unknown value.
pub fn install() -> Result<(), String> {
    match CHOSEN.get_or_init(|| by_options(&Options::new())) {
        Ok(Chosen { choice: Choice::Software, .. }) => Ok(()),
        Ok(Chosen { choice, .. }) => Err(format!("this process has already chosen: {choice}")),
        Err(reason) => Err(reason.clone()),
    }
}

/// [`install`], with a say in what the driver is. The first installation decides: later ones find that
/// driver.
///
/// # Errors
///
/// As [`install`] says; and if a driver has been installed or chosen that is not as these options say,
/// or if there is no function of a name that is to be left out.
///
/// # Example
///
/// ```
/// use softcuda::{Options, Version};
///
/// softcuda::install_with(&Options::new().version(Version::Cuda12_0))?;
/// assert!(softcuda::symbol(c"cuStreamGetId").is_some());
/// assert!(softcuda::symbol(c"cuStreamGetDevice").is_none(), "it came with 12.8");
/// assert!(softcuda::install_with(&Options::new().version(Version::Cuda13_0)).is_err());
/// # Ok::<(), String>(())
/// ```
pub fn install_with(options: &Options) -> Result<(), String> {
    let wanted = options.resolve(variable)?;
    CHOSEN.get_or_init(|| by_options(options));
    install()?;
    if machine() == Some(&wanted) { Ok(()) } else { Err("this process has a software driver with other options".to_owned()) }
}

fn by_options(options: &Options) -> Result<Chosen, String> {
    check_variables()?;
    let machine = options.resolve(variable)?;
    library::open(&machine)?;
    announce(Choice::Software, &format!("installed{machine}"));
    Ok(Chosen { choice: Choice::Software, machine })
}

fn by_environment() -> Result<Chosen, String> {
    let wanted = Wanted::parse(variable(CHOOSE).as_deref())?;
    let expected = Expected::parse(variable(EXPECT).as_deref())?;
    check_variables()?;
    let machine = Options::new().resolve(variable)?;
    let (choice, mut reason) = wanted.decide()?;
    if choice == Choice::Software {
        library::open(&machine)?;
        reason += &machine.to_string();
    }
    announce(choice, &reason);
    expected.check(choice, &reason)?;
    Ok(Chosen { choice, machine })
}

/// What the software driver is, if it is the driver.
fn machine() -> Option<&'static Machine> {
    let chosen = CHOSEN.get()?.as_ref().ok()?;
    (chosen.choice == Choice::Software).then_some(&chosen.machine)
}

/// Whether the software driver was asked to lack a function.
pub(crate) fn is_left_out(function: &str) -> bool {
    machine().is_some_and(|machine| machine.lacks.contains(function))
}

/// The address of a function of the software driver, never of a real one.
///
/// `None` if the driver has no such function, as an old one may not ([`Version`](crate::Version),
/// `SOFTCUDA_WITHOUT`), or if the process uses another driver ([`choose`]).
#[must_use]
pub fn symbol(name: &CStr) -> Option<*const c_void> {
    match choose() {
        // Where the driver is bound at link time, nothing but this keeps a function from being found.
        Ok(Choice::Software) if !name.to_str().is_ok_and(is_left_out) => library::symbol(name),
        Ok(_) | Err(_) => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Auto,
    Real,
    Soft,
    Nothing,
}

impl Wanted {
    fn parse(value: Option<&str>) -> Result<Self, String> {
        match value {
            None | Some("auto") => Ok(Self::Auto),
            Some("real") => Ok(Self::Real),
            Some("soft") => Ok(Self::Soft),
            Some("none") => Ok(Self::Nothing),
            Some(other) => Err(format!("{CHOOSE}={other}: expected auto, real, soft or none")),
        }
    }

    fn decide(self) -> Result<(Choice, String), String> {
        Ok(match self {
            Self::Real if cfg!(softcuda_linked) => {
                return Err(format!("{CHOOSE}=real: this program is bound to the software driver at link time"));
            }
            Self::Real => (Choice::Real, format!("{CHOOSE}=real")),
            Self::Soft => (Choice::Software, format!("{CHOOSE}=soft")),
            Self::Nothing => (Choice::Nothing, format!("{CHOOSE}=none")),
            Self::Auto => match real_devices() {
                Ok(1) => (Choice::Real, format!("1 device; {CHOOSE}=auto")),
                Ok(count) => (Choice::Real, format!("{count} devices; {CHOOSE}=auto")),
                Err(reason) => (Choice::Software, format!("{reason}; {CHOOSE}=auto")),
            },
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Anything,
    Driver(Choice),
}

impl Expected {
    fn parse(value: Option<&str>) -> Result<Self, String> {
        match value {
            None => Ok(Self::Anything),
            Some("real") => Ok(Self::Driver(Choice::Real)),
            Some("soft") => Ok(Self::Driver(Choice::Software)),
            Some(other) => Err(format!("{EXPECT}={other}: expected real or soft")),
        }
    }

    fn check(self, choice: Choice, reason: &str) -> Result<(), String> {
        match self {
            Self::Driver(expected) if expected != choice => {
                Err(format!("{EXPECT} demands the {expected}, but this is the {choice} ({reason})"))
            }
            Self::Driver(_) | Self::Anything => Ok(()),
        }
    }
}

/// Refuses unknown values here, where that can be told: the driver itself has no code for it.
fn check_variables() -> Result<(), String> {
    one_of(MODE, &MODES, variable)?;
    one_of(REPORTS, &REPORT_CHOICES, variable)?;
    one_of(PAGEABLE, &PAGEABLES, variable)?;
    check_schedule(variable(SCHEDULE).as_deref())
}

fn check_schedule(value: Option<&str>) -> Result<(), String> {
    match value {
        Some(value) if schedule_named(value).is_none() => Err(format!("{SCHEDULE}={value}: expected one of {SCHEDULES}")),
        Some(_) | None => Ok(()),
    }
}

/// A program that is bound to the software driver at link time does not look, nor does another system.
#[cfg(not(softcuda_embedded))]
fn real_devices() -> Result<i32, String> {
    Err(if cfg!(softcuda_linked) { "bound at link time" } else { "not looked for on this system" }.to_owned())
}

fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Not `eprintln!`, which the test harness captures: whose driver a test ran on must stay visible.
fn announce(choice: Choice, reason: &str) {
    let line = format!("softcuda: {choice} ({reason})\n");
    // Nobody can be told that standard error is closed.
    let _ = io::stderr().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_value_names_the_accepted_ones() {
        assert_eq!(Wanted::parse(None), Ok(Wanted::Auto));
        assert_eq!(Wanted::parse(Some("none")), Ok(Wanted::Nothing));
        assert_eq!(Wanted::parse(Some("software")), Err("SOFTCUDA=software: expected auto, real, soft or none".to_owned()));
        assert_eq!(Expected::parse(Some("")), Err("SOFTCUDA_EXPECT=: expected real or soft".to_owned()));
    }

    #[test]
    fn an_unknown_mode_is_refused() {
        let mode = |value: Option<&str>| one_of(MODE, &MODES, |_| value.map(str::to_owned));
        for (name, number) in MODES {
            assert_eq!(mode(Some(name)), Ok(number));
        }
        let refused = "SOFTCUDA_MODE=hard: expected one of full, null, no-device, stub, mismatch";
        assert_eq!(mode(Some("hard")), Err(refused.to_owned()));
    }

    #[test]
    fn an_unknown_schedule_is_refused() {
        for known in [None, Some("plain"), Some("lazy"), Some("seeded:0"), Some("seeded:18446744073709551615")] {
            assert_eq!(check_schedule(known), Ok(()));
        }
        for unknown in ["", "eager", "seeded", "seeded:", "seeded:-1", "seeded:x"] {
            let expected = format!("SOFTCUDA_SCHEDULE={unknown}: expected one of plain, lazy, seeded:N");
            assert_eq!(check_schedule(Some(unknown)), Err(expected));
        }
    }

    #[test]
    fn explicit_values_decide_without_a_look() {
        let choice = |wanted: Wanted| wanted.decide().map(|(choice, _)| choice);
        assert_eq!(choice(Wanted::Soft), Ok(Choice::Software));
        assert_eq!(choice(Wanted::Nothing), Ok(Choice::Nothing));
        if cfg!(softcuda_linked) {
            assert!(choice(Wanted::Real).is_err(), "there is no way to the real driver");
        } else {
            assert_eq!(choice(Wanted::Real), Ok(Choice::Real));
        }
    }

    #[test]
    fn an_expectation_refuses_every_other_driver_and_says_why() {
        let real = Expected::parse(Some("real")).expect("an accepted value");
        assert_eq!(real.check(Choice::Real, ""), Ok(()));
        assert_eq!(
            real.check(Choice::Software, "no libcuda.so.1; SOFTCUDA=auto"),
            Err("SOFTCUDA_EXPECT demands the real driver, but this is the software driver \
                 (no libcuda.so.1; SOFTCUDA=auto)"
                .to_owned())
        );
        assert!(real.check(Choice::Nothing, "").is_err());
        assert_eq!(Expected::Anything.check(Choice::Nothing, ""), Ok(()));
    }
}
