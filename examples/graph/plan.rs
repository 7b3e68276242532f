//! What an iteration does: two branches of 10 kernels beside each other, which exchange their edges; and the same on the
//! host.

use super::kernel;

/// How many kernels a branch has: the first reads the other's edge, the last changes its own.
pub(crate) const BRANCH: usize = 10;
pub(crate) const KERNELS: usize = 2 * BRANCH;

pub(crate) const BUFFERS: usize = 4;
/// Of the branches.
const INSIDES: [usize; 2] = [0, 1];
const EDGES: [usize; 2] = [2, 3];

/// A kernel: the number of the buffer that it changes, of the one that it reads besides, and its constant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) to: usize,
    pub(crate) from: usize,
    pub(crate) constant: u32,
}

/// The kernels: 0 to 9 are the one branch, 10 to 19 the other. The last of each also follows the first of the other,
/// which reads what it changes.
pub(crate) fn steps() -> [Step; KERNELS] {
    let mut number = 0_u32;
    std::array::from_fn(|index| {
        let (here, there) = (index / BRANCH, 1 - index / BRANCH);
        let (to, from) = match index % BRANCH {
            0 => (INSIDES[here], EDGES[there]),
            number if number == BRANCH - 1 => (EDGES[here], INSIDES[here]),
            _ => (INSIDES[here], EDGES[here]),
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
        let mut steps = steps();
        // Both branches read the other's edge before either changes its own.
        steps.sort_by_key(|step| EDGES.contains(&step.to));
        for element in 0..self.buffers[0].len() {
            let mut values: [u32; BUFFERS] = std::array::from_fn(|buffer| self.buffers[buffer][element]);
            for step in std::iter::repeat_n(&steps, iterations).flatten() {
                values[step.to] = kernel::step(values[step.to], values[step.from], step.constant);
            }
            for (buffer, value) in self.buffers.iter_mut().zip(values) {
                buffer[element] = value;
            }
        }
    }
}
