//! What a device answers of itself, on the newest driver. In a file of its own: the driver is the process's.

use std::ffi::{c_int, c_void};
use std::mem;
use std::sync::Arc;

use cudarc::driver::sys::CUdevice_attribute::{
    CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED,
    CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
    CU_DEVICE_ATTRIBUTE_NUMA_ID, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED,
    CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED,
};
use cudarc::driver::sys::CUlimit::{self, CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH, CU_LIMIT_PRINTF_FIFO_SIZE, CU_LIMIT_STACK_SIZE};
use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaContext, DriverError};
use softcuda::{DeviceKind, Options, Version};

fn context(ordinal: usize) -> Arc<CudaContext> {
    softcuda::install_with(&Options::new().version(Version::Cuda13_0).device(DeviceKind::H200)).expect("the software driver");
    CudaContext::new(ordinal).expect("a context")
}

#[test]
fn the_attributes_are_those_of_an_h200() -> Result<(), DriverError> {
    let context = context(0);
    assert_eq!(context.compute_capability()?, (9, 0));
    for (attribute, value) in [
        (CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 132),
        (CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 6016),
        (CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 60 << 20),
        (CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1),
        (CU_DEVICE_ATTRIBUTE_NUMA_ID, -1),
        // Under Miri there is no other process.
        (CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED, i32::from(!cfg!(miri))),
    ] {
        assert_eq!(context.attribute(attribute)?, value, "{attribute:?}");
    }
    Ok(())
}

/// A program that asks before it uses something is told the truth.
#[test]
fn what_this_driver_lacks_its_devices_lack() -> Result<(), DriverError> {
    let context = context(1);
    for attribute in [CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED] {
        assert_eq!(context.attribute(attribute)?, 0, "{attribute:?}");
    }
    assert_eq!(context.attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?, 48 << 10);
    Ok(())
}

#[test]
fn each_device_has_a_place_of_its_own() -> Result<(), DriverError> {
    let place = |ordinal| context(ordinal).attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID);
    assert_ne!(place(0)?, place(1)?);
    Ok(())
}

/// The last attribute of CUDA 13.0 is 147. cudarc's enum has no numbers beyond its own.
#[test]
fn attributes_of_later_versions_are_unknown() {
    type GetAttribute = unsafe extern "C" fn(*mut c_int, u32, c_int) -> u32;
    let _context = context(0);
    let address = softcuda::symbol(c"cuDeviceGetAttribute").expect("it is exported");
    // SAFETY: the function of this name has these parameters.
    let get = unsafe { mem::transmute::<*const c_void, GetAttribute>(address) };
    for (attribute, code) in [(0, 1), (1, 0), (147, 0), (148, 1), (u32::MAX, 1)] {
        let mut value = 0;
        // SAFETY: the place for the value is alive.
        assert_eq!(unsafe { get(&raw mut value, attribute, 0) }, code, "attribute {attribute}");
    }
}

fn limit(limit: CUlimit) -> Result<usize, CUresult> {
    let mut value = 0;
    // SAFETY: the place for the value is alive.
    let code = unsafe { sys::cuCtxGetLimit(&raw mut value, limit) };
    if code == CUresult::CUDA_SUCCESS { Ok(value) } else { Err(code) }
}

fn set_limit(limit: CUlimit, value: usize) -> CUresult {
    // SAFETY: the function takes numbers.
    unsafe { sys::cuCtxSetLimit(limit, value) }
}

#[test]
fn a_limit_is_of_its_context_and_keeps_what_it_is_set_to() -> Result<(), CUresult> {
    let _context = context(0);
    assert_eq!((limit(CU_LIMIT_STACK_SIZE)?, limit(CU_LIMIT_PRINTF_FIFO_SIZE)?), (1024, 8_650_752));
    assert_eq!(set_limit(CU_LIMIT_STACK_SIZE, 4096), CUresult::CUDA_SUCCESS);
    assert_eq!(limit(CU_LIMIT_STACK_SIZE), Ok(4096));
    assert_eq!((set_limit(CU_LIMIT_STACK_SIZE, 1000), limit(CU_LIMIT_STACK_SIZE)), (CUresult::CUDA_SUCCESS, Ok(1008)), "aligned");
    let _other = context(1);
    assert_eq!(limit(CU_LIMIT_STACK_SIZE), Ok(1024));
    Ok(())
}

#[test]
fn a_limit_that_the_device_lacks_is_told() {
    let _context = context(0);
    let unsupported = CUresult::CUDA_ERROR_UNSUPPORTED_LIMIT;
    assert_eq!(limit(CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH), Err(unsupported));
    assert_eq!(set_limit(CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH, 2), unsupported);
    assert_eq!(limit(CUlimit::CU_LIMIT_MAX), Err(CUresult::CUDA_ERROR_INVALID_VALUE));
}
