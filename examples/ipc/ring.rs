//! The ring: buffers that two processes share, and the ways to take turns on them.
//!
//! Both sides run the same code. The producer fills a buffer when the consumer is done with what was in it, the
//! consumer reads it when it is filled.

use std::error::Error;
use std::time::Instant;

use cuda_streams::{Device, Event, EventOptions, Stream};

use super::line::{self, Line};
use super::slot::Slot;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// How many buffers there are.
pub(crate) const BUFFERS: u32 = 4;

/// How many frames the host may be ahead of its own stream. The driver's queue has room for more of them: a
/// call that has to wait for room there has no time-out.
const LEAD: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Consumer,
}

/// How the processes take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Streams wait for events. The hosts enqueue, and tell each other that an event *has been recorded*: a wait
    /// made before that would wait for nothing.
    Events,
    /// Hosts wait for their own streams and tell each other what *is done*, with as many frames enqueued at a time.
    Host { ahead: u32 },
}

/// Frames that go through the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) order: Order,
    /// How many buffers are used.
    pub(crate) buffers: u32,
    pub(crate) frames: u32,
    /// The number of the first: every frame of all runs has another one.
    pub(crate) first: u32,
}

impl Run {
    pub(crate) fn to_numbers(self) -> [u32; 4] {
        let ahead = match self.order {
            Order::Events => 0,
            Order::Host { ahead } => ahead,
        };
        [ahead, self.buffers, self.frames, self.first]
    }

    pub(crate) fn from_numbers([ahead, buffers, frames, first]: [u32; 4]) -> Self {
        let order = if ahead == 0 { Order::Events } else { Order::Host { ahead } };
        Self { order, buffers, frames, first }
    }
}

/// One process's side of the ring.
pub(crate) struct Side {
    role: Role,
    stream: Stream,
    pub(crate) line: Line,
    /// How many frames of this run the other side has told of.
    told: u32,
    /// Recorded behind each frame, for this side's own host.
    marks: Vec<Event>,
}

impl Side {
    pub(crate) fn new(role: Role, device: Device, stream: Stream, line: Line) -> Result<Self> {
        let marks = (0..LEAD).map(|_| device.event(EventOptions::new())).collect::<cuda_streams::Result<_>>()?;
        Ok(Self { role, stream, line, told: 0, marks })
    }

    /// Takes all frames of a run through the ring; `work` enqueues what this side does with one. The work is
    /// done when this returns.
    pub(crate) fn run(&mut self, run: Run, slots: &mut [Slot], mut work: impl FnMut(u32, &mut Slot) -> Result) -> Result {
        self.told = 0;
        match run.order {
            Order::Events => self.run_by_events(run, slots, &mut work)?,
            Order::Host { ahead } => self.run_by_host(run, ahead, slots, &mut work)?,
        }
        // Nothing of this run may be taken for the next one's.
        self.wait_for(run, run.frames)
    }

    fn run_by_events(&mut self, run: Run, slots: &mut [Slot], work: &mut impl FnMut(u32, &mut Slot) -> Result) -> Result {
        for frame in 0..run.frames {
            let (slot, mark) = (&mut slots[frame as usize % run.buffers as usize], frame as usize % LEAD);
            wait_until(|| self.marks[mark].query())?;
            self.wait_for(run, self.needed(run, frame))?;
            self.stream.wait_event(match self.role {
                Role::Producer => &slot.consumed,
                Role::Consumer => &slot.filled,
            })?;
            work(frame, slot)?;
            self.stream.record(match self.role {
                Role::Producer => &slot.filled,
                Role::Consumer => &slot.consumed,
            })?;
            self.line.say(&[0])?;
            self.stream.record(&self.marks[mark])?;
        }
        wait_until(|| self.stream.query())
    }

    fn run_by_host(&mut self, run: Run, ahead: u32, slots: &mut [Slot], work: &mut impl FnMut(u32, &mut Slot) -> Result) -> Result {
        let (mut enqueued, mut done) = (0, 0);
        while done < run.frames {
            // All that may be enqueued now is, before the host waits.
            while enqueued < run.frames && enqueued - done < ahead && self.may(run, enqueued)? {
                work(enqueued, &mut slots[enqueued as usize % run.buffers as usize])?;
                self.stream.record(&self.marks[enqueued as usize % LEAD])?;
                enqueued += 1;
            }
            if done < enqueued {
                // Nothing that it waits for depends on the other process.
                self.marks[done as usize % LEAD].synchronize()?;
                done += 1;
                self.line.say(&[0])?;
            } else {
                self.wait_for(run, self.needed(run, enqueued))?;
            }
        }
        Ok(())
    }

    /// How many frames the other side must have told of before this side may enqueue a frame.
    fn needed(&self, run: Run, frame: u32) -> u32 {
        match self.role {
            Role::Producer => (frame + 1).saturating_sub(run.buffers),
            Role::Consumer => frame + 1,
        }
    }

    /// Whether this side may enqueue a frame now.
    fn may(&mut self, run: Run, frame: u32) -> Result<bool> {
        let needed = self.needed(run, frame);
        Ok(self.told >= needed || self.listen(run)? >= needed)
    }

    /// Waits until the other side has told of so many frames.
    fn wait_for(&mut self, run: Run, needed: u32) -> Result {
        let began = Instant::now();
        while self.told < needed && self.listen(run)? < needed {
            line::pause(began)?;
        }
        Ok(())
    }

    /// A byte for each frame; those behind the last are no longer the run's.
    fn listen(&mut self, run: Run) -> Result<u32> {
        let left = (run.frames - self.told) as usize;
        let mut bytes = [0; BUFFERS as usize];
        let heard = self.line.hear_now(&mut bytes[..left.min(BUFFERS as usize)])?;
        self.told += u32::try_from(heard)?;
        Ok(self.told)
    }
}

/// As `synchronize_timeout`, without its pauses: they would be part of what is measured.
fn wait_until(is_done: impl Fn() -> cuda_streams::Result<bool>) -> Result {
    let began = Instant::now();
    while !is_done()? {
        line::pause(began)?;
    }
    Ok(())
}
