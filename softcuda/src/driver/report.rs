//! Misuse that a real driver answers with silence or a crash is written down here, and to stderr.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::calls;
use super::raw::{REPORTS as CHOICES, Topic};
use super::scope::{self, PROCESS, ScopeId};

/// Reports of a scope that are kept. A program that makes more has been told.
const MOST: usize = 200;
const TOO_MANY: &str = "there are more reports than are kept";

/// A report, and how often it was made.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) topic: Topic,
    pub(super) text: String,
    pub(super) times: u64,
}

#[derive(Debug)]
struct Reports {
    kept: BTreeMap<ScopeId, Vec<Report>>,
    /// Lines for stderr, and whose they are. The driver's lock is held where reports are made, so that
    /// they are printed later.
    unprinted: Vec<(ScopeId, String)>,
}

static REPORTS: Mutex<Reports> = Mutex::new(Reports::new());
/// Whether there are lines to print: every call asks.
static UNPRINTED: AtomicBool = AtomicBool::new(false);

fn reports() -> MutexGuard<'static, Reports> {
    REPORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a report, with the call it was found in, to those of the calling thread's scope, or of its heir.
pub(super) fn add(topic: Topic, what: impl Display) {
    let text = match calls::current() {
        Some(call) => format!("{call}: {what}"),
        None => what.to_string(),
    };
    let scope = scope::heir(scope::current());
    reports().add(scope, topic, text);
}

impl Reports {
    const fn new() -> Self {
        Self { kept: BTreeMap::new(), unprinted: Vec::new() }
    }

    fn add(&mut self, scope: ScopeId, topic: Topic, text: String) {
        let kept = self.kept.entry(scope).or_default();
        let text = if kept.len() < MOST || find(kept, &text).is_some() { text } else { TOO_MANY.to_owned() };
        if let Some(known) = find(kept, &text) {
            known.times += 1;
            return;
        }
        kept.push(Report { topic, text: text.clone(), times: 1 });
        self.unprinted.push((scope, text));
        UNPRINTED.store(true, Ordering::Relaxed);
    }
}

fn find<'a>(kept: &'a mut [Report], text: &str) -> Option<&'a mut Report> {
    // What repeats was made not long ago.
    kept.iter_mut().rev().find(|report| report.text == text)
}

/// Whether there is something to print.
pub(super) fn is_unprinted() -> bool {
    UNPRINTED.load(Ordering::Relaxed)
}

/// Prints what was reported, and ends the process if that is wanted. The driver's lock is not held
/// here: stderr may be slow.
pub(super) fn print() {
    if !is_unprinted() {
        return;
    }
    UNPRINTED.store(false, Ordering::Relaxed);
    let lines = std::mem::take(&mut reports().unprinted);
    for (_, line) in &lines {
        to_stderr(line);
    }
    // What is reported in a scope is for who entered it to judge.
    if lines.iter().any(|(scope, _)| *scope == PROCESS) && aborts() {
        to_stderr(&format!("{VARIABLE}=abort: this report ends the process"));
        std::process::abort();
    }
}

const VARIABLE: &str = "SOFTCUDA_REPORTS";

/// Whether a report ends the process.
fn aborts() -> bool {
    static ABORTS: OnceLock<bool> = OnceLock::new();
    *ABORTS.get_or_init(|| {
        let Ok(value) = std::env::var(VARIABLE) else { return false };
        let known = CHOICES.iter().find(|(known, _)| *known == value);
        known.map_or_else(|| refuse_variable(VARIABLE, &value, &CHOICES.map(|(known, _)| known).join(", ")), |(_, aborts)| *aborts != 0)
    })
}

/// Ends the process because of the environment. Whoever loads this driver by its control API has been
/// told in a better way.
pub(super) fn refuse_variable(variable: &str, value: &str, known: &str) -> ! {
    to_stderr(&format!("{variable}={value} is none of {known}"));
    std::process::abort();
}

/// One line that no test harness swallows, as it does with `eprintln!`.
pub(super) fn to_stderr(line: &str) {
    // Nothing can be done where stderr is closed.
    let _ = std::io::stderr().write_all(format!("softcuda: {line}\n").as_bytes());
}

/// How many different reports a scope has so far.
pub(super) fn count(scope: ScopeId) -> usize {
    reports().kept.get(&scope).map_or(0, Vec::len)
}

/// The report of that number.
pub(super) fn get(scope: ScopeId, index: usize) -> Option<Report> {
    reports().kept.get(&scope)?.get(index).cloned()
}

/// Forgets the first `count` reports of a scope.
pub(super) fn forget(scope: ScopeId, count: usize) {
    let mut reports = reports();
    if let Some(kept) = reports.kept.get_mut(&scope) {
        kept.drain(..count.min(kept.len()));
        if kept.is_empty() {
            reports.kept.remove(&scope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_kept_and_printed_once_in_each_scope() {
        let mut reports = Reports::new();
        for (scope, text) in [(PROCESS, "a"), (PROCESS, "b"), (1, "a"), (PROCESS, "a")] {
            reports.add(scope, Topic::Bug, text.to_owned());
        }
        assert_eq!(reports.unprinted, [(PROCESS, "a".to_owned()), (PROCESS, "b".to_owned()), (1, "a".to_owned())]);
        let times = |scope| reports.kept[&scope].iter().map(|report| report.times).collect::<Vec<_>>();
        assert_eq!((times(PROCESS), times(1)), (vec![2, 1], vec![1]));
    }

    #[test]
    fn the_list_ends() {
        let mut reports = Reports::new();
        for number in 0..MOST + 10 {
            reports.add(PROCESS, Topic::Bug, number.to_string());
        }
        let kept = &reports.kept[&PROCESS];
        assert_eq!(kept.len(), MOST + 1);
        assert_eq!((kept[MOST].text.as_str(), kept[MOST].times), (TOO_MANY, 10));
        reports.add(PROCESS, Topic::Bug, "0".to_owned());
        assert_eq!(reports.kept[&PROCESS][0].times, 2);
    }
}
