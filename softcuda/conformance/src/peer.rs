//! A second process that uses the driver, and does what a probe tells it line by line.

use std::env;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::Fixture;
use crate::handles::INTERPROCESS;
use crate::hold::Hold;
use crate::structs::IpcHandle;

/// What the program is called with to be the second process.
pub const PEER: &str = "--peer";

/// The second process as a probe sees it. It ends with this.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Peer {
    /// Begins one with this program.
    pub(crate) fn new() -> Self {
        let program = env::current_exe().expect("this program finds itself");
        let mut command = Command::new(program);
        let mut child = command.arg(PEER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a second process");
        let from = BufReader::new(child.stdout.take().expect("its output"));
        Self { to: child.stdin.take(), from, child }
    }

    /// What it answers: codes by their names, handles in hexadecimal. Nothing if it has ended.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        let Some(to) = &mut self.to else { return String::new() };
        let mut answer = String::new();
        if writeln!(to, "{line}").and_then(|()| to.flush()).is_ok() {
            // What cannot be read is no answer.
            let _ = self.from.read_line(&mut answer);
        }
        answer.trim_end().to_owned()
    }

    /// A handle that it exports.
    pub(crate) fn handle(&mut self, line: &str) -> IpcHandle {
        IpcHandle::parse(&self.ask(line)).expect("a handle of the second process")
    }

    /// Ends it, whatever it does.
    pub(crate) fn kill(&mut self) {
        self.to = None;
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The second process: answers lines until there are no more.
///
/// # Errors
///
/// There is no driver, or none that can be prepared.
pub fn run() -> Result<(), String> {
    let driver = Driver::open()?;
    let fixture = Fixture::new(driver)?;
    driver.cuCtxSetCurrent(fixture.primary);
    let mut inside =
        Inside { stream: fixture.stream().into_handle(), fixture: &fixture, events: Vec::new(), memory: Vec::new(), hold: None };
    for line in stdin().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = inside.answer(&words).unwrap_or_else(|| format!("{line:?} is no line for a second process"));
        // Who does not read does not need it.
        let _ = writeln!(stdout(), "{answer}");
    }
    Ok(())
}

/// What it has: events and memory, by the order in which it came to them.
struct Inside<'f> {
    fixture: &'f Fixture,
    stream: Handle,
    events: Vec<Handle>,
    memory: Vec<u64>,
    hold: Option<Hold<'f>>,
}

impl Inside<'_> {
    fn answer(&mut self, words: &[&str]) -> Option<String> {
        let driver = self.fixture.driver;
        let number = |index: usize| words.get(index)?.parse::<usize>().ok();
        let event = || self.events.get(number(1)?).copied();
        let memory = || self.memory.get(number(1)?).copied();
        let code = match *words.first()? {
            "event" => {
                let mut event = Handle::NULL;
                let code = driver.cuEventCreate(Some(&mut event), INTERPROCESS);
                self.events.push(event);
                code
            }
            "export" => {
                let mut handle = IpcHandle::ZERO;
                let code = driver.cuIpcGetEventHandle(Some(&mut handle), event()?);
                return Some(if code.is_success() { handle.to_string() } else { driver.code_name(code) });
            }
            "open" => {
                let mut event = Handle::NULL;
                let code = driver.cuIpcOpenEventHandle(Some(&mut event), IpcHandle::parse(words.get(1)?)?);
                self.events.push(event);
                code
            }
            "query" => self.fixture.settled_query(event()?),
            "synchronize" => driver.cuEventSynchronize(event()?),
            "record" => driver.cuEventRecord(event()?, self.stream),
            "wait" => driver.cuStreamWaitEvent(self.stream, event()?, 0),
            "elapsed" => driver.cuEventElapsedTime_v2(Some(&mut 0.0), event()?, event()?),
            "destroy" => driver.cuEventDestroy_v2(event()?),
            "hold" => {
                self.hold = Some(self.fixture.hold(self.stream));
                Code::SUCCESS
            }
            "release" => {
                self.hold = None;
                Code::SUCCESS
            }
            "stream" => driver.cuStreamSynchronize(self.stream),
            "memory" => {
                let value = u32::try_from(number(1)?).ok()?;
                self.memory.push(self.fixture.memory(64, value).into_address());
                Code::SUCCESS
            }
            "export-memory" => {
                let mut handle = IpcHandle::ZERO;
                let code = driver.cuIpcGetMemHandle(Some(&mut handle), memory()? + number(2)? as u64);
                return Some(if code.is_success() { handle.to_string() } else { driver.code_name(code) });
            }
            "open-memory" => {
                let (handle, flags) = (IpcHandle::parse(words.get(1)?)?, u32::try_from(number(2)?).ok()?);
                let mut address = 0;
                let code = driver.cuIpcOpenMemHandle_v2(Some(&mut address), handle, flags);
                self.memory.push(address);
                code
            }
            "same-memory" => return Some((memory()? == *self.memory.get(number(2)?)?).to_string()),
            "read" => return Some(self.fixture.read(memory()?, &self.fixture.pinned(1)[0]).to_string()),
            "fill" => driver.cuMemsetD32Async(memory()?, u32::try_from(number(2)?).ok()?, 64, self.stream),
            "close" => driver.cuIpcCloseMemHandle(memory()?),
            "free" => driver.cuMemFree_v2(memory()?),
            _ => return None,
        };
        Some(driver.code_name(code))
    }
}
