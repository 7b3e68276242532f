//! Tests in a process of their own: for what is decided once a process or changes all of it.

use std::env;
use std::process::{Command, Output};

/// Tells a child which test it is.
const CHILD: &str = "CUDA_STREAMS_CHILD";

/// Runs `scenario` in a new process of this test executable. `test` is the path of the test that
/// calls this, `prepare` sets the environment of the child.
///
/// # Panics
///
/// If the child fails; its output is part of the message.
pub(crate) fn run(test: &str, prepare: impl FnOnce(&mut Command), scenario: impl FnOnce()) {
    if env::var_os(CHILD).is_some_and(|name| name == test) {
        super::choose_driver();
        return scenario();
    }
    let mut command = Command::new(env::current_exe().expect("the path of this executable"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, test);
    prepare(&mut command);
    let Output { status, stdout, stderr } = command.output().expect("this executable runs again");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let passed = status.success() && stdout.contains("1 passed");
    assert!(passed, "the child of {test} ended in {status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
}

/// Runs `scenario` for each of the cases, each in a process of its own.
pub(crate) fn run_each<T>(test: &str, cases: impl IntoIterator<Item = T>, scenario: impl Fn(T)) {
    run_each_with(test, same_environment, cases, scenario);
}

/// The same, in processes with an environment of their own.
pub(crate) fn run_each_with<T>(test: &str, prepare: fn(&mut Command), cases: impl IntoIterator<Item = T>, scenario: impl Fn(T)) {
    const CASE: &str = "CUDA_STREAMS_CASE";
    let chosen = env::var(CASE).ok();
    for (index, case) in cases.into_iter().enumerate() {
        let index = index.to_string();
        if chosen.as_ref().is_none_or(|chosen| *chosen == index) {
            let with_case = |command: &mut Command| {
                prepare(command);
                command.env(CASE, &index);
            };
            run(test, with_case, || scenario(case));
        }
    }
}

/// A child with the environment of this process.
pub(crate) fn same_environment(_command: &mut Command) {}

/// A child with the newest software driver, whichever version this process has: for what only a driver
/// with ids of contexts can tell.
pub(crate) fn newest_driver(command: &mut Command) {
    command.env_remove("SOFTCUDA_VERSION");
}

/// A child that misuses the driver on purpose, or whose device faults: a report does not end it.
pub(crate) fn with_reports(command: &mut Command) {
    command.env("SOFTCUDA_REPORTS", "print");
}

/// A child that finds no driver, whatever the machine has.
pub(crate) fn without_a_driver(command: &mut Command) {
    command.env("SOFTCUDA", "none").env_remove("SOFTCUDA_EXPECT");
}
