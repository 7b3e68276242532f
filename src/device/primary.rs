//! The state of a device's primary context, which can be asked and set before there is one.

use std::ffi::{c_int, c_uint};

use super::Device;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;

/// How a thread waits in calls that wait for a device: streams, contexts, and events that are not
/// [`blocking_sync`](crate::EventOptions::blocking_sync).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostWait {
    /// The driver chooses: it spins while the process has no more active contexts than the machine has
    /// processors, and yields otherwise.
    #[default]
    #[doc(alias = "CU_CTX_SCHED_AUTO")]
    Auto,
    /// Spins: shortest wait, one processor busy.
    #[doc(alias = "CU_CTX_SCHED_SPIN")]
    Spin,
    /// Spins, and lets other threads run in between.
    #[doc(alias = "CU_CTX_SCHED_YIELD")]
    Yield,
    /// Sleeps until the device interrupts: no processor busy, tens of microseconds later.
    #[doc(alias = "CU_CTX_SCHED_BLOCKING_SYNC")]
    Block,
}

/// The bits of a primary context's flags that say it.
const MASK: c_uint = 7;

impl HostWait {
    const fn bits(self) -> c_uint {
        match self {
            Self::Auto => 0,
            Self::Spin => 1,
            Self::Yield => 2,
            Self::Block => 4,
        }
    }

    /// What the driver would take for another is not one of these.
    const fn of_flags(flags: c_uint) -> Self {
        match flags & MASK {
            1 => Self::Spin,
            2 => Self::Yield,
            4 => Self::Block,
            _ => Self::Auto,
        }
    }
}

impl Device {
    /// Sets how threads wait for the device, for its primary context and the whole process: PyTorch and
    /// cudarc too. Creates no context. Set it before the context's first use: driver 580 takes it at any
    /// time, others may refuse it then.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] as the driver answers; `PRIMARY_CONTEXT_ACTIVE` is documented for a context that
    /// exists already.
    ///
    /// ```
    /// use cuda_streams::{Device, HostWait};
    ///
    /// let device = Device::get(0)?;
    /// device.set_host_wait(HostWait::Block)?;
    /// assert_eq!(device.host_wait()?, HostWait::Block);
    /// # device.set_host_wait(HostWait::Auto)?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDevicePrimaryCtxSetFlags")]
    pub fn set_host_wait(self, how: HostWait) -> Result<()> {
        let (flags, _) = self.primary_state()?;
        // SAFETY: takes integers, and creates nothing.
        unsafe { self.ask()?.cuDevicePrimaryCtxSetFlags_v2(self.0.raw, flags & !MASK | how.bits()) }.ok()
    }

    /// How threads wait for the device, as the driver says.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// use cuda_streams::{Device, HostWait};
    ///
    /// assert_eq!(Device::get(0)?.host_wait()?, HostWait::Auto);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDevicePrimaryCtxGetState")]
    pub fn host_wait(self) -> Result<HostWait> {
        self.primary_state().map(|(flags, _)| HostWait::of_flags(flags))
    }

    /// Whether its primary context exists, made by anybody in this process.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// let _stream = device.stream()?;
    /// assert!(device.is_active()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDevicePrimaryCtxGetState")]
    pub fn is_active(self) -> Result<bool> {
        self.primary_state().map(|(_, is_active)| is_active)
    }

    /// The flags of its primary context, and whether it exists.
    fn primary_state(self) -> Result<(c_uint, bool)> {
        let (mut flags, mut active): (c_uint, c_int) = (0, 0);
        // SAFETY: the out pointers are live locals.
        unsafe { self.ask()?.cuDevicePrimaryCtxGetState(self.0.raw, &raw mut flags, &raw mut active) }.ok()?;
        Ok((flags, active != 0))
    }
}
