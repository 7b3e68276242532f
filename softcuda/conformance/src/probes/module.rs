//! Modules of PTX text and their functions.

use std::ffi::CStr;

use crate::driver::Handle;
use crate::fixture::Fixture;
use crate::kernels::TEXT;
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("module: load, find a function, unload", |f| {
        let mut module = Handle::NULL;
        let image = TEXT.as_ptr().cast();
        [
            f.driver.cuModuleLoadData(Some(&mut module), image),
            f.driver.cuModuleGetFunction(Some(&mut Handle(0)), module, c"fill".as_ptr()),
            f.driver.cuModuleUnload(module),
        ]
        .into()
    }),
    Probe::current("module: garbage", |f| load(f, c"this is no PTX")),
    Probe::current("module: empty text", |f| load(f, c"")),
    Probe::current("module: header alone", |f| load(f, c".version 7.0\n.target sm_50\n.address_size 64\n")),
    Probe::current("module: no version", |f| load(f, c".target sm_50\n.address_size 64\n")),
    Probe::current("module: no target", |f| load(f, c".version 7.0\n.address_size 64\n")),
    Probe::current("module: no address size", |f| load(f, c".version 7.0\n.target sm_50\n.visible .entry nothing() { ret; }\n")),
    Probe::current("module: version 99.9", |f| load(f, c".version 99.9\n.target sm_50\n.address_size 64\n")),
    Probe::current("module: target sm_999", |f| load(f, c".version 7.0\n.target sm_999\n.address_size 64\n")),
    Probe::current("module: unbalanced braces", |f| {
        load(f, c".version 7.0\n.target sm_50\n.address_size 64\n.visible .entry nothing() { ret;\n")
    }),
    Probe::current("module: null image", |f| f.driver.cuModuleLoadData(Some(&mut Handle(0)), std::ptr::null()).into()),
    Probe::current("null out parameter: cuModuleLoadData", |f| f.driver.cuModuleLoadData(None, TEXT.as_ptr().cast()).into()),
    Probe::current("module: unload null", |f| f.driver.cuModuleUnload(Handle::NULL).into()),
    Probe::current("function: missing", |f| function(f, c"no_such_kernel")),
    Probe::current("function: empty name", |f| function(f, c"")),
    Probe::current("function: null name", |f| {
        f.driver.cuModuleGetFunction(Some(&mut Handle(0)), f.kernels.module, std::ptr::null()).into()
    }),
    Probe::current("function: of null", |f| f.driver.cuModuleGetFunction(Some(&mut Handle(0)), Handle::NULL, c"fill".as_ptr()).into()),
    Probe::current("null out parameter: cuModuleGetFunction", |f| {
        f.driver.cuModuleGetFunction(None, f.kernels.module, c"fill".as_ptr()).into()
    }),
];

/// Loads the text, and unloads the module if that went well.
fn load(f: &Fixture, text: &CStr) -> Outcome {
    let mut module = Handle::NULL;
    let code = f.driver.cuModuleLoadData(Some(&mut module), text.as_ptr().cast());
    if code.is_success() {
        f.driver.cuModuleUnload(module);
    }
    code.into()
}

fn function(f: &Fixture, name: &CStr) -> Outcome {
    f.driver.cuModuleGetFunction(Some(&mut Handle(0)), f.kernels.module, name.as_ptr()).into()
}
