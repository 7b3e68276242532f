//! A program: random calls on three streams, each of which answers what the model says.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use cuda_streams::{
    AsStream, CaptureMode, CaptureScope, Contained, Context, Dynamic, Error, Event, EventOptions, Graph, GraphExec, HostFn, Result, Stream,
    StreamOptions,
};

use super::memory::Memory;
use super::model::{Expect, Model};
use super::random::Random;
use crate::common::device;

/// How many calls a program makes, about, and how deep captures are nested.
const CALLS: usize = if cfg!(miri) { 12 } else { 24 };
const DEPTH: usize = 3;
/// Events in places 3 and 4 are external.
pub(super) const EVENTS: usize = 5;
const MODES: [CaptureMode; 3] = [CaptureMode::Global, CaptureMode::ThreadLocal, CaptureMode::Relaxed];
/// As long as this a stream that works may take.
const BOUND: Duration = Duration::from_secs(if cfg!(miri) { 1000 } else { 20 });

pub(crate) struct Program<'m> {
    pub(super) seed: u64,
    pub(super) random: Random,
    pub(super) model: Model,
    calls: usize,
    /// With the number that the model has for it.
    pub(super) streams: [(Stream, usize); 3],
    pub(super) events: [Event<Dynamic>; EVENTS],
    pub(super) graphs: Vec<Graph>,
    pub(super) execs: Vec<Exec>,
    pub(super) host_fns: Vec<(HostFn<u64>, Option<u64>)>,
    /// Held by everything that is kept by a graph or a host function.
    pub(super) token: Arc<()>,
    /// What each capture's graph is to keep.
    pub(super) kept: HashMap<usize, Kept>,
    /// What is kept for good, because others have ended its capture.
    pub(super) lost: Kept,
    pub(super) memory: &'m mut Memory,
    /// Another thread works beside this one: a capture that concerns all threads may end by it.
    pub(super) is_beside: bool,
    pub(super) log: Vec<String>,
}

/// How many tokens, and which of the driver's events, by their addresses.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) tokens: usize,
    pub(super) events: BTreeSet<usize>,
}

pub(super) enum Exec {
    Foreign(GraphExec),
    Contained(GraphExec<Contained>),
}

/// Inside a capture: what the closure has, and the number that the model has for it.
pub(super) type Here<'a, 's> = Option<(&'a CaptureScope<'s>, usize)>;

/// Why a closure fails, and with which payload it panics.
#[derive(Debug)]
enum Failure {
    OnPurpose,
    Cuda(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Cuda(error)
    }
}

pub(super) fn new_event(index: usize) -> Event<Dynamic> {
    match index {
        0 | 1 => Event::new().into_dynamic(),
        2 => Event::timed().into_dynamic(),
        3 => EventOptions::new().external(true).build().into_dynamic(),
        _ => EventOptions::new().timed().external(true).build().into_dynamic(),
    }
}

pub(super) fn new_stream(index: usize) -> Stream {
    device().stream_with(StreamOptions::new().blocking(index == 2)).expect("a stream")
}

impl<'m> Program<'m> {
    pub(crate) fn new(seed: u64, memory: &'m mut Memory) -> Self {
        let mut model = Model::default();
        for index in 0..EVENTS {
            model.new_event(index, index >= 3);
        }
        memory.begin();
        Self {
            seed,
            random: Random::new(seed),
            calls: CALLS,
            streams: std::array::from_fn(|index| (new_stream(index), model.new_stream(index == 2))),
            model,
            events: std::array::from_fn(new_event),
            graphs: Vec::new(),
            execs: Vec::new(),
            host_fns: Vec::new(),
            token: Arc::new(()),
            kept: HashMap::new(),
            lost: Kept::default(),
            memory,
            is_beside: false,
            log: Vec::new(),
        }
    }

    /// Runs it to its end, when the streams work and nothing is kept, but what is for good; how many events those are.
    pub(crate) fn run(mut self) -> usize {
        while self.calls > 0 {
            self.calls(None, 0);
        }
        for (stream, _) in &self.streams {
            let event = stream.record_event();
            self.check("record at the end", Expect::Ok, &event);
        }
        let streams = self.streams.each_ref().map(|(stream, _)| stream.clone());
        self.memory.pass_through(&streams);
        for stream in &streams {
            let done = stream.synchronize_timeout(BOUND);
            assert_eq!(done, Ok(true), "{self}");
        }
        self.memory.assert_passed(self.seed);
        let done = device().context().and_then(Context::synchronize);
        self.check("cuCtxSynchronize at the end", Expect::Ok, &done);
        for (host_fn, wanted) in mem::take(&mut self.host_fns) {
            self.joined(&host_fn.join(), wanted);
        }
        let token = self.token.clone();
        let (seed, log, lost) = (self.seed, mem::take(&mut self.log), mem::take(&mut self.lost));
        drop((self, streams));
        let is_so = || Arc::strong_count(&token) == 1 + lost.tokens;
        super::eventually(is_so, || format!("program {seed}: more than {} are kept for good after {log:?}", lost.tokens));
        lost.events.len()
    }

    /// Some calls, of this thread.
    pub(super) fn calls(&mut self, here: Here<'_, '_>, depth: usize) {
        for _ in 0..=self.random.below(8) {
            if self.calls == 0 {
                return;
            }
            self.calls -= 1;
            self.call(here, depth);
            self.check_status();
        }
    }

    fn check_status(&self) {
        for (stream, number) in &self.streams {
            let (status, expected) = (stream.capture_status(), self.model.status(*number));
            assert!(expected.is_none_or(|expected| status == Ok(expected)), "stream {number} is {status:?}, not {expected:?}: {self}");
        }
    }

    pub(super) fn log(&mut self, call: impl Into<String>) {
        self.log.push(call.into());
    }

    #[track_caller]
    pub(super) fn check<T: Debug>(&self, call: &str, expect: Expect, result: &Result<T>) {
        assert!(expect.is_met_by(result), "{call} answered {result:?}, not {expect:?}: {self}");
    }

    /// One call, or a few that belong together.
    fn call(&mut self, here: Here<'_, '_>, depth: usize) {
        let (index, event) = (self.random.below(3), self.random.below(EVENTS));
        let (stream, number) = self.streams[index].clone();
        if here.is_some() && self.random.once_in(2) {
            return self.call_inside(here, &stream, number, event);
        }
        match self.random.below(40) {
            0..=4 => self.record(&stream, number, event),
            5..=9 => self.wait(&stream, number, event),
            10..=12 => self.wait_stream(&stream, number),
            13 => self.ask("query", number, &stream.query()),
            14 => self.ask("synchronize", number, &stream.synchronize()),
            15 | 16 => self.ask_event(event),
            17..=22 if depth < DEPTH => self.capture(&stream, number, depth),
            17 | 23 => self.launch_host_fn(&stream, number),
            24 => self.join_host_fn(),
            25 => self.copy(&stream, number),
            26 | 27 => self.instantiate(),
            28 | 29 => self.launch(&stream, number),
            30 => self.drop_something(event),
            31 => self.drop_stream(index),
            32 => self.capture_events(&stream),
            33 if self.random.once_in(3) => self.elsewhere(depth),
            33 if self.random.once_in(4) => self.beside(here, depth),
            34 => self.legacy(event),
            35 => {
                self.log("cuCtxSynchronize");
                let done = stream.context().synchronize();
                self.check("cuCtxSynchronize", self.model.synchronize_context(), &done);
            }
            36 => self.harm(here),
            _ => self.call_inside(here, &stream, number, event),
        }
    }

    fn record(&mut self, stream: impl AsStream, number: usize, event: usize) {
        self.log(format!("record {event} on {number}"));
        let result = self.events[event].record(stream);
        self.check("record", self.model.record(number), &result);
        if result.is_ok() {
            self.has_node(number, event);
            self.model.recorded(number, event);
        }
    }

    fn wait(&mut self, stream: impl AsStream, number: usize, event: usize) {
        self.log(format!("{number} waits for event {event}"));
        let result = self.events[event].wait(stream);
        self.check("wait", self.model.wait(number, event), &result);
        if result.is_ok() {
            self.has_node(number, event);
            self.model.waited(number, event);
        }
    }

    /// An external event is a node where the stream is captured.
    fn has_node(&mut self, stream: usize, event: usize) {
        if event >= EVENTS - 2
            && let (Some(capture), Some(raw)) = (self.model.capture_of(stream), self.events[event].as_raw())
        {
            self.kept.entry(capture).or_default().events.insert(raw.addr());
        }
    }

    fn wait_stream(&mut self, stream: impl AsStream, number: usize) {
        let (other, theirs) = self.streams[self.random.below(3)].clone();
        self.wait_for(stream, number, &other, theirs);
    }

    fn wait_for(&mut self, stream: impl AsStream, number: usize, other: impl AsStream, theirs: usize) {
        self.log(format!("{number} waits for {theirs}"));
        let result = stream.as_stream().wait_stream(other);
        self.check("wait_stream", self.model.wait_stream(number, theirs), &result);
        if result.is_ok() {
            self.model.waited_for_stream(number, theirs);
        }
    }

    fn ask<T: Debug>(&mut self, call: &str, number: usize, result: &Result<T>) {
        self.log(format!("{call} {number}"));
        self.check(call, self.model.outside(number), result);
    }

    fn ask_event(&mut self, event: usize) {
        let waits = self.random.once_in(2);
        self.log(format!("{} event {event}", if waits { "synchronize" } else { "query" }));
        let done = if waits { self.events[event].synchronize().map(|()| true) } else { self.events[event].query() };
        self.check("query of an event", self.model.query(event), &done);
        if done == Ok(true) {
            self.model.seen_complete(event);
        }
    }

    fn capture(&mut self, stream: &Stream, number: usize, depth: usize) {
        let (mode, ending) = (self.random.pick(&MODES), self.random.below(6));
        self.log(format!("capture {number} {mode:?} {{"));
        let (mut inner, mut after) = (None, None);
        let is_vague = self.is_beside && mode == CaptureMode::Global;
        let expected = match self.model.begin(number) {
            // The other thread's call may end it before it is told of.
            Expect::Ok if is_vague => Expect::Any,
            expected => expected,
        };
        let captured = catch_unwind(AssertUnwindSafe(|| {
            stream.capture(mode, |scope| {
                let capture = self.model.begun(number, is_vague);
                inner = Some(capture);
                self.calls(Some((scope, capture)), depth + 1);
                if ending < 4 {
                    self.join_all(scope, number);
                }
                self.log(format!("}} of {number}, ending {ending}"));
                after = Some(self.model.end(capture));
                match ending {
                    4 => Err(Failure::OnPurpose),
                    // Not told to the panic hook.
                    5 => resume_unwind(Box::new(Failure::OnPurpose)),
                    _ => Ok(()),
                }
            })
        }));
        let captured = match captured {
            Ok(captured) => captured,
            Err(panic) if ending == 5 && panic.is::<Failure>() => return,
            Err(panic) => resume_unwind(panic),
        };
        let result = match captured {
            Err(Failure::OnPurpose) if ending == 4 => return,
            Err(Failure::OnPurpose) => panic!("an error that is not this closure's: {self}"),
            Err(Failure::Cuda(error)) => Err(error),
            Ok(graph) => Ok(graph),
        };
        assert!(inner.is_none() || ending < 4, "the failure of the closure is lost, {result:?}: {self}");
        self.check("capture", after.unwrap_or(expected), &result);
        assert!(inner.is_some() || result.is_err(), "nothing was captured: {self}");
        self.graphs.extend(result);
    }

    /// The captured stream waits for all that joined. Now and then that is forgotten.
    fn join_all(&mut self, scope: &CaptureScope<'_>, number: usize) {
        for index in 0..3 {
            let (other, theirs) = self.streams[index].clone();
            if self.random.once_in(8) || self.model.wait_stream(number, theirs) != Expect::Ok {
                continue;
            }
            self.log(format!("{number} joins {theirs}"));
            let joined = scope.wait_stream(&other);
            self.check("join", Expect::Ok, &joined);
            self.model.waited_for_stream(number, theirs);
        }
    }

    /// What only a capture's closure can do; elsewhere the same on a stream.
    fn call_inside(&mut self, here: Here<'_, '_>, stream: &Stream, number: usize, event: usize) {
        let Some((scope, capture)) = here else { return self.wait(stream, number, event) };
        let origin = self.model.origin(capture);
        let (kind, token) = (self.random.below(10), self.token.clone());
        match kind {
            0 => return self.record(scope, origin, event),
            1 => return self.wait(scope, origin, event),
            2 => return self.wait_stream(scope, origin),
            // It joins.
            3 | 4 => return self.wait_for(stream, number, scope, origin),
            5 | 6 => return self.copy(stream, number),
            // A node, for it is external.
            7 => return self.record(stream, number, EVENTS - 1),
            _ => {}
        }
        self.log(format!("keep or host function in {origin}"));
        let result = if kind == 8 { scope.keep(token) } else { scope.host_fn(move || assert!(Arc::strong_count(&token) > 0)) };
        self.check("keep or host_fn", self.model.inside(capture), &result);
        if result.is_ok() {
            self.kept.entry(capture).or_default().tokens += 1;
        }
        if kind == 9 && result.is_ok() {
            self.model.added(origin);
        }
    }
}
