//! User objects whose destructors count, and tell on which thread they ran.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::code::Code;
use crate::driver::{Driver, Handle};

/// `CU_USER_OBJECT_NO_DESTRUCTOR_SYNC`, the one flag, without which there are no user objects.
pub(crate) const NO_DESTRUCTOR_SYNC: u32 = 1;
/// `CU_GRAPH_USER_OBJECT_MOVE`
pub(crate) const MOVE: u32 = 1;

/// A destructor may run later than the call that lets it run.
const PATIENCE: Duration = Duration::from_millis(200);

/// What the destructor of a user object did. Never freed: it may run at any time.
#[derive(Debug, Default)]
pub(crate) struct Destructor {
    runs: AtomicU32,
    thread: Mutex<Option<ThreadId>>,
    within: Option<Call>,
}

/// A call of the destructor, and what it answered.
#[derive(Debug)]
struct Call {
    driver: &'static Driver,
    function: fn(&Driver, Handle) -> Code,
    handle: Handle,
    answer: AtomicU32,
}

impl Destructor {
    pub(crate) fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    /// One that makes a call when it runs.
    pub(crate) fn calling(driver: &'static Driver, handle: Handle, call: fn(&Driver, Handle) -> Code) -> &'static Self {
        let call = Call { driver, function: call, handle, answer: AtomicU32::new(u32::MAX) };
        Box::leak(Box::new(Self { within: Some(call), ..Self::default() }))
    }

    /// A user object of so many references.
    pub(crate) fn object(&'static self, driver: &Driver, references: u32) -> (Code, Handle) {
        let mut object = Handle::NULL;
        let user: *mut c_void = std::ptr::from_ref(self).cast_mut().cast();
        let code = driver.cuUserObjectCreate(Some(&mut object), user, Some(destroy), references, NO_DESTRUCTOR_SYNC);
        (code, object)
    }

    /// How often it has run, after it had its time to.
    pub(crate) fn runs(&self) -> String {
        let began = Instant::now();
        while self.runs.load(Ordering::Acquire) == 0 && began.elapsed() < PATIENCE {
            thread::yield_now();
        }
        self.runs.load(Ordering::Acquire).to_string()
    }

    /// The thread that it ran on, in words.
    pub(crate) fn thread(&self) -> &'static str {
        match *self.thread.lock().unwrap_or_else(PoisonError::into_inner) {
            None => "no thread",
            Some(thread) if thread == thread::current().id() => "the calling thread",
            Some(_) => "another thread",
        }
    }

    /// What its call answered.
    pub(crate) fn answer(&self) -> Code {
        Code(self.within.as_ref().map_or(u32::MAX, |call| call.answer.load(Ordering::Acquire)))
    }
}

extern "C" fn destroy(user: *mut c_void) {
    // SAFETY: `object` gave it, of a destructor that is never freed.
    let destructor = unsafe { &*user.cast::<Destructor>() };
    *destructor.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current().id());
    if let Some(call) = &destructor.within {
        call.answer.store((call.function)(call.driver, call.handle).0, Ordering::Release);
    }
    destructor.runs.fetch_add(1, Ordering::AcqRel);
}
