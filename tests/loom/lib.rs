//! The event word, compiled from the crate's own file, and the events that use it.

pub mod model;
pub mod sync;
#[allow(dead_code, reason = "a part of it is for what is not explored")]
#[path = "../../src/event/word.rs"]
mod word;
