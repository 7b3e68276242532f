//! A failure of every driver call that a public call makes: it is told, with its number, and changes
//! no current context.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use cuda_streams::{Error, ErrorCode, RawContext};
use softcuda::{Live, calls, inject};

use crate::common::calls::{Call, DEVICE_CALLS, WORLD_CALLS};
use crate::common::world::World;
use crate::common::{contexts, device, on_a_fresh_thread};
use crate::errors::{CODES, check_text};
use crate::live::{live, trim};
use crate::table::{driver_functions, has};

/// A failure of these is not told, and why.
const SILENT: &[(&str, &str)] = &[
    ("cuCtxPopCurrent_v2", "a guard undoes its push when it is dropped"),
    ("cuCtxGetCurrent", "a guard that is dropped restores what was current, if it can"),
    ("cuCtxSetCurrent", "as above"),
    ("cuStreamDestroy_v2", "dropping tells nothing, and the stream is leaked; `destroy` tells"),
    ("cuEventDestroy_v2", "dropping tells nothing, and the event is leaked; `destroy` tells"),
    ("cuGraphDestroy", "as for events"),
    ("cuGraphExecDestroy", "as for events"),
    ("cuCtxGetId", "dropping asks whether the context lives, and leaks where it cannot be told"),
    ("cuThreadExchangeStreamCaptureMode", "the call is made all the same: mostly nothing is captured"),
];

/// Neither is a failure of this in a call that launches a function of the host, which runs all the same.
const SILENT_BEHIND_HOST_FN: &str = "cuEventRecord";

/// Nor is one of this where a stream comes back to its pool, which then has it no more.
const SILENT_IN_A_RETURN: &str = "cuStreamIsCapturing";

/// These calls of the table are made once a process, or never on this driver; see the other tests.
const NOT_IN_A_WORLD: &[(&str, &str)] = &[
    ("cuInit", "once a process"),
    ("cuDeviceGetCount", "once a process"),
    ("cuDeviceGet", "once a process"),
    ("cuDevicePrimaryCtxRetain", "once for each life of a context"),
    ("cuDevicePrimaryCtxRelease_v2", "only after a retained context turned out to be unusable"),
    ("cuEventElapsedTime", "only where the driver has no cuEventElapsedTime_v2"),
    ("cuStreamGetCaptureInfo_v2", "only where the driver has no cuStreamGetCaptureInfo_v3"),
    ("cuGraphGetEdges", "only where the driver has no cuGraphGetEdges_v2"),
    ("cuUserObjectRelease", "only after a graph has refused the object"),
    ("cuIpcCloseMemHandle", "only with another process: ipc.rs"),
];

/// In these calls cudarc makes driver calls too, and panics where one fails; `ipc.rs` has those of this crate.
const BY_CUDARC: &[&str] = &["IpcMemory::into_cudarc", "IpcMemory::into_cudarc, too long", "IpcSlice::close"];

/// And this one is not made where the driver has no ids: what is current is then left as it is.
const ONLY_WITH_IDS: &str = "cuCtxSetCurrent";

/// Makes the call with each of its driver calls failing in turn; returns which functions it calls.
fn fail_each<T>(call: &Call<T>, on: &T, check_leaks: bool) -> BTreeSet<&'static str> {
    let Call { name, run, .. } = call;
    let succeed = || run(on).unwrap_or_else(|error| panic!("{name}: {error}"));
    // What is created lazily is created now.
    succeed();
    let mut reached = BTreeSet::new();
    for function in driver_functions() {
        trim();
        let before = calls(function);
        succeed();
        for failing in 0..calls(function) - before {
            reached.insert(function);
            for (code, text) in CODES {
                let (before, live_before) = (contexts::current(), live());
                let injection = inject(function, code).after(failing);
                let result = run(on);
                drop(injection);
                let what = format!("{name}, call {failing} of {function} answers {code}");
                // What cannot be destroyed is leaked.
                let gives_back = name.contains("destroy") || name.contains("close") || name.contains("trim") || *name == "IpcMemory::new";
                let leaks = ["Destroy", "Free"].iter().any(|end| function.contains(end))
                    // Nobody can tell which graph has the event.
                    || function.starts_with("cuStreamGetCaptureInfo") && name.contains("external")
                    || function == "cuCtxGetId" && (result.is_ok() || gives_back)
                    || function == "cuCtxPushCurrent_v2" && gives_back;
                if let Err(error) = result {
                    assert_eq!(error, Error::Driver { call: function, code: ErrorCode::new(code).unwrap() }, "{what}");
                    check_text(&error, function, text);
                } else {
                    let is_silent = SILENT.iter().any(|(silent, _)| *silent == function)
                        || function == SILENT_BEHIND_HOST_FN && (name.contains("launch_host_fn") || name.starts_with("HostFn::"))
                        || function == SILENT_IN_A_RETURN && name.starts_with("StreamPool::checkout");
                    assert!(is_silent, "{what}: it is not told");
                }
                if function == "cuCtxPopCurrent_v2" {
                    put_back(before);
                }
                assert_eq!(contexts::current(), before, "{what}: the current context is another");
                if check_leaks && !leaks {
                    assert_eq!(settled(live_before), live_before, "{what}: something is leaked, or destroyed too often");
                }
            }
        }
    }
    reached
}

/// What exists once work is done that nobody has waited for.
fn settled(expected: Live) -> Live {
    let began = Instant::now();
    while live() != expected && began.elapsed() < Duration::from_secs(10) {
        thread::yield_now();
    }
    live()
}

/// Pops what a failed pop left, until the context is current that was before.
fn put_back(before: RawContext) {
    while contexts::current() != before {
        contexts::pop();
    }
}

/// All public calls with all failures. Leaks are seen only where nobody else creates anything.
pub(crate) fn fail_everything(check_leaks: bool) {
    let world = World::new(device());
    on_a_fresh_thread(|| {
        let mut reached = BTreeSet::new();
        for call in DEVICE_CALLS {
            reached.extend(fail_each(call, &world.device, check_leaks));
        }
        for call in WORLD_CALLS.iter().filter(|call| !BY_CUDARC.contains(&call.name)) {
            reached.extend(fail_each(call, &world, check_leaks));
        }
        let missing: Vec<_> = driver_functions()
            .into_iter()
            .filter(|function| !reached.contains(function) && NOT_IN_A_WORLD.iter().all(|(name, _)| name != function))
            .filter(|function| *function != ONLY_WITH_IDS || has("cuCtxGetId"))
            .collect();
        assert!(missing.is_empty(), "no public call of the list makes these: {missing:?}");
    });
}

#[test]
fn a_failure_of_any_driver_call_is_told() {
    fail_everything(false);
}
