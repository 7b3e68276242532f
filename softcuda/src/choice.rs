//! Which driver this process uses: the real one, the software one or none.

use std::ffi::{CStr, c_void};
use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::{env, fmt};

use crate::library;
#[cfg(softcuda_embedded)]
use crate::probe::real_devices;
use crate::raw::{MODES, PAGEABLES};

/// The environment variable that chooses.
const CHOOSE: &str = "SOFTCUDA";
/// The environment variable that names functions which the driver is to lack.
const WITHOUT: &str = "SOFTCUDA_WITHOUT";
/// The environment variable that says which choice a test run was meant to end in.
const EXPECT: &str = "SOFTCUDA_EXPECT";
/// The environment variable that the software driver reads at its first call.
const MODE: &str = "SOFTCUDA_MODE";
/// The environment variable that the software driver reads at its first copy.
const PAGEABLE: &str = "SOFTCUDA_PAGEABLE";

static CHOSEN: OnceLock<Result<Choice, String>> = OnceLock::new();

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
/// The text says what to change: an unknown value of a variable (`SOFTCUDA_MODE` and `SOFTCUDA_PAGEABLE` included), a software
/// driver that cannot be loaded, or a choice other than `SOFTCUDA_EXPECT=real|soft` demands. Later
/// calls answer the same.
pub fn choose() -> Result<Choice, String> {
    CHOSEN.get_or_init(by_environment).clone()
}

/// Makes the software driver the driver of this process, whatever the environment says: for tests
/// that mean nothing on another one. To be called before anything else looks for a driver.
///
/// # Errors
///
/// If another driver has been chosen, if the software driver cannot be loaded, or if `SOFTCUDA_MODE`
/// or `SOFTCUDA_PAGEABLE` has an unknown value.
pub fn install() -> Result<(), String> {
    let chosen = CHOSEN.get_or_init(|| {
        check_settings()?;
        library::open()?;
        announce(Choice::Software, "installed");
        Ok(Choice::Software)
    });
    match chosen {
        Ok(Choice::Software) => Ok(()),
        Ok(other) => Err(format!("this process has already chosen: {other}")),
        Err(reason) => Err(reason.clone()),
    }
}

fn by_environment() -> Result<Choice, String> {
    let wanted = Wanted::parse(variable(CHOOSE).as_deref())?;
    let expected = Expected::parse(variable(EXPECT).as_deref())?;
    check_settings()?;
    let (choice, reason) = wanted.decide()?;
    if choice == Choice::Software {
        library::open()?;
    }
    announce(choice, &reason);
    expected.check(choice, &reason)?;
    Ok(choice)
}

/// The address of a function of the software driver, never of a real one.
///
/// `None` if the driver has no such function, if `SOFTCUDA_WITHOUT` names it (as an old driver would
/// lack it), or if the process uses another driver ([`choose`]).
#[must_use]
pub fn symbol(name: &CStr) -> Option<*const c_void> {
    let is_left_out = || variable(WITHOUT).is_some_and(|list| list.split(',').any(|left_out| left_out.as_bytes() == name.to_bytes()));
    match choose() {
        Ok(Choice::Software) if !is_left_out() => library::symbol(name),
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

/// Refuses unknown settings here, where it can be told: the driver itself has no code for that.
fn check_settings() -> Result<(), String> {
    check_setting(MODE, variable(MODE).as_deref(), &MODES)?;
    check_setting(PAGEABLE, variable(PAGEABLE).as_deref(), &PAGEABLES)
}

fn check_setting(name: &str, value: Option<&str>, settings: &[(&str, u32)]) -> Result<(), String> {
    let known = |value| settings.iter().any(|(known, _)| *known == value);
    match value {
        Some(value) if !known(value) => {
            let accepted: Vec<_> = settings.iter().map(|(known, _)| *known).collect();
            Err(format!("{name}={value}: expected one of {}", accepted.join(", ")))
        }
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
    fn an_unknown_setting_is_refused() {
        let check = |value| check_setting(PAGEABLE, value, &PAGEABLES);
        assert_eq!(check(None), Ok(()));
        for (name, _) in PAGEABLES {
            assert_eq!(check(Some(name)), Ok(()));
        }
        assert_eq!(check(Some("late")), Err("SOFTCUDA_PAGEABLE=late: expected one of observed, async".to_owned()));
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
