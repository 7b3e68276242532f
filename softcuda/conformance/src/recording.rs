//! A recording: what one driver answered to the whole probe list. Goldens are recordings.

use std::fmt;
use std::str::FromStr;

/// Column of the outcomes. Names are shorter, and hold no two spaces in a row.
pub(crate) const COLUMN: usize = 70;

/// Names and outcomes of one run, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The device's name.
    pub hardware: String,
    /// The driver's version, and the kernel module's where it is known.
    pub driver: String,
    /// Day of the run.
    pub date: String,
    /// Digest of the probe list that ran.
    pub digest: String,
    /// Name and outcome of each probe.
    pub lines: Vec<(String, String)>,
}

impl fmt::Display for Recording {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "# written by `conformance --golden`, never by hand")?;
        writeln!(formatter, "# hardware: {}", self.hardware)?;
        writeln!(formatter, "# driver: {}", self.driver)?;
        writeln!(formatter, "# date: {}", self.date)?;
        writeln!(formatter, "# probes: {}", self.digest)?;
        for (name, outcome) in &self.lines {
            writeln!(formatter, "{name:COLUMN$}{outcome}")?;
        }
        Ok(())
    }
}

impl FromStr for Recording {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let header = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(": "));
            value.map(str::to_owned).ok_or_else(|| format!("a recording without a line `# {key}: …`"))
        };
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(|line| {
            let (name, outcome) = line.split_once("  ").ok_or_else(|| format!("no outcome in {line:?}"))?;
            Ok((name.to_owned(), outcome.trim_start().to_owned()))
        });
        Ok(Self {
            hardware: header("hardware")?,
            driver: header("driver")?,
            date: header("date")?,
            digest: header("probes")?,
            lines: lines.collect::<Result<_, String>>()?,
        })
    }
}

impl Recording {
    /// The outcome of a probe.
    #[must_use]
    pub fn outcome(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|line| line.0 == name).map(|line| line.1.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        Recording {
            hardware: "NVIDIA H200".to_owned(),
            driver: "13.0 (580.159.04)".to_owned(),
            date: "2026-01-02".to_owned(),
            digest: "0123456789abcdef".to_owned(),
            lines: vec![
                ("event: query".to_owned(), "NOT_READY, SUCCESS".to_owned()),
                ("error 1".to_owned(), "CUDA_ERROR_INVALID_VALUE".to_owned()),
            ],
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        assert_eq!(recording().to_string().parse(), Ok(recording()));
    }

    #[test]
    fn a_recording_without_a_digest_is_refused() {
        let text = recording().to_string().replace("# probes", "# other");
        let refused = text.parse::<Recording>().expect_err("a header line is missing");
        assert!(refused.contains("# probes"), "{refused}");
    }

    #[test]
    fn a_line_without_an_outcome_is_refused() {
        let text = format!("{}lonely name\n", recording());
        let refused = text.parse::<Recording>().expect_err("a line has no outcome");
        assert!(refused.contains("lonely name"), "{refused}");
    }
}
