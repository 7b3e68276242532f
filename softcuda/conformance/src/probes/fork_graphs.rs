//! Graphs in a forked child of a process that uses the driver. Each in a process of its own.

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::Fixture;
use crate::forked;
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::user_objects::Destructor;

/// What the parent made before it forked.
#[derive(Clone, Copy)]
struct Made {
    stream: Handle,
    graph: Handle,
    executable: Handle,
    object: Handle,
}

pub(super) const PROBES: &[Probe] = &[
    Probe::alone("forked child: cuStreamIsCapturing", |d| child(d, |d, made| d.cuStreamIsCapturing(made.stream, Some(&mut 0)))),
    Probe::alone("forked child: cuStreamBeginCapture", |d| child(d, |d, made| d.cuStreamBeginCapture_v2(made.stream, 1))),
    Probe::alone("forked child: cuThreadExchangeStreamCaptureMode", |d| child(d, |d, _| d.cuThreadExchangeStreamCaptureMode(Some(&mut 2)))),
    Probe::alone("forked child: cuGraphCreate", |d| child(d, |d, _| d.cuGraphCreate(Some(&mut Handle(0)), 0))),
    Probe::alone("forked child: cuGraphDestroy", |d| child(d, |d, made| d.cuGraphDestroy(made.graph))),
    Probe::alone("forked child: cuGraphGetNodes", |d| {
        child(d, |d, made| d.cuGraphGetNodes(made.graph, std::ptr::null_mut(), Some(&mut 0)))
    }),
    Probe::alone("forked child: cuGraphInstantiateWithFlags", |d| {
        child(d, |d, made| d.cuGraphInstantiateWithFlags(Some(&mut Handle(0)), made.graph, 0))
    }),
    Probe::alone("forked child: cuGraphLaunch", |d| child(d, |d, made| d.cuGraphLaunch(made.executable, made.stream))),
    Probe::alone("forked child: cuGraphExecDestroy", |d| child(d, |d, made| d.cuGraphExecDestroy(made.executable))),
    Probe::alone("forked child: cuUserObjectRelease", |d| child(d, |d, made| d.cuUserObjectRelease(made.object, 1))),
    Probe::alone("forked child: cuLaunchHostFunc", |d| {
        extern "C" fn nothing(_: *mut std::ffi::c_void) {}
        child(d, |d, made| d.cuLaunchHostFunc(made.stream, Some(nothing), std::ptr::null_mut()))
    }),
];

fn child(driver: &'static Driver, call: fn(&Driver, Made) -> Code) -> Outcome {
    Fixture::alone(driver, |f| {
        let graph = f.captured(|_| ());
        let made = Made {
            stream: f.stream().into_handle(),
            executable: graph.instantiate().1.into_handle(),
            graph: graph.into_handle(),
            object: Destructor::new().object(driver, 1).1,
        };
        forked::call(move || call(driver, made))
    })
}
