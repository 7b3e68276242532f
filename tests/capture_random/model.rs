//! What must come of each call: which streams are in which capture, and what each event stands for.

use cuda_streams::{CaptureStatus, Error, ErrorCode, Result};

/// What a call must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Ok,
    Capturing,
    Captured,
    /// The driver's refusal of a capture in a capture.
    IllegalState,
    Unjoined,
    Invalidated,
    EndedElsewhere,
    /// A success or any refusal that is about captures: where drivers may differ.
    Any,
}

impl Expect {
    pub(crate) fn is_met_by<T>(self, result: &Result<T>) -> bool {
        match self {
            Self::Ok => result.is_ok(),
            Self::Capturing => matches!(result, Err(Error::Capturing { .. })),
            Self::Captured => matches!(result, Err(Error::Captured { .. })),
            Self::IllegalState => matches!(result, Err(Error::Driver { code: ErrorCode::ILLEGAL_STATE, .. })),
            Self::Unjoined => matches!(result, Err(Error::CaptureUnjoined)),
            // By a foreign call: this crate has made none that ends one.
            Self::Invalidated => matches!(result, Err(Error::CaptureInvalidated { by: None, .. })),
            Self::EndedElsewhere => matches!(result, Err(Error::CaptureEndedElsewhere { .. })),
            Self::Any => result.as_ref().err().is_none_or(is_about_captures),
        }
    }
}

fn is_about_captures(error: &Error) -> bool {
    match error {
        Error::Capturing { .. }
        | Error::Captured { .. }
        | Error::CaptureInvalidated { .. }
        | Error::CaptureUnjoined
        | Error::CaptureEndedElsewhere { .. } => true,
        Error::Driver { code, .. } => {
            *code == ErrorCode::ILLEGAL_STATE
                || (ErrorCode::STREAM_CAPTURE_UNSUPPORTED..=ErrorCode::STREAM_CAPTURE_WRONG_THREAD).contains(code)
        }
        _ => false,
    }
}

/// How a capture is doing. Its closure runs, unless it is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Active,
    /// Somebody's call has invalidated it.
    Dead,
    /// Somebody else has ended it.
    Ended,
    Over,
}

struct Capture {
    origin: usize,
    state: State,
    /// Drivers may differ in what becomes of it.
    is_vague: bool,
    /// Everything that was done in it, one bit each, and what of that is a node for sure.
    done: u128,
    nodes: u128,
}

/// Where in a capture a stream is, or was when an event was recorded: what comes before.
#[derive(Clone, Copy)]
struct Place {
    capture: usize,
    past: u128,
}

#[derive(Clone, Copy)]
enum Mark {
    New,
    Outside { is_complete: bool },
    Captured(Place),
}

struct Stream {
    is_blocking: bool,
    place: Option<Place>,
}

/// Streams are named by numbers that no two have, events by their places.
#[derive(Default)]
pub(crate) struct Model {
    streams: Vec<Stream>,
    captures: Vec<Capture>,
    events: Vec<(Mark, bool)>,
}

impl Model {
    pub(crate) fn new_stream(&mut self, is_blocking: bool) -> usize {
        self.streams.push(Stream { is_blocking, place: None });
        self.streams.len() - 1
    }

    /// An event in the place of another, or in the next one.
    pub(crate) fn new_event(&mut self, index: usize, is_external: bool) {
        if index == self.events.len() {
            self.events.push((Mark::New, is_external));
        }
        self.events[index] = (Mark::New, is_external);
    }

    fn is_external(&self, event: usize) -> bool {
        self.events[event].1
    }

    /// The capture that a stream is in, if all is as one would think there.
    fn plain(&self, place: Place) -> bool {
        let capture = &self.captures[place.capture];
        capture.state == State::Active && !capture.is_vague
    }

    pub(crate) fn status(&self, stream: usize) -> Option<CaptureStatus> {
        let Some(place) = self.streams[stream].place else { return Some(CaptureStatus::None) };
        let capture = &self.captures[place.capture];
        match capture.state {
            _ if capture.is_vague => None,
            State::Active => Some(CaptureStatus::Active),
            State::Dead => Some(CaptureStatus::Invalidated),
            State::Ended | State::Over => Some(CaptureStatus::None),
        }
    }

    /// Whether foreign code may enqueue work there.
    pub(crate) fn takes_work(&self, stream: usize) -> bool {
        self.streams[stream].place.is_none_or(|place| self.plain(place))
    }

    /// How many closures of captures run.
    fn is_any_open(&self) -> bool {
        self.captures.iter().any(|capture| capture.state != State::Over)
    }

    /// Of what a captured stream refuses: a question, a wait on the host, a launch.
    pub(crate) fn outside(&self, stream: usize) -> Expect {
        match self.streams[stream].place {
            None => Expect::Ok,
            Some(place) if self.captures[place.capture].is_vague => Expect::Any,
            Some(_) => Expect::Capturing,
        }
    }

    pub(crate) fn synchronize_context(&self) -> Expect {
        if self.is_any_open() { Expect::Capturing } else { Expect::Ok }
    }

    /// Work on the legacy default stream.
    pub(crate) fn legacy(&self) -> Expect {
        let mut blocking = self.streams.iter().filter(|stream| stream.is_blocking).filter_map(|stream| stream.place);
        match (blocking.clone().next(), blocking.all(|place| self.plain(place))) {
            (None, _) if self.captures.iter().any(|capture| capture.is_vague && capture.state != State::Over) => Expect::Any,
            (None, _) => Expect::Ok,
            (Some(_), true) => Expect::Capturing,
            (Some(_), false) => Expect::Any,
        }
    }

    pub(crate) fn recorded_on_legacy(&mut self, event: usize) {
        self.events[event].0 = Mark::Outside { is_complete: false };
    }

    pub(crate) fn record(&self, stream: usize) -> Expect {
        let place = self.streams[stream].place;
        if place.is_none_or(|place| self.plain(place)) { Expect::Ok } else { Expect::Any }
    }

    pub(crate) fn recorded(&mut self, stream: usize, event: usize) {
        if self.streams[stream].place.is_none() {
            self.events[event].0 = Mark::Outside { is_complete: false };
            return;
        }
        let is_external = self.is_external(event);
        if let Some(place) = self.done(stream, is_external)
            && !is_external
        {
            self.events[event].0 = Mark::Captured(place);
        }
    }

    pub(crate) fn wait(&self, stream: usize, event: usize) -> Expect {
        let (mark, here) = (self.events[event].0, self.streams[stream].place);
        let is_plain = here.is_none_or(|place| self.plain(place));
        match (mark, here) {
            (_, Some(_)) if self.is_external(event) => self.record(stream),
            (Mark::Outside { .. }, Some(_)) if !is_plain => Expect::Any,
            (Mark::New, _) | (Mark::Outside { .. }, None) | (Mark::Outside { is_complete: true }, Some(_)) => Expect::Ok,
            (Mark::Outside { is_complete: false }, Some(_)) => Expect::Capturing,
            (Mark::Captured(there), _) if self.captures[there.capture].state == State::Over => Expect::Captured,
            (Mark::Captured(_), _) if !is_plain => Expect::Any,
            (Mark::Captured(there), Some(here)) if here.capture != there.capture => Expect::Capturing,
            (Mark::Captured(there), _) if self.plain(there) => Expect::Ok,
            (Mark::Captured(there), None) if self.captures[there.capture].state == State::Ended => Expect::Captured,
            (Mark::Captured(_), _) => Expect::Any,
        }
    }

    pub(crate) fn waited(&mut self, stream: usize, event: usize) {
        match (self.events[event].0, self.streams[stream].place) {
            (_, Some(_)) if self.is_external(event) => drop(self.done(stream, true)),
            (Mark::Captured(there), _) => self.joins(stream, there),
            _ => {}
        }
    }

    fn joins(&mut self, stream: usize, there: Place) {
        let place = self.streams[stream].place.get_or_insert(Place { past: 0, ..there });
        place.past |= there.past;
        self.done(stream, false);
    }

    pub(crate) fn wait_stream(&self, stream: usize, other: usize) -> Expect {
        let place = |stream: usize| self.streams[stream].place;
        match (place(stream), place(other)) {
            _ if stream == other => Expect::Ok,
            (Some(place), _) | (_, Some(place)) if !self.plain(place) => Expect::Any,
            (Some(here), there) if there.map(|there| there.capture) != Some(here.capture) => Expect::Capturing,
            _ => Expect::Ok,
        }
    }

    pub(crate) fn waited_for_stream(&mut self, stream: usize, other: usize) {
        if stream != other
            && let Some(there) = self.done(other, false)
        {
            self.joins(stream, there);
        }
    }

    /// A node was added by a stream, if that is in a capture.
    pub(crate) fn added(&mut self, stream: usize) {
        self.done(stream, true);
    }

    /// Something was done on a stream; where it is then, if that is in a capture.
    fn done(&mut self, stream: usize, is_node: bool) -> Option<Place> {
        let place = self.streams[stream].place.as_mut()?;
        let capture = &mut self.captures[place.capture];
        let bit = 1 << capture.done.count_ones();
        capture.done |= bit;
        capture.nodes |= if is_node { bit } else { 0 };
        place.past |= bit;
        Some(*place)
    }

    pub(crate) fn query(&self, event: usize) -> Expect {
        if matches!(self.events[event].0, Mark::Captured(_)) { Expect::Captured } else { Expect::Ok }
    }

    /// The crate knows that the event is complete.
    pub(crate) fn seen_complete(&mut self, event: usize) {
        if let Mark::Outside { is_complete } = &mut self.events[event].0 {
            *is_complete = true;
        }
    }

    pub(crate) fn begin(&self, stream: usize) -> Expect {
        match self.streams[stream].place {
            None => Expect::Ok,
            Some(place) if self.plain(place) => Expect::IllegalState,
            Some(_) => Expect::Any,
        }
    }

    pub(crate) fn begun(&mut self, origin: usize, is_vague: bool) -> usize {
        let number = self.captures.len();
        self.captures.push(Capture { origin, state: State::Active, is_vague, done: 0, nodes: 0 });
        self.streams[origin].place = Some(Place { capture: number, past: 0 });
        number
    }

    /// The capture that a stream is in.
    pub(crate) fn capture_of(&self, stream: usize) -> Option<usize> {
        self.streams[stream].place.map(|place| place.capture)
    }

    /// What `keep` and its like must answer in a capture.
    pub(crate) fn inside(&self, capture: usize) -> Expect {
        let Capture { state, is_vague, .. } = self.captures[capture];
        match state {
            _ if is_vague => Expect::Any,
            State::Active => Expect::Ok,
            State::Dead => Expect::Invalidated,
            State::Ended | State::Over => Expect::EndedElsewhere,
        }
    }

    pub(crate) fn origin(&self, capture: usize) -> usize {
        self.captures[capture].origin
    }

    /// A foreign call has invalidated the capture.
    pub(crate) fn killed(&mut self, capture: usize) {
        self.captures[capture].state = State::Dead;
    }

    /// Somebody else ends the capture; whether he has a graph then, where all drivers say the same.
    pub(crate) fn end_of_others(&mut self, capture: usize) -> Option<bool> {
        let expected = self.end(capture);
        self.captures[capture].state = State::Ended;
        match expected {
            Expect::Any => None,
            expected => Some(expected == Expect::Ok),
        }
    }

    /// What the capture must answer if its closure succeeds. It is over now.
    pub(crate) fn end(&mut self, capture: usize) -> Expect {
        let Capture { origin, state, is_vague, done, nodes } = self.captures[capture];
        let past = self.streams[origin].place.filter(|place| place.capture == capture).map_or(0, |place| place.past);
        self.captures[capture].state = State::Over;
        self.leave(capture);
        match state {
            _ if is_vague => Expect::Any,
            State::Dead => Expect::Invalidated,
            State::Ended | State::Over => Expect::EndedElsewhere,
            State::Active if nodes & !past != 0 => Expect::Unjoined,
            State::Active if done & !past == 0 => Expect::Ok,
            // A stream has joined, and what it did there is no node.
            State::Active => Expect::Any,
        }
    }

    fn leave(&mut self, capture: usize) {
        for stream in &mut self.streams {
            stream.place = stream.place.filter(|place| place.capture != capture);
        }
    }

    /// The program gives a stream up. While it captures, its capture has another handle of it.
    pub(crate) fn dropped(&mut self, stream: usize) {
        let is_open = |capture: &Capture| capture.state != State::Over && capture.origin == stream;
        if self.captures.iter().any(is_open) {
            return;
        }
        if let Some(place) = self.streams[stream].place.take() {
            self.captures[place.capture].is_vague = true;
        }
    }
}
