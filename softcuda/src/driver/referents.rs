//! What the nodes of a graph refer to, and whether it is still there.

use super::codes::{self, Outcome};
use super::handle::{Handle, Kind};
use super::memory::Memory;
use super::node::{Node, NodeWork, Used};
use super::objects::Serial;
use super::raw::Topic;
use super::report;
use super::state::State;

impl Memory {
    /// The memory that a new node uses.
    pub(super) fn used_by(&self, work: &NodeWork) -> Vec<Used> {
        let used = |address| Some(Used { address, allocation: self.around(address)?.1.id });
        work.addresses().into_iter().filter_map(used).collect()
    }
}

impl State {
    /// Whether an executable can be made of nodes: their events and modules are there. A real driver was seen to crash where
    /// they are not.
    pub(super) fn check_nodes(&self, nodes: &[Node]) -> Outcome {
        nodes.iter().try_for_each(|node| self.check_node(node))
    }

    /// Whether the event or the module of a node is there.
    pub(super) fn check_node(&self, node: &Node) -> Outcome {
        match &node.work {
            NodeWork::Record(event) | NodeWork::Wait(event) if !self.has_event(*event) => Err(codes::INVALID_HANDLE),
            NodeWork::Kernel(kernel) if !self.modules.contains_key(&kernel.module) => {
                let name = &kernel.entry.name;
                report::add(Topic::Handle, format_args!("the graph launches kernel `{name}`, whose module was unloaded"));
                Err(codes::INVALID_HANDLE)
            }
            NodeWork::Child(child) => self.check_nodes(&child.nodes),
            _ => Ok(()),
        }
    }

    /// Whether an event of a node is there, or a report.
    pub(super) fn has_event(&self, event: Serial) -> bool {
        let is_there = self.events.contains_key(&event);
        if !is_there {
            let handle = Handle::new(Kind::Event, event);
            report::add(Topic::Handle, format_args!("the graph records, or waits for, event {handle:?}, which was destroyed"));
        }
        is_there
    }

    /// Whether none of the memory of a node has become another's. What is there no more is found out where it is used.
    pub(super) fn check_memory(&self, node: &Node) -> Outcome {
        let is_another = |used: &&Used| self.memory.around(used.address).is_some_and(|(_, allocation)| allocation.id != used.allocation);
        let Some(Used { address, .. }) = node.memory.iter().find(is_another) else { return Ok(()) };
        let freed = self.freed.describe(*address);
        let text = format_args!("the graph uses an allocation at {address:#x} that is gone{freed}: another allocation has its address");
        report::add(Topic::Memory, text);
        Err(codes::INVALID_VALUE)
    }
}
