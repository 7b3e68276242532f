//! What an iteration does: two branches of 10 kernels beside each other, which need each other's results of the iteration
//! before; and the same on the host.
//!
//! A branch hands its result on in one of two buffers, its edges, in turn: the one that the other branch reads in this
//! iteration, and the one that it will read in the next. So neither waits for the other within an iteration.

use super::kernel;

/// How many kernels a branch has: the first reads the other's edge, the last changes its own.
pub(crate) const BRANCH: usize = 10;
pub(crate) const KERNELS: usize = 2 * BRANCH;

pub(crate) const BUFFERS: usize = 6;
/// Of the branches.
const INSIDES: [usize; 2] = [0, 1];
/// Of the branches, each in turn.
const EDGES: [[usize; 2]; 2] = [[2, 3], [4, 5]];

/// Which of the edges an iteration reads; it changes the other ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    Even,
    Odd,
}

impl Turn {
    pub(crate) const BOTH: [Self; 2] = [Self::Even, Self::Odd];

    pub(crate) fn next(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }
}

/// A kernel: the number of the buffer that it changes, of the one that it reads besides, and its constant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) to: usize,
    pub(crate) from: usize,
    pub(crate) constant: u32,
}

/// The kernels: 0 to 9 are the one branch, 10 to 19 the other.
pub(crate) fn steps(turn: Turn) -> [Step; KERNELS] {
    let mut number = 0_u32;
    std::array::from_fn(|index| {
        let (here, there) = (index / BRANCH, 1 - index / BRANCH);
        let (to, from) = match index % BRANCH {
            0 => (INSIDES[here], EDGES[there][turn as usize]),
            number if number == BRANCH - 1 => (EDGES[here][turn.next() as usize], INSIDES[here]),
            _ => (INSIDES[here], EDGES[here][turn as usize]),
        };
        number += 1;
        Step { to, from, constant: number.wrapping_mul(0x9e37_79b1) }
    })
}

/// What the buffers hold, as the host computes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) buffers: [Vec<u32>; BUFFERS],
    /// Of the next iteration.
    turn: Turn,
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
        Self { buffers, turn: Turn::Even }
    }

    /// Does what so many iterations do.
    pub(crate) fn advance(&mut self, iterations: usize) {
        for _ in 0..iterations {
            for Step { to, from, constant } in steps(self.turn) {
                for element in 0..self.buffers[to].len() {
                    self.buffers[to][element] = kernel::step(self.buffers[to][element], self.buffers[from][element], constant);
                }
            }
            self.turn = self.turn.next();
        }
    }
}
