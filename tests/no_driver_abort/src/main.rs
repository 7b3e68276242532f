//! The scenario of `tests/no_driver.rs` in a program that aborts on panic.

#[path = "../../common/no_driver.rs"]
mod no_driver;

fn main() {
    assert!(cfg!(panic = "abort"), "this is to be built with panic = \"abort\"");
    no_driver::check();
    println!("without a driver nothing panics");
}
