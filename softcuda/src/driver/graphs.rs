//! Graphs, executables of them, and user objects: what is there, and how long.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::abi::HostFunction;
use super::clock::{Clock, Moment};
use super::job::UserData;
use super::node::{Node, Plan};
use super::objects::{Point, Serial};
use super::scope::{self, ScopeId};

/// How many references there are to each of several user objects.
pub(super) type References = BTreeMap<Serial, u64>;

/// A graph.
#[derive(Debug)]
pub(super) struct Graph {
    /// Who made it.
    pub(super) scope: ScopeId,
    /// In the order in which they were added.
    pub(super) nodes: Vec<Node>,
    pub(super) references: References,
    /// A capture adds to it.
    pub(super) in_capture: bool,
}

impl Graph {
    pub(super) fn new(in_capture: bool) -> Self {
        Self { scope: scope::current(), nodes: Vec::new(), references: References::new(), in_capture }
    }

    /// Adds a node; its place.
    pub(super) fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The edges, by the places of their nodes: first all that end in the first node.
    pub(super) fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        self.nodes.iter().enumerate().flat_map(|(to, node)| node.after.iter().map(move |from| (*from, to)))
    }

    /// Whether nodes come before others, or are among them.
    pub(super) fn come_before(&self, nodes: &[usize], last: &[usize]) -> bool {
        let mut reached = vec![false; self.nodes.len()];
        for place in last {
            reached[*place] = true;
        }
        // Nodes come after their dependencies.
        for (place, node) in self.nodes.iter().enumerate().rev() {
            if reached[place] {
                for from in &node.after {
                    reached[*from] = true;
                }
            }
        }
        nodes.iter().all(|place| reached[*place])
    }
}

/// An executable graph.
#[derive(Debug)]
pub(super) struct Executable {
    /// Who made it.
    pub(super) scope: ScopeId,
    pub(super) plan: Arc<Plan>,
    pub(super) flags: u64,
    pub(super) references: References,
    /// Streams of its own, by branch.
    pub(super) streams: BTreeMap<usize, Serial>,
    /// Where the last launch ends, and what comes before that.
    pub(super) last: Option<(Point, Option<Moment>)>,
}

/// Something of the caller's that is destroyed once nobody refers to it.
#[derive(Debug)]
pub(super) struct UserObject {
    /// Who made it.
    pub(super) scope: ScopeId,
    pub(super) destroy: HostFunction,
    pub(super) user: UserData,
    /// References of the caller; fewer than none if he has given up more than he had, so that it is never destroyed.
    pub(super) owned: i64,
    /// Those of graphs and executables.
    pub(super) shared: u64,
    /// What the ends of launches come after that needed it, of executables that are gone; without what the scope knew.
    pub(super) needed: Arc<Clock>,
}

/// A destructor that is to run on a thread.
#[derive(Debug)]
pub(super) struct Destructor {
    pub(super) scope: ScopeId,
    pub(super) destroy: HostFunction,
    pub(super) user: UserData,
    /// What has passed when it runs, and so is known to who frees memory in it.
    pub(super) passed: Arc<Clock>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Graphs {
    pub(super) all: BTreeMap<Serial, Graph>,
    pub(super) executables: BTreeMap<Serial, Executable>,
    pub(super) objects: BTreeMap<Serial, UserObject>,
    /// What executables refer to that are gone while a launch of them is under way, which ends there.
    pub(super) in_flight: Vec<(Point, References)>,
    /// Those for threads of the driver: no call has made them superfluous, but the end of a launch.
    pub(super) destructors: VecDeque<Destructor>,
    /// Whose destructors run at the moment, on threads of the driver.
    pub(super) destroying: Vec<ScopeId>,
}

impl Graphs {
    pub(super) const fn new() -> Self {
        Self {
            all: BTreeMap::new(),
            executables: BTreeMap::new(),
            objects: BTreeMap::new(),
            in_flight: Vec::new(),
            destructors: VecDeque::new(),
            destroying: Vec::new(),
        }
    }

    /// Where a node is.
    pub(super) fn node(&self, serial: Serial) -> Option<(&Graph, usize)> {
        let place = |graph: &Graph| graph.nodes.iter().position(|node| node.serial == serial);
        self.all.values().find_map(|graph| Some((graph, place(graph)?)))
    }

    /// Something that refers to user objects is copied.
    pub(super) fn refer_again(&mut self, references: &References) {
        for (serial, count) in references {
            if let Some(object) = self.objects.get_mut(serial) {
                object.shared += count;
            }
        }
    }

    /// Something that refers to user objects is gone. The destructors of those that nobody refers to any more.
    #[must_use]
    pub(super) fn give_up(&mut self, references: References) -> Vec<Destructor> {
        let give_up = |(serial, count)| {
            self.objects.get_mut(&serial)?.shared -= count;
            self.take_if_unused(serial)
        };
        references.into_iter().filter_map(give_up).collect()
    }

    /// Takes a user object away that nobody refers to. Its destructor.
    #[must_use]
    pub(super) fn take_if_unused(&mut self, serial: Serial) -> Option<Destructor> {
        self.objects.get(&serial).filter(|object| object.owned == 0 && object.shared == 0)?;
        let UserObject { scope, destroy, user, needed, .. } = self.objects.remove(&serial)?;
        Some(Destructor { scope, destroy, user, passed: needed })
    }

    /// Leaves destructors to threads of the driver.
    pub(super) fn destroy_later(&mut self, unused: Vec<Destructor>) {
        self.destructors.extend(unused);
    }

    /// The destructor that a thread is to run next.
    pub(super) fn take_destructor(&mut self) -> Option<Destructor> {
        self.destructors.pop_front()
    }

    /// A destructor of a scope has run on a thread of the driver.
    pub(super) fn destroyed(&mut self, scope: ScopeId) {
        if let Some(place) = self.destroying.iter().position(|other| *other == scope) {
            self.destroying.swap_remove(place);
        }
    }

    /// Takes a graph away. The destructors of what it has kept.
    #[must_use]
    pub(super) fn remove(&mut self, serial: Serial) -> Vec<Destructor> {
        self.all.remove(&serial).map(|graph| self.give_up(graph.references)).unwrap_or_default()
    }
}
