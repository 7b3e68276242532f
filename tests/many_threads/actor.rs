//! A thread, and what it may do.

use std::mem;

use cuda_streams::{Context, Device, Error, Event, EventOptions, EventStatus, Result, Stream, Timed};

use super::cells::{Cells, Last, State};
use super::random::Random;

const CELLS: u32 = if cfg!(miri) { 4 } else { 24 };
const STREAMS: usize = if cfg!(miri) { 3 } else { 16 };
const RELAYS: usize = if cfg!(miri) { 1 } else { 4 };
const MARKS: usize = 4;

/// What the threads share.
pub(crate) struct World {
    device: Device,
    context: Context,
    /// Work is on these.
    streams: Vec<Stream>,
    /// These only wait, and are waited for: nobody has had their handles.
    relays: Vec<Stream>,
    cells: Cells,
    /// Recorded by any thread at any time.
    marks: Vec<Event<Timed>>,
}

impl World {
    pub(crate) fn new(device: Device) -> Result<Self> {
        let context = device.context()?;
        let streams = |count| (0..count).map(|_| device.stream()).collect::<Result<_>>();
        Ok(Self {
            device,
            context,
            streams: streams(STREAMS)?,
            relays: streams(RELAYS)?,
            cells: Cells::new(context, CELLS)?,
            marks: (0..MARKS).map(|_| Event::timed()).collect(),
        })
    }

    /// Waits for everything, and checks it.
    pub(crate) fn check(&self) -> Result<()> {
        self.context.synchronize()?;
        for cell in &self.cells.all {
            let state = cell.state();
            if let Last::Event(event) = &state.last {
                assert_eq!(event.query(), Ok(true));
            }
            assert_eq!(cell.event.query(), Ok(true));
        }
        self.cells.check()
    }
}

pub(crate) struct Actor<'a> {
    world: &'a World,
    random: Random,
}

impl<'a> Actor<'a> {
    pub(crate) fn new(world: &'a World, seed: u64) -> Self {
        Self { world, random: Random::new(seed) }
    }

    pub(crate) fn act_often(&mut self, operations: usize) -> Result<()> {
        self.world.context.with_current(|| (0..operations).try_for_each(|_| self.act()))?
    }

    fn act(&mut self) -> Result<()> {
        let stream = self.stream();
        let event = self.event();
        match self.random.below(100) {
            0..30 => self.step(),
            30..45 => event.query().map(drop),
            45..50 => event.status().map(drop),
            50..55 => stream.wait_event(event),
            55..60 => stream.wait_stream(self.stream()),
            60..65 => self.relay().wait_event(event),
            65..70 => stream.record_event().map(drop),
            70..80 => self.new_event(),
            80..85 => self.first_record(),
            85..90 => self.mark().record(stream),
            90..96 => self.measure(),
            96..98 => stream.query().map(drop),
            98 if self.random.once_in(20) => event.synchronize(),
            99 if self.random.once_in(20) => stream.synchronize(),
            _ => self.mark().query().map(drop),
        }
    }

    /// Changes a cell by another, after all work on both, and leaves something for the next work on them to wait for.
    fn step(&mut self) -> Result<()> {
        let cells = &self.world.cells;
        let (to, from) = (self.random.below(cells.all.len()), self.random.below(cells.all.len()));
        if to == from {
            return Ok(());
        }
        let stream = self.random.below(STREAMS);
        // All threads lock in the same order.
        let mut low = cells.all[to.min(from)].state();
        let mut high = cells.all[to.max(from)].state();
        for (number, state) in [(to.min(from), &mut low), (to.max(from), &mut high)] {
            let last = mem::replace(&mut state.last, Last::Done);
            self.wait(&self.world.streams[stream], number, last)?;
        }
        let constant = u32::try_from(self.random.below(1_000)).expect("a small number");
        let (changed, read) = if to < from { (&mut low, &mut high) } else { (&mut high, &mut low) };
        cells.step(&self.world.streams[stream], changed, read, constant);
        self.leave(stream, to, changed)?;
        self.leave(stream, from, read)
    }

    /// Lets the stream wait for the last work on a cell, in one of the ways there are.
    fn wait(&mut self, stream: &Stream, cell: usize, last: Last) -> Result<()> {
        let world = self.world;
        let fresh;
        let event = match last {
            Last::Done => return Ok(()),
            Last::Stream(other) => {
                let other = &world.streams[other];
                return match self.random.below(3) {
                    0 if other.query()? => Ok(()),
                    1 => {
                        let relay = self.relay();
                        relay.wait_stream(other)?;
                        stream.wait_stream(relay)
                    }
                    _ => stream.wait_stream(other),
                };
            }
            Last::Shared => &world.cells.all[cell].event,
            Last::Event(event) => {
                fresh = event;
                &fresh
            }
        };
        match self.random.below(8) {
            0 | 1 if event.query()? => Ok(()),
            2 if event.status()? == EventStatus::Complete => Ok(()),
            3 if self.random.once_in(50) => event.synchronize(),
            4 => {
                let relay = self.relay();
                relay.wait_event(event)?;
                stream.wait_stream(relay)
            }
            5 => event.wait(stream),
            _ => stream.wait_event(event),
        }
    }

    /// For who works on this cell next.
    fn leave(&mut self, stream: usize, cell: usize, state: &mut State) -> Result<()> {
        let (on, event) = (&self.world.streams[stream], &self.world.cells.all[cell].event);
        state.last = match self.random.below(5) {
            0 | 1 => {
                event.record(on)?;
                Last::Shared
            }
            2 => Last::Stream(stream),
            3 => {
                let event = self.world.device.event(EventOptions::new())?;
                on.record(&event)?;
                Last::Event(event)
            }
            _ => Last::Event(on.record_event()?),
        };
        Ok(())
    }

    /// An event is new, whoever had the driver's before.
    fn new_event(&mut self) -> Result<()> {
        let event = self.world.device.event(EventOptions::new())?;
        assert_eq!(event.status()?, EventStatus::NotRecorded);
        self.stream().wait_event(&event)?;
        assert!(event.query()?, "nothing to wait for");
        event.synchronize()
    }

    /// An event that its first record creates, and that is dropped while it is waited for.
    fn first_record(&mut self) -> Result<()> {
        let event = Event::new();
        event.record(self.stream())?;
        self.stream().wait_event(&event)
    }

    fn measure(&mut self) -> Result<()> {
        match self.mark().elapsed_time(self.mark()) {
            Ok(_) | Err(Error::NotRecorded { .. } | Error::NotComplete { .. } | Error::Rerecorded { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn stream(&mut self) -> &'a Stream {
        &self.world.streams[self.random.below(STREAMS)]
    }

    fn relay(&mut self) -> &'a Stream {
        &self.world.relays[self.random.below(RELAYS)]
    }

    /// The event of a cell, which others record.
    fn event(&mut self) -> &'a Event {
        let cells = &self.world.cells.all;
        &cells[self.random.below(cells.len())].event
    }

    fn mark(&mut self) -> &'a Event<Timed> {
        &self.world.marks[self.random.below(MARKS)]
    }
}
