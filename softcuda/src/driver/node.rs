//! What the nodes of a graph do, as a launch finds it.

use std::sync::Arc;

use super::abi::HostFunction;
use super::job::{Pattern, UserData};
use super::kernel::{Registration, Shape};
use super::objects::Serial;
use super::ptx::Entry;
use super::raw::RawAccess;
use super::side::Side;

/// What a node does. Addresses are looked up at each launch.
#[derive(Clone, Debug)]
pub(super) enum NodeWork {
    /// Nothing but wait for others.
    Nothing,
    Copy {
        to: Side,
        from: Side,
        bytes: usize,
    },
    Fill(Fill),
    Kernel(Arc<Kernel>),
    HostFunction(HostFunction, UserData),
    /// Records an event.
    Record(Serial),
    /// Waits for the last record of an event.
    Wait(Serial),
}

/// Memory that is set: `rows` of `count` patterns, `pitch` bytes from one to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) target: u64,
    pub(super) pattern: Pattern,
    pub(super) count: usize,
    pub(super) rows: usize,
    pub(super) pitch: usize,
}

/// A launch of a kernel, with what its twin has declared when it was captured; nothing if that failed.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) entry: Arc<Entry>,
    pub(super) twin: Registration,
    pub(super) shape: Shape,
    pub(super) declared: Option<Vec<RawAccess>>,
}

impl NodeWork {
    /// Its number among the types that C has for nodes.
    pub(super) fn number(&self) -> u32 {
        match self {
            Self::Kernel(_) => 0,
            Self::Copy { .. } => 1,
            Self::Fill(_) => 2,
            Self::HostFunction(..) => 3,
            Self::Nothing => 5,
            Self::Wait(_) => 6,
            Self::Record(_) => 7,
        }
    }
}
