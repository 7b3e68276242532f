//! Waiting with a limit, which the driver does not offer.

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Result;

/// As long as this the wait spins: most work is short.
const SPIN: Duration = Duration::from_micros(50);
/// The longest sleep between two questions.
const LONGEST: Duration = Duration::from_millis(1);

/// Asks until the answer is yes, and at least once; `false` if `limit` has passed before. Sleeps a
/// small part of what has passed, so that it comes late by no more than that part.
pub(crate) fn until(limit: Duration, mut is_done: impl FnMut() -> Result<bool>) -> Result<bool> {
    let began = Instant::now();
    loop {
        if is_done()? {
            return Ok(true);
        }
        let passed = began.elapsed();
        let Some(left) = limit.checked_sub(passed).filter(|left| !left.is_zero()) else { return Ok(false) };
        if passed < SPIN {
            hint::spin_loop();
        } else {
            thread::sleep((passed / 16).min(LONGEST).min(left));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_once_where_no_time_is_given() {
        let mut asked = 0;
        let mut count = || {
            asked += 1;
            Ok(false)
        };
        assert_eq!(until(Duration::ZERO, &mut count), Ok(false));
        assert_eq!(asked, 1);
    }

    #[test]
    fn ends_with_the_first_yes_however_long_it_may_take() {
        let mut left = 100;
        let is_done = || {
            left -= 1;
            Ok(left == 0)
        };
        assert_eq!(until(Duration::MAX, is_done), Ok(true));
    }

    #[test]
    fn does_not_end_before_its_time() {
        let began = Instant::now();
        assert_eq!(until(Duration::from_millis(3), || Ok(false)), Ok(false));
        assert!(began.elapsed() >= Duration::from_millis(3));
    }
}
