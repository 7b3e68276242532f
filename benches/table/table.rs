//! The table: which rows are measured with how many threads, and what is printed.

use std::time::{Duration, Instant};

use crate::bound::{Bound, Bounds, Figures, Verdict};
use crate::measure::Quartiles;
use crate::rounds::{Effort, Round, measure};
use crate::row::{Row, Seat};

/// A line is reported if in each of its rounds the driver was within so much of itself.
const SPREAD: f64 = 0.03;
/// How often a line is measured, each time by new threads. The line of one thread more often: on virtual machines a core was
/// seen to take up to twice the time for a while, for all that is called there.
const TRIES: [usize; 2] = [10, 3];
/// After so much time none is measured more often for want of a time that counts, so that all of it ends within two minutes.
const PATIENCE: Duration = Duration::from_secs(90);
/// With how many threads, as far as there are so many cores.
const THREADS: [usize; 3] = [1, 4, 16];

pub(crate) struct Table<'a> {
    seats: &'a [Seat],
    effort: Effort,
    /// What the name of a row has in it to be measured.
    pattern: &'a str,
    started: Instant,
    tally: Tally,
}

/// How the bounds were kept.
#[derive(Default)]
struct Tally {
    met: usize,
    missed: usize,
    by_noise: usize,
    unreported: usize,
}

impl<'a> Table<'a> {
    pub(crate) fn new(seats: &'a [Seat], effort: Effort, pattern: &'a str) -> Self {
        println!(
            "| call | driver functions | objects | threads | ours | driver | cudarc | driver / ours | cudarc / ours | driver / driver | bounds |"
        );
        println!("|---|---|---|--:|--:|--:|--:|--:|--:|--:|---|");
        Self { seats, effort, pattern, started: Instant::now(), tally: Tally::default() }
    }

    /// Measures and prints the row, if it is wanted.
    pub(crate) fn row<O: Sync>(&mut self, row: &Row<O>) {
        if !row.call.contains(self.pattern) {
            return;
        }
        for threads in thread_counts(self.seats.len()) {
            self.line(row, threads, false, row.bounds);
        }
        let Some(bounds) = row.shared else { return };
        // Of one thread, an object of its own is one object for all.
        for threads in thread_counts(self.seats.len()).into_iter().filter(|threads| *threads > 1) {
            self.line(row, threads, true, bounds);
        }
    }

    fn line<O: Sync>(&mut self, row: &Row<O>, threads: usize, one_object: bool, bounds: Bounds) {
        let objects = if one_object { "one" } else { "own" };
        print!("| {} | {} | {objects} | {threads} | ", row.call, row.functions);
        let tries = TRIES[usize::from(threads > 1)];
        let (mut best, mut least) = (None::<Figures>, f64::INFINITY);
        for attempt in 0.. {
            let is_late = attempt >= 2 * tries || self.started.elapsed() > PATIENCE;
            if attempt >= tries && (best.is_some() || is_late) {
                break;
            }
            let figures = figures(&measure(self.effort, row, &self.seats[..threads], one_object));
            least = least.min(figures.spread);
            // The driver's own figure decides, whatever ours is.
            if figures.spread <= SPREAD && best.is_none_or(|best| figures.driver < best.driver) {
                best = Some(figures);
            }
        }
        if let Some(figures) = best {
            return self.report(bounds.iter().filter(|(at, _)| at.is_empty() || at.contains(&threads)), figures);
        }
        println!("not reported | | | | | ± {:.1} % at best | |", least * 100.0);
        self.tally.unreported += 1;
    }

    fn report<'b>(&mut self, bounds: impl Iterator<Item = &'b (&'b [usize], Bound)>, figures: Figures) {
        let Figures { ours, driver, cudarc, spread } = figures;
        let [over_driver, over_cudarc] = [driver / ours, cudarc / ours].map(|ratio| format!("{ratio:.*}", usize::from(ratio < 100.0) * 2));
        print!("{ours:.1} | {driver:.1} | {cudarc:.1} | {over_driver} | {over_cudarc} | ± {:.1} % |", spread * 100.0);
        for (index, (_, bound)) in bounds.enumerate() {
            let verdict = bound.verdict(figures);
            print!("{} {bound}: {verdict}", if index == 0 { "" } else { ";" });
            match verdict {
                Verdict::Met => self.tally.met += 1,
                Verdict::Missed => self.tally.missed += 1,
                Verdict::MissedByNoise => self.tally.by_noise += 1,
            }
        }
        println!(" |");
    }

    /// What comes after the last row.
    pub(crate) fn end(self) {
        let Tally { met, missed, by_noise, unreported } = self.tally;
        let seconds = self.started.elapsed().as_secs();
        println!(
            "\nBounds: {met} ok, {missed} MISSED, {by_noise} missed by less than driver / driver; {unreported} lines not reported. {seconds} s."
        );
    }
}

/// What this machine is used with.
pub(crate) fn thread_counts(cores: usize) -> Vec<usize> {
    let mut counts = THREADS.map(|threads| threads.min(cores)).to_vec();
    counts.dedup();
    counts
}

/// The medians of the rounds, and the driver's largest difference to itself in one of them.
fn figures(rounds: &[Round]) -> Figures {
    let [ours, driver, cudarc] = [0, 1, 2].map(|place| Quartiles::of(rounds.iter().map(|round| round[place])).median);
    let spread = rounds.iter().map(|round| (round[3] / round[1] - 1.0).abs()).fold(0.0, f64::max);
    Figures { ours, driver, cudarc, spread }
}
