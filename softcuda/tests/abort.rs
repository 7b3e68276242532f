//! `SOFTCUDA_REPORTS=abort`: the first report ends the process, unless it is made in a scope of its own.

use std::env;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

use cudarc::driver::sys::{self, CUresult};
use softcuda::Scope;

/// What the child of the test is to do.
const CHILD: &str = "SOFTCUDA_TEST_CHILD";

/// How a child ends that misuses the driver, there or here, with this variable.
fn child(place: &str, reports: &str) -> Output {
    let mut command = Command::new(env::current_exe().expect("this test's path"));
    command.args(["a_report_ends_the_process_if_that_is_wanted", "--exact", "--nocapture"]);
    command.env(CHILD, place).env("SOFTCUDA_REPORTS", reports).output().expect("a child process")
}

/// Synchronises a stream that never was.
fn misuse() {
    // SAFETY: the software driver refuses what is no handle.
    assert_eq!(unsafe { sys::cuStreamSynchronize(0x10 as _) }, CUresult::CUDA_ERROR_INVALID_HANDLE);
}

#[test]
fn a_report_ends_the_process_if_that_is_wanted() {
    /// `SIGABRT`
    const ABORTED: i32 = 6;
    if let Ok(place) = env::var(CHILD) {
        softcuda::install().expect("the software driver");
        // SAFETY: may be called at any time.
        assert_eq!(unsafe { sys::cuInit(0) }, CUresult::CUDA_SUCCESS);
        let entered = (place == "in a scope").then(Scope::enter);
        misuse();
        assert_eq!(softcuda::reports().len(), 1);
        drop(entered);
        return;
    }
    let line = "softcuda: cuStreamSynchronize: 0x10 is not the handle of any stream\n";
    let ended = child("in the process's scope", "abort");
    assert_eq!(ended.status.signal(), Some(ABORTED), "{ended:?}");
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(errors.contains(line) && errors.contains("softcuda: SOFTCUDA_REPORTS=abort: "), "{errors}");
    for (place, reports) in [("in the process's scope", "print"), ("in a scope", "abort")] {
        let passed = child(place, reports);
        assert!(passed.status.success(), "{place}, {reports}: {passed:?}");
        assert!(String::from_utf8_lossy(&passed.stderr).contains(line), "{passed:?}");
    }
}
