//! The rows of the crate's function table, read from its source.

use std::ffi::CString;

use crate::common::choose_driver;

/// The names of those functions that the driver has.
pub(crate) fn driver_functions() -> Vec<&'static str> {
    functions().into_iter().filter(|name| has(name)).collect()
}

/// Whether the driver has a function.
pub(crate) fn has(function: &str) -> bool {
    choose_driver();
    let name = CString::new(function).expect("no zero byte");
    softcuda::symbol(&name).is_some()
}

/// The function that tells the time between two events: drivers have the second form since 12.8.
pub(crate) fn elapsed_time() -> &'static str {
    if has("cuEventElapsedTime_v2") { "cuEventElapsedTime_v2" } else { "cuEventElapsedTime" }
}

/// Asks about the capture of a stream: drivers have the third form since 12.3.
pub(crate) fn info() -> &'static str {
    if has("cuStreamGetCaptureInfo_v3") { "cuStreamGetCaptureInfo_v3" } else { "cuStreamGetCaptureInfo_v2" }
}

fn functions() -> Vec<&'static str> {
    let (_, table) = include_str!("../../src/driver/table.rs").rsplit_once("table! {").expect("the table is there");
    let rows = table.lines().filter_map(|line| line.trim_start().strip_prefix("fn ")?.split_once('('));
    rows.map(|(name, _)| name).filter(|name| name.starts_with("cu")).collect()
}
