//! The software driver, compiled from its own files.

#[path = "../../softcuda/src/driver/mod.rs"]
pub mod driver;
