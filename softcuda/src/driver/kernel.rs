//! Kernels: Rust functions registered under the names of PTX entries, and launches of them.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::buffer::Span;
use super::codes::{self, Outcome};
use super::ptx::Entry;
use super::raw::{DeclareFn, ParamKind, RawAccess, RawKernel, RawLaunch, RawRange, RunFn, Topic};
use super::report;

/// What is registered of a kernel's twin.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    pub(super) params: Vec<ParamKind>,
    user: User,
    declare: DeclareFn,
    run: RunFn,
}

/// What a twin's functions are called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct User(*const c_void);

// SAFETY: whoever registers a twin promises that its functions may be called with this on any thread.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

static TWINS: Mutex<BTreeMap<String, Registration>> = Mutex::new(BTreeMap::new());

fn twins() -> MutexGuard<'static, BTreeMap<String, Registration>> {
    TWINS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The twin of the entry called `name`.
pub(super) fn find(name: &str) -> Option<Registration> {
    twins().get(name).cloned()
}

/// Adds a twin. False if the name is taken by another; the same one may be added again.
///
/// # Safety
///
/// The kernel's pointers are valid, and its functions may be called as `raw.rs` says until the process ends.
pub(super) unsafe fn register(kernel: &RawKernel) -> bool {
    // SAFETY: a valid string, as the caller promised.
    let name = unsafe { CStr::from_ptr(kernel.name) };
    let params = match kernel.param_count {
        0 => Vec::new(),
        // SAFETY: as many kinds as there are parameters, as the caller promised.
        count => unsafe { std::slice::from_raw_parts(kernel.params, count) }.to_vec(),
    };
    let twin = Registration { params, user: User(kernel.user), declare: kernel.declare, run: kernel.run };
    let mut twins = twins();
    let known = twins.entry(name.to_string_lossy().into_owned()).or_insert_with(|| twin.clone());
    known.is(&twin)
}

impl Registration {
    /// Whether two registrations are of one twin. What the functions are called with tells: one
    /// function may have several addresses, and several twins may share functions.
    fn is(&self, other: &Self) -> bool {
        let same_functions = || ptr::fn_addr_eq(self.declare, other.declare) && ptr::fn_addr_eq(self.run, other.run);
        let same = if self.user.0.is_null() { same_functions() } else { self.user == other.user };
        same && self.params == other.params
    }
}

/// Grid, block and parameters of a launch.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) grid: [u32; 3],
    pub(super) block: [u32; 3],
    pub(super) shared_bytes: u32,
    pub(super) params: Vec<u64>,
}

impl Shape {
    fn raw(&self, ranges: &[RawRange]) -> RawLaunch {
        RawLaunch {
            grid: self.grid,
            block: self.block,
            shared_bytes: self.shared_bytes,
            param_count: self.params.len(),
            params: self.params.as_ptr(),
            range_count: ranges.len(),
            ranges: ranges.as_ptr(),
        }
    }
}

/// The ranges that a launch of `twin` touches, as the twin declares them; `None` if it fails to.
pub(super) fn declare(twin: &Registration, shape: &Shape) -> Option<Vec<RawAccess>> {
    let room = twin.params.len();
    let mut accesses = Vec::with_capacity(room);
    let launch = shape.raw(&[]);
    // SAFETY: registered for this call; the launch lives during it, and the list has room for a range of each parameter.
    let count = unsafe { (twin.declare)(twin.user.0, &raw const launch, accesses.as_mut_ptr()) };
    if count > room {
        return None;
    }
    // SAFETY: the function has written as many as it answered.
    unsafe { accesses.set_len(count) };
    let is_pointer = |access: &RawAccess| twin.params.get(access.param) == Some(&ParamKind::Pointer);
    accesses.iter().all(is_pointer).then_some(accesses)
}

/// A declared range, and its memory unless it has no bytes.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) access: RawAccess,
    pub(super) memory: Option<Span>,
}

/// A launch that is ready to run, with the memory it touches held alive.
#[derive(Debug)]
pub(super) struct PendingLaunch {
    pub(super) entry: Arc<Entry>,
    pub(super) twin: Registration,
    pub(super) shape: Shape,
    pub(super) ranges: Vec<Range>,
}

impl PendingLaunch {
    /// Runs the whole grid.
    pub(super) fn run(&self) -> Outcome {
        let raw = |range: &Range| RawRange { access: range.access, start: range.memory.as_ref().map_or(ptr::null_mut(), Span::start) };
        let ranges: Vec<RawRange> = self.ranges.iter().map(raw).collect();
        let launch = self.shape.raw(&ranges);
        // SAFETY: registered for this call; launch, parameters, ranges and their memory live until it returns.
        let code = unsafe { (self.twin.run)(self.twin.user.0, &raw const launch) };
        if code == codes::SUCCESS {
            return Ok(());
        }
        report::add(Topic::Fault, format_args!("kernel `{}` ended in {}", self.entry.name, codes::describe(code)));
        Err(code)
    }
}
