//! The consumer: it opens the ring that the producer has made, and compares every frame with what it has to
//! be.

use std::error::Error;
use std::{iter, mem};

use cuda_streams::Device;

use super::kernel::{self, Kernels};
use super::line::Line;
use super::ring::{BUFFERS, Role, Run, Side};
use super::slot::{Handles, Slot};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

pub(crate) struct Consumer {
    /// Dropped first, before the kernels: a stream that cudarc still has is leaked.
    slots: Vec<Slot>,
    kernels: Kernels,
    side: Side,
    elements: usize,
}

impl Consumer {
    /// Serves the producer at the other end of the line until that says that this was all. `before` is done
    /// before a buffer is read.
    pub(crate) fn serve(device: Device, line: Line, mut before: impl FnMut(u32, &mut Slot) -> Result) -> Result {
        let mut consumer = Self::open(device, line)?;
        loop {
            match consumer.run(&mut before) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    // Closing the ring would wait for work that may be waiting for a process that is gone.
                    mem::forget(consumer);
                    return Err(error);
                }
            }
        }
    }

    fn open(device: Device, mut line: Line) -> Result<Self> {
        let stream = device.stream()?;
        let kernels = Kernels::load(device, &stream)?;
        let [elements] = line.hear_numbers()?.map(|elements: u32| elements as usize);
        let slot = || {
            let handles = Handles::from_bytes(&line.hear()?)?;
            // SAFETY: from the process that has started this one. Until this one has ended it keeps the events and
            // the memory; they take turns on it, ordered by these events or by what their hosts tell each other.
            let (memory, [filled, consumed]) = unsafe { handles.open(device) }?;
            Slot::of(memory, filled, consumed, &kernels.stream, elements)
        };
        let slots = iter::repeat_with(slot).take(BUFFERS as usize).collect::<Result<Vec<_>>>()?;
        let side = Side::new(Role::Consumer, device, stream, line)?;
        Ok(Self { slots, kernels, side, elements })
    }

    /// Takes the frames of a run from the ring; `false` if there is none.
    fn run(&mut self, mut before: impl FnMut(u32, &mut Slot) -> Result) -> Result<bool> {
        let run = Run::from_numbers(self.side.line.hear_numbers()?);
        if run.frames == 0 {
            return Ok(false);
        }
        let stream = &self.kernels.stream;
        let mut right = stream.alloc_zeros(run.frames as usize)?;
        stream.synchronize()?;
        self.side.line.say(&[0])?; // ready
        self.side.run(run, &mut self.slots, |frame, slot| {
            before(frame, slot)?;
            self.kernels.check(run.first.wrapping_add(frame), &slot.buffer, &mut right, frame as usize)
        })?;
        self.side.line.say(&[0])?; // done
        let all = u32::try_from(kernel::vectors(self.elements))?;
        let wrong = stream.clone_dtoh(&right)?.into_iter().filter(|right| *right != all).count();
        self.side.line.say_numbers(&[u32::try_from(wrong)?])?;
        Ok(true)
    }
}
