//! The inside of a child process: runs the probes it was given and prints a line for each.

use std::sync::atomic::Ordering;
use std::thread;

use crate::breakdown::{HOLD_TIMED_OUT, NO_FIXTURE, PANICS};
use crate::driver::Driver;
use crate::fixture::Fixture;
use crate::outcome::Outcome;
use crate::probe::Body;
use crate::probes;

/// Runs the named probes in order, a line of outcome each. Ends early if a probe has spoiled the
/// context for the next one; the parent then goes on in another process.
///
/// # Errors
///
/// There is no driver, or no probe of a name.
pub fn run(names: &[String]) -> Result<(), String> {
    let driver = Driver::open()?;
    let mut shared = None;
    for name in names {
        let probe = probes::find(name).ok_or_else(|| format!("there is no probe named {name:?}"))?;
        let (body, current) = match probe.body {
            Body::Current(body) => (body, true),
            Body::Bare(body) => (body, false),
            Body::Alone(body) => {
                println!("{}", on_a_thread(driver, || body(driver)));
                break;
            }
        };
        let (outcome, spoiled) = match shared.get_or_insert_with(|| on_its_own(|| Fixture::new(driver))) {
            Ok(fixture) => with_fixture(fixture, body, current),
            Err(why) => (format!("{NO_FIXTURE}{why}"), true),
        };
        println!("{outcome}");
        if spoiled {
            break;
        }
    }
    Ok(())
}

/// Prepares the fixture on a thread of its own, as the probes run.
fn on_its_own(make: impl FnOnce() -> Result<Fixture, String> + Send) -> Result<Fixture, String> {
    thread::scope(|scope| scope.spawn(make).join()).unwrap_or_else(|_| Err("it panics".to_owned()))
}

/// Runs a probe that shares the process. Also tells whether it has spoiled the context.
fn with_fixture(fixture: &Fixture, body: fn(&Fixture) -> Outcome, current: bool) -> (String, bool) {
    let driver = fixture.driver;
    let outcome = on_a_thread(driver, || {
        if current {
            driver.cuCtxSetCurrent(fixture.primary);
        }
        body(fixture)
    });
    let end = fixture.with_primary(|| driver.cuCtxSynchronize());
    let timed_out = fixture.timed_out.swap(false, Ordering::Relaxed);
    let outcome = if timed_out { format!("{HOLD_TIMED_OUT}{outcome}") } else { outcome };
    (outcome, !end.is_success())
}

fn on_a_thread(driver: &Driver, probe: impl FnOnce() -> Outcome + Send) -> String {
    let outcome = thread::scope(|scope| scope.spawn(|| probe().render(driver)).join());
    outcome.unwrap_or_else(|_| PANICS.to_owned())
}
