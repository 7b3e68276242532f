//! Captures, graphs and executables of the probes, destroyed at the end of the probe.

use std::ops::Deref;
use std::ptr::null_mut;

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::Fixture;
use crate::outcome::Outcome;
use crate::structs::Edge;

/// `CU_STREAM_CAPTURE_MODE_GLOBAL`
pub(crate) const GLOBAL: u32 = 0;
/// `CU_STREAM_CAPTURE_MODE_THREAD_LOCAL`
pub(crate) const THREAD_LOCAL: u32 = 1;
/// `CU_STREAM_CAPTURE_MODE_RELAXED`
pub(crate) const RELAXED: u32 = 2;

/// A graph, as its handle; null where none came to be.
#[derive(Debug)]
pub(crate) struct Graph<'f> {
    fixture: &'f Fixture,
    handle: Handle,
}

/// What a graph was instantiated to, as its handle; null where nothing came to be.
#[derive(Debug)]
pub(crate) struct Executable<'f> {
    fixture: &'f Fixture,
    handle: Handle,
}

impl Fixture {
    /// Lets `stream` capture in the thread-local mode.
    pub(crate) fn begin(&self, stream: Handle) -> Code {
        self.driver.cuStreamBeginCapture_v2(stream, THREAD_LOCAL)
    }

    pub(crate) fn end(&self, stream: Handle) -> (Code, Graph<'_>) {
        let mut graph = Handle::NULL;
        let code = self.driver.cuStreamEndCapture(stream, Some(&mut graph));
        (code, self.graph_of(graph))
    }

    /// The code of the end alone.
    pub(crate) fn end_code(&self, stream: Handle) -> Code {
        self.end(stream).0
    }

    pub(crate) fn graph_of(&self, handle: Handle) -> Graph<'_> {
        Graph { fixture: self, handle }
    }

    /// What `work` enqueues on the stream that it gets.
    pub(crate) fn captured<T>(&self, work: impl FnOnce(Handle) -> T) -> Graph<'_> {
        let stream = self.stream();
        self.begin(*stream);
        work(*stream);
        self.end(*stream).1
    }

    /// The same, instantiated; the graph is destroyed.
    pub(crate) fn executable<T>(&self, work: impl FnOnce(Handle) -> T) -> Executable<'_> {
        self.captured(work).instantiate().1
    }

    /// A graph of no nodes.
    pub(crate) fn empty_graph(&self) -> Graph<'_> {
        let mut handle = Handle::NULL;
        self.driver.cuGraphCreate(Some(&mut handle), 0);
        self.graph_of(handle)
    }

    /// Whether `stream` captures, in a word; the code if the driver does not say.
    pub(crate) fn status(&self, stream: Handle) -> Outcome {
        let mut status = 9;
        match self.driver.cuStreamIsCapturing(stream, Some(&mut status)) {
            Code::SUCCESS => status_word(status).into(),
            code => code.into(),
        }
    }

    /// Lets `second` wait for what is on `first` now, by an event that is destroyed at once.
    pub(crate) fn join(&self, second: Handle, first: Handle) -> [Code; 2] {
        let event = self.event(crate::handles::DISABLE_TIMING);
        [self.driver.cuEventRecord(*event, first), self.driver.cuStreamWaitEvent(second, *event, 0)]
    }

    /// Waits for what is on `stream` now, in bounded time.
    pub(crate) fn finish(&self, stream: Handle) -> Code {
        self.ends(*self.recorded(stream))
    }
}

pub(crate) fn status_word(status: u32) -> String {
    match status {
        0 => "none".to_owned(),
        1 => "active".to_owned(),
        2 => "invalidated".to_owned(),
        other => format!("status {other}"),
    }
}

/// `CUgraphNodeType`
fn kind_word(kind: u32) -> String {
    let words = ["kernel", "memcpy", "memset", "host", "graph", "empty", "wait", "record", "signal", "semaphore", "alloc", "free", "batch"];
    words.get(kind as usize).map_or_else(|| format!("type {kind}"), |&word| word.to_owned())
}

impl<'f> Graph<'f> {
    /// The handle, for a probe that destroys it itself.
    pub(crate) fn into_handle(self) -> Handle {
        let handle = self.handle;
        std::mem::forget(self);
        handle
    }

    pub(crate) fn instantiate(&self) -> (Code, Executable<'f>) {
        let mut handle = Handle::NULL;
        let code = self.fixture.driver.cuGraphInstantiateWithFlags(Some(&mut handle), self.handle, 0);
        (code, Executable { fixture: self.fixture, handle })
    }

    pub(crate) fn clone_of(&self) -> (Code, Graph<'f>) {
        let mut handle = Handle::NULL;
        let code = self.fixture.driver.cuGraphClone(Some(&mut handle), self.handle);
        (code, self.fixture.graph_of(handle))
    }

    /// Its nodes, in the driver's order.
    pub(crate) fn nodes(&self) -> Vec<Handle> {
        let (driver, mut count) = (self.fixture.driver, 0);
        driver.cuGraphGetNodes(self.handle, null_mut(), Some(&mut count));
        let mut nodes = vec![Handle::NULL; count];
        driver.cuGraphGetNodes(self.handle, nodes.as_mut_ptr(), Some(&mut count));
        nodes
    }

    /// Its nodes by type, in the driver's order, and its edges by the nodes' numbers, sorted.
    pub(crate) fn shape(&self) -> Outcome {
        if self.handle == Handle::NULL {
            return "no graph".into();
        }
        let (driver, nodes, mut count) = (self.fixture.driver, self.nodes(), 0);
        let kind = |&node: &Handle| {
            let mut kind = 99;
            driver.cuGraphNodeGetType(node, Some(&mut kind));
            kind_word(kind)
        };
        let kinds: Vec<String> = nodes.iter().map(kind).collect();
        driver.cuGraphGetEdges_v2(self.handle, null_mut(), null_mut(), null_mut(), Some(&mut count));
        let (mut from, mut to, mut edges) = (vec![Handle::NULL; count], vec![Handle::NULL; count], vec![Edge::default(); count]);
        driver.cuGraphGetEdges_v2(self.handle, from.as_mut_ptr(), to.as_mut_ptr(), edges.as_mut_ptr(), Some(&mut count));
        let number = |node: &Handle| nodes.iter().position(|other| other == node).unwrap_or(99);
        let mut pairs: Vec<(usize, usize)> = from.iter().zip(&to).map(|(from, to)| (number(from), number(to))).collect();
        pairs.sort_unstable();
        let pairs: Vec<String> = pairs.iter().map(|(from, to)| format!("{from}-{to}")).collect();
        format!("[{}] [{}]", kinds.join(" "), pairs.join(" ")).into()
    }
}

impl Executable<'_> {
    /// The handle, for a probe that destroys it itself.
    pub(crate) fn into_handle(self) -> Handle {
        let handle = self.handle;
        std::mem::forget(self);
        handle
    }

    pub(crate) fn launch(&self, stream: Handle) -> Code {
        self.fixture.driver.cuGraphLaunch(self.handle, stream)
    }
}

impl Deref for Graph<'_> {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Deref for Executable<'_> {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Graph<'_> {
    fn drop(&mut self) {
        if self.handle != Handle::NULL {
            self.fixture.driver.cuGraphDestroy(self.handle);
        }
    }
}

impl Drop for Executable<'_> {
    fn drop(&mut self) {
        if self.handle != Handle::NULL {
            self.fixture.driver.cuGraphExecDestroy(self.handle);
        }
    }
}
