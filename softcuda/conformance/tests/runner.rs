//! The runner against a program that crashes, gives up and hangs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use softcuda_conformance::{Driver, Probes, Runner};

/// A stand-in for the program: a line for each probe it is given, with what the probes do instead.
const PROGRAM: &str = r#"#!/bin/sh
shift
for name; do
    case "$name" in
        *"flags 4") kill -SEGV $$ ;;
        *"flags 6") exit 3 ;;
        *"flags 8") exec tail -f /dev/null ;;
        *"flags 16") exit 0 ;;
        *) echo "ran $name" ;;
    esac
done
"#;

fn program() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("program.sh");
    fs::write(&path, PROGRAM).expect("the program is written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the program can be started");
    path
}

#[test]
fn a_crash_an_exit_and_a_hang_are_outcomes_and_the_others_still_run() {
    let runner = Runner {
        program: program(),
        verbose: false,
        probes: Probes::Recorded,
        only: "event: create with flags".to_owned(),
        deadline: Duration::from_secs(3),
        told: String::new(),
    };
    let driver = Driver::open().expect("a driver");
    let lines = runner.run(driver).expect("the program starts");
    let outcomes: Vec<(&str, &str)> =
        lines.iter().filter_map(|(name, outcome)| Some((name.rsplit_once(' ')?.1, outcome.as_str()))).collect();
    let ran = |flags| format!("ran event: create with flags {flags}");
    let expected = [
        ("0", ran(0)),
        ("1", ran(1)),
        ("2", ran(2)),
        ("3", ran(3)),
        ("4", "crash: SIGSEGV".to_owned()),
        ("5", ran(5)),
        ("6", "exit: 3".to_owned()),
        ("7", ran(7)),
        ("8", "hangs".to_owned()),
        ("16", "no outcome".to_owned()),
    ];
    assert_eq!(outcomes, expected.each_ref().map(|(flags, outcome)| (*flags, outcome.as_str())));
}
