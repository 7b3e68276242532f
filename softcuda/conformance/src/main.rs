//! Prints what the driver answers to every probe, one line each.

use std::env;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use softcuda_conformance::{Driver, PEER, Probes, Runner, record, run_child, run_peer, today};

const USAGE: &str = "\
usage: conformance [--golden FILE] [--date DAY] [--unrecorded] [--only PREFIX] [--deadline N] [--verbose] [--resume LOG]

Runs the probes on the driver that SOFTCUDA=auto|real|soft chooses and prints a line for each.

  --golden FILE    also writes the recording to FILE, with the probes that no golden holds yet; on a real driver only
  --date DAY       the day in the recording, if the clock of the machine is not to be trusted
  --unrecorded     the probes that no golden holds yet, instead of those that the goldens hold
  --only PREFIX    only the probes whose names begin so
  --deadline N     a probe that takes longer than N seconds hangs, 60 if not said
  --verbose        lets the messages of the child processes through, and tells each outcome as it comes
  --resume LOG     takes the outcomes from what such a run has told on this machine that was stopped, and runs the other probes";

/// What the command line asks for.
#[derive(Default)]
struct Arguments {
    golden: Option<String>,
    date: Option<String>,
    unrecorded: bool,
    only: String,
    verbose: bool,
    deadline: Option<Duration>,
    told: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((first, names)) if first == "--child" => run_child(names),
        Some((first, [])) if first == PEER => run_peer(),
        _ => parse(arguments).and_then(run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("conformance: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: Vec<String>) -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value\n\n{USAGE}"));
        match argument.as_str() {
            "--golden" => parsed.golden = Some(value()?),
            "--date" => parsed.date = Some(value()?),
            "--only" => parsed.only = value()?,
            "--unrecorded" => parsed.unrecorded = true,
            "--deadline" => parsed.deadline = Some(seconds(&value()?)?),
            "--verbose" => parsed.verbose = true,
            "--resume" => {
                let path = value()?;
                parsed.told = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
            }
            _ => return Err(format!("{argument} is no option\n\n{USAGE}")),
        }
    }
    if parsed.golden.is_some() && (parsed.unrecorded || !parsed.only.is_empty()) {
        return Err("a golden holds the whole probe list; --golden excludes --only and --unrecorded".to_owned());
    }
    Ok(parsed)
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| format!("{text:?} is no number of seconds"))
}

fn run(arguments: Arguments) -> Result<(), String> {
    let driver = Driver::open()?;
    if arguments.golden.is_some() && driver.is_software() {
        return Err("a golden is recorded on a real driver only; this is the software driver".to_owned());
    }
    let program = env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
    let probes = match (&arguments.golden, arguments.unrecorded) {
        (Some(_), _) => Probes::All,
        (None, true) => Probes::Unrecorded,
        (None, false) => Probes::Recorded,
    };
    let runner = Runner {
        program,
        verbose: arguments.verbose,
        probes,
        only: arguments.only,
        deadline: arguments.deadline.unwrap_or(Runner::DEADLINE),
        told: arguments.told,
    };
    let recording = record(driver, &runner, arguments.date.unwrap_or_else(today))?;
    print!("{recording}");
    match arguments.golden {
        Some(path) => fs::write(&path, recording.to_string()).map_err(|error| format!("{path}: {error}")),
        None => Ok(()),
    }
}
