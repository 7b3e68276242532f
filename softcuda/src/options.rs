//! What the software driver is to be: its CUDA version and its devices.

use std::collections::BTreeSet;
use std::fmt;

use crate::raw::{DEVICE_H200, DEVICE_V100, DEVICES, VERSIONS};
use crate::versions::later_than;

/// The environment variable that names the CUDA version.
const VERSION: &str = "SOFTCUDA_VERSION";
/// The environment variable that names the kind of device.
const DEVICE: &str = "SOFTCUDA_DEVICE";
/// The environment variable that names functions which the driver is to lack.
const WITHOUT: &str = "SOFTCUDA_WITHOUT";

/// The CUDA version that the driver is made for, as a real one tells in `nvidia-smi`.
///
/// An older driver answers its version, lacks the functions that came later (nobody finds them, by any
/// way of looking), and refuses newer PTX, device attributes and error codes that it has no name for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Version {
    /// CUDA 10.2: too old for `cuda-streams` and for cudarc, for tests of how that is told.
    Cuda10_2,
    /// CUDA 11.4
    Cuda11_4,
    /// CUDA 12.0
    Cuda12_0,
    /// CUDA 12.8
    Cuda12_8,
    /// CUDA 13.0, the version of the driver that this one is compared with.
    Cuda13_0,
}

impl Version {
    fn number(self) -> u32 {
        match self {
            Self::Cuda10_2 => 10020,
            Self::Cuda11_4 => 11040,
            Self::Cuda12_0 => 12000,
            Self::Cuda12_8 => 12080,
            Self::Cuda13_0 => 13000,
        }
    }
}

/// What kind of devices the driver has. Only what `cuDeviceGetAttribute` and the like answer differs,
/// and which PTX targets are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceKind {
    /// NVIDIA H200: compute capability 9.0, 132 multiprocessors.
    H200,
    /// Tesla V100 SXM2: compute capability 7.0, 80 multiprocessors.
    V100,
}

impl DeviceKind {
    fn number(self) -> u32 {
        match self {
            Self::H200 => DEVICE_H200,
            Self::V100 => DEVICE_V100,
        }
    }
}

/// What the software driver is to be, for [`install_with`](crate::install_with). What is not said here
/// is as the environment says: `SOFTCUDA_VERSION`, `SOFTCUDA_DEVICE`, `SOFTCUDA_WITHOUT`.
///
/// # Example
///
/// ```
/// use softcuda::{DeviceKind, Options, Version};
///
/// softcuda::install_with(&Options::new().version(Version::Cuda11_4).device(DeviceKind::V100))?;
/// assert!(softcuda::symbol(c"cuEventRecord").is_some());
/// assert!(softcuda::symbol(c"cuStreamGetId").is_none(), "it came with 12.0");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    version: Option<Version>,
    device: Option<DeviceKind>,
    without: BTreeSet<String>,
}

impl Options {
    /// As the environment says.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The CUDA version of the driver.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// The kind of its devices.
    #[must_use]
    pub fn device(mut self, device: DeviceKind) -> Self {
        self.device = Some(device);
        self
    }

    /// Leaves out one more function: nobody finds it.
    ///
    /// # Example
    ///
    /// ```
    /// use softcuda::Options;
    ///
    /// softcuda::install_with(&Options::new().without("cuMemAllocAsync"))?;
    /// assert!(softcuda::symbol(c"cuMemAllocAsync").is_none());
    /// # Ok::<(), String>(())
    /// ```
    #[must_use]
    pub fn without(mut self, function: impl Into<String>) -> Self {
        self.without.insert(function.into());
        self
    }

    /// Fills in what the environment says; `variable` looks there.
    pub(crate) fn resolve(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Machine, String> {
        let from_environment = (one_of(VERSION, &VERSIONS, &variable)?, one_of(DEVICE, &DEVICES, &variable)?);
        let version = self.version.map_or(from_environment.0, Version::number);
        let listed = variable(WITHOUT).unwrap_or_default();
        let listed = listed.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(Machine {
            version,
            device: self.device.map_or(from_environment.1, DeviceKind::number),
            lacks: later_than(version).map(str::to_owned).chain(listed).chain(self.without.iter().cloned()).collect(),
        })
    }
}

/// The value of a variable that is one of a list; the first of it where the variable is not set.
pub(crate) fn one_of(variable: &str, list: &[(&str, u32)], look: impl Fn(&str) -> Option<String>) -> Result<u32, String> {
    let Some(value) = look(variable) else { return Ok(list[0].1) };
    let known = list.iter().find(|(name, _)| *name == value);
    known.map(|(_, number)| *number).ok_or_else(|| {
        let names: Vec<_> = list.iter().map(|(name, _)| *name).collect();
        format!("{variable}={value}: expected one of {}", names.join(", "))
    })
}

/// [`Options`] with the environment's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) version: u32,
    pub(crate) device: u32,
    /// Functions that nobody is to find.
    pub(crate) lacks: BTreeSet<String>,
}

impl fmt::Display for Machine {
    /// What differs from a driver that nobody has asked for anything; nothing if nothing does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differs = |list: &[(&'static str, u32)], number| list.iter().skip(1).find(|row| row.1 == number).map(|row| row.0);
        if let Some(version) = differs(&VERSIONS, self.version) {
            write!(f, "; {VERSION}={version}")?;
        }
        if let Some(device) = differs(&DEVICES, self.device) {
            write!(f, "; {DEVICE}={device}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(options: &Options, variables: &[(&str, &str)]) -> Result<Machine, String> {
        options.resolve(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn options_go_before_the_environment() {
        let environment = [(VERSION, "12.0"), (DEVICE, "v100"), (WITHOUT, "cuA,cuB")];
        let machine = resolve(&Options::new(), &environment).expect("known values");
        assert_eq!((machine.version, machine.device), (12000, DEVICE_V100));
        assert!(machine.lacks.contains("cuB") && machine.lacks.contains("cuStreamGetDevice") && !machine.lacks.contains("cuStreamGetId"));
        let options = Options::new().version(Version::Cuda13_0).device(DeviceKind::H200).without("cuC");
        let machine = resolve(&options, &environment).expect("known values");
        assert_eq!((machine.version, machine.device), (13000, DEVICE_H200));
        assert_eq!(machine.lacks, ["cuA", "cuB", "cuC"].map(str::to_owned).into());
    }

    #[test]
    fn nothing_said_is_the_newest_driver_with_all_functions() {
        let machine = resolve(&Options::new(), &[]).expect("no values");
        assert_eq!(machine, Machine { version: 13000, device: DEVICE_H200, lacks: BTreeSet::new() });
        assert_eq!(machine.to_string(), "");
        assert_eq!(resolve(&Options::new(), &[(WITHOUT, "")]), Ok(machine));
    }

    #[test]
    fn an_unknown_value_names_the_accepted_ones() {
        let refused = |variable, value| resolve(&Options::new(), &[(variable, value)]).expect_err("unknown");
        assert_eq!(refused(VERSION, "11"), "SOFTCUDA_VERSION=11: expected one of 13.0, 12.8, 12.0, 11.4, 10.2");
        assert_eq!(refused(DEVICE, "H200"), "SOFTCUDA_DEVICE=H200: expected one of h200, v100");
    }

    #[test]
    fn each_version_and_kind_has_a_name() {
        let versions = [Version::Cuda13_0, Version::Cuda12_8, Version::Cuda12_0, Version::Cuda11_4, Version::Cuda10_2];
        assert_eq!(versions.map(Version::number), VERSIONS.map(|(_, number)| number));
        assert_eq!([DeviceKind::H200, DeviceKind::V100].map(DeviceKind::number), DEVICES.map(|(_, number)| number));
    }
}
