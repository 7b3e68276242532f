//! Runs the probes in child processes, where a crash or a hang is an outcome.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::breakdown::{CRASH, EXIT, HANGS, NO_OUTCOME};
use crate::driver::Driver;
use crate::probe::Probe;
use crate::probes::Probes;

/// How the probes are run.
#[derive(Debug)]
pub struct Runner {
    /// The program that runs probes when it is called with `--child` and their names.
    pub program: PathBuf,
    /// Lets the children's messages through, and tells each outcome on the standard error output as it comes.
    pub verbose: bool,
    /// Of these probes.
    pub probes: Probes,
    /// Only those whose names begin with this.
    pub only: String,
    /// A probe that takes longer hangs, and its process is ended.
    pub deadline: Duration,
    /// What a verbose run has told that was stopped before its end: those probes are not run again.
    pub told: String,
}

impl Runner {
    /// Several times what holds and host functions wait before they give up.
    pub const DEADLINE: Duration = Duration::from_secs(60);

    /// Runs the probes on the driver that this process has open: names and outcomes.
    ///
    /// # Errors
    ///
    /// The driver has no device, or a child process cannot be started.
    pub fn run(&self, driver: &Driver) -> Result<Vec<(String, String)>, String> {
        let two = device_count(driver)? >= 2;
        let wanted: Vec<&'static Probe> =
            self.probes.list().filter(|probe| probe.name.starts_with(&self.only) && (two || !probe.needs_two_devices())).collect();
        let mut outcomes = told(&self.told);
        let missing = wanted.iter().copied().filter(|probe| !outcomes.contains_key(probe.name));
        let (alone, shared): (Vec<_>, Vec<_>) = missing.partition(|probe| probe.runs_alone());
        self.run_together(driver, &shared, &mut outcomes)?;
        for probe in alone {
            self.run_together(driver, &[probe], &mut outcomes)?;
        }
        let line = |probe: &&Probe| {
            let outcome = outcomes.remove(probe.name).unwrap_or_default();
            (probe.name.to_owned(), outcome)
        };
        Ok(wanted.iter().map(line).collect())
    }

    /// Runs probes in one process, and those behind a crash in another one.
    fn run_together(
        &self,
        driver: &Driver,
        mut probes: &[&'static Probe],
        outcomes: &mut HashMap<&'static str, String>,
    ) -> Result<(), String> {
        while let Some(first) = probes.first() {
            let mut child = self.spawn(driver, probes)?;
            let lines = child.stdout.take().map(lines_of).ok_or("a child has no output")?;
            let done = self.take(&lines, probes, outcomes);
            probes = &probes[done.count..];
            let status = end(&mut child, done.hung)?;
            if let (Some(probe), Some(outcome)) = (probes.first(), unexpected(status, done.hung)) {
                self.tell(probe, &outcome);
                outcomes.insert(probe.name, outcome);
                probes = &probes[1..];
            } else if done.count == 0 {
                outcomes.insert(first.name, NO_OUTCOME.to_owned());
                probes = &probes[1..];
            }
        }
        Ok(())
    }

    /// Takes a line for each probe, then the end of the output; gives up when either is late. When all
    /// lines are there, nothing is left to learn from a process that does not end.
    fn take(&self, lines: &Receiver<String>, probes: &[&'static Probe], outcomes: &mut HashMap<&'static str, String>) -> Done {
        let mut count = 0;
        loop {
            let patience = if count < probes.len() { self.deadline } else { self.deadline.min(END) };
            match (lines.recv_timeout(patience), probes.get(count)) {
                (Ok(outcome), Some(probe)) => {
                    self.tell(probe, &outcome);
                    outcomes.insert(probe.name, outcome)
                }
                (Ok(_), None) => continue,
                (Err(error), _) => return Done { count, hung: error == RecvTimeoutError::Timeout },
            };
            count += 1;
        }
    }

    fn tell(&self, probe: &Probe, outcome: &str) {
        if self.verbose {
            eprintln!("{TOLD}{}{SEPARATOR}{outcome}", probe.name);
        }
    }

    fn spawn(&self, driver: &Driver, probes: &[&Probe]) -> Result<Child, String> {
        Command::new(&self.program)
            .arg("--child")
            .args(probes.iter().map(|probe| probe.name))
            .env("SOFTCUDA", if driver.is_software() { "soft" } else { "real" })
            // Streams must not share a hardware queue, and no kernel may be loaded beside a held stream.
            .env("CUDA_DEVICE_MAX_CONNECTIONS", "32")
            .env("CUDA_MODULE_LOADING", "EAGER")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(if self.verbose { Stdio::inherit() } else { Stdio::null() })
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", self.program.display()))
    }
}

/// How a verbose run tells an outcome: this, the name and, behind the separator, the outcome.
const TOLD: &str = "conformance: ";
const SEPARATOR: &str = ": ";

/// The outcomes in what a verbose run has told.
fn told(text: &str) -> HashMap<&'static str, String> {
    let probes: HashMap<&str, &'static Probe> = Probes::All.list().map(|probe| (probe.name, probe)).collect();
    // Names have the separator in them too.
    let outcome = |line: &str| {
        let line = line.strip_prefix(TOLD)?;
        line.rmatch_indices(SEPARATOR).find_map(|(end, _)| Some((probes.get(&line[..end])?.name, line[end + SEPARATOR.len()..].to_owned())))
    };
    text.lines().filter_map(outcome).collect()
}

/// What a process may take to end behind its last outcome.
const END: Duration = Duration::from_secs(2);

fn device_count(driver: &Driver) -> Result<i32, String> {
    let mut count = 0;
    match [driver.cuInit(0), driver.cuDeviceGetCount(Some(&mut count))].into_iter().find(|code| !code.is_success()) {
        None if count > 0 => Ok(count),
        None => Err("the driver has no device to probe".to_owned()),
        Some(code) => Err(format!("the driver does not start: {}", driver.code_name(code))),
    }
}

/// The lines of a child's output as they come. The thread ends with the output.
fn lines_of(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

struct Done {
    count: usize,
    hung: bool,
}

/// Waits for the end of a child that has closed its output, or puts an end to it.
fn end(child: &mut Child, hung: bool) -> Result<ExitStatus, String> {
    if hung {
        // It may have ended by itself meanwhile, which is as good.
        let _ = child.kill();
    }
    child.wait().map_err(|error| format!("a child cannot be waited for: {error}"))
}

/// The outcome of a probe that printed none, if the process tells.
fn unexpected(status: ExitStatus, hung: bool) -> Option<String> {
    match (hung, status.signal(), status.code()) {
        (true, _, _) => Some(HANGS.to_owned()),
        (false, Some(signal), _) => Some(format!("{CRASH}{}", signal_name(signal))),
        (false, None, Some(0)) => None,
        (false, None, code) => Some(format!("{EXIT}{}", code.unwrap_or_default())),
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        4 => "SIGILL".to_owned(),
        6 => "SIGABRT".to_owned(),
        7 => "SIGBUS".to_owned(),
        8 => "SIGFPE".to_owned(),
        9 => "SIGKILL".to_owned(),
        11 => "SIGSEGV".to_owned(),
        _ => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_has_told_is_heard() {
        let probe = Probes::All.list().find(|probe| probe.name.contains(SEPARATOR)).expect("there is one");
        let text =
            format!("a driver's message\n{TOLD}{}{SEPARATOR}SUCCESS, crash: SIGSEGV\n{TOLD}nothing of ours{SEPARATOR}1\n", probe.name);
        assert_eq!(told(&text), HashMap::from([(probe.name, "SUCCESS, crash: SIGSEGV".to_owned())]));
    }
}
