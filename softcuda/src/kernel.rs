//! Kernel twins: what a kernel does, written in Rust, for a driver that cannot run device code.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::accesses::Accesses;
use crate::arguments::Arguments;
use crate::functions::ControlFunctions;
use crate::launch::Launch;
use crate::raw::ParamKind;
use crate::software;
use crate::twin::{Declare, Run, Twin};

/// The Rust twin of a kernel: its name, its parameters, what a launch touches and what it does.
///
/// A module's PTX text still names the kernel and its parameters; the software driver looks up the
/// twin by that name when the function is loaded, and refuses one of other parameter types. A twin
/// runs the whole grid at once. On a real driver a twin does nothing and the PTX runs.
///
/// # Example: `y = a * x + y`
///
/// ```
/// use softcuda::{Kernel, ParamKind::{F32, Int32, Pointer}};
///
/// // .visible .entry saxpy(.param .u32 n, .param .f32 a, .param .u64 x, .param .u64 y)
/// Kernel::new("saxpy", [Int32, F32, Pointer, Pointer])
///     .declare(|launch, memory| {
///         let n = launch.u32(0) as usize;
///         memory.read::<f32>(2, n);
///         memory.read_write::<f32>(3, n);
///     })
///     .run(|launch| {
///         let a = launch.f32(1);
///         for (y, x) in launch.slice_mut::<f32>(3).iter_mut().zip(launch.slice::<f32>(2)) {
///             *y += a * x;
///         }
///     })
///     .register();
/// ```
#[must_use = "a twin has no effect before `register`"]
pub struct Kernel {
    name: String,
    params: Vec<ParamKind>,
    declare: Declare,
    run: Run,
    /// Of `declare` and `run`.
    identities: [Identity; 2],
}

/// Tells closures apart: two of one type without captures are the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    closure: TypeId,
    captures: bool,
}

impl Identity {
    fn of<F: 'static>(_closure: &F) -> Self {
        Self { closure: TypeId::of::<F>(), captures: size_of::<F>() > 0 }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("name", &self.name).field("params", &self.params).finish_non_exhaustive()
    }
}

impl Kernel {
    /// The twin of the PTX `.entry` of that name, with one kind for each `.param`.
    ///
    /// It touches no memory and does nothing until [`declare`](Self::declare) and
    /// [`run`](Self::run) say otherwise.
    pub fn new(name: impl Into<String>, params: impl Into<Vec<ParamKind>>) -> Self {
        let declare = |_: &Arguments<'_>, _: &mut Accesses<'_>| {};
        let run = |_: &Launch<'_>| {};
        Self {
            name: name.into(),
            params: params.into(),
            identities: [Identity::of(&declare), Identity::of(&run)],
            declare: Box::new(declare),
            run: Box::new(run),
        }
    }

    /// Says which memory a launch reads and writes, by its arguments. Called once for each launch,
    /// when it is made; the driver then checks that the memory is there.
    ///
    /// A pointer that is not declared cannot be used in [`run`](Self::run). A panic fails the launch
    /// when its turn comes, as one in `run` does.
    pub fn declare<F>(mut self, declare: F) -> Self
    where
        F: Fn(&Arguments<'_>, &mut Accesses<'_>) + Send + Sync + 'static,
    {
        self.identities[0] = Identity::of(&declare);
        self.declare = Box::new(declare);
        self
    }

    /// Says what a launch does: the whole grid, in one call, on the thread of its stream.
    ///
    /// A panic ends the launch in `CUDA_ERROR_LAUNCH_FAILED`, as a trap ends a real kernel.
    pub fn run<F>(mut self, run: F) -> Self
    where
        F: Fn(&Launch<'_>) + Send + Sync + 'static,
    {
        self.identities[1] = Identity::of(&run);
        self.run = Box::new(run);
        self
    }

    /// Gives the twin to the software driver, until the process ends. Does nothing where the
    /// software driver does not run, so that a program is the same on both drivers.
    ///
    /// Tests may register the same kernel again and again, so long as its closures capture nothing.
    ///
    /// # Panics
    ///
    /// If the name contains a zero byte, or if another kernel of that name is registered.
    pub fn register(self) {
        if let Some(driver) = software::software() {
            self.add(driver);
        }
    }
}

/// What is registered under a name.
struct Registered {
    twin: &'static Twin,
    identities: [Identity; 2],
}

/// The twins of this process. They are never freed: the driver holds pointers to them.
static REGISTERED: Mutex<BTreeMap<CString, Registered>> = Mutex::new(BTreeMap::new());

impl Kernel {
    fn add(self, driver: &ControlFunctions) {
        let Self { name, params, declare, run, identities } = self;
        let name = CString::new(name).unwrap_or_else(|error| panic!("the name of a kernel: {error}"));
        let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = registered.get(&name) {
            let same =
                there.twin.params() == params && there.identities == identities && identities.iter().all(|identity| !identity.captures);
            assert!(same, "another kernel {name:?} is registered, or one whose closures capture variables");
            return;
        }
        let twin: &'static Twin = Box::leak(Box::new(Twin::new(name.clone(), params, declare, run)));
        let raw = twin.raw();
        // SAFETY: `raw` lives during the call, and what it refers to until the process ends.
        let refused = unsafe { (driver.softcuda_register_kernel)(&raw const raw) };
        assert_eq!(refused, 0, "the software driver has another kernel {name:?}");
        registered.insert(name, Registered { twin, identities });
    }
}
