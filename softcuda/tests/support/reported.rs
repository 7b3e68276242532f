//! Whether a program is reported, in every schedule.

use std::sync::Arc;

use cudarc::driver::CudaContext;
use softcuda::{Schedule, Scope};

use super::world::{World, non_blocking};
use super::{context, schedules};

/// Runs a test in every schedule, each time in a scope of its own, which is left without a report.
pub(crate) fn in_every_schedule(test: impl Fn(&Arc<CudaContext>, Schedule)) {
    let context = context(0);
    for schedule in schedules() {
        println!("in the schedule {schedule:?}");
        let _scope = Scope::enter().scheduled(schedule);
        check_silent("the rest", || test(&context, schedule));
    }
}

/// The same with two streams and memory that both use.
pub(crate) fn in_every_schedule_with_a_world(test: impl Fn(&World)) {
    in_every_schedule(|context, _| test(&World::of(context, non_blocking)));
}

/// The reports that `program` makes, or adds to.
pub(crate) fn reports_of(program: impl FnOnce()) -> Vec<String> {
    assert_eq!(Scope::current().reports(), [], "before the program");
    program();
    Scope::current().take_reports().iter().map(ToString::to_string).collect()
}

/// Checks that a program makes no report.
pub(crate) fn check_silent(name: &str, program: impl FnOnce()) {
    assert_eq!(reports_of(program), Vec::<String>::new(), "{name}");
}

/// Checks that a program makes one report, with all the words.
pub(crate) fn check_reported(name: &str, words: &[&str], program: impl FnOnce()) {
    let reports = reports_of(program);
    assert_eq!(reports.len(), 1, "{name}: {reports:#?}");
    for word in words {
        assert!(reports[0].contains(word), "{name}: {:?} lacks {word:?}", reports[0]);
    }
}
