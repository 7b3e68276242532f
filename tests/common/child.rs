//! Tests in a process of their own: for what is decided once a process or changes all of it.

use std::env;
use std::fmt::Display;
use std::io::{self, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// How long a child may take. The tests that take long repeat something in it.
const TIME_OUT: Duration = Duration::from_secs(300);

/// Tells a child which test it is.
const CHILD: &str = "CUDA_STREAMS_CHILD";

/// Runs `scenario` in a new process of this test executable. `test` is the path of the test that
/// calls this, `prepare` sets the environment of the child.
///
/// # Panics
///
/// If the child fails, or takes too long; its output is part of the message.
pub(crate) fn run(test: &str, prepare: impl FnOnce(&mut Command), scenario: impl FnOnce()) {
    if env::var_os(CHILD).is_some_and(|name| name == test) {
        super::choose_driver();
        return scenario();
    }
    let mut command = Command::new(env::current_exe().expect("the path of this executable"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, test);
    prepare(&mut command);
    let (status, [stdout, stderr]) = output_within(TIME_OUT, command);
    let passed = status.success() && stdout.contains("1 passed");
    assert!(passed, "the child of {test} ended in {status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
    stderr.lines().filter_map(|line| line.strip_prefix(NOTE)).for_each(note);
}

/// What a process writes, and how it ends. One that takes too long is killed.
fn output_within(limit: Duration, mut command: Command) -> (ExitStatus, [String; 2]) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("this executable runs again");
    let outputs = [read(child.stdout.take().expect("a pipe")), read(child.stderr.take().expect("a pipe"))];
    let outputs = outputs.map(|output| wait(limit, &mut child, &output));
    (child.wait().expect("a child of this process"), outputs)
}

/// Reads on a thread, so that who waits for it can stop waiting.
fn read(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, output) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        // Who does not listen any more has panicked.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    output
}

/// Waits for an output. What has begun by then and outlives a child that is killed may have it still.
fn wait(limit: Duration, child: &mut Child, output: &Receiver<String>) -> String {
    output
        .recv_timeout(limit)
        .or_else(|_| {
            child.kill()?;
            output.recv_timeout(Duration::from_secs(10)).map_err(io::Error::other)
        })
        .unwrap_or_else(|error| format!("not ended within {limit:?}, and not read: {error}"))
}

/// Marks what a child has noted.
const NOTE: &str = "note: ";

/// Writes what was seen and is no failure where a log has it, although the test passes.
pub(crate) fn note(fact: impl Display) {
    // Not `eprintln!`, which libtest keeps to itself.
    let _ = writeln!(io::stderr(), "{NOTE}{fact}");
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
