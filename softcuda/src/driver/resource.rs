//! Resources of a device: how many multiprocessors a green context is to have. The numbers add up as on hardware;
//! kernels here take no notice of them.

use std::mem::{MaybeUninit, offset_of};

use super::abi::{In, InOut, Out};
use super::codes::{self, Outcome};
use super::handle::{Handle, Kind, RawHandle};
use super::{device, profile};

/// The types of resources.
const INVALID: u32 = 0;
const MULTIPROCESSORS: u32 = 1;

/// A use of a split: finer parts without guarantees for clusters. Others change nothing, unknown ones too.
const IGNORE_COSCHEDULING: u32 = 1;

/// `CUdevResource`: some of a device's multiprocessors.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Resource {
    kind: u32,
    // What follows up to the count is the driver's own.
    device: i32,
    /// It came out of a split, and is not split again.
    is_part: u32,
    private: MaybeUninit<[u8; 84]>,
    count: u32,
    /// The fewest that a part can have, and what their number is a multiple of.
    fewest: u32,
    alignment: u32,
    unused: MaybeUninit<[u8; 36]>,
}

const _: () = assert!(size_of::<Resource>() == 144 && offset_of!(Resource, count) == 96);

impl Resource {
    fn new(device: i32, count: u32, is_part: bool) -> Self {
        let Granularity { fewest, alignment } = Granularity::of(0);
        Self {
            kind: if count > 0 { MULTIPROCESSORS } else { INVALID },
            device,
            is_part: is_part.into(),
            private: MaybeUninit::zeroed(),
            count,
            fewest,
            alignment,
            unused: MaybeUninit::zeroed(),
        }
    }
}

/// What parts consist of, as the documentation has it for each compute capability.
struct Granularity {
    fewest: u32,
    alignment: u32,
}

impl Granularity {
    fn of(uses: u32) -> Self {
        let (fewest, alignment) = match profile::compute_capability().0 {
            ..8 => (2, 2),
            8 => (4, 2),
            _ if uses & IGNORE_COSCHEDULING != 0 => (2, 2),
            _ => (8, 8),
        };
        Self { fewest, alignment }
    }
}

/// `cuDeviceGetDevResource`.
pub(super) fn get(ordinal: i32, out: Out<Resource>, kind: u32) -> Outcome {
    const COUNT: u32 = 16;
    device::index(ordinal)?;
    if kind != MULTIPROCESSORS {
        return Err(codes::INVALID_RESOURCE_TYPE);
    }
    let count = profile::attribute(COUNT).unwrap_or_default().unsigned_abs();
    out.set(Resource::new(ordinal, count, false));
    Ok(())
}

/// `cuDevSmResourceSplitByCount`: parts of equal size, `count` of them at most, and what is left. Without a place
/// for parts only their number is answered.
///
/// # Safety
///
/// `parts` is null or valid for writes of `count` resources.
pub(super) unsafe fn split(
    parts: *mut Resource,
    count: InOut<u32>,
    whole: In<Resource>,
    rest: Option<Out<Resource>>,
    uses: u32,
    fewest: u32,
) -> Outcome {
    let whole = whole.get();
    if whole.kind != MULTIPROCESSORS {
        return Err(codes::INVALID_RESOURCE_TYPE);
    }
    let granularity = Granularity::of(uses);
    let size = fewest.max(granularity.fewest).checked_next_multiple_of(granularity.alignment);
    let size = size.filter(|size| *size <= whole.count && whole.is_part == 0).ok_or(codes::INVALID_RESOURCE_CONFIGURATION)?;
    let most = whole.count / size;
    if parts.is_null() {
        count.set(most);
        return Ok(());
    }
    if count.get() == 0 {
        return Err(codes::INVALID_VALUE);
    }
    let made = count.get().min(most);
    for index in 0..made as usize {
        // SAFETY: there is room for `count` resources, of which this is one.
        unsafe { parts.wrapping_add(index).write(Resource::new(whole.device, size, true)) };
    }
    count.set(made);
    if let Some(rest) = rest {
        rest.set(Resource::new(whole.device, whole.count - made * size, true));
    }
    Ok(())
}

/// `cuDevResourceGenerateDesc`: what a green context is made from. It needs no end.
///
/// # Safety
///
/// `resources` is null or valid for reads of `count` resources.
pub(super) unsafe fn describe(out: Out<RawHandle>, resources: *const Resource, count: u32) -> Outcome {
    if resources.is_null() || count == 0 {
        return Err(codes::INVALID_VALUE);
    }
    let (mut device, mut multiprocessors) = (None, 0_u32);
    for index in 0..count as usize {
        // SAFETY: there are `count` resources, of which this is one.
        let resource = unsafe { resources.wrapping_add(index).read() };
        if resource.kind != MULTIPROCESSORS {
            return Err(codes::INVALID_RESOURCE_TYPE);
        }
        if *device.get_or_insert(resource.device) != resource.device {
            return Err(codes::INVALID_RESOURCE_CONFIGURATION);
        }
        multiprocessors = multiprocessors.saturating_add(resource.count);
    }
    let number = u64::from(device.unwrap_or_default().unsigned_abs()) << COUNT_BITS | u64::from(multiprocessors.min(MOST));
    out.set(Handle::new(Kind::Resources, number).raw());
    Ok(())
}

/// A descriptor says which device, and how many multiprocessors.
const COUNT_BITS: u32 = 16;
const MOST: u32 = (1 << COUNT_BITS) - 1;

/// The device of a descriptor, unless it is null.
pub(super) fn device_of(descriptor: Handle) -> Option<usize> {
    usize::try_from(descriptor.serial(Kind::Resources)? >> COUNT_BITS).ok()
}

#[cfg(test)]
mod tests {
    use super::super::abi::Argument;
    use super::*;

    fn out<T>(place: &mut MaybeUninit<T>) -> Out<T> {
        // SAFETY: a place.
        unsafe { Out::accept(place.as_mut_ptr()) }.unwrap()
    }

    fn whole() -> Resource {
        let mut whole = MaybeUninit::uninit();
        get(1, out(&mut whole), MULTIPROCESSORS).unwrap();
        // SAFETY: it was written.
        unsafe { whole.assume_init() }
    }

    /// The sizes of the parts, and of what is left.
    fn sizes(whole: &Resource, wanted: u32, uses: u32, fewest: u32) -> Outcome<(Vec<u32>, u32)> {
        let (mut parts, mut rest, mut count) = ([*whole; 8], MaybeUninit::uninit(), wanted);
        // SAFETY: a number.
        let number = unsafe { InOut::accept(&raw mut count) }?;
        // SAFETY: a resource.
        let whole = unsafe { In::accept(&raw const *whole) }?;
        // SAFETY: there is room for as many as are wanted.
        unsafe { split(parts.as_mut_ptr(), number, whole, Some(out(&mut rest)), uses, fewest) }?;
        // SAFETY: it was written.
        let rest = unsafe { rest.assume_init() };
        Ok((parts[..count as usize].iter().map(|part| part.count).collect(), rest.count))
    }

    #[test]
    fn parts_are_of_one_size_and_add_up() {
        let whole = whole();
        assert_eq!((whole.count, whole.fewest, whole.alignment), (132, 8, 8));
        assert_eq!(sizes(&whole, 2, 0, 60), Ok((vec![64, 64], 4)));
        assert_eq!(sizes(&whole, 8, 0, 60), Ok((vec![64, 64], 4)), "there are no more");
        assert_eq!(sizes(&whole, 1, 0, 0), Ok((vec![8], 124)));
        assert_eq!(sizes(&whole, 1, IGNORE_COSCHEDULING, 3), Ok((vec![4], 128)));
        assert_eq!(sizes(&whole, 1, 0, 133), Err(codes::INVALID_RESOURCE_CONFIGURATION));
        assert_eq!(sizes(&whole, 1, 4, 8), Ok((vec![8], 124)));
        assert_eq!(sizes(&whole, 0, 0, 8), Err(codes::INVALID_VALUE), "none are asked for");
        let part = Resource::new(1, 64, true);
        assert_eq!(sizes(&part, 1, 0, 8), Err(codes::INVALID_RESOURCE_CONFIGURATION));
        assert_eq!(sizes(&Resource::new(1, 0, true), 1, 0, 8), Err(codes::INVALID_RESOURCE_TYPE), "nothing was left");
    }

    #[test]
    fn a_descriptor_tells_its_device() {
        let (whole, mut handle) = (whole(), MaybeUninit::uninit());
        // SAFETY: one resource.
        unsafe { describe(out(&mut handle), &raw const whole, 1) }.unwrap();
        // SAFETY: it was written.
        let handle = unsafe { handle.assume_init() };
        // SAFETY: a handle.
        let handle = unsafe { Handle::accept(handle) }.unwrap();
        assert_eq!(device_of(handle), Some(1));
        assert_eq!(device_of(Handle::NULL), None);
    }
}
