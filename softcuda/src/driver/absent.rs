//! What hardware has and this driver lacks, as far as attributes of a device tell.
//!
//! Compiled twice in an ordinary build, like `raw`: the driver answers so, and the crate says why.

/// An attribute of a device that this driver answers otherwise than the hardware that it is like.
///
/// ```
/// let cooperative = softcuda::ABSENT.iter().find(|absent| absent.attribute == 95);
/// assert_eq!(cooperative.map(|absent| absent.answer), Some(0), "no cooperative launches");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Absent {
    /// The attribute's number, of `CUdevice_attribute`.
    pub attribute: u32,
    /// What this driver answers.
    pub answer: i32,
    /// Why.
    pub reason: &'static str,
}

/// All of them, in ascending order. What is built leaves this list.
pub const ABSENT: &[Absent] = &[
    absent(44, "gather from textures: there are no textures"),
    absent(95, "cooperative launches"),
    absent(96, "cooperative launches on several devices"),
    Absent { attribute: 97, answer: 48 << 10, reason: "no kernel can ask for more shared memory" },
    absent(102, "virtual memory management"),
    absent(103, "virtual memory management: handles as file descriptors"),
    absent(107, "compressed memory, which needs virtual memory management"),
    absent(108, "persisting lines of the second-level cache: streams have no attributes"),
    absent(109, "access policies: streams have no attributes"),
    absent(110, "remote access by network cards, to virtual memory management"),
    absent(112, "sparse arrays: there are no arrays"),
    absent(114, "semaphores of other programming interfaces"),
    absent(116, "remote access by network cards"),
    absent(117, "remote access by network cards: flushes"),
    absent(118, "remote access by network cards: ordering"),
    absent(119, "memory pools between processes"),
    absent(120, "clusters of blocks"),
    absent(121, "arrays that are mapped later"),
    absent(124, "memory as a DMA buffer"),
    #[cfg(any(miri, softcuda_shuttle))]
    absent(125, "events between processes: there are none"),
    absent(126, "memory synchronisation domains: launches have no attributes"),
    absent(127, "tensor maps"),
    absent(128, "memory handles between hosts"),
    absent(129, "function pointers of libraries"),
    absent(141, "virtual memory management of host memory, by its node"),
    absent(142, "memory pools of host memory, by its node"),
    absent(144, "memory pools of host memory"),
    absent(145, "virtual memory management of host memory"),
];

const fn absent(attribute: u32, reason: &'static str) -> Absent {
    Absent { attribute, answer: 0, reason }
}
