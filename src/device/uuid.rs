//! Device UUIDs.

use std::fmt;
use std::str::FromStr;

/// A device's UUID, which survives reboots and renumbering.
///
/// Reads and prints the form that `nvidia-smi -L` shows; the `GPU-` may be left out.
///
/// ```
/// use cuda_streams::DeviceUuid;
///
/// let uuid: DeviceUuid = "GPU-8f9eb1d7-2a3c-4d5e-8f90-0123456789ab".parse()?;
/// assert_eq!(uuid.to_string(), "GPU-8f9eb1d7-2a3c-4d5e-8f90-0123456789ab");
/// assert!("GPU-8f9eb1d7".parse::<DeviceUuid>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceUuid([u8; 16]);

impl DeviceUuid {
    /// The UUID of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for DeviceUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GPU")?;
        for (i, byte) in self.0.iter().enumerate() {
            let dash = if matches!(i, 0 | 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for DeviceUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceUuid({self})")
    }
}

impl FromStr for DeviceUuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let digits = text.strip_prefix("GPU-").unwrap_or(text);
        let mut bytes = [0; 16];
        let mut nibbles = 0;
        for c in digits.chars().filter(|&c| c != '-') {
            let digit = c.to_digit(16).filter(|_| nibbles < 32).ok_or(ParseUuidError(()))?;
            bytes[nibbles / 2] = bytes[nibbles / 2] << 4 | u8::try_from(digit).map_err(|_| ParseUuidError(()))?;
            nibbles += 1;
        }
        if nibbles == 32 { Ok(Self(bytes)) } else { Err(ParseUuidError(())) }
    }
}

/// The text is no device UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a device UUID: expected 32 hexadecimal digits, as in GPU-8f9eb1d7-2a3c-4d5e-8f90-0123456789ab")]
pub struct ParseUuidError(());
