//! Rounds of a row: all threads make the calls of one contender at the same time, then those of the next.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::barrier::{Barrier, Member};
use crate::hold::Hold;
use crate::measure::{Contender, Quartiles, nanos, turn};
use crate::pin::pin;
use crate::row::{Row, Seat, Stage};

/// Ours, the driver, cudarc, the driver again.
pub(crate) const PLACES: usize = 4;
/// The one that has the place.
const CONTENDER: [usize; PLACES] = [0, 1, 2, 1];

/// Nanoseconds a call.
pub(crate) type Round = [f64; PLACES];

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Turns of each contender in a round.
    pub(crate) turns: usize,
    /// How long a turn should take.
    pub(crate) slice: Duration,
}

/// The rounds of a row, by one thread for each of the seats. A round's figure is the mean over the threads, and
/// a thread's is its median over the turns.
pub(crate) fn measure<O: Sync>(effort: Effort, row: &Row<O>, seats: &[Seat], one_object: bool) -> Vec<Round> {
    let one = one_object.then(|| (row.make)(&seats[0]));
    let barrier = Barrier::new(seats.len());
    let calls = [const { AtomicU32::new(0) }; 3];
    let by_thread: Vec<Vec<Round>> = thread::scope(|scope| {
        let threads: Vec<_> = seats
            .iter()
            .enumerate()
            .map(|(index, seat)| {
                let (member, one, calls) = (barrier.member(), one.as_ref(), &calls);
                scope.spawn(move || {
                    pin(index);
                    seat.context.bind_to_thread().expect("the context becomes current");
                    let worker = Worker { effort, seat, stage: row.stage, first: index == 0, threads: seats.len(), member };
                    match one {
                        Some(one) => worker.run(row, one, index == 0, calls),
                        None => worker.run(row, &(row.make)(seat), true, calls),
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no call failed")).collect()
    });
    let threads = f64::from(u32::try_from(seats.len()).expect("a few threads"));
    (0..effort.rounds)
        .map(|round| std::array::from_fn(|place| by_thread.iter().map(|rounds| rounds[round][place]).sum::<f64>() / threads))
        .collect()
}

struct Worker<'a> {
    effort: Effort,
    seat: &'a Seat,
    stage: Stage,
    /// Whether this thread does what is done once.
    first: bool,
    threads: usize,
    member: Member<'a>,
}

impl Worker<'_> {
    fn run<O>(&self, row: &Row<O>, object: &O, prepares: bool, calls: &[AtomicU32; 3]) -> Vec<Round> {
        let prepare = || {
            if prepares {
                (row.prepare)(self.seat, object);
            }
        };
        let mut contenders = (row.contenders)(self.seat, object);
        self.staged(prepare, || self.calibrate(&mut contenders, calls));
        let calls = CONTENDER.map(|contender| calls[contender].load(Ordering::Relaxed));
        let mut samples = vec![[0.0; PLACES]; self.effort.turns];
        let mut round = |round: usize| {
            for (index, sample) in samples.iter_mut().enumerate() {
                let index = round * self.effort.turns + index;
                self.staged(prepare, || {
                    for place in 0..PLACES {
                        let which = turn::<PLACES>(index, place);
                        sample[which] = self.slice(index, &mut contenders[CONTENDER[which]], calls[which]);
                    }
                });
            }
            std::array::from_fn(|place| Quartiles::of(samples.iter().map(|sample| sample[place])).median)
        };
        (0..self.effort.rounds).map(&mut round).collect()
    }

    /// Runs `f` with the streams in the state that the row wants.
    fn staged(&self, prepare: impl Fn(), f: impl FnOnce()) {
        if !self.stage.holds() {
            return f();
        }
        // Nobody waits for something of the driver that a hold could hold up.
        self.member.wait();
        let hold = self.first.then(|| Hold::new(&self.seat.held.stream));
        self.member.wait();
        prepare();
        self.member.wait();
        f();
        self.member.wait();
        if let Some(hold) = hold {
            hold.release();
            self.seat.held.stream.synchronize().expect("the work ends");
        }
        self.seat.drain();
    }

    /// The calls of one contender, by all threads at once.
    fn slice(&self, index: usize, contender: &mut Contender<'_>, calls: u32) -> f64 {
        self.member.wait();
        // What the contender before has left to do, as to unmap memory, is done while nobody measures.
        if self.stage.enqueues_nothing() {
            contender(calls);
            self.member.wait();
        }
        let nanos = nanos(index, contender, calls);
        if self.stage.drains() {
            self.member.wait();
            self.seat.drain();
        }
        nanos
    }

    /// Finds with how many calls a slice takes as long as it should; the first thread decides for all.
    fn calibrate(&self, contenders: &mut [Contender<'_>; 3], calls: &[AtomicU32; 3]) {
        const FEWEST: u32 = 8;
        let target = self.effort.slice.as_secs_f64() * 1e9;
        for (which, (contender, calls)) in contenders.iter_mut().zip(calls).enumerate() {
            let limit = self.stage.limit(which, self.threads);
            let mut tried = FEWEST;
            while calls.load(Ordering::Relaxed) == 0 {
                let each = self.slice(0, contender, tried);
                if self.first && (tried == limit || each * f64::from(tried) >= target / 4.0) {
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casting saturates")]
                    calls.store(((target / each) as u32).clamp(FEWEST, limit), Ordering::Relaxed);
                }
                self.member.wait();
                tried = (tried * 4).min(limit);
            }
        }
    }
}
