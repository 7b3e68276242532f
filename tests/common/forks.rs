//! Children that are forked by a test, not started anew: `child.rs` has those.

use std::any::Any;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::os::fd::AsRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the child of a test finds: `Err` says what is wrong.
pub(crate) type Finding = Result<(), String>;

/// A child that has not ended by then never will.
const LIMIT_MILLIS: libc::c_int = 60_000;

/// Forks; `f` runs in the child, which then ends without anything being dropped or flushed that it has of its parent.
///
/// # Panics
///
/// In the parent: if `f` finds something wrong, if the child crashes, and if it hangs.
#[track_caller]
pub(crate) fn in_child(f: impl FnOnce() -> Finding) {
    match fork() {
        Side::Child(child) => child.end(f),
        Side::Parent(parent) => parent.join(),
    }
}

/// Who returns from [`fork`].
#[must_use]
pub(crate) enum Side {
    Child(Child),
    Parent(Parent),
}

pub(crate) fn fork() -> Side {
    let (reader, writer) = pipe().expect("a pipe");
    // SAFETY: the child has this thread alone. It takes no lock that a thread of the parent may have, but those of the C
    // library, which that sees to; and it ends with `_exit`.
    match unsafe { libc::fork() } {
        0 => Side::Child(Child(writer)),
        pid if pid > 0 => Side::Parent(Parent { pid, reader }),
        _ => panic!("no child: {}", std::io::Error::last_os_error()),
    }
}

/// The child's side.
pub(crate) struct Child(PipeWriter);

impl Child {
    /// Runs `f`, tells the parent what it found, and ends the process.
    pub(crate) fn end(mut self, f: impl FnOnce() -> Finding) -> ! {
        let finding = catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| Err(message(&*panic)));
        let status = match finding {
            Ok(()) => 0,
            Err(text) => {
                // The status tells the parent, if this does not.
                let _ = self.0.write_all(text.as_bytes());
                1
            }
        };
        // SAFETY: may be called at any time.
        unsafe { libc::_exit(status) }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("it panics: {}", text.unwrap_or("with something that is no text"))
}

/// The parent's side.
pub(crate) struct Parent {
    pid: libc::pid_t,
    reader: PipeReader,
}

impl Parent {
    /// Waits for the child to end.
    ///
    /// # Panics
    ///
    /// As [`in_child`] says.
    #[track_caller]
    pub(crate) fn join(mut self) {
        // The pipe is readable once the child writes or ends.
        let mut readable = libc::pollfd { fd: self.reader.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which is a live local.
        let ready = unsafe { libc::poll(&raw mut readable, 1, LIMIT_MILLIS) };
        let hangs = ready == 0;
        if hangs {
            // SAFETY: a child of this process that nobody has waited for yet.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
        }
        let mut text = String::new();
        let read = self.reader.read_to_string(&mut text);
        let mut status = 0;
        // SAFETY: as above; the out pointer is a live local.
        let waited = unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        assert!(!hangs, "the child hangs");
        assert!(read.is_ok() && waited == self.pid, "the child is lost: {read:?}, {}", std::io::Error::last_os_error());
        assert!(libc::WIFEXITED(status), "the child ends by signal {}", libc::WTERMSIG(status));
        assert!(libc::WEXITSTATUS(status) == 0, "the child: {text}");
    }
}
