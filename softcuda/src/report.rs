//! What the driver has to say of a program's use of it.

use std::ffi::c_char;
use std::fmt;
use std::mem::MaybeUninit;

use crate::functions::ControlFunctions;
use crate::raw::{RawReport, Topic};

/// Misuse that a real driver answers with silence or a crash: stale handles, accesses outside of
/// memory, kernels without a twin. See [`reports`](crate::reports).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    topic: Topic,
    text: String,
    times: u64,
}

impl Report {
    /// What it is about.
    #[must_use]
    pub fn topic(&self) -> Topic {
        self.topic
    }

    /// What happened, in one line, with the driver call it was found in.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How often it was made: what repeats is one report.
    #[must_use]
    pub fn times(&self) -> u64 {
        self.times
    }
}

impl fmt::Display for Report {
    /// The text, and how often if that was more than once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.times == 1 { Ok(()) } else { write!(f, " ({} times)", self.times) }
    }
}

/// The reports of a scope, in order.
pub(crate) fn of_scope(driver: &ControlFunctions, scope: u64) -> Vec<Report> {
    // SAFETY: the function takes a number and may be called at any time.
    let count = unsafe { (driver.softcuda_report_count)(scope) };
    (0..count).map_while(|index| report(driver, scope, index)).collect()
}

/// `None` if it has been taken meanwhile.
fn report(driver: &ControlFunctions, scope: u64, index: u64) -> Option<Report> {
    let mut text = vec![0_u8; 256];
    loop {
        let mut raw = MaybeUninit::<RawReport>::uninit();
        // SAFETY: `raw` has room for a report, and `text` for as many bytes as are passed.
        let length = unsafe { (driver.softcuda_report)(scope, index, raw.as_mut_ptr(), text.as_mut_ptr().cast::<c_char>(), text.len()) };
        if length == 0 {
            return None;
        }
        let complete = length <= text.len();
        text.resize(length, 0);
        if complete {
            // SAFETY: the driver has written it: there is a text.
            let RawReport { topic, times } = unsafe { raw.assume_init() };
            return Some(Report { topic, text: String::from_utf8_lossy(&text).into_owned(), times });
        }
    }
}
