//! Misuse that a real driver answers with silence or a crash is written down here, and to stderr.

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::calls;
use super::raw::Topic;

/// Reports that are kept. A program that makes more has been told.
const MOST: usize = 200;
const TOO_MANY: &str = "there are more reports than are kept";

/// A report, and how often it was made.
#[derive(Debug)]
#[expect(dead_code, reason = "the base of what follows")]
struct Report {
    topic: Topic,
    text: String,
    times: u64,
}

#[derive(Debug)]
struct Reports {
    kept: Vec<Report>,
    /// Lines for stderr. The driver's lock is held where reports are made, so that they are printed later.
    unprinted: Vec<String>,
}

static REPORTS: Mutex<Reports> = Mutex::new(Reports { kept: Vec::new(), unprinted: Vec::new() });
/// Whether there are lines to print: every call asks.
static UNPRINTED: AtomicBool = AtomicBool::new(false);

fn reports() -> MutexGuard<'static, Reports> {
    REPORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a report, with the call it was found in.
pub(super) fn add(topic: Topic, what: impl Display) {
    let text = match calls::current() {
        Some(call) => format!("{call}: {what}"),
        None => what.to_string(),
    };
    reports().add(topic, text);
}

impl Reports {
    fn add(&mut self, topic: Topic, text: String) {
        let text = if self.kept.len() < MOST || self.find(&text).is_some() { text } else { TOO_MANY.to_owned() };
        if let Some(known) = self.find(&text) {
            known.times += 1;
            return;
        }
        self.unprinted.push(text.clone());
        UNPRINTED.store(true, Ordering::Relaxed);
        self.kept.push(Report { topic, text, times: 1 });
    }

    fn find(&mut self, text: &str) -> Option<&mut Report> {
        // What repeats was made not long ago.
        self.kept.iter_mut().rev().find(|report| report.text == text)
    }
}

/// Whether there is something to print.
pub(super) fn is_unprinted() -> bool {
    UNPRINTED.load(Ordering::Relaxed)
}

/// Prints what was reported. The driver's lock is not held here: stderr may be slow.
pub(super) fn print() {
    if is_unprinted() {
        UNPRINTED.store(false, Ordering::Relaxed);
        let lines = std::mem::take(&mut reports().unprinted);
        for line in lines {
            to_stderr(&line);
        }
    }
}

/// One line that no test harness swallows, as it does with `eprintln!`.
pub(super) fn to_stderr(line: &str) {
    // Nothing can be done where stderr is closed.
    let _ = std::io::stderr().write_all(format!("softcuda: {line}\n").as_bytes());
}

/// How many different reports this process has so far.
pub(super) fn count() -> usize {
    reports().kept.len()
}

/// The report of that number.
pub(super) fn get(index: usize) -> Option<String> {
    let reports = reports();
    let Report { text, times, .. } = reports.kept.get(index)?;
    Some(if *times == 1 { text.clone() } else { format!("{text} ({times} times)") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_kept_and_printed_once() {
        let mut reports = Reports { kept: Vec::new(), unprinted: Vec::new() };
        for text in ["a", "b", "a"] {
            reports.add(Topic::Bug, text.to_owned());
        }
        assert_eq!(reports.unprinted, ["a", "b"]);
        assert_eq!(reports.kept.iter().map(|report| report.times).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn the_list_ends() {
        let mut reports = Reports { kept: Vec::new(), unprinted: Vec::new() };
        for number in 0..MOST + 10 {
            reports.add(Topic::Bug, number.to_string());
        }
        assert_eq!(reports.kept.len(), MOST + 1);
        assert_eq!((reports.kept[MOST].text.as_str(), reports.kept[MOST].times), (TOO_MANY, 10));
        reports.add(Topic::Bug, "0".to_owned());
        assert_eq!(reports.kept[0].times, 2);
    }
}
