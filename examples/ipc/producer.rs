//! The producer: it makes the ring, starts the consumer, and fills the buffers. Sharing takes no `unsafe` on
//! this side.

use std::error::Error;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{iter, mem};

use cuda_streams::Device;

use super::kernel::Kernels;
use super::line::Line;
use super::ring::{BUFFERS, Order, Role, Run, Side};
use super::slot::Slot;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

pub(crate) struct Producer {
    /// Dropped first, before the kernels: a stream that cudarc still has is leaked.
    slots: Vec<Slot>,
    pub(crate) kernels: Kernels,
    side: Side,
    consumer: Child,
    /// The number of the next frame.
    next: u32,
}

impl Producer {
    /// Starts `consumer`, which is to serve on its standard input, shares a ring of buffers of so many elements
    /// with it, lets `drive` use that, and ends the consumer.
    ///
    /// An error leaks the ring: freeing it would wait for work that may be waiting for a process that is gone.
    pub(crate) fn with<T>(device: Device, consumer: Command, elements: u32, drive: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let mut producer = Self::start(device, consumer, elements)?;
        let result = drive(&mut producer).and_then(|value| producer.finish().map(|()| value));
        if result.is_err() {
            let _ = producer.consumer.kill();
            mem::forget(producer);
        }
        result
    }

    fn start(device: Device, mut consumer: Command, elements: u32) -> Result<Self> {
        let stream = device.stream()?;
        let kernels = Kernels::load(device, &stream)?;
        let slot = || Slot::new(device, &kernels.stream, elements as usize);
        let slots = iter::repeat_with(slot).take(BUFFERS as usize).collect::<Result<Vec<_>>>()?;

        let (mut line, theirs) = Line::pair()?;
        let consumer = consumer.stdin(theirs).spawn()?;
        line.say_numbers(&[elements])?;
        for slot in &slots {
            line.say(&slot.handles()?.to_bytes())?;
        }
        let side = Side::new(Role::Producer, device, stream, line)?;
        Ok(Self { slots, kernels, side, consumer, next: 0 })
    }

    /// Takes frames through the ring. The time that it takes, and how many of them were wrong.
    pub(crate) fn run(&mut self, order: Order, buffers: u32, frames: u32) -> Result<(Duration, u32)> {
        self.run_with(order, buffers, frames, |_, _| Ok(()))
    }

    /// The same, with something that is done before a buffer is filled.
    pub(crate) fn run_with(
        &mut self,
        order: Order,
        buffers: u32,
        frames: u32,
        mut before: impl FnMut(u32, &mut Slot) -> Result,
    ) -> Result<(Duration, u32)> {
        let run = Run { order, buffers, frames, first: self.next };
        self.next = self.next.wrapping_add(frames);
        self.side.line.say_numbers(&run.to_numbers())?;
        self.side.line.hear::<1>()?; // the consumer is ready
        let began = Instant::now();
        self.side.run(run, &mut self.slots, |frame, slot| {
            before(frame, slot)?;
            self.kernels.fill(run.first.wrapping_add(frame), &mut slot.buffer)
        })?;
        self.side.line.hear::<1>()?; // its stream is done
        let elapsed = began.elapsed();
        let [wrong] = self.side.line.hear_numbers()?;
        Ok((elapsed, wrong))
    }

    /// Ends the consumer: until then it may use the ring.
    fn finish(&mut self) -> Result {
        let end = Run { order: Order::Events, buffers: 0, frames: 0, first: self.next };
        self.side.line.say_numbers(&end.to_numbers())?;
        self.side.line.closed()?;
        let status = self.consumer.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the consumer ended with {status}").into()) }
    }
}
