//! Failures of what is done once a process, each in a process of its own.

use cuda_streams::{Device, Error, ErrorCode};
use softcuda::{inject, live};

use crate::common::{child, device};
use crate::errors::{CODES, check_text};
use crate::table::has;

/// A failure is told, and not remembered.
#[test]
fn a_failure_at_the_start_is_told_and_not_remembered() {
    let functions = ["cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxGetId"];
    let functions = functions.into_iter().filter(|function| has(function));
    child::run_each("start::a_failure_at_the_start_is_told_and_not_remembered", functions, |function| {
        for (code, text) in CODES {
            let _failure = inject(function, code);
            let error = Device::get(0).and_then(Device::context).unwrap_err();
            assert_eq!(error, Error::Driver { call: function, code: ErrorCode::new(code).unwrap() });
            check_text(&error, function, text);
            assert_eq!(live().contexts, 0, "a context that failed is given back");
        }
        assert!(device().stream().unwrap().query().unwrap());
    });
}

#[test]
fn a_context_that_cannot_be_given_back_is_the_first_error() {
    child::run("start::a_context_that_cannot_be_given_back_is_the_first_error", child::newest_driver, || {
        let device = device();
        let _unusable = inject("cuCtxGetId", 4000);
        let _not_released = inject("cuDevicePrimaryCtxRelease_v2", 4001);
        let error = device.context().unwrap_err();
        assert_eq!(error, Error::Driver { call: "cuCtxGetId", code: ErrorCode::new(4000).unwrap() });
        assert!(device.context().is_ok());
    });
}
