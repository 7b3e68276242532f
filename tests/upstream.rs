//! The table of upstream cases, `UPSTREAM.md`, says the same as the tests: each case of its range has a
//! row, and its tests are those that carry its number. Looks at no driver.

use std::collections::BTreeSet;

const TABLE: &str = include_str!("UPSTREAM.md");

/// The cases that there are: the first 120, those about sharing between processes, those about host functions,
/// those about captures and graphs, and those about pools of streams.
const CASES: &[u32] = &[
    1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 18, 19, 20, 21, 22, 25, 27, 28, 30, 31, 32, 33, 34, 35, 38, 39, 40, 42, 43, 44, 45, 46, 47,
    49, 51, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 81, 83, 85, 86, 87, 89, 91,
    92, 93, 94, 95, 96, 97, 98, 100, 101, 103, 104, 106, 107, 109, 110, 114, 116, 119, //
    171, 174, 176, 231, 232, 234, 235, 238, 239, 250, 371, 376, 445, 447, 448, 449, 450, 451, 501, 510, 512, //
    289, 290, 299, 300, 335, 355, 356, 370, 375, 475, 487, 519, //
    252, 253, 254, 255, 256, 257, 258, 260, 261, 262, 263, 264, 265, 266, 267, 268, 269, 270, 271, 311, 313, 314, 315, 316, 318, 319, 368,
    441, 477, 479, 514, 516, //
    362, 363, 364, 365, 366, 384, 385, 386, 387, 390,
];

macro_rules! sources {
    ($($file:literal)*) => {
        /// Each file with tests, and its text.
        const SOURCES: &[(&str, &str)] = &[$(($file, include_str!($file))),*];
    };
}

sources! {
    "after_scope.rs" "capture.rs" "capture_calls.rs" "capture_guard.rs" "capture_kept.rs" "capture_order.rs" "capture_random.rs"
    "context.rs" "copies.rs" "current.rs" "default_stream.rs" "device.rs" "elapsed.rs" "event.rs" "event_pool.rs" "event_pool_fork.rs"
    "event_pool_producer.rs" "event_pool_threads.rs" "exit.rs" "external.rs" "external_events.rs" "external_scope.rs"
    "fault.rs" "foreign_contexts.rs" "foreign_events.rs" "fork.rs" "graph.rs" "graph_events.rs" "graph_example.rs"
    "graph_lifetimes.rs" "green_contexts.rs" "host_fn.rs" "host_fn_dead.rs" "host_fn_inside.rs" "host_fn_work.rs"
    "host_wait.rs" "interop.rs" "ipc_allocation.rs" "ipc_capture.rs" "ipc_events.rs" "ipc_export.rs" "ipc_forged.rs" "ipc_handle.rs"
    "ipc_import.rs" "ipc_kill.rs" "ipc_memory.rs" "ipc_ring.rs" "ipc_torch.rs" "left_out_waits.rs" "lent.rs" "loader.rs"
    "many_threads.rs" "mode.rs" "no_driver.rs" "one_library.rs" "order.rs" "overlap.rs" "raw_handles.rs" "scope.rs"
    "stream.rs" "stream_pool.rs" "timeout.rs" "to_cudarc.rs" "torch_extension.rs" "upstream.rs" "soft/capture.rs"
    "soft/counts.rs" "soft/counts_of_others.rs" "soft/cudarc_order.rs" "soft/dead_context.rs" "soft/errors.rs"
    "soft/event_pool.rs" "soft/event_supply.rs" "soft/failures.rs" "soft/foreign.rs" "soft/graph_example.rs" "soft/host_fn.rs"
    "soft/ipc.rs" "soft/ipc_forged.rs" "soft/leaks.rs" "soft/left_out_waits.rs" "soft/lent_streams.rs" "soft/many_threads.rs"
    "soft/modes.rs" "soft/old_driver.rs" "soft/overlap.rs" "soft/reports.rs" "soft/retired.rs" "soft/scope.rs" "soft/start.rs"
    "soft/stream_pool.rs" "soft/waits_in_captures.rs" "soft/waits_made.rs" "two/contexts.rs" "two/events.rs" "two/external.rs"
    "two/ipc.rs" "two/order.rs" "two/scope.rs"
}

/// The names of all tests, by executable.
const NAMES: &str = include_str!("hardware/tests.txt");

/// A case, and a test of it as `file.rs::function`.
type Place = (u32, String);

/// The rows: a case, and what its last column says.
fn rows() -> Vec<(u32, &'static str)> {
    let row = |line: &'static str| {
        let mut columns = line.strip_prefix("| T")?.strip_suffix(" |")?.split(" | ");
        let case = columns.next()?.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        Some((case, columns.nth(1).unwrap_or_else(|| panic!("no third column: {line}"))))
    };
    TABLE.lines().filter_map(row).collect()
}

/// The tests that a row names.
fn tests_of_row(here: &str) -> impl Iterator<Item = &str> {
    here.split('`').skip(1).step_by(2).filter(|code| code.contains(".rs::"))
}

/// The tests of a file that carry numbers, with these.
fn numbered(file: &str, text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let (mut cases, mut is_test) = (BTreeSet::new(), false);
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("/// ") {
            cases.extend(numbers(comment));
        } else if line.starts_with("#[") {
            is_test |= line == "#[test]";
        } else {
            if let Some(function) = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next()).filter(|_| is_test) {
                cases.extend(function.strip_prefix('t').and_then(|rest| rest.split('_').next()?.parse::<u32>().ok()));
                places.extend(cases.iter().map(|case| (*case, format!("{file}::{function}"))));
            }
            (cases, is_test) = (BTreeSet::new(), false);
        }
    }
    places
}

/// 42 of "T42, and so on".
fn numbers(comment: &str) -> impl Iterator<Item = u32> {
    let words = comment.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| word.strip_prefix('T')?.parse().ok())
}

/// The files of the tests in [`NAMES`]: the executables of tests/ are files, those of tests/soft and tests/two
/// have modules.
fn files_with_tests() -> BTreeSet<String> {
    let file = |name: &str| {
        let (subject, test) = name.split_once("::")?;
        match subject {
            "tests/unit" => None,
            "soft/soft" | "two/two" => Some(format!("{}/{}.rs", &subject[..subject.find('/')?], test.split("::").next()?)),
            _ => Some(format!("{}.rs", subject.strip_prefix("tests/")?)),
        }
    };
    NAMES.lines().filter_map(file).collect()
}

#[test]
fn every_case_has_one_row_with_its_tests_or_a_reason() {
    let cases: Vec<u32> = rows().into_iter().map(|(case, _)| case).collect();
    assert_eq!(cases, CASES, "the rows, in their order");
    for (case, here) in rows() {
        let has_reason = here.strip_prefix("– ").is_some_and(|reason| reason.ends_with('.'));
        assert_ne!(tests_of_row(here).next().is_some(), has_reason, "T{case}: tests, or a reason: {here}");
    }
}

#[test]
fn the_table_names_the_tests_that_carry_the_numbers() {
    let read: BTreeSet<String> = SOURCES.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(read, files_with_tests(), "the files that are read, and those of hardware/tests.txt");
    let in_table: BTreeSet<Place> =
        rows().into_iter().flat_map(|(case, here)| tests_of_row(here).map(move |test| (case, test.to_owned()))).collect();
    let carried: BTreeSet<Place> =
        SOURCES.iter().flat_map(|(file, text)| numbered(file, text)).filter(|(case, _)| CASES.contains(case)).collect();
    let missing: Vec<_> = carried.difference(&in_table).collect();
    assert!(missing.is_empty(), "these tests carry numbers, and are not in the rows of UPSTREAM.md: {missing:#?}");
    let unknown: Vec<_> = in_table.difference(&carried).collect();
    assert!(unknown.is_empty(), "UPSTREAM.md names tests that are not there, or do not carry the number: {unknown:#?}");
}
