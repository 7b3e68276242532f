//! An old device on an old driver. In a file of its own: the driver is the process's.

use cudarc::driver::sys::CUdevice_attribute::{
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
    CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED,
};
use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaContext, DriverError};
use softcuda::{DeviceKind, Options, Version};

fn install() {
    let options = Options::new().version(Version::Cuda11_4).device(DeviceKind::V100).without("cuMemAllocAsync");
    softcuda::install_with(&options).expect("the software driver");
}

#[test]
fn the_device_is_a_v100() -> Result<(), DriverError> {
    install();
    let context = CudaContext::new(0)?;
    assert_eq!(context.compute_capability()?, (7, 0));
    assert_eq!(context.name()?, "Software CUDA device (V100)");
    assert_eq!(context.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?, 80);
    assert_eq!(context.attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)?, 96 << 10);
    // Of 12.0: the version decides, not the device.
    let unknown = Err(DriverError(CUresult::CUDA_ERROR_INVALID_VALUE));
    assert_eq!(context.attribute(CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED), unknown);
    Ok(())
}

#[test]
fn code_for_later_devices_and_drivers_is_refused() -> Result<(), DriverError> {
    install();
    let context = CudaContext::new(0)?;
    let load = |version, target| {
        let ptx = format!(".version {version}\n.target {target}\n.address_size 64\n.visible .entry k() {{ ret; }}");
        context.load_module(ptx.into()).map(drop)
    };
    let refused = |code| Err(DriverError(code));
    assert_eq!(load("7.4", "sm_70"), Ok(()));
    assert_eq!(load("7.4", "sm_80"), refused(CUresult::CUDA_ERROR_INVALID_PTX));
    assert_eq!(load("7.5", "sm_70"), refused(CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION));
    Ok(())
}

// Where the driver is bound at link time, cudarc does not look for functions.
#[cfg(not(softcuda_linked))]
#[test]
fn nobody_finds_what_the_driver_lacks() {
    install();
    // SAFETY: the driver is found, as just seen.
    let cudarcs = unsafe { sys::culib() };
    // SAFETY: only the address is taken.
    let cudarc_finds = |name: &std::ffi::CStr| unsafe { cudarcs.get::<*const ()>(name.to_bytes_with_nul()) }.is_ok();
    for name in [c"cuStreamGetId", c"cuEventElapsedTime_v2", c"cuGraphAddNode", c"cuMemAllocAsync"] {
        assert_eq!((softcuda::symbol(name), cudarc_finds(name)), (None, false), "{name:?}");
    }
    for name in [c"cuStreamGetCtx", c"cuEventElapsedTime", c"cuGraphAddKernelNode", c"cuMemFreeAsync"] {
        assert!(softcuda::symbol(name).is_some() && cudarc_finds(name), "{name:?}");
    }
    assert_eq!(softcuda::calls("cuStreamGetId"), 0);
}

#[test]
fn the_version_is_told_and_later_codes_have_no_name() {
    install();
    let mut version = 0;
    // SAFETY: the place for the version is alive.
    assert_eq!(unsafe { sys::cuDriverGetVersion(&raw mut version) }, CUresult::CUDA_SUCCESS);
    assert_eq!(version, 11040);
    assert!(DriverError(CUresult::CUDA_ERROR_LAUNCH_FAILED).error_name().is_ok());
    assert!(DriverError(CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE).error_name().is_err(), "it came with 11.7");
}

#[test]
fn the_first_installation_decides() {
    install();
    assert_eq!(softcuda::install(), Ok(()), "nothing is asked for");
    let other = Options::new().version(Version::Cuda12_0);
    assert_eq!(softcuda::install_with(&other), Err("this process has a software driver with other options".to_owned()));
}

#[test]
#[should_panic(expected = "the software driver has no function \"cuStreamGetId\"")]
fn what_the_driver_lacks_cannot_fail() {
    install();
    let _failure = softcuda::inject("cuStreamGetId", 1);
}
