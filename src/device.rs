//! Devices and their properties.

mod attribute;
mod primary;
mod properties;
mod uuid;

use std::ffi::{CString, c_int};
use std::fmt;
use std::hash::{Hash, Hasher};

use once_cell::sync::OnceCell;

pub use attribute::DeviceAttribute;
pub use primary::HostWait;
pub use uuid::{DeviceUuid, ParseUuidError};

use crate::driver::{CUdevice, Driver, driver};
use crate::error::{Error, ErrorCode, Result};
use crate::exceptions;

/// A CUDA device.
///
/// A small `Copy` value that stands for the device in the whole process. Having one costs nothing
/// and creates no context; neither do the queries of its properties. The device's context comes with
/// its first [`stream`](Self::stream), [`event`](Self::event) or [`context`](Self::context).
///
/// ```
/// use cuda_streams::Device;
///
/// for device in Device::all()? {
///     println!("{device}: {} ({} MiB)", device.name()?, device.total_memory()? >> 20);
/// }
/// # Ok::<(), cuda_streams::Error>(())
/// ```
#[derive(Clone, Copy)]
#[doc(alias = "CUdevice")]
pub struct Device(&'static Entry);

struct Entry {
    driver: &'static Driver,
    raw: CUdevice,
    ordinal: u32,
}

/// All devices. An empty list is not remembered: a device may appear.
fn entries() -> Result<&'static [Entry]> {
    static ENTRIES: OnceCell<Box<[Entry]>> = OnceCell::new();
    exceptions::check()?;
    if let Some(entries) = ENTRIES.get() {
        return Ok(entries);
    }
    let driver = match driver() {
        Err(Error::Driver { code: ErrorCode::NO_DEVICE, .. }) => return Ok(&[]),
        other => other?,
    };
    let mut count: c_int = 0;
    // SAFETY: the out pointer is a live local.
    let answer = unsafe { driver.cuDeviceGetCount(&raw mut count) };
    if answer.code() == Some(ErrorCode::NO_DEVICE) {
        return Ok(&[]);
    }
    answer.ok()?;
    if count <= 0 {
        return Ok(&[]);
    }
    let entries = ENTRIES.get_or_try_init(|| {
        (0..count)
            .map(|ordinal| {
                let mut raw: CUdevice = 0;
                // SAFETY: the out pointer is a live local.
                unsafe { driver.cuDeviceGet(&raw mut raw, ordinal) }.ok()?;
                Ok(Entry { driver, raw, ordinal: ordinal.unsigned_abs() })
            })
            .collect::<Result<_>>()
    })?;
    Ok(entries)
}

impl Device {
    /// The number of devices. Zero on a machine whose driver sees none.
    ///
    /// # Errors
    ///
    /// [`Error::DriverNotFound`] without a driver; [`Error::Driver`] if it cannot be initialised.
    ///
    /// ```
    /// let devices = cuda_streams::Device::count()?;
    /// # let _ = devices;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDeviceGetCount")]
    pub fn count() -> Result<u32> {
        Ok(count_of(entries()?))
    }

    /// The device with this ordinal, counted from 0 in the driver's order.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchDevice`] if there are not so many; those of [`count`](Self::count).
    ///
    /// ```
    /// let device = cuda_streams::Device::get(0)?;
    /// assert_eq!(device.ordinal(), 0);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDeviceGet")]
    pub fn get(ordinal: u32) -> Result<Self> {
        let entries = entries()?;
        let entry = usize::try_from(ordinal).ok().and_then(|i| entries.get(i));
        entry.map(Self).ok_or_else(|| no_such_device(ordinal.to_string(), entries))
    }

    /// All devices, in the driver's order.
    ///
    /// # Errors
    ///
    /// Those of [`count`](Self::count).
    ///
    /// ```
    /// let names = cuda_streams::Device::all()?.map(|d| d.name()).collect::<Result<Vec<_>, _>>()?;
    /// # let _ = names;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    pub fn all() -> Result<impl ExactSizeIterator<Item = Self> + Clone> {
        Ok(entries()?.iter().map(Self))
    }

    /// The device with this UUID.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchDevice`] if none has it; those of [`count`](Self::count).
    ///
    /// ```
    /// use cuda_streams::Device;
    ///
    /// let device = Device::get(0)?;
    /// assert_eq!(Device::by_uuid(device.uuid()?)?, device);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    pub fn by_uuid(uuid: DeviceUuid) -> Result<Self> {
        for device in Self::all()? {
            if device.uuid()? == uuid {
                return Ok(device);
            }
        }
        Err(no_such_device(uuid.to_string(), entries()?))
    }

    /// The device at this PCI address, as in `0000:1b:00.0`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchDevice`] if none is there or the text is no address; those of
    /// [`count`](Self::count).
    ///
    /// ```
    /// use cuda_streams::Device;
    ///
    /// let device = Device::get(0)?;
    /// assert_eq!(Device::by_pci_bus_id(&device.pci_bus_id()?)?, device);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDeviceGetByPCIBusId")]
    pub fn by_pci_bus_id(address: &str) -> Result<Self> {
        let entries = entries()?;
        let not_there = || no_such_device(format!("{address:?}"), entries);
        let driver = entries.first().ok_or_else(not_there)?.driver;
        let text = CString::new(address).map_err(|_| not_there())?;
        let mut raw: CUdevice = 0;
        // SAFETY: the out pointer is a live local, the text ends in a zero byte and lives for the call.
        let answer = unsafe { driver.cuDeviceGetByPCIBusId(&raw mut raw, text.as_ptr()) };
        if let Some(ErrorCode::INVALID_VALUE | ErrorCode::INVALID_DEVICE) = answer.code() {
            return Err(not_there());
        }
        answer.ok()?;
        Self::with_raw(raw)
    }

    /// Its ordinal, counted from 0.
    ///
    /// ```
    /// assert_eq!(cuda_streams::Device::get(0)?.ordinal(), 0);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn ordinal(self) -> u32 {
        self.0.ordinal
    }

    /// The device with the driver's handle.
    pub(crate) fn with_raw(raw: CUdevice) -> Result<Self> {
        let entries = entries()?;
        entries.iter().find(|entry| entry.raw == raw).map(Self).ok_or_else(|| no_such_device(format!("with handle {raw}"), entries))
    }

    pub(crate) fn raw(self) -> CUdevice {
        self.0.raw
    }

    pub(crate) fn driver(self) -> &'static Driver {
        self.0.driver
    }

    /// Its driver, unless this process may not call it.
    fn ask(self) -> Result<&'static Driver> {
        exceptions::check().map(|()| self.driver())
    }
}

fn count_of(entries: &[Entry]) -> u32 {
    u32::try_from(entries.len()).unwrap_or(u32::MAX)
}

#[cold]
fn no_such_device(wanted: String, entries: &[Entry]) -> Error {
    Error::NoSuchDevice { wanted: wanted.into(), count: count_of(entries) }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        self.0.ordinal == other.0.ordinal
    }
}

impl Eq for Device {}

impl Hash for Device {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.ordinal.hash(state);
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.0.ordinal)
    }
}

/// `device 0`
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {}", self.0.ordinal)
    }
}
