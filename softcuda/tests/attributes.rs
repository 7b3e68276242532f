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
    ] {
        assert_eq!(context.attribute(attribute)?, value, "{attribute:?}");
    }
    Ok(())
}

/// A program that asks before it uses something is told the truth.
#[test]
fn what_this_driver_lacks_its_devices_lack() -> Result<(), DriverError> {
    let context = context(1);
    for attribute in
        [CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED, CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED]
    {
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
