//! What an iteration does: 20 kernels, of which two branches run beside each other; and the same on the host.

use super::kernel;

/// How many kernels a branch has.
pub(crate) const BRANCH: usize = 9;
pub(crate) const KERNELS: usize = 2 * BRANCH + 2;

pub(crate) const BUFFERS: usize = 3;
const STATE: usize = 0;
const LEFT: usize = 1;
const RIGHT: usize = 2;

/// A kernel: the number of the buffer that it changes, of the one that it reads besides, and its constant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) to: usize,
    pub(crate) from: usize,
    pub(crate) constant: u32,
}

/// The kernels. Both branches read the state; the last two, which change it, run when both are done.
///
/// ```text
///            ┌ 0 … 8, on the left  ┐
/// the state ─┤                     ├─ 18, 19: the state
///            └ 9 … 17, on the right┘
/// ```
pub(crate) fn steps() -> [Step; KERNELS] {
    let mut number = 0_u32;
    std::array::from_fn(|index| {
        let (to, from) = match index {
            _ if index < BRANCH => (LEFT, STATE),
            _ if index < 2 * BRANCH => (RIGHT, STATE),
            _ if index == 2 * BRANCH => (STATE, LEFT),
            _ => (STATE, RIGHT),
        };
        number += 1;
        Step { to, from, constant: number.wrapping_mul(0x9e37_79b1) }
    })
}

/// What the buffers hold, as the host computes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) buffers: [Vec<u32>; BUFFERS],
}

impl Model {
    /// What is there before the first iteration: something else in each element.
    pub(crate) fn new(elements: u32) -> Self {
        let mut next = 0_u32;
        let buffers = std::array::from_fn(|_| {
            let element = |_| {
                next = next.wrapping_add(0x6d2b_79f5);
                next
            };
            (0..elements).map(element).collect()
        });
        Self { buffers }
    }

    /// Does what so many iterations do.
    pub(crate) fn advance(&mut self, iterations: usize) {
        let steps = steps();
        for element in 0..self.buffers[STATE].len() {
            let mut values = [STATE, LEFT, RIGHT].map(|buffer| self.buffers[buffer][element]);
            for step in std::iter::repeat_n(&steps, iterations).flatten() {
                values[step.to] = kernel::step(values[step.to], values[step.from], step.constant);
            }
            for (buffer, value) in self.buffers.iter_mut().zip(values) {
                buffer[element] = value;
            }
        }
    }
}
