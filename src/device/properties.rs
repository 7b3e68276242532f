//! What the driver tells about a device. None of it creates a context.

use std::ffi::{CStr, c_char, c_int};

use super::{Device, DeviceAttribute, DeviceUuid};
use crate::driver::CUuuid;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;

impl Device {
    /// Its name, such as `NVIDIA H200`.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// assert!(!cuda_streams::Device::get(0)?.name()?.is_empty());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDeviceGetName")]
    pub fn name(self) -> Result<String> {
        text(|buffer, len| {
            // SAFETY: `len` bytes are writable behind `buffer`.
            unsafe { self.ask()?.cuDeviceGetName(buffer, len, self.0.raw) }.ok()
        })
    }

    /// Its PCI address, such as `0000:1B:00.0`.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// assert!(cuda_streams::Device::get(0)?.pci_bus_id()?.contains(':'));
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDeviceGetPCIBusId")]
    pub fn pci_bus_id(self) -> Result<String> {
        text(|buffer, len| {
            // SAFETY: `len` bytes are writable behind `buffer`.
            unsafe { self.ask()?.cuDeviceGetPCIBusId(buffer, len, self.0.raw) }.ok()
        })
    }

    /// Its UUID.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// assert!(cuda_streams::Device::get(0)?.uuid()?.to_string().starts_with("GPU-"));
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDeviceGetUuid")]
    pub fn uuid(self) -> Result<DeviceUuid> {
        let mut uuid = CUuuid { bytes: [0; 16] };
        // SAFETY: the out pointer is a live local.
        unsafe { self.ask()?.cuDeviceGetUuid_v2(&raw mut uuid, self.0.raw) }.ok()?;
        Ok(DeviceUuid::from_bytes(uuid.bytes.map(c_char::cast_unsigned)))
    }

    /// Its compute capability as `(major, minor)`; `(9, 0)` for an H200.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// let (major, _minor) = cuda_streams::Device::get(0)?.compute_capability()?;
    /// assert!(major >= 5);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDeviceComputeCapability")]
    pub fn compute_capability(self) -> Result<(u32, u32)> {
        let major = self.attribute(DeviceAttribute::COMPUTE_CAPABILITY_MAJOR)?;
        let minor = self.attribute(DeviceAttribute::COMPUTE_CAPABILITY_MINOR)?;
        Ok((major.unsigned_abs(), minor.unsigned_abs()))
    }

    /// Its memory in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// assert!(cuda_streams::Device::get(0)?.total_memory()? > 0);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDeviceTotalMem")]
    pub fn total_memory(self) -> Result<usize> {
        let mut bytes = 0;
        // SAFETY: the out pointer is a live local.
        unsafe { self.ask()?.cuDeviceTotalMem_v2(&raw mut bytes, self.0.raw) }.ok()?;
        Ok(bytes)
    }

    /// The value of an attribute.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] with `INVALID_VALUE` for an attribute that the driver does not know.
    ///
    /// ```
    /// use cuda_streams::{Device, DeviceAttribute};
    ///
    /// assert!(Device::get(0)?.attribute(DeviceAttribute::MULTIPROCESSOR_COUNT)? > 0);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDeviceGetAttribute")]
    pub fn attribute(self, attribute: DeviceAttribute) -> Result<i32> {
        let mut value: c_int = 0;
        // SAFETY: the out pointer is a live local.
        unsafe { self.ask()?.cuDeviceGetAttribute(&raw mut value, attribute.get(), self.0.raw) }.ok()?;
        Ok(value)
    }

    /// Whether work on this device can reach `peer`'s memory directly. False for the device itself.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert!(!device.can_access_peer(device)?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDeviceCanAccessPeer")]
    pub fn can_access_peer(self, peer: Self) -> Result<bool> {
        let mut can: c_int = 0;
        // SAFETY: the out pointer is a live local.
        unsafe { self.ask()?.cuDeviceCanAccessPeer(&raw mut can, self.0.raw, peer.0.raw) }.ok()?;
        Ok(can != 0)
    }
}

/// What `fill` writes into a buffer of the length it is given, up to the first zero byte.
fn text(fill: impl FnOnce(*mut c_char, c_int) -> Result<()>) -> Result<String> {
    const LEN: u16 = 256;
    let mut buffer = [0_u8; LEN as usize];
    fill(buffer.as_mut_ptr().cast(), c_int::from(LEN) - 1)?;
    let text = CStr::from_bytes_until_nul(&buffer).unwrap_or_default();
    Ok(text.to_string_lossy().into_owned())
}
