//! Holds the software driver against what real drivers answered.

use std::fs;
use std::path::Path;
use std::process::Command;

use softcuda_conformance::{Excuses, Recording, breakdowns, differences, explanation, unexplaining};

/// What the software driver answers to probes.
fn software(arguments: &[&str]) -> Recording {
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(arguments)
        .env("SOFTCUDA", "soft")
        .env_remove("SOFTCUDA_EXPECT")
        // The goldens are of an H200 and of CUDA 13.0.
        .env_remove("SOFTCUDA_VERSION")
        .env_remove("SOFTCUDA_DEVICE")
        // What was recorded begins at once, and many probes are misuse.
        .env("SOFTCUDA_REPORTS", "print")
        .env("SOFTCUDA_SCHEDULE", "plain")
        .output()
        .expect("the conformance program starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "conformance: {}\n{stderr}", output.status);
    stdout.parse().expect("the program prints a recording")
}

/// The committed recordings of real drivers, with their file names.
fn goldens(folder: &Path) -> Vec<(String, Recording)> {
    // Without any golden there is no folder either.
    let files = fs::read_dir(folder.join("goldens")).into_iter().flatten();
    let paths = files.map(|file| file.expect("a file of the folder").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a golden is text");
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let golden = text.parse().unwrap_or_else(|why| panic!("{name}: {why}"));
            (name, golden)
        })
        .collect()
}

#[test]
fn the_software_driver_answers_as_real_ones_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let goldens = goldens(folder);
    assert!(
        !goldens.is_empty(),
        "no golden in softcuda/conformance/goldens: record one on a machine with a GPU, \
         SOFTCUDA=real conformance --golden FILE"
    );
    let rows = fs::read_to_string(folder.join("excused.txt")).expect("excused.txt");
    let excuses = Excuses::parse(&rows).expect("excused.txt");

    let software = software(&[]);
    let mut all = Vec::new();
    // Also where no golden has the probe.
    let mut complaints: Vec<String> = breakdowns(&software).map(|(name, outcome)| format!("{name}: {outcome}")).collect();
    for (name, golden) in &goldens {
        let differences = differences(golden, &software).unwrap_or_else(|why| panic!("{name}: {why}"));
        let unexcused = excuses.unexcused(&differences).filter(|difference| explanation(difference).is_none());
        complaints.extend(unexcused.map(|difference| format!("{name}: {difference}")));
        all.extend(differences);
    }
    // Of a probe that no golden holds yet nothing is known to differ.
    let is_recorded = |row: &&str| goldens.iter().any(|(_, golden)| golden.outcome(row).is_some());
    complaints.extend(excuses.unused(&all).filter(is_recorded).map(|row| format!("excused.txt: {row:?} no longer differs")));
    complaints.extend(unexplaining(&all).map(|number| format!("softcuda::ABSENT: hardware answers attribute {number} alike")));
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn probes_that_no_golden_holds_yet_have_outcomes() {
    let software = software(&["--unrecorded"]);
    let complaints: Vec<_> = breakdowns(&software).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let goldens = goldens(folder);
    let excuses = Excuses::parse(&fs::read_to_string(folder.join("excused.txt")).expect("excused.txt")).expect("excused.txt");
    let is_probe = |row: &str| software.outcome(row).is_some() || goldens.iter().any(|(_, golden)| golden.outcome(row).is_some());
    let unknown: Vec<_> = excuses.unused(&[]).filter(|row| !is_probe(row)).collect();
    assert!(unknown.is_empty(), "excused.txt has rows of no probe: {unknown:?}");
    for (name, golden) in goldens {
        let known: Vec<_> = software.lines.iter().filter(|(probe, _)| golden.outcome(probe).is_some()).collect();
        assert!(known.is_empty(), "{name} holds {known:?}: move them to the recorded ones");
    }
}

#[test]
fn a_golden_is_not_recorded_on_the_software_driver() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden.txt");
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .arg("--golden")
        .arg(&file)
        .env("SOFTCUDA", "soft")
        .env_remove("SOFTCUDA_EXPECT")
        // The goldens are of an H200 and of CUDA 13.0.
        .env_remove("SOFTCUDA_VERSION")
        .env_remove("SOFTCUDA_DEVICE")
        .output()
        .expect("the conformance program starts");
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("real driver only"), "{stderr}");
    assert!(!file.exists());
}
