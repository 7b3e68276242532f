//! The time between two events.

use std::fmt;
use std::time::Duration;

use super::core::Core;
use super::flags::EventFlags;
use crate::driver::{Answer, CUevent, Driver};
use crate::error::{Error, ErrorCode, Result, Which};

/// The time between two events as the device took it. Negative if the end came first.
///
/// The driver reports single-precision milliseconds and resolves about half a microsecond; beyond 4
/// seconds the number itself is coarser than that.
///
/// ```
/// use cuda_streams::ElapsedTime;
/// use std::time::Duration;
///
/// let time = ElapsedTime::from_millis_f32(1.25);
/// assert_eq!(time.to_string(), "1.250 ms");
/// assert_eq!(Duration::try_from(time)?, Duration::from_micros(1250));
/// assert!(Duration::try_from(ElapsedTime::from_millis_f32(-1.0)).is_err());
/// # Ok::<(), cuda_streams::NegativeTime>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct ElapsedTime {
    millis: f32,
}

impl ElapsedTime {
    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis_f32(millis: f32) -> Self {
        Self { millis }
    }

    /// In milliseconds, as the driver says it.
    #[must_use]
    pub const fn as_millis_f32(self) -> f32 {
        self.millis
    }

    /// In seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        f64::from(self.millis) / 1e3
    }
}

/// In the unit that fits: `1.344 µs`, `12.500 ms`, `2.000 s`. Width and alignment apply to the whole.
impl fmt::Display for ElapsedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = f64::from(self.millis);
        let text = match millis.abs() {
            size if size < 1.0 => format!("{:.3} µs", millis * 1e3),
            size if size < 1e3 => format!("{millis:.3} ms"),
            _ => format!("{:.3} s", millis / 1e3),
        };
        f.pad(&text)
    }
}

impl TryFrom<ElapsedTime> for Duration {
    type Error = NegativeTime;

    fn try_from(time: ElapsedTime) -> std::result::Result<Self, NegativeTime> {
        Self::try_from_secs_f64(time.as_secs_f64()).map_err(|_| NegativeTime(time))
    }
}

/// The end event came before the start event, and a `Duration` cannot be negative.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the end event came {} before the start event", ElapsedTime::from_millis_f32(-.0.as_millis_f32()))]
pub struct NegativeTime(ElapsedTime);

/// Asks the driver first; where it refuses, says why.
pub(super) fn elapsed(start: &Core, end: &Core) -> Result<ElapsedTime> {
    let seen = (start.seen(), end.seen());
    let (Some((a, home)), Some((b, other))) = (start.handle()?, end.handle()?) else {
        let which = if start.home().is_none() { Which::Start } else { Which::End };
        return Err(Error::NotRecorded { which });
    };
    let mut millis = 0.0;
    let answer = ask(home.driver(), &mut millis, a, b)?;
    if !answer.is_ok() {
        return Err(diagnose(answer, start, end).unwrap_or_else(|| start.refused_or_captured(answer, other)));
    }
    // A call that ran while another thread recorded may have taken one time stamp of each record.
    for (event, seen, which) in [(start, seen.0, Which::Start), (end, seen.1, Which::End)] {
        if !event.seen().same_record(seen) {
            return Err(Error::Rerecorded { which });
        }
    }
    Ok(ElapsedTime { millis })
}

#[inline]
fn ask(driver: &Driver, millis: &mut f32, start: CUevent, end: CUevent) -> Result<Answer> {
    // SAFETY: the caller holds both events and saw their contexts alive; the out pointer is live.
    // The second form takes no lock, and drivers have it since 12.8.
    if let Some(answer) = unsafe { driver.cuEventElapsedTime_v2(millis, start, end) } {
        return Ok(answer);
    }
    // SAFETY: as above.
    let answer = unsafe { driver.cuEventElapsedTime(millis, start, end) };
    answer.ok_or(Error::MissingSymbol { symbol: "cuEventElapsedTime" })
}

#[cold]
fn diagnose(answer: Answer, start: &Core, end: &Core) -> Option<Error> {
    let first = |is: &dyn Fn(&Core) -> bool| {
        let which = if is(start) { Some(Which::Start) } else { None };
        which.or(if is(end) { Some(Which::End) } else { None })
    };
    match answer.code()? {
        ErrorCode::INVALID_HANDLE => {
            if let Some(which) = first(&Core::is_never_recorded) {
                return Some(Error::NotRecorded { which });
            }
            let untimed = |core: &Core| core.flags().contains(EventFlags::DISABLE_TIMING);
            first(&untimed).map(|which| Error::Untimed { which })
        }
        ErrorCode::NOT_READY => {
            // Asking again may find it complete by now; then it was the other, or it just finished.
            let pending = |core: &Core| matches!(core.query(), Ok(false));
            Some(Error::NotComplete { which: first(&pending).unwrap_or(Which::End) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_picks_the_unit() {
        let text = |millis| ElapsedTime::from_millis_f32(millis).to_string();
        assert_eq!(text(0.001_344), "1.344 µs");
        assert_eq!(text(-0.5), "-500.000 µs");
        assert_eq!(text(999.0), "999.000 ms");
        assert_eq!(text(2000.0), "2.000 s");
        assert_eq!(format!("{:>12}|", ElapsedTime::from_millis_f32(1.0)), "    1.000 ms|");
    }

    #[test]
    fn negative_time_is_no_duration() {
        let error = Duration::try_from(ElapsedTime::from_millis_f32(-1.5)).unwrap_err();
        assert_eq!(error.to_string(), "the end event came 1.500 ms before the start event");
        assert_eq!(Duration::try_from(ElapsedTime::default()), Ok(Duration::ZERO));
    }
}
