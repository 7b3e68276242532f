//! Graphs with a kernel whose module is unloaded.

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::Fixture;
use crate::graphs::{Executable, Graph};
use crate::kernels::{Shape, TEXT, launch};
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::alone("graph of a kernel, its module unloaded: cloned", |d| unloaded(d, |_, graph, _| graph.clone_of().0.into())),
    Probe::alone("graph of a kernel, its module unloaded: instantiated", |d| unloaded(d, |_, graph, _| graph.instantiate().0.into())),
    Probe::alone("graph of a kernel, its module unloaded: instantiated, launched", |d| {
        unloaded(d, |f, graph, _| match graph.instantiate() {
            (Code::SUCCESS, executable) => Outcome::from(Code::SUCCESS).and(launched(f, &executable)),
            (code, _) => code.into(),
        })
    }),
    Probe::alone("graph of a kernel, its module unloaded: uploaded", |d| {
        unloaded(d, |f, _, executable| f.driver.cuGraphUpload(**executable, *f.stream()).into())
    }),
    Probe::alone("graph of a kernel, its module unloaded: launched", |d| unloaded(d, |f, _, executable| launched(f, executable))),
];

/// A graph, and an executable of it, of a kernel that writes a word, whose module is unloaded then.
fn unloaded(driver: &'static Driver, probe: fn(&Fixture, &Graph<'_>, &Executable<'_>) -> Outcome) -> Outcome {
    Fixture::alone(driver, |f| {
        let (mut module, mut function) = (Handle::NULL, Handle::NULL);
        driver.cuModuleLoadData(Some(&mut module), TEXT.as_ptr().cast());
        driver.cuModuleGetFunction(Some(&mut function), module, c"fill".as_ptr());
        let (to, value) = (f.memory(1, 0).into_address(), 7_u32);
        let parameters = [(&raw const to).cast(), (&raw const value).cast()];
        let graph = f.captured(|stream| launch(driver, function, Shape::ONE_THREAD, stream, &parameters));
        let executable = graph.instantiate().1;
        match driver.cuModuleUnload(module) {
            Code::SUCCESS => probe(f, &graph, &executable),
            code => code.into(),
        }
    })
}

/// A launch, and what it has come to if it was made.
fn launched(f: &Fixture, executable: &Executable<'_>) -> Outcome {
    let stream = f.stream();
    match executable.launch(*stream) {
        Code::SUCCESS => [Code::SUCCESS, f.driver.cuStreamSynchronize(*stream)].into(),
        code => code.into(),
    }
}
