//! A running launch: the declared memory as typed views.

use std::cell::{Cell, RefCell};
use std::ops::{Deref, Range};
use std::sync::atomic::AtomicU32;
use std::{ptr, slice};

use crate::arguments::Arguments;
use crate::element::Element;
use crate::raw::{AccessKind, RawAccess, RawLaunch, RawRange};
use crate::watched::WatchedU32;

/// A launch that runs: its [`Arguments`] and the memory that it declared.
///
/// A view lasts as long as the launch. Views that Rust cannot allow beside each other are refused
/// by a panic, even if they come from different parameters (`y = a * x + y` with `x == y`):
///
/// | view | declared as | gives |
/// |---|---|---|
/// | [`slice`](Self::slice) | read, read and written | memory that nothing changes meanwhile |
/// | [`slice_mut`](Self::slice_mut) | written, read and written | memory of which there is no other view |
/// | [`cells`](Self::cells) | read and written | memory that other cells may overlap: for kernels that are launched in place |
/// | [`watched_u32`](Self::watched_u32) | awaited, atomic, read, read and written | a word that the host, or another stream, writes meanwhile |
/// | [`atomic_u32`](Self::atomic_u32) | awaited, atomic, read and written | a word that both sides write |
///
/// The first three are for memory that nobody else touches while the kernel runs. As on hardware,
/// that is the promise of whoever makes the (unsafe) launch.
///
/// A panic ends the launch in `CUDA_ERROR_LAUNCH_FAILED`.
#[derive(Debug)]
pub struct Launch<'a> {
    arguments: Arguments<'a>,
    ranges: &'a [RawRange],
    loans: RefCell<Vec<Loan>>,
    failure: Cell<u32>,
}

/// Memory that a view refers to, until the launch ends.
#[derive(Debug, PartialEq, Eq)]
struct Loan {
    index: usize,
    addresses: Range<usize>,
    view: View,
}

impl Loan {
    fn conflicts(&self, addresses: &Range<usize>, view: View) -> bool {
        let shared = self.view == view && view != View::SliceMut;
        let overlap = self.addresses.start < addresses.end && addresses.start < self.addresses.end;
        overlap && !shared
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Slice,
    SliceMut,
    Cells,
    Atomic,
}

/// What a view does with its memory, and so what the launch must have declared.
#[derive(Clone, Copy, Debug)]
struct Needed {
    kinds: &'static [AccessKind],
    declaration: &'static str,
}

const READS: Needed = Needed { kinds: &[AccessKind::Read, AccessKind::ReadWrite], declaration: "`read` or `read_write`" };
const WRITES: Needed = Needed { kinds: &[AccessKind::Write, AccessKind::ReadWrite], declaration: "`write` or `read_write`" };
const WATCHES: Needed = Needed {
    kinds: &[AccessKind::Awaited, AccessKind::Atomic, AccessKind::Read, AccessKind::ReadWrite],
    declaration: "`awaited`, `atomic`, `read` or `read_write`",
};
const ATOMICALLY: Needed =
    Needed { kinds: &[AccessKind::Awaited, AccessKind::Atomic, AccessKind::ReadWrite], declaration: "`awaited`, `atomic` or `read_write`" };
const BOTH: Needed = Needed { kinds: &[AccessKind::ReadWrite], declaration: "`read_write`" };

impl<'a> Deref for Launch<'a> {
    type Target = Arguments<'a>;

    fn deref(&self) -> &Arguments<'a> {
        &self.arguments
    }
}

impl<'a> Launch<'a> {
    /// # Safety
    ///
    /// `launch` is what the driver gave to a twin's `run`, ranges included, and the call into the
    /// twin outlives `'a`.
    pub(crate) unsafe fn of(arguments: Arguments<'a>, launch: &'a RawLaunch) -> Self {
        let ranges = if launch.range_count == 0 {
            &[]
        } else {
            // SAFETY: the driver gives `range_count` ranges that live as long as the call.
            unsafe { slice::from_raw_parts(launch.ranges, launch.range_count) }
        };
        Self { arguments, ranges, loans: RefCell::default(), failure: Cell::new(0) }
    }

    /// The memory of the pointer `index`, to read.
    ///
    /// # Panics
    ///
    /// If the pointer was not declared as read, if its extent or alignment does not fit `T`, or if
    /// another kind of view has been taken of any of it.
    #[must_use]
    pub fn slice<T: Element>(&self, index: usize) -> &[T] {
        let (access, first, elements) = self.declared::<T>(index, READS);
        self.lend(index, View::Slice, first.addr(), access.bytes);
        // SAFETY: `declared` checked extent and alignment; no view of this launch that can write overlaps.
        unsafe { slice::from_raw_parts(first, elements) }
    }

    /// The memory of the pointer `index`, to write (and to read, if that was declared).
    ///
    /// # Panics
    ///
    /// If the pointer was not declared as written, if its extent or alignment does not fit `T`, or
    /// if any other view has been taken of any of it, by this function included.
    #[must_use]
    #[expect(clippy::mut_from_ref, reason = "each range is lent once; a second view of it panics")]
    pub fn slice_mut<T: Element>(&self, index: usize) -> &mut [T] {
        let (access, first, elements) = self.declared::<T>(index, WRITES);
        self.lend(index, View::SliceMut, first.addr(), access.bytes);
        // SAFETY: `declared` checked extent and alignment; no view of this launch overlaps.
        unsafe { slice::from_raw_parts_mut(first, elements) }
    }

    /// The memory of the pointer `index`, beside other such views of it.
    ///
    /// # Panics
    ///
    /// If the pointer was not declared as read and written, if its extent or alignment does not fit
    /// `T`, or if another kind of view has been taken of any of it.
    #[must_use]
    pub fn cells<T: Element>(&self, index: usize) -> &[Cell<T>] {
        let (access, first, elements) = self.declared::<T>(index, BOTH);
        self.lend(index, View::Cells, first.addr(), access.bytes);
        // SAFETY: `declared` checked extent and alignment; what overlaps is of cells too.
        unsafe { slice::from_raw_parts(first.cast::<Cell<T>>(), elements) }
    }

    /// One word behind the pointer `index`, which others may read and write atomically meanwhile.
    ///
    /// # Panics
    ///
    /// If the pointer was not declared that far as awaited, atomic, or read and written, if the memory is
    /// not aligned to 4 bytes, or if a view that is not atomic has been taken of that word.
    #[must_use]
    pub fn atomic_u32(&self, index: usize, element: usize) -> &AtomicU32 {
        self.word(index, element, ATOMICALLY)
    }

    /// One word behind the pointer `index`, which others may write atomically meanwhile: for kernels
    /// that wait for it.
    ///
    /// # Panics
    ///
    /// If the pointer was not declared that far as awaited, atomic or read, if the memory is not aligned
    /// to 4 bytes, or if a view that is not atomic has been taken of that word.
    #[must_use]
    pub fn watched_u32(&self, index: usize, element: usize) -> WatchedU32<'_> {
        WatchedU32::new(self.word(index, element, WATCHES))
    }

    fn word(&self, index: usize, element: usize, needed: Needed) -> &AtomicU32 {
        let (_, first, elements) = self.declared::<u32>(index, needed);
        let kernel = self.kernel();
        assert!(element < elements, "kernel {kernel}: parameter {index} has {elements} words, there is no word {element}");
        // SAFETY: the word is inside the declared memory, as just checked.
        let word = unsafe { first.add(element) };
        self.lend(index, View::Atomic, word.addr(), size_of::<u32>());
        // SAFETY: `declared` checked the alignment; what overlaps is atomic too.
        unsafe { AtomicU32::from_ptr(word) }
    }

    /// Ends the launch in a result code when the twin returns: no context of the [`Scope`](crate::Scope) is
    /// usable from then on, as after a fault of a real kernel.
    ///
    /// # Panics
    ///
    /// If `code` is 0, which is success.
    pub fn fail(&self, code: u32) {
        assert_ne!(code, 0, "kernel {}: 0 is no failure", self.kernel());
        self.failure.set(code);
    }

    /// The code that the twin ended in.
    pub(crate) fn failure(&self) -> u32 {
        self.failure.get()
    }

    /// What a pointer was declared as, if that is what the view needs, and that memory as elements.
    fn declared<T: Element>(&self, index: usize, needed: Needed) -> (&'a RawAccess, *mut T, usize) {
        let kernel = self.kernel();
        self.expect_pointer(index);
        let range = self.ranges.iter().find(|range| range.access.param == index);
        let Some(RawRange { access, start }) = range else {
            panic!("kernel {kernel}: parameter {index} was not declared");
        };
        assert!(
            needed.kinds.contains(&access.kind),
            "kernel {kernel}: parameter {index} was declared as {:?}; this view needs {}",
            access.kind,
            needed.declaration
        );
        let (bytes, size) = (access.bytes, size_of::<T>());
        if bytes == 0 {
            return (access, ptr::dangling_mut(), 0);
        }
        assert_eq!(
            bytes % size,
            0,
            "kernel {kernel}: the {bytes} bytes of parameter {index} are no whole number of elements of {size} bytes"
        );
        let first = start.cast::<T>();
        assert!(first.is_aligned(), "kernel {kernel}: the address of parameter {index} is not aligned to {size} bytes");
        (access, first, bytes / size)
    }

    /// Notes that a view of these bytes exists until the launch ends.
    fn lend(&self, index: usize, view: View, first: usize, bytes: usize) {
        let addresses = first..first + bytes;
        let mut loans = self.loans.borrow_mut();
        if let Some(other) = loans.iter().find(|loan| loan.conflicts(&addresses, view)) {
            let kernel = self.kernel();
            panic!(
                "kernel {kernel}: {view:?} of parameter {index} overlaps {:?} of parameter {}; kernels \
                 that work in place take cells of both",
                other.view, other.index
            );
        }
        let loan = Loan { index, addresses, view };
        // A kernel that waits may take its view again and again.
        if !loans.contains(&loan) {
            loans.push(loan);
        }
    }
}

#[cfg(test)]
mod tests;
