//! Without a driver everything that needs one says so, and the rest works. In child processes,
//! since a process keeps the driver that it has found. `no_driver_abort/` is the same with
//! `panic = "abort"`.

mod common;

use common::{child, no_driver};
use cuda_streams::{Device, Error};

/// T406, T520
#[test]
fn t520_without_a_driver_nothing_panics() {
    child::run("t520_without_a_driver_nothing_panics", child::without_a_driver, no_driver::check);
}

/// The search without the software driver: it ends in a driver, or tells each place in order.
#[test]
fn what_was_tried_is_told_in_order() {
    let real = |command: &mut std::process::Command| {
        command.env("SOFTCUDA", "real").env_remove("SOFTCUDA_EXPECT");
    };
    child::run("what_was_tried_is_told_in_order", real, || match Device::count() {
        Err(Error::DriverNotFound { tried }) => {
            let names: Vec<_> = tried.iter().map(|attempt| attempt.name).collect();
            assert_eq!(names, ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "libcuda.so"]);
            assert!(tried.iter().all(|attempt| !attempt.reason.is_empty()), "{tried:?}");
        }
        Ok(_) | Err(Error::Driver { call: "cuInit", .. }) => {}
        Err(other) => panic!("{other}"),
    });
}
