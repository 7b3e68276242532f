//! Scopes: what a test has for itself in a process that runs tests in parallel.

use std::marker::PhantomData;

use crate::live::{Live, live_in};
use crate::raw::{ALL_DEVICES, PROCESS_SCOPE};
use crate::report::{self, Report};
use crate::schedule::Schedule;
use crate::software::required;

/// A group of threads whose schedule, counters, reports, failures and faults are their own.
///
/// Every thread is in the scope of the process, unless it has entered another. What a thread creates or
/// enqueues belongs to its scope: [`live`](crate::live) counts it there, the scope's [`Schedule`] holds
/// for it, and what is found out about it later is a report of that scope. A scope ends with the last
/// guard of those that have entered it. Its work then goes, and what is left of it, and found out later,
/// is the process's. A kernel of it that fails then is reported there, and is nobody's fault. Captures, graphs and
/// user objects that it leaves are reported where its last thread goes back to; its captures are over.
///
/// Two scopes that were entered are as two programs on one device: a wait for a whole context
/// (`cuCtxSynchronize`, `cuMemFree`) in the one does not wait for what the schedule of the other holds
/// back. A wait outside of any scope, and the end of the context, does. Streams that scopes share, the
/// legacy default stream among them, order the work of both.
///
/// For [races](crate::reports) a scope knows what its threads have waited for, and what a thread knew that entered
/// it. Of a wait in one scope another learns nothing: device memory that tests share is best made, and waited for,
/// before they enter scopes. What one of them hands to another later goes with [`Scope::learn_from`].
///
/// A primary context belongs to the scope in which it was retained first.
///
/// A scope is to faults what a process is on hardware. After a kernel that it has launched has failed, every
/// call of its threads says so, for all contexts of all devices, and its work is dropped, but for callbacks
/// (`cuStreamAddCallback`), which are told the code; other scopes notice nothing. The fault is over with the scope.
///
/// # Example
///
/// ```
/// # use cudarc::driver::CudaContext;
/// # softcuda::install()?;
/// use softcuda::{Schedule, Scope};
///
/// let scope = Scope::enter().scheduled(Schedule::Lazy);
/// let stream = CudaContext::new(0)?.new_stream()?;
/// let event = stream.record_event(None)?;
/// assert!(!event.is_complete(), "nobody waits for it yet");
/// stream.synchronize()?;
/// assert!(event.is_complete());
/// drop((event, stream));
/// assert_eq!(softcuda::reports(), []);
/// drop(scope);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope(u64);

impl Scope {
    /// The scope of every thread that has entered no other.
    pub const PROCESS: Self = Self(PROCESS_SCOPE);

    /// Puts the calling thread into a new scope until the guard is dropped.
    ///
    /// It begins with the schedule that `SOFTCUDA_SCHEDULE` names.
    ///
    /// # Panics
    ///
    /// If the software driver does not run.
    pub fn enter() -> Entered {
        let (driver, before) = (required(), Self::current());
        // SAFETY: the function takes nothing and may be called at any time.
        let scope = unsafe { (driver.softcuda_begin_scope)() };
        Entered { scope: Self(scope), before, _thread: PhantomData }
    }

    /// The calling thread's scope.
    ///
    /// # Panics
    ///
    /// If the software driver does not run.
    #[must_use]
    pub fn current() -> Self {
        // SAFETY: the function takes nothing and may be called at any time.
        Self(unsafe { (required().softcuda_scope)() })
    }

    /// Puts the calling thread into this scope until the guard is dropped: for the other threads of a
    /// test.
    ///
    /// # Panics
    ///
    /// If the scope has ended, or if the software driver does not run.
    ///
    /// # Example
    ///
    /// ```
    /// # softcuda::install()?;
    /// use softcuda::Scope;
    ///
    /// let entered = Scope::enter();
    /// let scope = entered.scope();
    /// std::thread::scope(|threads| {
    ///     threads.spawn(move || {
    ///         let _joined = scope.join();
    ///         assert_eq!(Scope::current(), scope);
    ///     });
    /// });
    /// # Ok::<(), String>(())
    /// ```
    pub fn join(self) -> Entered {
        let (driver, before) = (required(), Self::current());
        // SAFETY: the function takes a number and may be called at any time.
        let refused = unsafe { (driver.softcuda_join_scope)(self.0) };
        assert_eq!(refused, 0, "the scope has ended");
        Entered { scope: self, before, _thread: PhantomData }
    }

    /// Lets the threads of this scope know what those of another know by now, for [races](crate::reports). That
    /// goes with data that a thread of the other has waited for and hands to one of this, by a channel or a lock:
    /// no driver sees those. If the other has ended, what the process knows is learned.
    ///
    /// # Panics
    ///
    /// If this scope has ended, or if the software driver does not run.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::sync::mpsc::channel;
    /// # use cudarc::driver::CudaContext;
    /// # softcuda::install()?;
    /// use softcuda::Scope;
    ///
    /// let context = CudaContext::new(0)?;
    /// # // SAFETY: what follows orders what it uses.
    /// # unsafe { context.disable_event_tracking() };
    /// let (hand_over, handed_over) = channel();
    /// let stream = context.new_stream()?;
    /// let fixture = std::thread::spawn(move || {
    ///     let fixture = Scope::enter();
    ///     let data = stream.clone_htod(&[1, 2, 3])?;
    ///     stream.synchronize()?;
    ///     let _ = hand_over.send((data, fixture.scope()));
    ///     Ok::<(), cudarc::driver::DriverError>(())
    /// });
    ///
    /// let test = Scope::enter();
    /// let (data, scope) = handed_over.recv()?;
    /// test.scope().learn_from(scope);
    /// assert_eq!(context.new_stream()?.clone_dtoh(&data)?, [1, 2, 3]);
    /// assert_eq!(softcuda::reports(), []);
    /// # fixture.join().expect("no panic")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn learn_from(self, other: Self) {
        // SAFETY: the function takes numbers and may be called at any time.
        let refused = unsafe { (required().softcuda_learn_from)(self.0, other.0) };
        assert_eq!(refused, 0, "the scope has ended");
    }

    /// Gives this scope another schedule, for what it enqueues from now on. What was held before stays
    /// so until somebody waits for it; with [`Schedule::Plain`] it goes.
    ///
    /// # Panics
    ///
    /// If the software driver does not run.
    pub fn set_schedule(self, schedule: Schedule) {
        let (schedule, seed) = schedule.raw();
        // SAFETY: the function takes numbers and may be called at any time.
        let refused = unsafe { (required().softcuda_set_schedule)(self.0, schedule, seed) };
        debug_assert_eq!(refused, 0, "both sides know the same schedules: they have one control version");
    }

    /// What was reported in this scope, in order.
    ///
    /// # Panics
    ///
    /// If the software driver does not run.
    #[must_use]
    pub fn reports(self) -> Vec<Report> {
        report::of_scope(required(), self.0)
    }

    /// What was reported in this scope, which forgets it: for tests that misuse the driver on purpose.
    ///
    /// # Panics
    ///
    /// If the software driver does not run.
    #[must_use]
    pub fn take_reports(self) -> Vec<Report> {
        let driver = required();
        let reports = report::of_scope(driver, self.0);
        // SAFETY: the function takes numbers and may be called at any time.
        unsafe { (driver.softcuda_forget_reports)(self.0, reports.len() as u64) };
        reports
    }

    /// What exists in this scope now.
    ///
    /// # Panics
    ///
    /// If the software driver does not run.
    #[must_use]
    pub fn live(self) -> Live {
        live_in(self.0, ALL_DEVICES)
    }

    /// Its number.
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// A thread's stay in a [`Scope`], which ends when this is dropped. Drop what was entered last first.
#[derive(Debug)]
#[must_use = "the thread leaves the scope when this is dropped"]
pub struct Entered {
    scope: Scope,
    before: Scope,
    /// Belongs to the thread that entered.
    _thread: PhantomData<*const ()>,
}

impl Entered {
    /// Gives the scope a schedule; see [`Scope::set_schedule`].
    pub fn scheduled(self, schedule: Schedule) -> Self {
        self.scope.set_schedule(schedule);
        self
    }

    /// The scope that was entered.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // SAFETY: the function takes numbers, and this thread has entered the scope.
        unsafe { (required().softcuda_leave_scope)(self.scope.0, self.before.0) };
    }
}
