//! Calls in a forked child of a process that uses the driver.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use crate::breakdown::CRASH;
use crate::code::Code;
use crate::outcome::Outcome;

/// More than any result code: a number that means nothing to the operating system.
const BEYOND: i32 = 100_000;

/// What `call` answers in a child that was forked from this process: the code comes back as the error
/// of a process that could not be started, as `Command` carries one from the child to here.
pub(crate) fn call(mut call: impl FnMut() -> Code + Send + Sync + 'static) -> Outcome {
    let mut command = Command::new("/bin/true");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let report = move || Err(io::Error::from_raw_os_error(BEYOND + i32::try_from(call().0).unwrap_or(i32::MAX - BEYOND)));
    // SAFETY: what such a child may do safely is exactly what this asks; the parent waits for its end,
    // and is a process of its own for one probe.
    unsafe { command.pre_exec(report) };
    match command.spawn() {
        Err(error) => match error.raw_os_error().map(|number| u32::try_from(number - BEYOND)) {
            Some(Ok(code)) => Code(code).into(),
            _ => format!("no child: {error}").into(),
        },
        Ok(mut child) => match child.wait().map(|status| status.signal()) {
            Ok(Some(11)) => format!("{CRASH}SIGSEGV").into(),
            Ok(Some(signal)) => format!("{CRASH}signal {signal}").into(),
            _ => "ends".into(),
        },
    }
}
