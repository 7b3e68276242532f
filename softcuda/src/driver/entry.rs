//! What every driver function does before its own work, and the macro that declares the functions.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::calls::{self, Function};
use super::codes::{self, Code, Outcome};
use super::raw::Topic;
use super::{discard, fork, mode, report, thread};

/// Runs one call of a driver function: counted, possibly failed on purpose, never unwinding into C.
pub(super) fn call(function: Function, before_init: bool, work: impl FnOnce() -> Outcome) -> Code {
    if let Some(answer) = fork::answer(function.name, before_init) {
        calls::tally(function);
        return answer.err().unwrap_or(codes::SUCCESS);
    }
    let injected = calls::count(function);
    let outcome = match mode::answer_to_all() {
        Some(answer) => answer,
        None if injected.is_err() => injected,
        None if !before_init && !mode::is_initialized() => Err(codes::NOT_INITIALIZED),
        None => {
            if thread::is_in_destructor() {
                // A real driver was seen to do it where a call of the caller runs the destructor.
                report::add(Topic::Misuse, "the destructor of a user object may not call the driver");
            }
            catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                report::add(Topic::Bug, "panicked, which is a bug of the software driver");
                Err(codes::UNKNOWN)
            })
        }
    };
    calls::end();
    report::print();
    discard::empty();
    outcome.err().unwrap_or(codes::SUCCESS)
}

/// One call of a function that is not implemented.
pub(super) fn unsupported() -> Code {
    mode::answer_to_all().map_or(codes::NOT_SUPPORTED, |answer| answer.err().unwrap_or(codes::SUCCESS))
}

/// Declares functions of the driver as `TABLE from INDEX;`, then `name(argument: Type, ...) => what answers it;`. Those that look
/// at their arguments before `cuInit` too are marked `[before_init]`.
///
/// Each becomes an `extern "C"` function that takes the C types, and a row of the table, whose first
/// has that index in the table of all.
macro_rules! driver_api {
    (@is_marked) => { false };
    (@is_marked before_init) => { true };
    ($table:ident from $first:expr; $( $(#[doc = $doc:literal])+ $([$mark:ident])? $name:ident($($arg:ident: $type:ty),* $(,)?) => $work:expr; )+) => {
        /// The functions' places in the table, from the first.
        #[expect(non_camel_case_types, reason = "the functions' own names")]
        #[derive(Clone, Copy)]
        enum Index { $($name),+ }

        /// Functions of this driver with their addresses.
        pub(super) const $table: &[(&str, Address)] = &[$((stringify!($name), Address($name as *const c_void))),+];

        $(
            $(#[doc = $doc])+
            ///
            /// # Safety
            ///
            /// Pointers are null or valid for what the CUDA driver API documents for this function.
            #[cfg_attr(softcuda_linked, expect(non_snake_case, reason = "the function's own name"))]
            #[cfg_attr(not(softcuda_linked), unsafe(no_mangle))]
            pub unsafe extern "C" fn $name($($arg: <$type as Argument>::Abi),*) -> Code {
                let function = Function { index: $first + Index::$name as usize, name: stringify!($name) };
                entry::call(function, driver_api!(@is_marked $($mark)?), || {
                    $(
                        // SAFETY: what this function asks of its caller is what `accept` asks.
                        let $arg = unsafe { <$type as Argument>::accept($arg) }?;
                    )*
                    $work
                })
            }
        )+
    };
}
pub(super) use driver_api;
