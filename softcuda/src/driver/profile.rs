//! What kind of device this driver has: the attributes of hardware, but for what the driver lacks.
//!
//! The H200's are those that driver 580.159.04 (CUDA 13.0) answers. The V100's (SXM2, 16 GB) are what is
//! published: the toolkit's `deviceQuery`, and the tables of compute capability 7.0.

use super::absent::ABSENT;
use super::codes::{self, Outcome};
use super::raw::{DEVICE_V100, DEVICES};
use super::setting::Setting;
use super::version;

/// Threads in a block, and the limits of a block and a grid by dimension.
pub(super) const MAX_BLOCK_THREADS: u32 = 1024;
pub(super) const MAX_BLOCK: [u32; 3] = [1024, 1024, 64];
pub(super) const MAX_GRID: [u32; 3] = [i32::MAX as u32, 65535, 65535];
/// Shared memory of a block, without asking for more.
pub(super) const MAX_SHARED_BYTES: u32 = 48 << 10;
/// Least and greatest priority of streams.
pub(super) const PRIORITIES: (i32, i32) = (0, -5);

/// Attributes that are not zero: number, H200, V100.
#[rustfmt::skip]
const ATTRIBUTES: &[(u32, i32, i32)] = &[
    (1, MAX_BLOCK_THREADS.cast_signed(), MAX_BLOCK_THREADS.cast_signed()), // MAX_THREADS_PER_BLOCK
    (2, MAX_BLOCK[0].cast_signed(), MAX_BLOCK[0].cast_signed()), // MAX_BLOCK_DIM_X
    (3, MAX_BLOCK[1].cast_signed(), MAX_BLOCK[1].cast_signed()), // MAX_BLOCK_DIM_Y
    (4, MAX_BLOCK[2].cast_signed(), MAX_BLOCK[2].cast_signed()), // MAX_BLOCK_DIM_Z
    (5, MAX_GRID[0].cast_signed(), MAX_GRID[0].cast_signed()), // MAX_GRID_DIM_X
    (6, MAX_GRID[1].cast_signed(), MAX_GRID[1].cast_signed()), // MAX_GRID_DIM_Y
    (7, MAX_GRID[2].cast_signed(), MAX_GRID[2].cast_signed()), // MAX_GRID_DIM_Z
    (8, MAX_SHARED_BYTES.cast_signed(), MAX_SHARED_BYTES.cast_signed()), // MAX_SHARED_MEMORY_PER_BLOCK
    (9, 65536, 65536), // TOTAL_CONSTANT_MEMORY
    (10, 32, 32), // WARP_SIZE
    (11, i32::MAX, i32::MAX), // MAX_PITCH
    (12, 65536, 65536), // MAX_REGISTERS_PER_BLOCK
    (13, 1_980_000, 1_530_000), // CLOCK_RATE
    (14, 512, 512), // TEXTURE_ALIGNMENT
    (15, 1, 1), // GPU_OVERLAP
    (16, 132, 80), // MULTIPROCESSOR_COUNT
    (19, 1, 1), // CAN_MAP_HOST_MEMORY
    (21, 131_072, 131_072), // MAXIMUM_TEXTURE1D_WIDTH
    (22, 131_072, 131_072), // MAXIMUM_TEXTURE2D_WIDTH
    (23, 65536, 65536), // MAXIMUM_TEXTURE2D_HEIGHT
    (24, 16384, 16384), // MAXIMUM_TEXTURE3D_WIDTH
    (25, 16384, 16384), // MAXIMUM_TEXTURE3D_HEIGHT
    (26, 16384, 16384), // MAXIMUM_TEXTURE3D_DEPTH
    (27, 32768, 32768), // MAXIMUM_TEXTURE2D_LAYERED_WIDTH
    (28, 32768, 32768), // MAXIMUM_TEXTURE2D_LAYERED_HEIGHT
    (29, 2048, 2048), // MAXIMUM_TEXTURE2D_LAYERED_LAYERS
    (30, 512, 512), // SURFACE_ALIGNMENT
    (31, 1, 1), // CONCURRENT_KERNELS
    (32, 1, 1), // ECC_ENABLED
    (34, 6, 6), // PCI_DEVICE_ID
    (36, 3_201_000, 877_000), // MEMORY_CLOCK_RATE
    (37, 6016, 4096), // GLOBAL_MEMORY_BUS_WIDTH
    (38, 62_914_560, 6_291_456), // L2_CACHE_SIZE
    (39, 2048, 2048), // MAX_THREADS_PER_MULTIPROCESSOR
    (40, 3, 6), // ASYNC_ENGINE_COUNT
    (41, 1, 1), // UNIFIED_ADDRESSING
    (42, 32768, 32768), // MAXIMUM_TEXTURE1D_LAYERED_WIDTH
    (43, 2048, 2048), // MAXIMUM_TEXTURE1D_LAYERED_LAYERS
    (44, 1, 1), // CAN_TEX2D_GATHER
    (45, 32768, 32768), // MAXIMUM_TEXTURE2D_GATHER_WIDTH
    (46, 32768, 32768), // MAXIMUM_TEXTURE2D_GATHER_HEIGHT
    (47, 8192, 8192), // MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE
    (48, 8192, 8192), // MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE
    (49, 32768, 32768), // MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE
    (51, 32, 32), // TEXTURE_PITCH_ALIGNMENT
    (52, 32768, 32768), // MAXIMUM_TEXTURECUBEMAP_WIDTH
    (53, 32768, 32768), // MAXIMUM_TEXTURECUBEMAP_LAYERED_WIDTH
    (54, 2046, 2046), // MAXIMUM_TEXTURECUBEMAP_LAYERED_LAYERS
    (55, 32768, 32768), // MAXIMUM_SURFACE1D_WIDTH
    (56, 131_072, 131_072), // MAXIMUM_SURFACE2D_WIDTH
    (57, 65536, 65536), // MAXIMUM_SURFACE2D_HEIGHT
    (58, 16384, 16384), // MAXIMUM_SURFACE3D_WIDTH
    (59, 16384, 16384), // MAXIMUM_SURFACE3D_HEIGHT
    (60, 16384, 16384), // MAXIMUM_SURFACE3D_DEPTH
    (61, 32768, 32768), // MAXIMUM_SURFACE1D_LAYERED_WIDTH
    (62, 2048, 2048), // MAXIMUM_SURFACE1D_LAYERED_LAYERS
    (63, 32768, 32768), // MAXIMUM_SURFACE2D_LAYERED_WIDTH
    (64, 32768, 32768), // MAXIMUM_SURFACE2D_LAYERED_HEIGHT
    (65, 2048, 2048), // MAXIMUM_SURFACE2D_LAYERED_LAYERS
    (66, 32768, 32768), // MAXIMUM_SURFACECUBEMAP_WIDTH
    (67, 32768, 32768), // MAXIMUM_SURFACECUBEMAP_LAYERED_WIDTH
    (68, 2046, 2046), // MAXIMUM_SURFACECUBEMAP_LAYERED_LAYERS
    (69, 268_435_456, 134_217_728), // MAXIMUM_TEXTURE1D_LINEAR_WIDTH
    (70, 131_072, 131_072), // MAXIMUM_TEXTURE2D_LINEAR_WIDTH
    (71, 65000, 65000), // MAXIMUM_TEXTURE2D_LINEAR_HEIGHT
    (72, 2_097_120, 2_097_120), // MAXIMUM_TEXTURE2D_LINEAR_PITCH
    (73, 32768, 32768), // MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH
    (74, 32768, 32768), // MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT
    (75, 9, 7), // COMPUTE_CAPABILITY_MAJOR
    (77, 32768, 32768), // MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH
    (78, 1, 1), // STREAM_PRIORITIES_SUPPORTED
    (79, 1, 1), // GLOBAL_L1_CACHE_SUPPORTED
    (80, 1, 1), // LOCAL_L1_CACHE_SUPPORTED
    (81, 233_472, 98304), // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
    (82, 65536, 65536), // MAX_REGISTERS_PER_MULTIPROCESSOR
    (83, 1, 1), // MANAGED_MEMORY
    (87, 2, 2), // SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO
    (89, 1, 1), // CONCURRENT_MANAGED_ACCESS
    (90, 1, 1), // COMPUTE_PREEMPTION_SUPPORTED
    (91, 1, 1), // CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM
    (95, 1, 1), // COOPERATIVE_LAUNCH
    (96, 1, 1), // COOPERATIVE_MULTI_DEVICE_LAUNCH
    (97, 232_448, 98_304), // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    (99, 1, 1), // HOST_REGISTER_SUPPORTED
    (102, 1, 1), // VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED
    (103, 1, 1), // HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED
    (106, 32, 32), // MAX_BLOCKS_PER_MULTIPROCESSOR
    (107, 1, 0), // GENERIC_COMPRESSION_SUPPORTED
    (108, 39_321_600, 0), // MAX_PERSISTING_L2_CACHE_SIZE
    (109, 134_217_728, 0), // MAX_ACCESS_POLICY_WINDOW_SIZE
    (110, 1, 1), // GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED
    (111, 1024, 0), // RESERVED_SHARED_MEMORY_PER_BLOCK
    (112, 1, 1), // SPARSE_CUDA_ARRAY_SUPPORTED
    (113, 1, 0), // READ_ONLY_HOST_REGISTER_SUPPORTED
    (114, 1, 1), // TIMELINE_SEMAPHORE_INTEROP_SUPPORTED
    (115, 1, 1), // MEMORY_POOLS_SUPPORTED
    (116, 1, 1), // GPU_DIRECT_RDMA_SUPPORTED
    (117, 1, 1), // GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS
    (118, 100, 100), // GPU_DIRECT_RDMA_WRITES_ORDERING
    (119, 9, 1), // MEMPOOL_SUPPORTED_HANDLE_TYPES
    (120, 1, 0), // CLUSTER_LAUNCH
    (121, 1, 1), // DEFERRED_MAPPING_CUDA_ARRAY_SUPPORTED
    (122, 1, 1), // CAN_USE_64_BIT_STREAM_MEM_OPS
    (123, 1, 1), // CAN_USE_STREAM_WAIT_VALUE_NOR
    (124, 1, 0), // DMA_BUF_SUPPORTED
    (125, 1, 1), // IPC_EVENT_SUPPORTED
    (126, 4, 1), // MEM_SYNC_DOMAIN_COUNT
    (127, 1, 0), // TENSOR_MAP_ACCESS_SUPPORTED
    (128, 1, 0), // HANDLE_TYPE_FABRIC_SUPPORTED
    (129, 1, 0), // UNIFIED_FUNCTION_POINTERS
    (131, -1, -1), // NUMA_ID
    (139, 0x2335_10de, 0x1db1_10de), // GPU_PCI_DEVICE_ID
    (140, 0x18bf_10de, 0x1212_10de), // GPU_PCI_SUBSYSTEM_ID
    (141, 1, 0), // HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED
    (142, 1, 0), // HOST_NUMA_MEMORY_POOLS_SUPPORTED
    (144, 1, 0), // HOST_MEMORY_POOLS_SUPPORTED
    (145, 1, 0), // HOST_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED
];

/// Limits of a new context: H200, V100; nothing where the device has no such limit. By number: stack of a
/// thread, buffer of `printf`, heap, depth of launches by kernels, their number, bytes fetched into the
/// second-level cache at a time, bytes that stay there, shared memory of a block, two of graphics.
const LIMITS: [(Option<usize>, Option<usize>); 10] = [
    (Some(1024), Some(1024)),
    (Some(132 << 16), Some(80 << 16)),
    (Some(8 << 20), Some(8 << 20)),
    (None, Some(2)),
    (Some(2048), Some(2048)),
    (Some(64), Some(64)),
    (Some(11_796_480), None),
    (Some(232_448), Some(98304)),
    (Some(0), Some(0)),
    (None, None),
];

static DEVICE: Setting = Setting::new("SOFTCUDA_DEVICE", &DEVICES);

/// Changes the kind of all devices. False for a number that is none.
pub(super) fn set(device: u32) -> bool {
    DEVICE.set(device)
}

/// The devices' name: not that of hardware, so that nobody takes a result for one of hardware.
pub(super) fn name() -> &'static str {
    if DEVICE.get() == DEVICE_V100 { "Software CUDA device (V100)" } else { "Software CUDA device" }
}

/// Major and minor number.
pub(super) fn compute_capability() -> (i32, i32) {
    (hardware(75), hardware(76))
}

/// An attribute, unless the driver's version does not know it.
pub(super) fn attribute(number: u32) -> Option<i32> {
    if !(1..=version::get().last_attribute).contains(&number) {
        return None;
    }
    let absent = ABSENT.iter().find(|absent| absent.attribute == number);
    Some(absent.map_or_else(|| hardware(number), |absent| absent.answer))
}

/// A limit of a new context.
pub(super) fn limit(number: u32) -> Outcome<usize> {
    let known = number <= version::get().last_limit;
    let row = LIMITS.get(number as usize).filter(|_| known).ok_or(codes::INVALID_VALUE)?;
    let limit = if DEVICE.get() == DEVICE_V100 { row.1 } else { row.0 };
    limit.ok_or(codes::UNSUPPORTED_LIMIT)
}

/// An attribute of the device that this one is like.
fn hardware(number: u32) -> i32 {
    let row = ATTRIBUTES.iter().find(|row| row.0 == number);
    row.map_or(0, |row| if DEVICE.get() == DEVICE_V100 { row.2 } else { row.1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attribute_has_one_row_of_each_table() {
        assert!(ATTRIBUTES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(ABSENT.is_sorted_by(|a, b| a.attribute < b.attribute));
    }

    #[test]
    fn what_is_absent_is_there_on_hardware() {
        for absent in ABSENT {
            let hardware = ATTRIBUTES.iter().find(|row| row.0 == absent.attribute);
            assert!(hardware.is_some_and(|row| row.1 != absent.answer), "{absent:?} is so on hardware");
        }
    }
}
