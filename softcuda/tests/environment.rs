//! What the environment decides. The parent test runs this file again, with other variables.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command};

/// Set where the environment decides; elsewhere in this file the software driver is installed.
const CHILD: &str = "SOFTCUDA_TEST_CHILD";

/// The standard error output of a process with these variables, and its standard output.
fn outputs(variables: &[(&str, &str)]) -> (String, String) {
    let mut command = Command::new(env::current_exe().expect("this test's path"));
    command.args(["the_choice_is_made_once", "--exact", "--nocapture"]);
    for variable in ["SOFTCUDA", "SOFTCUDA_EXPECT", "SOFTCUDA_VERSION", "SOFTCUDA_DEVICE", "SOFTCUDA_WITHOUT", "SOFTCUDA_MODE"] {
        command.env_remove(variable);
    }
    command.env(CHILD, "1").envs(variables.iter().copied());
    let output = command.output().expect("a child process");
    assert!(output.status.success(), "{output:?}");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stderr), text(output.stdout))
}

/// The standard error output of a process with these variables, and how `choose` ended there.
fn child(variables: &[(&str, &str)]) -> (String, String) {
    let (line, out) = outputs(variables);
    let choice = out.lines().find_map(|line| line.strip_prefix("choose: ")).expect("the child's line");
    (line, choice.to_owned())
}

#[test]
fn the_choice_is_made_once() {
    if env::var_os(CHILD).is_none() {
        softcuda::install().expect("the software driver");
    }
    let choice = softcuda::choose();
    println!("\nchoose: {choice:?}");
    let maps = fs::read_to_string("/proc/self/maps").expect("what is loaded");
    println!("libcuda.so.1 loaded: {}", maps.contains("/libcuda.so.1"));
    assert_eq!(softcuda::choose(), choice);
    let has_functions = softcuda::symbol(c"cuInit").is_some();
    assert_eq!(has_functions, choice == Ok(softcuda::Choice::Software));
}

#[test]
fn one_line_names_the_driver_and_the_reason() {
    let (line, choice) = child(&[("SOFTCUDA", "soft")]);
    assert_eq!((line.as_str(), choice.as_str()), ("softcuda: software driver (SOFTCUDA=soft)\n", "Ok(Software)"));
    let (line, choice) = child(&[("SOFTCUDA", "none")]);
    assert_eq!((line.as_str(), choice.as_str()), ("softcuda: no driver (SOFTCUDA=none)\n", "Ok(Nothing)"));
    let (line, choice) = child(&[("SOFTCUDA", "real")]);
    assert_eq!((line.as_str(), choice.as_str()), ("softcuda: real driver (SOFTCUDA=real)\n", "Ok(Real)"));
}

#[test]
fn without_a_value_the_machine_decides() {
    let (unset, auto) = (child(&[]), child(&[("SOFTCUDA", "auto")]));
    assert_eq!(unset, auto);
    let (line, choice) = unset;
    match choice.as_str() {
        "Ok(Real)" => assert!(line.starts_with("softcuda: real driver (") && line.ends_with("; SOFTCUDA=auto)\n"), "{line}"),
        "Ok(Software)" => assert!(line.starts_with("softcuda: software driver (") && line.ends_with("; SOFTCUDA=auto)\n"), "{line}"),
        other => panic!("{other}"),
    }
}

#[test]
fn an_unknown_value_and_a_disappointed_expectation_are_errors() {
    let (_, choice) = child(&[("SOFTCUDA", "hard")]);
    assert_eq!(choice, r#"Err("SOFTCUDA=hard: expected auto, real, soft or none")"#);
    let (_, choice) = child(&[("SOFTCUDA", "soft"), ("SOFTCUDA_MODE", "hard")]);
    assert_eq!(choice, r#"Err("SOFTCUDA_MODE=hard: expected one of full, null, no-device, stub, mismatch")"#);
    let (_, choice) = child(&[("SOFTCUDA", "soft"), ("SOFTCUDA_PAGEABLE", "late")]);
    assert_eq!(choice, r#"Err("SOFTCUDA_PAGEABLE=late: expected one of observed, async")"#);
    let (_, choice) = child(&[("SOFTCUDA", "soft"), ("SOFTCUDA_SCHEDULE", "seeded")]);
    assert_eq!(choice, r#"Err("SOFTCUDA_SCHEDULE=seeded: expected one of plain, lazy, seeded:N")"#);
    let (_, choice) = child(&[("SOFTCUDA", "soft"), ("SOFTCUDA_REPORTS", "fail")]);
    assert_eq!(choice, r#"Err("SOFTCUDA_REPORTS=fail: expected one of print, abort")"#);
    let (_, choice) = child(&[("SOFTCUDA", "soft"), ("SOFTCUDA_EXPECT", "real")]);
    assert_eq!(choice, r#"Err("SOFTCUDA_EXPECT demands the real driver, but this is the software driver (SOFTCUDA=soft)")"#);
    let (_, choice) = child(&[("SOFTCUDA", "soft"), ("SOFTCUDA_EXPECT", "soft")]);
    assert_eq!(choice, "Ok(Software)");
}

/// A folder with another driver in it: the software driver as `libcuda.so.1`.
struct OtherDriver {
    folder: PathBuf,
}

/// The name that the software driver's file has inside, and another of that length: a real driver's
/// differs as well.
const NAME_INSIDE: &[u8] = b"libcuda.so\0";
const OTHER_NAME_INSIDE: &[u8] = b"libreal.so\0";

impl OtherDriver {
    fn new(test: &str) -> Self {
        softcuda::install().expect("the software driver");
        let folder = env::temp_dir().join(format!("softcuda-{test}-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let descriptors = fs::read_dir("/proc/self/fd").expect("the open files").map(|entry| entry.expect("an open file").path());
        let is_the_driver = |path: &PathBuf| fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains("libsoftcuda.so"));
        let image = descriptors.into_iter().find(is_the_driver).expect("the driver's image");
        fs::copy(image, folder.join("libcuda.so.1")).expect("a copy");
        Self { folder }
    }

    /// Changes the name inside.
    fn renamed(self) -> Self {
        let mut bytes = fs::read(self.path()).expect("the copy");
        let places: Vec<usize> = (0..bytes.len()).filter(|&place| bytes[place..].starts_with(NAME_INSIDE)).collect();
        assert!(!places.is_empty(), "the driver has a name");
        for place in places {
            bytes[place..place + NAME_INSIDE.len()].copy_from_slice(OTHER_NAME_INSIDE);
        }
        fs::write(self.path(), bytes).expect("the copy, changed");
        self
    }

    /// Puts a file in the folder that is no library.
    fn replaced_by_text(self) -> Self {
        fs::write(self.path(), "not a shared library: longer than the header of one, so that the loader looks at it\n").expect("a file");
        self
    }

    fn path(&self) -> String {
        self.folder.join("libcuda.so.1").to_string_lossy().into_owned()
    }

    fn search_path(&self) -> String {
        self.folder.to_string_lossy().into_owned()
    }
}

impl Drop for OtherDriver {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_driver_with_devices_is_taken_and_only_if_that_is_wanted() {
    let other = OtherDriver::new("taken");
    let path = ("LD_LIBRARY_PATH", other.search_path());
    let found = |variable, value| child(&[(path.0, &path.1), (variable, value)]);
    let (line, choice) = found("SOFTCUDA", "auto");
    assert_eq!((line.as_str(), choice.as_str()), ("softcuda: real driver (2 devices; SOFTCUDA=auto)\n", "Ok(Real)"));
    let (line, choice) = found("SOFTCUDA", "soft");
    assert_eq!((line.as_str(), choice.as_str()), ("softcuda: software driver (SOFTCUDA=soft)\n", "Ok(Software)"));
    let (_, choice) = found("SOFTCUDA_EXPECT", "soft");
    assert!(choice.contains("demands the software driver, but this is the real driver (2 devices; SOFTCUDA=auto)"), "{choice}");
}

#[test]
fn a_driver_without_devices_is_not_taken() {
    let other = OtherDriver::new("no-device").renamed();
    let (line, out) = outputs(&[("LD_LIBRARY_PATH", &other.search_path()), ("SOFTCUDA_MODE", "no-device")]);
    assert_eq!(line, "softcuda: software driver (libcuda.so.1 is there, cuInit answers 100; SOFTCUDA=auto)\n");
    assert!(out.contains("choose: Ok(Software)"), "{out}");
    assert!(out.contains("libcuda.so.1 loaded: true"), "what was initialised is not closed: {out}");
}

#[test]
fn a_file_that_is_no_driver_is_told_in_the_loaders_words() {
    let other = OtherDriver::new("text").replaced_by_text();
    let (line, choice) = child(&[("LD_LIBRARY_PATH", &other.search_path())]);
    assert_eq!(choice, "Ok(Software)");
    let reason = format!("(libcuda.so.1 cannot be opened: {}: ", other.path());
    assert!(line.contains(&reason) && line.ends_with("; SOFTCUDA=auto)\n"), "{line}");
}

#[test]
fn a_driver_that_was_there_first_is_named_as_the_reason() {
    let other = OtherDriver::new("first");
    let (line, choice) = child(&[("LD_PRELOAD", &other.path()), ("SOFTCUDA", "soft")]);
    assert!(choice.starts_with(r#"Err("another libcuda.so was loaded before the software driver"#), "{choice}");
    assert_eq!(line, "");
}
