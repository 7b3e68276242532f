//! A second process: the test's executable, once more.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;
use std::{env, fs, thread};

use cudarc::driver::sys::{self, CUdeviceptr, CUevent, CUipcEventHandle, CUipcMemHandle, CUresult};

use super::green::answer;

/// Tells a process that it is the second, and of which test.
const SECOND: &str = "SOFTCUDA_TEST_SECOND";
/// What a line begins with that is for the other process: a test's executable says more than that.
const MARK: &str = "@";
/// How long a process waits for a line of the other, or for its end.
const TIME_OUT: Duration = Duration::from_secs(60);

/// Lines to another process, and from it.
pub(crate) struct Link {
    to: Box<dyn Write>,
    from: Receiver<String>,
    /// Ends with this.
    child: Option<Child>,
}

impl Link {
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.to, "{MARK}{line}").expect("the other process listens");
        self.to.flush().expect("the other process listens");
    }

    pub(crate) fn hear(&mut self) -> String {
        loop {
            let line = self.from.recv_timeout(TIME_OUT).unwrap_or_else(|error| panic!("the other process says nothing: {error}"));
            // The name of the test stands before the first.
            if let Some((_, line)) = line.split_once(MARK) {
                return line.to_owned();
            }
        }
    }

    /// Waits until the other process says so.
    pub(crate) fn expect(&mut self, line: &str) {
        assert_eq!(self.hear(), line);
    }

    /// Ends the other process at once, whatever it does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it was killed");
        }
    }

    /// Lets the other process end, which has to pass.
    fn end(mut self) {
        if self.child.is_none() {
            return;
        }
        self.to = Box::new(io::sink());
        let mut rest = String::new();
        loop {
            match self.from.recv_timeout(TIME_OUT) {
                Ok(line) => rest += &(line + "\n"),
                Err(RecvTimeoutError::Disconnected) => break,
                // Dropped, this kills it.
                Err(RecvTimeoutError::Timeout) => panic!("the second process does not end\n{rest}"),
            }
        }
        let status = self.child.take().expect("it was there").wait().expect("it ends");
        assert!(status.success(), "the second process ends with {status}\n{rest}");
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs `first` here and `second` in another process. `test` is the path of the test that calls this.
pub(crate) fn with_second(test: &str, first: impl FnOnce(&mut Link), second: impl FnOnce(&mut Link)) {
    with_seconds(test, &[], |link, _| first(link), second);
}

/// The same with variables for the second process; `first` can begin more of them.
pub(crate) fn with_seconds(
    test: &str,
    variables: &[(&str, &str)],
    first: impl FnOnce(&mut Link, &dyn Fn() -> Link),
    second: impl FnOnce(&mut Link),
) {
    if env::var(SECOND).is_ok_and(|second| second == test) {
        return second(&mut Link { to: Box::new(io::stdout()), from: lines(io::stdin()), child: None });
    }
    let begin = || {
        let mut command = Command::new(env::current_exe().expect("this test's path"));
        command.args([test, "--exact", "--nocapture"]).env(SECOND, test).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a child process");
        let to = child.stdin.take().expect("its input");
        let from = lines(child.stdout.take().expect("its output"));
        Link { to: Box::new(to), from, child: Some(child) }
    };
    let mut link = begin();
    first(&mut link, &begin);
    link.end();
}

/// Reads on a thread, so that who waits for a line can stop waiting.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    // Who does not listen any more has ended.
    thread::spawn(move || BufReader::new(from).lines().map_while(io::Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

/// Waits until a thread of this process sleeps in its call. `task` is what it has read of `/proc/thread-self`.
pub(crate) fn until_it_sleeps(task: &Path) {
    let stat = Path::new("/proc").join(task).join("stat");
    // Its state follows its name in parentheses.
    while !fs::read_to_string(&stat).expect("a thread").rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('S')) {
        thread::yield_now();
    }
}

/// Handles as text.
pub(crate) trait Bytes: Sized {
    fn bytes(self) -> [u8; 64];
    fn of(bytes: [u8; 64]) -> Self;

    fn text(self) -> String {
        self.bytes().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn parse(text: &str) -> Self {
        let mut bytes = [0; 64];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * place..][..2], 16).expect("two digits");
        }
        Self::of(bytes)
    }
}

impl Bytes for CUipcEventHandle {
    fn bytes(self) -> [u8; 64] {
        self.reserved.map(i8::cast_unsigned)
    }

    fn of(bytes: [u8; 64]) -> Self {
        Self { reserved: bytes.map(u8::cast_signed) }
    }
}

impl Bytes for CUipcMemHandle {
    fn bytes(self) -> [u8; 64] {
        self.reserved.map(i8::cast_unsigned)
    }

    fn of(bytes: [u8; 64]) -> Self {
        Self { reserved: bytes.map(u8::cast_signed) }
    }
}

const NO_BYTES: [i8; 64] = [0; 64];

pub(crate) fn export_event(event: CUevent) -> Result<CUipcEventHandle, CUresult> {
    // SAFETY: the driver judges the event.
    answer(CUipcEventHandle { reserved: NO_BYTES }, |out| unsafe { sys::cuIpcGetEventHandle(out, event) })
}

pub(crate) fn import_event(handle: CUipcEventHandle) -> Result<CUevent, CUresult> {
    // SAFETY: the driver judges the handle.
    answer(std::ptr::null_mut(), |out| unsafe { sys::cuIpcOpenEventHandle(out, handle) })
}

pub(crate) fn export_memory(address: CUdeviceptr) -> Result<CUipcMemHandle, CUresult> {
    // SAFETY: the driver judges the address.
    answer(CUipcMemHandle { reserved: NO_BYTES }, |out| unsafe { sys::cuIpcGetMemHandle(out, address) })
}

/// With the flag that there is.
pub(crate) fn import_memory(handle: CUipcMemHandle) -> Result<CUdeviceptr, CUresult> {
    // SAFETY: the driver judges the handle.
    answer(0, |out| unsafe { sys::cuIpcOpenMemHandle_v2(out, handle, 1) })
}

pub(crate) fn close_memory(address: CUdeviceptr) -> CUresult {
    // SAFETY: the driver judges the address; what uses the memory afterwards is refused.
    unsafe { sys::cuIpcCloseMemHandle(address) }
}

/// How many files this process has open.
pub(crate) fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the open files").count()
}

/// Lets no context be current.
pub(crate) fn without_a_context() {
    // SAFETY: no context is one that may be current.
    unsafe { sys::cuCtxSetCurrent(std::ptr::null_mut()) }.result().expect("none current");
}
