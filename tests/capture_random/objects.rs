//! The calls of a program that are about graphs, host functions and what is given up.

use std::fmt;
use std::panic::resume_unwind;

use cuda_streams::{Error, GraphExec, Result, Stream};
use cudarc::driver::result;

use super::model::Expect;
use super::program::{EVENTS, Exec, Here, Program, new_event, new_stream};
use crate::common::{device, raw};

impl Program<'_> {
    pub(super) fn launch_host_fn(&mut self, stream: &Stream, number: usize) {
        let (token, value) = (self.token.clone(), self.seed);
        let panics = self.random.once_in(4);
        self.log(format!("host function on {number}, which panics: {panics}"));
        let launched = stream.launch_host_fn(move || {
            drop(token);
            // Not told to the panic hook.
            if panics { resume_unwind(Box::new("on purpose")) } else { value }
        });
        self.check("launch_host_fn", self.model.outside(number), &launched);
        if let Ok(host_fn) = launched
            && !self.random.once_in(3)
        {
            self.host_fns.push((host_fn, (!panics).then_some(value)));
        }
    }

    pub(super) fn join_host_fn(&mut self) {
        if let Some((host_fn, wanted)) = self.host_fns.pop() {
            self.log("join a host function");
            self.joined(&host_fn.join(), wanted);
        }
    }

    pub(super) fn joined(&self, result: &Result<u64>, wanted: Option<u64>) {
        match (result, wanted) {
            (Ok(value), Some(wanted)) if *value == wanted => {}
            (Err(Error::HostFunctionPanicked { .. }), None) => {}
            _ => panic!("the host function answered {result:?}, not {wanted:?}: {self}"),
        }
    }

    pub(super) fn copy(&mut self, stream: &Stream, number: usize) {
        if self.model.takes_work(number) && self.memory.copy(stream) {
            self.log(format!("copy on {number}"));
            self.model.added(number);
        }
    }

    pub(super) fn instantiate(&mut self) {
        let Some(graph) = self.graphs.pop() else { return };
        self.log("instantiate");
        let counts = graph.node_count().and_then(|nodes| Ok((nodes, graph.edge_count()?)));
        self.check("node_count", Expect::Ok, &counts);
        // The copies in it have one place to write to: one of the two is launched.
        let graph = if self.random.once_in(3) { graph.try_clone() } else { Ok(graph) };
        self.check("try_clone", Expect::Ok, &graph);
        // SAFETY: the memory of captured copies outlives the program, which launches nothing else.
        let exec = graph.and_then(|graph| unsafe { graph.instantiate() });
        self.check("instantiate", Expect::Ok, &exec);
        self.execs.extend(exec.map(Exec::Foreign));
    }

    pub(super) fn launch(&mut self, stream: &Stream, number: usize) {
        if self.execs.is_empty() {
            return self.instantiate();
        }
        let (index, uploads) = (self.random.below(self.execs.len()), self.random.once_in(4));
        self.log(format!("{} on {number}", if uploads { "upload" } else { "launch" }));
        let result = match &mut self.execs[index] {
            Exec::Foreign(exec) if uploads => exec.upload(stream),
            Exec::Contained(exec) if uploads => exec.upload(stream),
            Exec::Foreign(exec) => launch(exec, stream),
            Exec::Contained(exec) => exec.launch(stream),
        };
        self.check("launch", self.model.outside(number), &result);
    }

    pub(super) fn capture_events(&mut self, stream: &Stream) {
        let (token, fails) = (self.token.clone(), self.random.once_in(4));
        self.log(format!("a graph of events, which fails: {fails}"));
        let [first, second] = [3, 4].map(|index| &self.events[index]);
        let graph = stream.capture_events(|scope| {
            scope.record(first)?;
            let branch = scope.fork();
            branch.wait_event(second)?;
            branch.keep(token.clone())?;
            scope.host_fn(move || assert!(token.as_ref() == &()))?;
            scope.join(branch);
            scope.record(second)?;
            if fails { Err(Error::CaptureUnjoined) } else { Ok(()) }
        });
        if fails {
            return self.check("capture_events", Expect::Unjoined, &graph);
        }
        let exec = graph.and_then(|graph| graph.instantiate());
        self.check("capture_events and instantiate", Expect::Ok, &exec);
        self.execs.extend(exec.map(Exec::Contained));
    }

    pub(super) fn drop_something(&mut self, event: usize) {
        match self.random.below(4) {
            0 => drop(self.graphs.pop()),
            1 => drop(self.execs.pop()),
            2 => drop(self.host_fns.pop()),
            _ => {
                self.log(format!("event {event} is dropped"));
                self.events[event] = new_event(event);
                self.model.new_event(event, event >= EVENTS - 2);
            }
        }
    }

    pub(super) fn drop_stream(&mut self, index: usize) {
        let number = self.model.new_stream(index == 2);
        let (stream, before) = std::mem::replace(&mut self.streams[index], (new_stream(index), number));
        self.log(format!("stream {before} is dropped, {number} is in its place"));
        drop(stream);
        self.model.dropped(before);
    }

    pub(super) fn legacy(&mut self, event: usize) {
        let legacy = device().default_stream().expect("the legacy default stream");
        self.log(format!("record {event} on the legacy stream"));
        let result = self.events[event].record(&legacy);
        self.check("record on the legacy stream", self.model.legacy(), &result);
        if result.is_ok() {
            self.model.recorded_on_legacy(event);
        }
    }

    /// Calls of others, of which the crate knows nothing: a question about the captured stream, and an end.
    pub(super) fn harm(&mut self, here: Here<'_, '_>) {
        let Some((scope, capture)) = here.filter(|(_, capture)| self.model.inside(*capture) == Expect::Ok) else { return };
        let stream = cuda_streams::AsStream::as_stream(scope).as_raw();
        if self.random.once_in(2) {
            self.log(format!("foreign query in capture {capture}"));
            // SAFETY: the stream is alive.
            let code = unsafe { raw::cuStreamQuery(stream) };
            assert_ne!(code, raw::SUCCESS, "{self}");
            self.model.killed(capture);
        } else {
            let expected = self.model.end_of_others(capture);
            self.log(format!("foreign end of capture {capture}"));
            // SAFETY: the stream is alive.
            let ended = unsafe { result::stream::end_capture(stream.cast()) };
            assert!(expected.is_none_or(|ends| ended.is_ok() == ends), "{ended:?}: {self}");
            let kept = self.kept.remove(&capture).unwrap_or_default();
            self.lost.tokens += kept.tokens;
            self.lost.events.extend(kept.events);
            if let Ok(graph) = ended {
                // SAFETY: nobody else has it.
                unsafe { result::graph::destroy(graph) }.expect("a graph that is there");
            }
        }
    }
}

fn launch(exec: &mut GraphExec, stream: &Stream) -> Result<()> {
    // SAFETY: the memory of captured copies outlives the program, which launches nothing else.
    unsafe { exec.launch(stream) }
}

/// What a failure says.
impl fmt::Display for Program<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program {}: {}", self.seed, self.log.join("; "))
    }
}
