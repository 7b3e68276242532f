//! User objects, and on which thread they are destroyed.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread::{self, ThreadId};
use std::time::Duration;

use cudarc::driver::sys::CUresult::CUDA_SUCCESS;
use cudarc::driver::sys::{self, CUgraph, CUresult, CUuserObject};

use super::graph::user_object;

/// How long something may take that another thread does. Miri takes its time.
const LIMIT: Duration = Duration::from_secs(if cfg!(miri) { 1000 } else { 30 });

/// An object, and the thread on which it was destroyed.
pub(crate) fn watched() -> (CUuserObject, Receiver<ThreadId>) {
    let (tell, told) = channel();
    let object = user_object(move || {
        // Nobody listens any more where a test has failed.
        let _ = tell.send(thread::current().id());
    });
    (object, told)
}

pub(crate) fn is_there(told: &Receiver<ThreadId>) -> bool {
    match told.try_recv() {
        Ok(thread) => {
            assert_eq!(thread, thread::current().id());
            false
        }
        Err(error) => error == TryRecvError::Empty,
    }
}

/// Waits until it is destroyed, once: on which thread.
pub(crate) fn destroyed(told: &Receiver<ThreadId>) -> ThreadId {
    let thread = told.recv_timeout(LIMIT).expect("it is destroyed");
    assert_eq!(told.recv_timeout(LIMIT), Err(RecvTimeoutError::Disconnected), "once");
    thread
}

/// It was destroyed in the last call of this thread.
pub(crate) fn check_destroyed(told: &Receiver<ThreadId>) {
    assert!(!is_there(told));
    assert_eq!(told.try_recv(), Err(TryRecvError::Disconnected), "once");
}

/// Hands the caller's reference over.
pub(crate) fn move_to(graph: CUgraph, object: CUuserObject) {
    // SAFETY: both are alive.
    assert_eq!(unsafe { sys::cuGraphRetainUserObject(graph, object, 1, 1) }, CUDA_SUCCESS);
}

pub(crate) fn release(object: CUuserObject, count: u32) -> CUresult {
    // SAFETY: alive.
    unsafe { sys::cuUserObjectRelease(object, count) }
}
