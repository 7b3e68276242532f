//! What the nodes of a graph do, as a launch finds it, and in which order.

use std::sync::Arc;

use super::abi::HostFunction;
use super::job::{Pattern, UserData};
use super::kernel::{Registration, Shape};
use super::objects::Serial;
use super::ptx::Entry;
use super::raw::RawAccess;
use super::side::Side;
use super::value_operation::Operation;

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
    /// Waits for words, and writes words.
    Values(Arc<[Operation]>),
    /// What another graph does.
    Child(Arc<Plan>),
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
    pub(super) module: Serial,
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
            Self::Child(_) => 4,
            Self::Nothing => 5,
            Self::Wait(_) => 6,
            Self::Record(_) => 7,
            Self::Values(_) => 12,
        }
    }

    /// Where it uses memory that the driver is to know.
    pub(super) fn addresses(&self) -> Vec<u64> {
        match self {
            Self::Copy { to, from, .. } => [to, from].into_iter().filter_map(|side| side.device_address()).collect(),
            Self::Fill(fill) => vec![fill.target],
            Self::Values(operations) => operations.iter().map(|operation| operation.address).collect(),
            Self::Kernel(kernel) => {
                let declared = kernel.declared.iter().flatten().filter(|access| access.bytes > 0);
                declared.map(|access| kernel.shape.params[access.param]).collect()
            }
            Self::Nothing | Self::HostFunction(..) | Self::Record(_) | Self::Wait(_) | Self::Child(_) => Vec::new(),
        }
    }
}

/// Memory that a node uses: an address, and the allocation that was there when the node was made. An address of the
/// host may be another's later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) address: u64,
    pub(super) allocation: u64,
}

/// A node of a graph.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What its handle says.
    pub(super) serial: Serial,
    /// Where it runs, if that matters.
    pub(super) context: Option<Serial>,
    pub(super) work: NodeWork,
    pub(super) memory: Vec<Used>,
    /// The nodes that it comes after, by their places, which are before its own.
    pub(super) after: Vec<usize>,
}

/// What an executable does: nodes in an order that dependencies allow, in branches that each run in order.
#[derive(Debug)]
pub(super) struct Plan {
    /// None of them is a child.
    pub(super) nodes: Vec<Node>,
    /// The branch of each node.
    pub(super) branch_of: Vec<usize>,
    pub(super) branches: Vec<Branch>,
}

/// Nodes that run one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branch {
    /// Where they run, if that matters.
    pub(super) context: Option<Serial>,
    /// The last of them, by its place.
    pub(super) last: usize,
}

impl Plan {
    /// Puts each node behind one that it comes after, if none is there yet, or else into a branch of its own.
    pub(super) fn new(nodes: &[Node]) -> Self {
        let nodes = flat(nodes);
        let mut branch_of: Vec<usize> = Vec::with_capacity(nodes.len());
        let mut branches: Vec<Branch> = Vec::new();
        for (place, node) in nodes.iter().enumerate() {
            let has_room = |from: &&usize| {
                let Branch { context, last } = branches[branch_of[**from]];
                last == **from && (context.is_none() || node.context.is_none() || context == node.context)
            };
            let branch = node.after.iter().find(has_room).map(|from| branch_of[*from]);
            let branch = branch.unwrap_or_else(|| {
                branches.push(Branch { context: None, last: place });
                branches.len() - 1
            });
            branches[branch].last = place;
            branches[branch].context = branches[branch].context.or(node.context);
            branch_of.push(branch);
        }
        Self { nodes, branch_of, branches }
    }

    /// The events that it records.
    pub(super) fn recorded(&self) -> impl Iterator<Item = Serial> {
        self.nodes.iter().filter_map(|node| if let NodeWork::Record(event) = node.work { Some(event) } else { None })
    }
}

/// The nodes with those of children in their place: between what comes before a child and one that comes after all of it.
fn flat(nodes: &[Node]) -> Vec<Node> {
    let mut flat: Vec<Node> = Vec::with_capacity(nodes.len());
    // Where each node has gone, or the end of it.
    let mut places = Vec::with_capacity(nodes.len());
    for node in nodes {
        let after: Vec<usize> = node.after.iter().map(|from| places[*from]).collect();
        let last = if let NodeWork::Child(child) = &node.work {
            let first = flat.len();
            let inside = child.nodes.iter().map(|inside| {
                let own = inside.after.iter().map(|from| first + from);
                let after = if inside.after.is_empty() { after.clone() } else { own.collect() };
                Node { after, ..inside.clone() }
            });
            flat.extend(inside);
            let ends = child.branches.iter().map(|branch| first + branch.last);
            let after = if child.branches.is_empty() { after } else { ends.collect() };
            Node { serial: node.serial, context: None, work: NodeWork::Nothing, memory: Vec::new(), after }
        } else {
            Node { after, ..node.clone() }
        };
        places.push(flat.len());
        flat.push(last);
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(work: NodeWork, after: &[usize]) -> Node {
        Node { serial: 0, context: None, work, memory: Vec::new(), after: after.to_vec() }
    }

    fn nothing(after: &[usize]) -> Node {
        node(NodeWork::Nothing, after)
    }

    fn after(plan: &Plan) -> Vec<&[usize]> {
        plan.nodes.iter().map(|node| node.after.as_slice()).collect()
    }

    #[test]
    fn what_follows_one_node_is_in_its_branch() {
        let plan = Plan::new(&[nothing(&[]), nothing(&[0]), nothing(&[0]), nothing(&[1, 2])]);
        assert_eq!(plan.branch_of, [0, 0, 1, 0]);
        assert_eq!(plan.branches.iter().map(|branch| branch.last).collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn a_branch_is_in_one_context() {
        let of = |context| Node { context: Some(context), ..nothing(&[]) };
        let mut nodes = [of(1), of(2), nothing(&[1]), of(1)];
        nodes[1].after = vec![0];
        nodes[3].after = vec![2];
        let plan = Plan::new(&nodes);
        assert_eq!(plan.branch_of, [0, 1, 1, 2]);
        assert_eq!(plan.branches.iter().map(|branch| branch.context).collect::<Vec<_>>(), [Some(1), Some(2), Some(1)]);
    }

    #[test]
    fn a_child_is_between_its_neighbours() {
        let child = Arc::new(Plan::new(&[nothing(&[]), nothing(&[]), nothing(&[1])]));
        let plan = Plan::new(&[nothing(&[]), node(NodeWork::Child(child), &[0]), nothing(&[1])]);
        assert_eq!(after(&plan), [&[][..], &[0], &[0], &[2], &[1, 3], &[4]]);
        let empty = Arc::new(Plan::new(&[]));
        let plan = Plan::new(&[nothing(&[]), node(NodeWork::Child(empty), &[0]), nothing(&[1])]);
        assert_eq!(after(&plan), [&[][..], &[0], &[1]]);
    }
}
