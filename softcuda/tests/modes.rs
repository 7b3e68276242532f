//! What the driver pretends to be. One test: the mode is the process's.

use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaContext, DevicePtr, DriverError, result};
use softcuda::{Mode, set_mode};

#[test]
fn the_driver_has_no_device_or_is_none_or_does_nothing_or_works() -> Result<(), DriverError> {
    softcuda::install().expect("the software driver");

    set_mode(Mode::NoDevice);
    assert_eq!(CudaContext::new(0).map(drop), Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)));

    set_mode(Mode::Mismatch);
    assert_eq!(CudaContext::new(0).map(drop), Err(DriverError(CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)));

    set_mode(Mode::Stub);
    let mut version = 0;
    // SAFETY: the place for the version is alive.
    assert_eq!(unsafe { sys::cuDriverGetVersion(&raw mut version) }, CUresult::CUDA_ERROR_STUB_LIBRARY);
    assert_eq!(CudaContext::new(0).map(drop), Err(DriverError(CUresult::CUDA_ERROR_STUB_LIBRARY)));

    set_mode(Mode::Full);
    let stream = CudaContext::new(0)?.new_stream()?;
    let data = stream.clone_htod(&[1_u8; 16])?;
    let (address, _) = data.device_ptr(&stream);

    set_mode(Mode::Null);
    // No safe function: those read results that this mode does not write.
    // SAFETY: memory and stream are alive.
    let set = unsafe { result::memset_d8_async(address, 0, 16, stream.cu_stream()) };
    set_mode(Mode::Full);
    assert_eq!(set, Ok(()), "as if");
    assert_eq!(stream.clone_dtoh(&data)?, [1; 16], "nothing was set");
    Ok(())
}
