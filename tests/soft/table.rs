//! The rows of the crate's function table, read from its source.

/// The names of the driver functions.
pub(crate) fn driver_functions() -> Vec<&'static str> {
    let (_, table) = include_str!("../../src/driver/table.rs").rsplit_once("table! {").expect("the table is there");
    let rows = table.lines().filter_map(|line| line.trim_start().strip_prefix("fn ")?.split_once('('));
    rows.map(|(name, _)| name).filter(|name| name.starts_with("cu")).collect()
}
