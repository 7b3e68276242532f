//! Times calls of some nanoseconds against each other, interleaved in one process. (Criterion times
//! one function after the other, so that a drift in between looks like a difference.)

use std::fmt;
use std::hint::black_box;
use std::time::Instant;

/// Makes as many calls as it is told to.
pub(crate) type Contender<'a> = Box<dyn FnMut(u32) + 'a>;

/// The contender that makes this call.
pub(crate) fn contender<'a>(mut call: impl FnMut() + 'a) -> Contender<'a> {
    Box::new(move |calls| {
        for _ in 0..calls {
            call();
        }
    })
}

/// Nanoseconds a call, for each contender in each round.
///
/// `stage` is called for each round: it prepares, runs what it is given once, and clears up. The
/// order and the place on the stack change from round to round: no contender has a place of its own,
/// and none is unlucky for a whole run with where its frames lie in the cache.
pub(crate) fn interleave<const N: usize>(
    rounds: usize,
    calls: u32,
    mut stage: impl FnMut(&mut dyn FnMut()),
    mut contenders: [Contender<'_>; N],
) -> Vec<[f64; N]> {
    let mut samples = Vec::with_capacity(rounds);
    for round in 0..rounds {
        stage(&mut || {
            let mut sample = [0.0; N];
            for place in 0..N {
                let which = turn::<N>(round, place);
                sample[which] = nanos(round, &mut contenders[which], calls);
            }
            samples.push(sample);
        });
    }
    samples
}

/// Which of the contenders has the turn at this place of a round.
pub(crate) fn turn<const N: usize>(round: usize, place: usize) -> usize {
    let turn = (round + place) % N;
    if (round / N).is_multiple_of(2) { turn } else { N - 1 - turn }
}

/// Nanoseconds for each of the calls, made so far down the stack as it is this round's turn.
pub(crate) fn nanos(round: usize, contender: &mut Contender<'_>, calls: u32) -> f64 {
    let mut nanos = 0.0;
    at_depth(round * 7 % 64, &mut || {
        let start = Instant::now();
        contender(calls);
        nanos = start.elapsed().as_secs_f64() * 1e9 / f64::from(calls);
    });
    nanos
}

/// Runs `f` so many frames further down the stack.
#[inline(never)]
fn at_depth(depth: usize, f: &mut dyn FnMut()) {
    let frame = black_box([0_u8; 80]);
    match depth.checked_sub(1) {
        Some(depth) => at_depth(depth, f),
        None => f(),
    }
    black_box(frame);
}

/// The median of some numbers, and where the middle half of them lies.
#[derive(Clone, Copy)]
pub(crate) struct Quartiles {
    lower: f64,
    pub(crate) median: f64,
    upper: f64,
}

impl Quartiles {
    /// Of one number at least.
    pub(crate) fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<_> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        let [lower, median, upper] = [1, 2, 3].map(|quarter| sorted[(sorted.len() - 1) * quarter / 4]);
        Self { lower, median, upper }
    }
}

/// `+1.2 (+0.8 to +1.9)`
impl fmt::Display for Quartiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+.1} ({:+.1} to {:+.1})", self.median, self.lower, self.upper)
    }
}
