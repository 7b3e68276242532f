//! What a launch declares: which memory it reads and writes.

use crate::arguments::Arguments;
use crate::element::Element;
use crate::raw::{AccessKind, RawAccess};

/// Collects the memory that a launch reads and writes; see [`Kernel::declare`](crate::Kernel::declare).
///
/// Each function takes the index of a pointer parameter and the number of elements behind it (for
/// an extent in bytes, elements of `u8`). A pointer is declared once. The methods panic on a
/// parameter that is no pointer or was declared before: the launch then fails when it runs.
#[derive(Debug)]
pub struct Accesses<'a> {
    arguments: &'a Arguments<'a>,
    list: Vec<RawAccess>,
}

impl<'a> Accesses<'a> {
    pub(crate) fn of(arguments: &'a Arguments<'a>) -> Self {
        Self { arguments, list: Vec::new() }
    }

    pub(crate) fn into_list(self) -> Vec<RawAccess> {
        self.list
    }

    /// The kernel reads `elements` elements from the pointer `index` on.
    pub fn read<T: Element>(&mut self, index: usize, elements: usize) {
        self.add::<T>(index, elements, AccessKind::Read);
    }

    /// The kernel writes `elements` elements from the pointer `index` on, whatever they were.
    pub fn write<T: Element>(&mut self, index: usize, elements: usize) {
        self.add::<T>(index, elements, AccessKind::Write);
    }

    /// The kernel reads and writes `elements` elements from the pointer `index` on.
    pub fn read_write<T: Element>(&mut self, index: usize, elements: usize) {
        self.add::<T>(index, elements, AccessKind::ReadWrite);
    }

    /// The kernel reads and writes `elements` elements from the pointer `index` on atomically. Others may
    /// do so at the same time, the host included; accesses that are not atomic have to be ordered.
    ///
    /// ```
    /// use softcuda::{Kernel, ParamKind::Pointer};
    ///
    /// Kernel::new("count", [Pointer])
    ///     .declare(|_, memory| memory.atomic::<u32>(0, 1))
    ///     .run(|launch| {
    ///         launch.atomic_u32(0, 0).fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    ///     })
    ///     .register();
    /// ```
    pub fn atomic<T: Element>(&mut self, index: usize, elements: usize) {
        self.add::<T>(index, elements, AccessKind::Atomic);
    }

    /// As [`atomic`](Self::atomic), and the kernel waits until others have written there.
    ///
    /// It may then come after whatever they came after, which the driver cannot see: it reports no
    /// unordered access of this launch, nor of what comes after it, until the host has waited for it.
    pub fn awaited<T: Element>(&mut self, index: usize, elements: usize) {
        self.add::<T>(index, elements, AccessKind::Awaited);
    }

    fn add<T: Element>(&mut self, index: usize, elements: usize, kind: AccessKind) {
        let kernel = self.arguments.kernel();
        self.arguments.expect_pointer(index);
        assert!(self.list.iter().all(|access| access.param != index), "kernel {kernel}: parameter {index} is declared twice");
        let Some(bytes) = elements.checked_mul(size_of::<T>()) else {
            panic!("kernel {kernel}: {elements} elements at parameter {index} exceed the address space");
        };
        self.list.push(RawAccess { param: index, bytes, kind });
    }
}
