//! What a recording says about the machine it was made on, and the day.

use std::ffi::CStr;
use std::fs;
use std::time::SystemTime;

use crate::driver::Driver;

/// The name of device 0.
#[must_use]
pub(crate) fn hardware(driver: &Driver) -> String {
    let mut name = [0_u8; 128];
    driver.cuInit(0);
    driver.cuDeviceGetName(name.as_mut_ptr().cast(), 127, 0);
    CStr::from_bytes_until_nul(&name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The driver's CUDA version, with the version of its kernel module where that can be read.
#[must_use]
pub(crate) fn driver_version(driver: &Driver) -> String {
    let mut version = 0;
    driver.cuDriverGetVersion(Some(&mut version));
    let cuda = format!("CUDA {}.{}", version / 1000, version % 1000 / 10);
    if driver.is_software() {
        return format!("softcuda, {cuda}");
    }
    match kernel_module(&fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default()) {
        Some(module) => format!("{module}, {cuda}"),
        None => cuda,
    }
}

/// The version in the first line of the kernel module's own account.
fn kernel_module(text: &str) -> Option<&str> {
    let is_version = |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.lines().next()?.split_whitespace().find(is_version)
}

/// Today, in UTC.
#[must_use]
pub fn today() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    date(since.as_secs() / 86_400)
}

/// The day that many days after 1970-01-01.
fn date(mut days: u64) -> String {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in months {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(11_017), "2000-03-01");
        assert_eq!(date(19_722), "2023-12-31");
        assert_eq!(date(20_454), "2026-01-01");
    }

    #[test]
    fn version_of_the_kernel_module() {
        let text = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\nGCC version: 12.3.0";
        assert_eq!(kernel_module(text), Some("580.159.04"));
        assert_eq!(kernel_module(""), None);
    }
}
