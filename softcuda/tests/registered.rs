//! Memory of the program that is page-locked by the driver, and what an address says of its memory.

mod support;

use std::ffi::c_void;
use std::ptr;

use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_FOUND,
    CUDA_SUCCESS,
};
use cudarc::driver::sys::{self, CUdeviceptr, CUmemAttach_flags, CUpointer_attribute, CUresult};
use cudarc::driver::{DriverError, result};
use support::{Hold, context, round_trips};

const WORDS: usize = 4;
const BYTES: usize = size_of::<[u32; WORDS]>();

/// Memory of the program.
struct Own(*mut [u32; WORDS]);

impl Own {
    fn new(words: [u32; WORDS]) -> Self {
        Self(Box::into_raw(Box::new(words)))
    }

    fn start(&self) -> *mut c_void {
        self.0.cast()
    }

    fn get(&self) -> [u32; WORDS] {
        // SAFETY: alive, and no copy is at work on it.
        unsafe { self.0.read() }
    }

    fn set(&self, words: [u32; WORDS]) {
        // SAFETY: as above.
        unsafe { self.0.write(words) };
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // SAFETY: made of a box, and registered no more.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

fn register(start: *mut c_void, bytes: usize, flags: u32) -> CUresult {
    // SAFETY: memory of the test, which outlives its registration.
    unsafe { sys::cuMemHostRegister_v2(start, bytes, flags) }
}

fn unregister(start: *mut c_void) -> CUresult {
    // SAFETY: the driver checks the address.
    unsafe { sys::cuMemHostUnregister(start) }
}

#[test]
fn registered_memory_is_copied_in_stream_order() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let (own, mut data) = (Own::new([1; WORDS]), stream.alloc_zeros::<u32>(WORDS)?);
    stream.synchronize()?;
    assert_eq!(register(own.start(), BYTES, 0), CUDA_SUCCESS);
    let hold = Hold::new(&stream);
    let (to, _) = cudarc::driver::DevicePtrMut::device_ptr_mut(&mut data, &stream);
    // SAFETY: both are as long, and stay.
    assert_eq!(unsafe { sys::cuMemcpyHtoDAsync_v2(to, own.start(), BYTES, stream.cu_stream()) }, CUDA_SUCCESS);
    round_trips(&context)?;
    own.set([2; WORDS]);
    hold.release();
    // Waits for the copy, which has the memory from the program alone.
    assert_eq!(unregister(own.start()), CUDA_SUCCESS);
    own.set([3; WORDS]);
    let mut copied = [0; WORDS];
    // SAFETY: both are as long.
    unsafe { result::memcpy_dtoh_sync(&mut copied, to) }?;
    assert_eq!(copied, [2; WORDS]);
    assert_eq!(own.get(), [3; WORDS], "the memory is still the program's");
    Ok(())
}

#[test]
fn a_range_is_registered_once_and_by_nobody_else_freed() {
    let _context = context(0);
    let own = Own::new([0; WORDS]);
    let inside = own.start().wrapping_byte_add(4);
    assert_eq!(unregister(own.start()), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    assert_eq!(register(own.start(), BYTES, 1), CUDA_SUCCESS);
    assert_eq!(register(own.start(), BYTES, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    assert_eq!(register(inside, 4, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    // SAFETY: the driver refuses what it has not allocated.
    assert_eq!(unsafe { sys::cuMemFreeHost(own.start()) }, CUDA_ERROR_INVALID_VALUE);
    assert_eq!(unregister(inside), CUDA_ERROR_INVALID_VALUE);
    assert_eq!([unregister(own.start()), unregister(own.start())], [CUDA_SUCCESS, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED]);
}

#[test]
fn flags_and_ranges_are_checked() {
    let _context = context(0);
    let own = Own::new([0; WORDS]);
    assert_eq!(register(ptr::null_mut(), BYTES, 0), CUDA_ERROR_INVALID_VALUE);
    assert_eq!(register(own.start(), 0, 0), CUDA_ERROR_INVALID_VALUE);
    assert_eq!(register(own.start(), BYTES, 16), CUDA_ERROR_INVALID_VALUE);
    assert_eq!(register(own.start(), BYTES, 4), CUDA_ERROR_INVALID_VALUE, "registers of another device on the bus");
    assert_eq!(unregister(ptr::null_mut()), CUDA_ERROR_INVALID_VALUE);
}

/// An attribute of an address that is a number of 32 bits.
fn number(attribute: CUpointer_attribute, address: CUdeviceptr) -> Result<u32, CUresult> {
    let mut value = 0_u32;
    // SAFETY: these attributes are at most as long.
    match unsafe { sys::cuPointerGetAttribute((&raw mut value).cast(), attribute, address) } {
        CUDA_SUCCESS => Ok(value),
        code => Err(code),
    }
}

#[test]
fn an_address_tells_its_memory() -> Result<(), DriverError> {
    const HOST: u32 = 1;
    const DEVICE: u32 = 2;
    let (_other, _context) = (context(0), context(1));
    let own = Own::new([0; WORDS]);
    assert_eq!(register(own.start(), BYTES, 0), CUDA_SUCCESS);
    // SAFETY: a context is current.
    let plain = unsafe { result::malloc_sync(BYTES) }?;
    // SAFETY: as above.
    let managed = unsafe { result::malloc_managed(BYTES, CUmemAttach_flags::CU_MEM_ATTACH_GLOBAL) }?;
    let own_address = own.start().expose_provenance() as CUdeviceptr;
    let all = [plain + 4, managed, own_address];
    let is = |attribute| all.map(|address| number(attribute, address));
    assert_eq!(is(CUpointer_attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE), [Ok(DEVICE), Ok(DEVICE), Ok(HOST)]);
    assert_eq!(is(CUpointer_attribute::CU_POINTER_ATTRIBUTE_IS_MANAGED), [Ok(0), Ok(1), Ok(0)]);
    assert_eq!(is(CUpointer_attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL), [Ok(1); 3]);
    let nothing = plain + BYTES as CUdeviceptr;
    assert_eq!(number(CUpointer_attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE, nothing), Err(CUDA_ERROR_INVALID_VALUE));

    let range = |address| {
        let (mut start, mut bytes) = (0, 0);
        // SAFETY: valid places.
        let code = unsafe { sys::cuMemGetAddressRange_v2(&raw mut start, &raw mut bytes, address) };
        (code, start, bytes)
    };
    assert_eq!(range(plain + 4), (CUDA_SUCCESS, plain, BYTES));
    assert_eq!(range(nothing).0, CUDA_ERROR_NOT_FOUND);

    // Several at once: what is not there is zero.
    let mut attributes = [CUpointer_attribute::CU_POINTER_ATTRIBUTE_HOST_POINTER, CUpointer_attribute::CU_POINTER_ATTRIBUTE_RANGE_SIZE];
    let mut several = |address| {
        let mut values = [u64::MAX; 2];
        let [first, second] = &mut values;
        let mut places = [ptr::from_mut(first).cast(), ptr::from_mut(second).cast::<c_void>()];
        // SAFETY: two attributes of 64 bits and their places.
        let code = unsafe { sys::cuPointerGetAttributes(2, attributes.as_mut_ptr(), places.as_mut_ptr(), address) };
        (code, values)
    };
    assert_eq!(several(own_address), (CUDA_SUCCESS, [own_address, BYTES as u64]));
    assert_eq!(several(plain), (CUDA_SUCCESS, [0, BYTES as u64]));
    assert_eq!(several(nothing), (CUDA_SUCCESS, [0, 0]));

    assert_eq!(unregister(own.start()), CUDA_SUCCESS);
    // SAFETY: allocated above, and used no more.
    unsafe { result::free_sync(plain) }?;
    // SAFETY: as above.
    unsafe { result::free_sync(managed) }
}

#[test]
fn page_locked_memory_tells_its_flags() -> Result<(), DriverError> {
    let context = context(0);
    let flags_of = |start: *mut c_void| {
        let mut flags = u32::MAX;
        // SAFETY: a valid place; the driver checks the address.
        (unsafe { sys::cuMemHostGetFlags(&raw mut flags, start) }, flags)
    };
    // SAFETY: nobody reads it.
    let mut pinned = unsafe { context.alloc_pinned_with_flags::<u8>(8, 4) }?;
    assert_eq!(flags_of(pinned.as_mut_ptr()?.wrapping_add(3).cast()), (CUDA_SUCCESS, 6), "all is mapped");
    let mut plain = ptr::null_mut();
    // SAFETY: a valid place.
    assert_eq!(unsafe { sys::cuMemAllocHost_v2(&raw mut plain, 8) }, CUDA_SUCCESS);
    assert_eq!(flags_of(plain), (CUDA_SUCCESS, 2));
    assert_eq!([register(plain, 8, 0), unregister(plain)], [CUDA_ERROR_INVALID_VALUE; 2], "it is the driver's");
    // SAFETY: allocated above.
    assert_eq!(unsafe { sys::cuMemFreeHost(plain) }, CUDA_SUCCESS);
    let own = Own::new([0; WORDS]);
    assert_eq!(flags_of(own.start()).0, CUDA_ERROR_INVALID_VALUE);
    assert_eq!(register(own.start(), BYTES, 1), CUDA_SUCCESS);
    assert_eq!(flags_of(own.start()), (CUDA_SUCCESS, 3));
    assert_eq!(unregister(own.start()), CUDA_SUCCESS);
    Ok(())
}
