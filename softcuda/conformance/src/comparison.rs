//! The software driver's recording against a golden: differences, and the few that are excused.

use std::fmt;

use crate::attributes;
use crate::breakdown::{CRASH, is_breakdown};
use crate::recording::Recording;

/// No more differences than these may be excused.
const MOST_EXCUSES: usize = 10;

/// One probe with two outcomes; `None` where a recording lacks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The probe.
    pub name: String,
    /// What the real driver answered.
    pub golden: Option<String>,
    /// What the software driver answered.
    pub software: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |outcome: &Option<String>| outcome.clone().unwrap_or_else(|| "(not there)".to_owned());
        writeln!(formatter, "{}", self.name)?;
        writeln!(formatter, "    real:     {}", show(&self.golden))?;
        write!(formatter, "    software: {}", show(&self.software))
    }
}

/// Where the two recordings differ.
///
/// Probes that need two devices count only where the golden's machine had two. Where a real driver
/// crashes, the software one refuses with some result code, by design: that is no difference.
///
/// # Errors
///
/// The golden is of another probe list: it says nothing about this one.
pub fn differences(golden: &Recording, software: &Recording) -> Result<Vec<Difference>, String> {
    if golden.digest != software.digest {
        return Err(format!(
            "the golden of {} ({}) was recorded with another probe list ({}, now {}); record it anew on such a \
             machine: SOFTCUDA=real conformance --golden FILE",
            golden.hardware, golden.driver, golden.digest, software.digest
        ));
    }
    let missing = software.lines.iter().map(|line| &line.0).filter(|name| golden.outcome(name).is_none() && !name.starts_with("two: "));
    let names = golden.lines.iter().map(|line| &line.0).chain(missing);
    Ok(names
        .map(|name| Difference {
            name: name.clone(),
            golden: golden.outcome(name).map(str::to_owned),
            software: software.outcome(name).map(str::to_owned),
        })
        .filter(|pair| !agree(pair.golden.as_deref(), pair.software.as_deref()))
        .collect())
}

/// The probes without an outcome of their own: they crash, hang, panic, or never saw what they look
/// for. No golden excuses that in the software driver, nor the lack of one.
pub fn breakdowns(software: &Recording) -> impl Iterator<Item = (&str, &str)> {
    let lines = software.lines.iter().map(|(name, outcome)| (name.as_str(), outcome.as_str()));
    lines.filter(|(_, outcome)| is_breakdown(outcome))
}

/// Why the software driver answers an attribute of a device otherwise, if it says so itself: an answer
/// that softcuda's list of what it lacks has for it.
#[must_use]
pub fn explanation(difference: &Difference) -> Option<&'static str> {
    let number = difference.name.strip_prefix(attributes::NAME)?.parse();
    let absent = softcuda::ABSENT.iter().find(|absent| Ok(absent.attribute) == number)?;
    (difference.software.as_deref() == Some(&absent.answer.to_string())).then_some(absent.reason)
}

/// The attributes in softcuda's list of what it lacks that explain none of the differences: hardware
/// has no more.
pub fn unexplaining(differences: &[Difference]) -> impl Iterator<Item = u32> {
    let explains = |number: u32| differences.iter().any(|difference| difference.name == format!("{}{number}", attributes::NAME));
    softcuda::ABSENT.iter().map(|absent| absent.attribute).filter(move |number| !explains(*number))
}

fn agree(golden: Option<&str>, software: Option<&str>) -> bool {
    match (golden, software) {
        (Some(golden), Some(software)) if golden.starts_with(CRASH) => is_refusal(software),
        (golden, software) => golden == software,
    }
}

/// Result codes alone, and not one of success: codes are the only words in capitals.
fn is_refusal(outcome: &str) -> bool {
    let is_code = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    outcome.split(", ").all(|word| is_code(word) && word != "SUCCESS")
}

/// Differences that are known and have a reason: the rows of excused.txt.
#[derive(Debug)]
pub struct Excuses(Vec<(String, String)>);

impl Excuses {
    /// Reads rows of a probe's name, two spaces or more, and the reason.
    ///
    /// # Errors
    ///
    /// A row without a reason, or too many rows.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rows = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let rows: Vec<_> = rows
            .map(|line| match line.split_once("  ") {
                Some((name, reason)) if !reason.trim().is_empty() => Ok((name.to_owned(), reason.trim().to_owned())),
                _ => Err(format!("an excuse needs a reason, two spaces behind the probe's name: {line:?}")),
            })
            .collect::<Result<_, String>>()?;
        match rows.len() {
            0..=MOST_EXCUSES => Ok(Self(rows)),
            count => Err(format!("{count} differences are excused; at most {MOST_EXCUSES} may be")),
        }
    }

    /// The differences without an excuse.
    pub fn unexcused<'a>(&'a self, differences: &'a [Difference]) -> impl Iterator<Item = &'a Difference> {
        differences.iter().filter(|difference| !self.0.iter().any(|row| row.0 == difference.name))
    }

    /// The rows that excuse none of the differences.
    pub fn unused<'a>(&'a self, differences: &'a [Difference]) -> impl Iterator<Item = &'a str> {
        let used = |name: &str| differences.iter().any(|difference| difference.name == name);
        self.0.iter().map(|row| row.0.as_str()).filter(move |name| !used(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(lines: &[(&str, &str)]) -> Recording {
        Recording {
            hardware: "H".to_owned(),
            driver: "1".to_owned(),
            date: "2026-01-02".to_owned(),
            digest: "d".to_owned(),
            lines: lines.iter().map(|line| (line.0.to_owned(), line.1.to_owned())).collect(),
        }
    }

    fn names(golden: &[(&str, &str)], software: &[(&str, &str)]) -> Vec<String> {
        let differences = differences(&recording(golden), &recording(software)).expect("one probe list");
        differences.into_iter().map(|difference| difference.name).collect()
    }

    #[test]
    fn another_outcome_differs() {
        assert_eq!(names(&[("a", "SUCCESS"), ("b", "1")], &[("a", "SUCCESS"), ("b", "2")]), ["b"]);
    }

    #[test]
    fn a_probe_that_one_side_lacks_differs() {
        assert_eq!(names(&[("a", "1")], &[("b", "1")]), ["a", "b"]);
    }

    #[test]
    fn two_devices_count_where_the_golden_had_them() {
        assert_eq!(names(&[("a", "1")], &[("a", "1"), ("two: b", "1")]), Vec::<String>::new());
        assert_eq!(names(&[("two: b", "2")], &[("two: b", "1")]), ["two: b"]);
    }

    #[test]
    fn a_refusal_stands_for_a_crash_and_nothing_else_does() {
        let crash = [("a", "crash: SIGSEGV")];
        assert_eq!(names(&crash, &[("a", "CONTEXT_IS_DESTROYED")]), Vec::<String>::new());
        for outcome in ["SUCCESS", "crash: SIGABRT", "hangs", "panics", "INVALID_VALUE, SUCCESS", ""] {
            assert_eq!(names(&crash, &[("a", outcome)]), ["a"], "{outcome}");
        }
        assert_eq!(names(&[("a", "INVALID_HANDLE")], &[("a", "INVALID_VALUE")]), ["a"]);
    }

    #[test]
    fn a_probe_that_breaks_down_is_told_whatever_the_golden_says() {
        let broken =
            ["crash: SIGABRT", "exit: 3", "hangs", "panics", "no fixture: cuInit answers 1", "no outcome", "hold timed out: SUCCESS", ""];
        for outcome in broken {
            let software = recording(&[("a", "SUCCESS"), ("two: b", outcome), ("c", "not an outcome, hangs")]);
            assert_eq!(breakdowns(&software).collect::<Vec<_>>(), [("two: b", outcome)]);
        }
    }

    #[test]
    fn another_probe_list_is_refused() {
        let golden = Recording { digest: "old".to_owned(), ..recording(&[]) };
        let refused = differences(&golden, &recording(&[])).expect_err("the digests differ");
        assert!(refused.contains("--golden"), "{refused}");
    }

    #[test]
    fn an_absent_attribute_is_explained_only_as_it_is_answered() {
        let absent = softcuda::ABSENT[0];
        let difference = |software: &str| Difference {
            name: format!("attribute {}", absent.attribute),
            golden: Some("77".to_owned()),
            software: Some(software.to_owned()),
        };
        assert_eq!(explanation(&difference(&absent.answer.to_string())), Some(absent.reason));
        assert_eq!(explanation(&difference("76")), None);
        let warp = Difference { name: "attribute 10".to_owned(), ..difference("0") };
        assert_eq!(explanation(&warp), None, "softcuda does not lack it");
        let useless: Vec<u32> = unexplaining(&[difference("0")]).collect();
        assert_eq!(useless.len(), softcuda::ABSENT.len() - 1);
        assert!(!useless.contains(&absent.attribute));
    }

    #[test]
    fn excuses_need_a_reason_and_stay_few() {
        assert!(Excuses::parse("# a comment\n\na probe  because\n").is_ok());
        assert!(Excuses::parse("a probe\n").is_err());
        assert!(Excuses::parse("a probe   \n").is_err());
        assert!(Excuses::parse(&"a probe  because\n".repeat(11)).is_err());
    }

    #[test]
    fn excuses_cover_their_probe_alone() {
        let excuses = Excuses::parse("a  because\nb  because\n").expect("two rows");
        let golden = recording(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let software = recording(&[("a", "2"), ("b", "1"), ("c", "2")]);
        let differences = differences(&golden, &software).expect("one probe list");
        let unexcused: Vec<_> = excuses.unexcused(&differences).map(|difference| difference.name.as_str()).collect();
        assert_eq!(unexcused, ["c"]);
        assert_eq!(excuses.unused(&differences).collect::<Vec<_>>(), ["b"]);
    }
}
