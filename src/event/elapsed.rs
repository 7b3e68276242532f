//! The time between two events.

use std::fmt::{self, Write as _};
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use super::Event;
use super::flags::EventFlags;
use super::inner::Inner;
use super::mode::{Dynamic, Timed};
use super::word::Seen;
use crate::context::Context;
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

/// In the unit that fits: `1.344 µs`, `12.500 ms`, `2.000 s`. A precision is the number of decimals;
/// width, fill and alignment apply to the whole.
impl fmt::Display for ElapsedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(f64, &str); 3] = [(1e3, "µs"), (1.0, "ms"), (1e-3, "s")];
        let decimals = f.precision().unwrap_or(3);
        let in_unit = |(factor, unit)| format!("{:.decimals$} {unit}", f64::from(self.millis) * factor);
        // The first unit in which the rounded figure stays below a thousand.
        let fits = |text: &String| text.trim_start_matches('-').find(['.', ' ']).is_some_and(|digits| digits <= 3);
        let text = UNITS.into_iter().map(in_unit).find(fits).unwrap_or_else(|| in_unit(UNITS[2]));
        pad(f, &text)
    }
}

/// [`Formatter::pad`](fmt::Formatter::pad) without its reading of a precision.
fn pad(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let missing = f.width().unwrap_or(0).saturating_sub(text.chars().count());
    let before = match f.align() {
        Some(fmt::Alignment::Right) => missing,
        Some(fmt::Alignment::Center) => missing / 2,
        Some(fmt::Alignment::Left) | None => 0,
    };
    let fill = f.fill();
    (0..before).try_for_each(|_| f.write_char(fill))?;
    f.write_str(text)?;
    (before..missing).try_for_each(|_| f.write_char(fill))
}

impl TryFrom<ElapsedTime> for Duration {
    type Error = NegativeTime;

    fn try_from(time: ElapsedTime) -> std::result::Result<Self, NegativeTime> {
        Self::try_from_secs_f64(time.as_secs_f64()).map_err(|_| NegativeTime(time))
    }
}

/// The end event came before the start event, and a `Duration` cannot be negative (or the time is
/// not a finite number, which no driver says).
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("no `Duration` can be {0}: the end event came before the start event")]
pub struct NegativeTime(ElapsedTime);

impl Event<Timed> {
    /// The time from this event to `end`, as the device took it. Never waits.
    ///
    /// # Errors
    ///
    /// * [`Error::NotRecorded`], [`Error::NotComplete`]: which of the two
    /// * [`Error::ContextMismatch`]: events of two contexts have no common clock
    /// * [`Error::Rerecorded`]: another thread recorded one of them during the call
    /// * [`Error::Captured`]: last recorded inside a stream capture
    /// * [`Error::ContextDestroyed`], [`Error::Driver`]
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let (start, end) = (Event::timed(), Event::timed());
    /// start.record(&stream)?;
    /// // ... enqueue work
    /// end.record(&stream)?;
    /// end.synchronize()?;
    /// assert!(start.elapsed_time(&end)?.as_millis_f32() >= 0.0);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventElapsedTime")]
    #[inline]
    pub fn elapsed_time(&self, end: &Self) -> Result<ElapsedTime> {
        elapsed(&self.inner, &end.inner)
    }
}

impl Event<Dynamic> {
    /// See [`Event::<Timed>::elapsed_time`](Event::elapsed_time).
    ///
    /// # Errors
    ///
    /// The same, and [`Error::Untimed`]: which of the two.
    #[doc(alias = "cuEventElapsedTime")]
    #[inline]
    pub fn elapsed_time(&self, end: &Self) -> Result<ElapsedTime> {
        elapsed(&self.inner, &end.inner)
    }
}

/// Asks the driver first; where it refuses, says why.
fn elapsed(start: &Inner, end: &Inner) -> Result<ElapsedTime> {
    let seen = (start.seen(), end.seen());
    let at_hand = if seen.0.is_recorded() && seen.1.is_recorded() { start.handles_with(end) } else { None };
    let (a, b, home) = match at_hand {
        Some(handles) => handles,
        None => recorded_handles(start, end, seen)?,
    };
    let mut millis = 0.0;
    let answer = ask(home.driver(), &mut millis, a, b)?;
    if !answer.is_ok() {
        return Err(refusal(answer, start, end, home));
    }
    // The words are read again after the driver has read its time stamps.
    fence(Ordering::Acquire);
    // A call that ran while another thread recorded may have taken one time stamp of each record.
    let [start_stays, end_stays] = [(start, seen.0), (end, seen.1)].map(|(event, seen)| event.seen().same_record(seen));
    if start_stays && end_stays {
        Ok(ElapsedTime { millis })
    } else {
        Err(Error::Rerecorded { which: if start_stays { Which::End } else { Which::Start } })
    }
}

/// The handles, whatever the events are, and the context of one; or why there is no time between them.
#[cold]
fn recorded_handles(start: &Inner, end: &Inner, seen: (Seen, Seen)) -> Result<(CUevent, CUevent, Context)> {
    let (Some((a, home)), Some((b, _))) = (start.recorded_handle(seen.0)?, end.recorded_handle(seen.1)?) else {
        let not_recorded = || Error::NotRecorded { which: first(start, end, Inner::is_never_recorded).unwrap_or(Which::End), code: None };
        return Err(untimed(start, end).unwrap_or_else(not_recorded));
    };
    Ok((a, b, home))
}

/// Why the driver refused.
#[cold]
fn refusal(answer: Answer, start: &Inner, end: &Inner, home: Context) -> Error {
    diagnose(answer, start, end).unwrap_or_else(|| start.refused_or_captured(answer, end.home().unwrap_or(home)))
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

/// The reason why the driver refused, as far as it is one of these. Asks with nothing that a capture
/// open on this thread would not survive.
#[cold]
fn diagnose(answer: Answer, start: &Inner, end: &Inner) -> Option<Error> {
    match answer.code()? {
        code @ ErrorCode::INVALID_HANDLE => untimed(start, end).or_else(|| {
            let which = first(start, end, |event| event.is_never_recorded() || to_itself(event) == Some(ErrorCode::INVALID_HANDLE))?;
            Some(Error::NotRecorded { which, code: Some(code) })
        }),
        // Where neither is any more, the end finished during the call.
        ErrorCode::NOT_READY => Some(Error::NotComplete { which: first(start, end, is_pending).unwrap_or(Which::End) }),
        _ => None,
    }
}

/// The first thing to say, since no record mends it.
#[cold]
fn untimed(start: &Inner, end: &Inner) -> Option<Error> {
    let which = first(start, end, |event| event.flags().contains(EventFlags::DISABLE_TIMING))?;
    Some(Error::Untimed { which })
}

/// Whether a recorded event is pending: the time from it to itself then is not ready either.
fn is_pending(event: &Inner) -> bool {
    to_itself(event) == Some(ErrorCode::NOT_READY)
}

/// Why there is no time from an event to itself; `INVALID_HANDLE` if nobody has recorded it, whom we know of or not.
fn to_itself(event: &Inner) -> Option<ErrorCode> {
    let (raw, home) = event.handle().ok()??;
    ask(home.driver(), &mut 0.0, raw, raw).ok()?.code()
}

/// The first of the two events for which this is true.
fn first(start: &Inner, end: &Inner, is: impl Fn(&Inner) -> bool) -> Option<Which> {
    if is(start) {
        Some(Which::Start)
    } else if is(end) {
        Some(Which::End)
    } else {
        None
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
        assert_eq!(text(0.999_999_9), "1.000 ms", "the unit is chosen after rounding");
    }

    #[test]
    fn display_takes_width_and_precision() {
        let time = ElapsedTime::from_millis_f32(12.5);
        assert_eq!(format!("{time:.1}"), "12.5 ms");
        assert_eq!(format!("{time:>12}|"), "   12.500 ms|");
        assert_eq!(format!("{time:*^12.0}|"), "***12 ms****|");
        assert_eq!(format!("{:<12}|", ElapsedTime::from_millis_f32(0.001)), "1.000 µs    |");
    }

    #[test]
    fn negative_time_is_no_duration() {
        let error = Duration::try_from(ElapsedTime::from_millis_f32(-1.5)).unwrap_err();
        assert_eq!(error.to_string(), "no `Duration` can be -1.500 ms: the end event came before the start event");
        assert!(Duration::try_from(ElapsedTime::from_millis_f32(f32::INFINITY)).is_err());
        assert_eq!(Duration::try_from(ElapsedTime::default()), Ok(Duration::ZERO));
    }
}
