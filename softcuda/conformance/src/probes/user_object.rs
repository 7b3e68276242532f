//! User objects: who keeps them, and when and where their destructors run.

use super::capture_info::graph as under_capture;
use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::Fixture;
use crate::host_function::{Gate, enqueue, enqueue_repeated};
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::user_objects::{Destructor, MOVE, NO_DESTRUCTOR_SYNC};

extern "C" fn nothing(_: *mut std::ffi::c_void) {}

pub(super) const PROBES: &[Probe] = &[
    Probe::current("user object: created, retained, released", |f| {
        let destructor = Destructor::new();
        let (create, object) = destructor.object(f.driver, 1);
        let retain = f.driver.cuUserObjectRetain(object, 2);
        let release = f.driver.cuUserObjectRelease(object, 2);
        let before = destructor.runs();
        let last = f.driver.cuUserObjectRelease(object, 1);
        Outcome::from([create, retain, release]).and(before).and(last).and(destructor.runs()).and(destructor.thread())
    }),
    Probe::current("user object: flags 0, 1, 2, 3", |f| {
        let one = |flags| {
            let mut object = Handle::NULL;
            let code = f.driver.cuUserObjectCreate(Some(&mut object), std::ptr::null_mut(), Some(nothing), 1, flags);
            if code.is_success() {
                f.driver.cuUserObjectRelease(object, 1);
            }
            code
        };
        [0, 1, 2, 3].map(one).into()
    }),
    Probe::current("user object: of 0 references, of 2^31", |f| {
        let one = |count| Destructor::new().object(f.driver, count).0;
        [one(0), one(1 << 31)].into()
    }),
    Probe::alone("user object: without a destructor, without a place", |d| {
        Fixture::alone(d, |_| {
            let null = std::ptr::null_mut();
            let codes = [
                d.cuUserObjectCreate(Some(&mut Handle(0)), null, None, 1, NO_DESTRUCTOR_SYNC),
                d.cuUserObjectCreate(None, null, Some(nothing), 1, NO_DESTRUCTOR_SYNC),
            ];
            codes.into()
        })
    }),
    Probe::alone("user object: null, retained, released, by a graph", |d| {
        Fixture::alone(d, |f| {
            let graph = f.empty_graph();
            let null = Handle::NULL;
            let codes = [
                d.cuUserObjectRetain(null, 1),
                d.cuUserObjectRelease(null, 1),
                d.cuGraphRetainUserObject(*graph, null, 1, 0),
                d.cuGraphReleaseUserObject(*graph, null, 1),
            ];
            codes.into()
        })
    }),
    Probe::alone("user object: retained and released 0 times", |d| {
        Fixture::alone(d, |f| {
            let (graph, (_, object)) = (f.empty_graph(), Destructor::new().object(d, 2));
            let codes = [
                d.cuUserObjectRetain(object, 0),
                d.cuUserObjectRelease(object, 0),
                d.cuGraphRetainUserObject(*graph, object, 0, 0),
                d.cuGraphReleaseUserObject(*graph, object, 0),
            ];
            codes.into()
        })
    }),
    Probe::alone("user object: released too often, by a graph without it", |d| {
        Fixture::alone(d, |f| {
            let ((first, second), graph) = ((Destructor::new(), Destructor::new()), f.empty_graph());
            let (_, object) = first.object(d, 1);
            let release = Outcome::from(d.cuUserObjectRelease(object, 2)).and(first.runs());
            let (_, object) = second.object(d, 2);
            release.and(d.cuGraphReleaseUserObject(*graph, object, 1)).and(second.runs())
        })
    }),
    Probe::alone("user object: retained by a null graph", |d| {
        Fixture::alone(d, |_| d.cuGraphRetainUserObject(Handle::NULL, Destructor::new().object(d, 1).1, 1, 0).into())
    }),
    Probe::current("user object: by a graph, flags 0, 1, 2", |f| {
        let (graph, (_, object)) = (f.empty_graph(), Destructor::new().object(f.driver, 8));
        let codes = [0, 1, 2].map(|flags| f.driver.cuGraphRetainUserObject(*graph, object, 1, flags));
        f.driver.cuUserObjectRelease(object, 7);
        codes.into()
    }),
    Probe::current("user object: moved into a graph more often than it is held", |f| {
        let destructor = Destructor::new();
        let (graph, (_, object)) = (f.empty_graph(), destructor.object(f.driver, 1));
        Outcome::from(f.driver.cuGraphRetainUserObject(*graph, object, 1, MOVE)).and(destructor.runs()).and({
            drop(graph);
            destructor.runs()
        })
    }),
    Probe::current("user object: of a graph, destroyed without an executable", |f| {
        let destructor = Destructor::new();
        let graph = f.empty_graph();
        let retain = give(f, destructor, *graph);
        let before = destructor.runs();
        let destroy = f.driver.cuGraphDestroy(graph.into_handle());
        Outcome::from(retain).and(before).and(destroy).and(destructor.runs()).and(destructor.thread())
    }),
    Probe::current("user object: of a graph, released by it", |f| {
        let destructor = Destructor::new();
        let graph = f.empty_graph();
        let (_, object) = destructor.object(f.driver, 1);
        f.driver.cuGraphRetainUserObject(*graph, object, 1, MOVE);
        let release = f.driver.cuGraphReleaseUserObject(*graph, object, 1);
        Outcome::from(release).and(destructor.runs()).and(destructor.thread())
    }),
    Probe::current("user object: graph destroyed, then its executable", |f| {
        let destructor = Destructor::new();
        let graph = f.empty_graph();
        give(f, destructor, *graph);
        let executable = graph.instantiate().1;
        drop(graph);
        let between = destructor.runs();
        drop(executable);
        Outcome::from(between).and(destructor.runs()).and(destructor.thread())
    }),
    Probe::current("user object: executable destroyed, then its graph", |f| {
        let destructor = Destructor::new();
        let graph = f.empty_graph();
        give(f, destructor, *graph);
        drop(graph.instantiate().1);
        let between = destructor.runs();
        drop(graph);
        Outcome::from(between).and(destructor.runs())
    }),
    Probe::current("user object: retained after the instantiation, graph destroyed", |f| {
        let destructor = Destructor::new();
        let graph = f.empty_graph();
        let _executable = graph.instantiate().1;
        give(f, destructor, *graph);
        drop(graph);
        destructor.runs().into()
    }),
    Probe::current("user object: graph destroyed, a clone alive, then destroyed", |f| {
        let destructor = Destructor::new();
        let graph = f.empty_graph();
        give(f, destructor, *graph);
        let clone = graph.clone_of().1;
        drop(graph);
        let between = destructor.runs();
        drop(clone);
        Outcome::from(between).and(destructor.runs())
    }),
    Probe::current("user object: executable destroyed while its launch is held", |f| {
        let (destructor, stream, memory) = (Destructor::new(), f.stream(), f.memory(1, 0));
        let graph = f.captured(|stream| f.driver.cuMemsetD32Async(memory.address, 7, 1, stream));
        give(f, destructor, *graph);
        let executable = graph.instantiate().1;
        drop(graph);
        let hold = f.hold(*stream);
        executable.launch(*stream);
        let handle = executable.into_handle();
        let destroy = hold.wait_and_release(move |d| d.cuGraphExecDestroy(handle));
        destroy.and(f.finish(*stream)).and(destructor.runs()).and(destructor.thread())
    }),
    Probe::current("user object: executable destroyed, held: the destructor meanwhile", |f| {
        let (destructor, stream) = (Destructor::new(), f.stream());
        let graph = f.captured(|stream| enqueue_repeated(f.driver, stream, || ()));
        give(f, destructor, *graph);
        let executable = graph.instantiate().1.into_handle();
        drop(graph);
        let gate = Gate::default();
        let waiting = gate.clone();
        enqueue(f.driver, *stream, move || {
            waiting.pass();
        });
        f.driver.cuGraphLaunch(executable, *stream);
        // On another thread: it may wait for the launch.
        std::thread::scope(|scope| {
            let caller = scope.spawn(|| f.driver.cuGraphExecDestroy(executable));
            let meanwhile = destructor.runs();
            gate.open();
            let destroy = caller.join().expect("a code");
            let finish = f.finish(*stream);
            Outcome::from(meanwhile).and([destroy, finish]).and(destructor.runs()).and(destructor.thread())
        })
    }),
    Probe::current("user object: executable destroyed after its launch, work behind it", |f| {
        let (destructor, stream) = (Destructor::new(), f.stream());
        let graph = f.empty_graph();
        give(f, destructor, *graph);
        let executable = graph.instantiate().1;
        drop(graph);
        executable.launch(*stream);
        f.finish(*stream);
        let hold = f.hold(*stream);
        drop(executable);
        let behind = destructor.runs();
        hold.release();
        Outcome::from(behind).and(f.finish(*stream))
    }),
    Probe::current("user object: of a graph under capture, then of it", |f| {
        let (destructor, stream) = (Destructor::new(), f.stream());
        f.begin(*stream);
        let retain = give(f, destructor, under_capture(f, *stream));
        let status = f.status(*stream);
        let (end, graph) = f.end(*stream);
        let ended = destructor.runs();
        drop(graph);
        Outcome::from(retain).and(status).and(end).and(ended).and(destructor.runs())
    }),
    Probe::current("user object: of a graph under capture, by another thread", |f| {
        let (destructor, stream) = (Destructor::new(), f.stream());
        f.begin(*stream);
        let origin = *stream;
        let caller = || f.with_primary(|| give(f, destructor, under_capture(f, origin)));
        let retain = std::thread::scope(|scope| scope.spawn(caller).join()).expect("a code");
        let status = f.status(*stream);
        let (end, graph) = f.end(*stream);
        drop(graph);
        Outcome::from(retain).and(status).and(end).and(destructor.runs())
    }),
    Probe::current("user object: of a graph under capture, then an executable", |f| {
        let (destructor, stream) = (Destructor::new(), f.stream());
        f.begin(*stream);
        give(f, destructor, under_capture(f, *stream));
        let (_, graph) = f.end(*stream);
        let executable = graph.instantiate().1;
        drop(graph);
        let between = destructor.runs();
        executable.launch(*stream);
        f.finish(*stream);
        drop(executable);
        Outcome::from(between).and(destructor.runs())
    }),
    Probe::current("user object: of a graph under capture, invalidated, ended", |f| {
        let (destructor, stream) = (Destructor::new(), f.stream());
        f.begin(*stream);
        give(f, destructor, under_capture(f, *stream));
        f.driver.cuStreamQuery(*stream);
        let invalidated = destructor.runs();
        f.end(*stream);
        Outcome::from(invalidated).and(destructor.runs()).and(destructor.thread())
    }),
    Probe::current("user object: of a graph under capture, unjoined", |f| {
        let (destructor, stream, joined, memory) = (Destructor::new(), f.stream(), f.stream(), f.memory(1, 0));
        f.begin(*stream);
        give(f, destructor, under_capture(f, *stream));
        f.join(*joined, *stream);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, *joined);
        let end = f.end_code(*stream);
        Outcome::from(end).and(destructor.runs())
    }),
    Probe::current("user object: of a graph under capture, the stream destroyed", |f| {
        let (destructor, stream) = (Destructor::new(), f.stream().into_handle());
        f.begin(stream);
        give(f, destructor, under_capture(f, stream));
        f.driver.cuStreamDestroy_v2(stream);
        destructor.runs().into()
    }),
    Probe::current("user object: of a child's graph, launched into a capture", |f| {
        let (destructor, stream) = (Destructor::new(), f.stream());
        let graph = f.empty_graph();
        give(f, destructor, *graph);
        let child = graph.instantiate().1;
        drop(graph);
        f.begin(*stream);
        child.launch(*stream);
        let (_, parent) = f.end(*stream);
        drop(child);
        let between = destructor.runs();
        drop(parent);
        Outcome::from(between).and(destructor.runs())
    }),
    Probe::current("user object: twice in one graph", |f| {
        let destructor = Destructor::new();
        let graph = f.empty_graph();
        let (_, object) = destructor.object(f.driver, 2);
        let codes = [(); 2].map(|()| f.driver.cuGraphRetainUserObject(*graph, object, 1, MOVE));
        drop(graph);
        Outcome::from(codes).and(destructor.runs())
    }),
    Probe::bare("user object: no context", |f| {
        let destructor = Destructor::new();
        let (create, object) = destructor.object(f.driver, 1);
        Outcome::from([create, f.driver.cuUserObjectRelease(object, 1)]).and(destructor.runs())
    }),
    Probe::alone("user object: query, destroy, release in the destructor", |d| {
        Fixture::alone(d, |f| {
            let (complete, event, other) = (f.complete(0), f.complete(0).into_handle(), Destructor::new());
            let (_, object) = other.object(d, 1);
            let query = Destructor::calling(d, *complete, Driver::cuEventQuery);
            let destroy = Destructor::calling(d, event, Driver::cuEventDestroy_v2);
            let release = Destructor::calling(d, object, |d, object| d.cuUserObjectRelease(object, 1));
            Outcome::each([query, destroy, release], |destructor| calling(f, destructor)).and(other.runs())
        })
    }),
    Probe::alone("user object: after a fault, released, with a graph", |d| {
        Fixture::alone(d, |f| {
            let (first, second) = (Destructor::new(), Destructor::new());
            let graph = f.empty_graph();
            let (_, object) = first.object(d, 1);
            give(f, second, *graph);
            super::captured_host_functions::fault(f);
            let codes = [d.cuUserObjectRelease(object, 1), d.cuGraphDestroy(graph.into_handle())];
            Outcome::from(codes).and(first.runs()).and(second.runs())
        })
    }),
    Probe::alone("user object: of an executable whose context is destroyed", |d| {
        Fixture::alone(d, |f| {
            let (second, destructor) = (f.second_context(), Destructor::new());
            let executable = f.within(second, || {
                let graph = f.empty_graph();
                give(f, destructor, *graph);
                graph.instantiate().1
            });
            let destroy = d.cuCtxDestroy_v2(second);
            let between = destructor.runs();
            let end = d.cuGraphExecDestroy(executable.into_handle());
            Outcome::from(destroy).and(between).and(end).and(destructor.runs())
        })
    }),
];

/// Gives a graph the only reference to a user object.
fn give(f: &Fixture, destructor: &'static Destructor, graph: Handle) -> Code {
    let (code, object) = destructor.object(f.driver, 1);
    if !code.is_success() {
        return code;
    }
    f.driver.cuGraphRetainUserObject(graph, object, 1, MOVE)
}

/// Lets a destructor run that makes a call, and says what it answered.
fn calling(f: &Fixture, destructor: &'static Destructor) -> Outcome {
    let (_, object) = destructor.object(f.driver, 1);
    let release = f.driver.cuUserObjectRelease(object, 1);
    Outcome::from(release).and(destructor.runs()).and(destructor.answer())
}
