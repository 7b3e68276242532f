//! The views of a launch, on memory of the test.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::*;
use crate::raw::ParamKind::{self, Int32, Pointer};

const KINDS: [ParamKind; 3] = [Int32, Pointer, Pointer];

/// Runs `test` with a launch of two pointers to `memory` at these words, declared as `kinds`.
fn with_launch<R>(memory: &mut [u32; 8], words: &[Range<usize>; 2], kinds: [AccessKind; 2], test: impl FnOnce(&Launch<'_>) -> R) -> R {
    let start = memory.as_mut_ptr();
    // SAFETY: the tests name words of the array.
    let first = words.clone().map(|words| unsafe { start.add(words.start) }.cast::<u8>());
    let access = |i: usize| RawAccess { param: i + 1, bytes: 4 * words[i].len(), kind: kinds[i] };
    let ranges = [0, 1].map(|i| RawRange { access: access(i), start: first[i] });
    let values = [7, 0, 0];
    let raw = RawLaunch {
        grid: [2, 1, 1],
        block: [32, 1, 1],
        shared_bytes: 0,
        param_count: values.len(),
        params: values.as_ptr(),
        range_count: ranges.len(),
        ranges: ranges.as_ptr(),
    };
    // SAFETY: the values outlive the launch.
    let arguments = unsafe { Arguments::of("test", &KINDS, &raw) };
    // SAFETY: the memory outlives the launch and is as long as declared.
    test(&unsafe { Launch::of(arguments, &raw) })
}

/// The text of the panic that `view` ends in.
fn refusal(words: &[Range<usize>; 2], kinds: [AccessKind; 2], view: impl FnOnce(&Launch<'_>)) -> String {
    let mut memory = [0; 8];
    let panic =
        with_launch(&mut memory, words, kinds, |launch| catch_unwind(AssertUnwindSafe(|| view(launch))).expect_err("the view is refused"));
    *panic.downcast::<String>().expect("a formatted text")
}

const READ: AccessKind = AccessKind::Read;
const WRITE: AccessKind = AccessKind::Write;
const BOTH: AccessKind = AccessKind::ReadWrite;

#[test]
fn neighbours_are_written_and_read_side_by_side() {
    let mut memory = [1; 8];
    with_launch(&mut memory, &[0..4, 4..8], [READ, WRITE], |launch| {
        assert_eq!((launch.u32(0), launch.threads()), (7, 64));
        launch.slice_mut::<u32>(2).copy_from_slice(&[2, 3, 4, 5]);
        assert_eq!(launch.slice::<u32>(1), [1; 4]);
        assert_eq!(launch.slice::<u8>(1).len(), 16);
    });
    assert_eq!(memory, [1, 1, 1, 1, 2, 3, 4, 5]);
}

#[test]
fn a_mutable_slice_is_alone() {
    let refusal = |view: fn(&Launch<'_>)| refusal(&[0..5, 4..8], [BOTH, BOTH], view);
    let both = refusal(|launch| {
        let _x = launch.slice_mut::<u32>(1);
        let _y = launch.slice_mut::<u32>(2);
    });
    assert!(both.contains("SliceMut of parameter 2 overlaps SliceMut of parameter 1"), "{both}");
    let twice = refusal(|launch| {
        let _x = launch.slice_mut::<u32>(1);
        let _y = launch.slice_mut::<u32>(1);
    });
    assert!(twice.contains("SliceMut of parameter 1 overlaps SliceMut of parameter 1"), "{twice}");
    let read = refusal(|launch| {
        let _x = launch.slice::<u32>(1);
        let _y = launch.slice_mut::<u32>(2);
    });
    assert!(read.contains("SliceMut of parameter 2 overlaps Slice of parameter 1"), "{read}");
}

#[test]
fn cells_of_one_memory_see_each_other() {
    let mut memory = [1; 8];
    with_launch(&mut memory, &[0..8, 0..8], [BOTH, BOTH], |launch| {
        for (x, y) in launch.cells::<u32>(1).iter().zip(launch.cells::<u32>(2)) {
            y.set(y.get() + x.get());
        }
    });
    assert_eq!(memory, [2; 8]);
}

#[test]
fn a_word_is_atomic_or_plain_but_not_both() {
    let mut memory = [0; 8];
    with_launch(&mut memory, &[0..4, 4..8], [BOTH, BOTH], |launch| {
        launch.atomic_u32(1, 3).store(9, Ordering::Relaxed);
        assert_eq!(launch.atomic_u32(1, 3).load(Ordering::Relaxed), 9);
        assert_eq!(launch.watched_u32(1, 3).load(Ordering::Relaxed), 9);
    });
    assert_eq!(memory[3], 9);
    let mixed = |launch: &Launch<'_>| {
        let _word = launch.atomic_u32(1, 3);
        let _words = launch.slice::<u32>(1);
    };
    assert!(refusal(&[0..4, 4..8], [BOTH, BOTH], mixed).contains("Slice of parameter 1 overlaps Atomic of parameter 1"));
    let beyond = |launch: &Launch<'_>| {
        let _word = launch.atomic_u32(1, 4);
    };
    assert!(refusal(&[0..4, 4..8], [BOTH, BOTH], beyond).contains("there is no word 4"));
}

#[test]
fn a_kernel_that_waits_may_watch_its_word_again_and_again() {
    let mut memory = [0; 8];
    let loans = with_launch(&mut memory, &[0..4, 4..8], [READ, READ], |launch| {
        for _ in 0..1000 {
            assert_eq!(launch.watched_u32(1, 0).load(Ordering::Relaxed), 0);
        }
        launch.loans.borrow().len()
    });
    assert_eq!(loans, 1);
}

#[test]
fn views_keep_to_what_was_declared() {
    type View = fn(&Launch<'_>);
    let slice: View = |launch| {
        let _x = launch.slice::<u32>(1);
    };
    let slice_mut: View = |launch| {
        let _x = launch.slice_mut::<u32>(1);
    };
    let cells: View = |launch| {
        let _x = launch.cells::<u32>(1);
    };
    let atomic: View = |launch| {
        let _x = launch.atomic_u32(1, 0);
    };
    let watched: View = |launch| {
        let _x = launch.watched_u32(1, 0);
    };
    let refused = [
        (slice, WRITE, "declared as Write; this view needs `read` or `read_write`"),
        (slice_mut, READ, "declared as Read; this view needs `write` or `read_write`"),
        (cells, READ, "declared as Read; this view needs `read_write`"),
        (cells, WRITE, "declared as Write; this view needs `read_write`"),
        (atomic, READ, "declared as Read; this view needs `awaited`, `atomic` or `read_write`"),
        (atomic, WRITE, "declared as Write; this view needs `awaited`, `atomic` or `read_write`"),
        (watched, WRITE, "declared as Write; this view needs `awaited`, `atomic`, `read` or `read_write`"),
        (slice, AccessKind::Atomic, "declared as Atomic; this view needs `read` or `read_write`"),
        (cells, AccessKind::Awaited, "declared as Awaited; this view needs `read_write`"),
    ];
    for (view, declared, reason) in refused {
        let text = refusal(&[0..4, 4..8], [declared, READ], view);
        assert!(text.contains(reason), "{text}");
    }
    let allowed = [(slice, READ), (slice_mut, WRITE), (watched, READ)];
    let everything = [slice, slice_mut, cells, atomic, watched].map(|view| (view, BOTH));
    let atomically = [AccessKind::Atomic, AccessKind::Awaited].map(|kind| [(atomic, kind), (watched, kind)]);
    for (view, declared) in allowed.into_iter().chain(everything).chain(atomically.into_iter().flatten()) {
        with_launch(&mut [0; 8], &[0..4, 4..8], [declared, READ], view);
    }
}

#[test]
fn a_view_has_the_extent_and_the_parameter_of_its_type() {
    let wide = |launch: &Launch<'_>| {
        let _x = launch.slice::<u64>(1);
    };
    assert!(refusal(&[0..3, 4..8], [READ, READ], wide).contains("no whole number of elements of 8 bytes"));
    let scalar = |launch: &Launch<'_>| {
        let _x = launch.slice::<u32>(0);
    };
    assert!(refusal(&[0..4, 4..8], [READ, READ], scalar).contains("parameter 0 is Int32, not Pointer"));
}

#[test]
fn an_address_has_the_alignment_of_its_elements() {
    let mut memory = [0; 8];
    // Of two neighbouring words one is not aligned to eight bytes.
    let refused = [0..2, 1..3].map(|words| {
        with_launch(&mut memory, &[words, 4..8], [READ, READ], |launch| {
            catch_unwind(AssertUnwindSafe(|| launch.slice::<u64>(1).len())).is_err()
        })
    });
    assert_ne!(refused[0], refused[1]);
}

#[test]
fn a_twin_fails_with_the_code_it_names() {
    let mut memory = [0; 8];
    let code = with_launch(&mut memory, &[0..4, 4..8], [READ, READ], |launch| {
        launch.fail(700);
        launch.failure()
    });
    assert_eq!(code, 700);
}
