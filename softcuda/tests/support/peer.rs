//! A second process: the test's executable, once more.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use cudarc::driver::sys::{self, CUdeviceptr, CUevent, CUipcEventHandle, CUipcMemHandle, CUresult};

use super::green::answer;

/// Tells a process that it is the second, and of which test.
const SECOND: &str = "SOFTCUDA_TEST_SECOND";
/// What a line begins with that is for the other process: a test's executable says more than that.
const MARK: &str = "@";

/// Lines to another process, and from it.
pub(crate) struct Link {
    to: Box<dyn Write>,
    from: Box<dyn BufRead>,
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
            let mut line = String::new();
            let bytes = self.from.read_line(&mut line).expect("the other process speaks");
            assert_ne!(bytes, 0, "the other process has ended");
            // The name of the test stands before the first.
            if let Some((_, line)) = line.trim_end().split_once(MARK) {
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
        let Some(mut child) = self.child.take() else { return };
        self.to = Box::new(io::sink());
        let mut rest = String::new();
        self.from.read_to_string(&mut rest).expect("the other process speaks");
        let status = child.wait().expect("it ends");
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
        return second(&mut Link { to: Box::new(io::stdout()), from: Box::new(BufReader::new(io::stdin())), child: None });
    }
    let begin = || {
        let mut command = Command::new(env::current_exe().expect("this test's path"));
        command.args([test, "--exact", "--nocapture"]).env(SECOND, test).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a child process");
        let to = child.stdin.take().expect("its input");
        let from = BufReader::new(child.stdout.take().expect("its output"));
        Link { to: Box::new(to), from: Box::new(from), child: Some(child) }
    };
    let mut link = begin();
    first(&mut link, &begin);
    link.end();
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
