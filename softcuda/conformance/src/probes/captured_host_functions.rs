//! Host functions in graphs, graphs in host functions, and what faults and the ends of contexts do to both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::inside::answer;
use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::host_function::{Gate, enqueue, enqueue_repeated};
use crate::kernels::{Shape, launch};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;
use crate::slots::LIMIT;
use crate::user_objects::Destructor;

/// A call that takes longer does not return.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) const PROBES: &[Probe] = &[
    Probe::current("captured host function: launched three times", |f| {
        let (stream, runs) = (f.stream(), Arc::new(AtomicU32::new(0)));
        let graph = f.captured(|stream| counted(f, stream, &runs));
        let captured = runs.load(Ordering::Acquire);
        let executable = graph.instantiate().1;
        let codes = [executable.launch(*stream), executable.launch(*stream), executable.launch(*stream), f.finish(*stream)];
        Outcome::from(codes).and(format!("{captured}, {}", runs.load(Ordering::Acquire)))
    }),
    Probe::current("captured host function: enqueued by another thread", |f| {
        let (stream, runs) = (f.stream(), Arc::new(AtomicU32::new(0)));
        f.begin(*stream);
        let origin = *stream;
        let code = thread::scope(|scope| scope.spawn(|| counted(f, origin, &runs)).join()).expect("a code");
        let (end, graph) = f.end(*stream);
        let executable = graph.instantiate().1;
        let launch = [executable.launch(*stream), f.finish(*stream)];
        Outcome::from([code, end]).and(graph.shape()).and(launch).and(runs.load(Ordering::Acquire).to_string())
    }),
    Probe::current("captured host function: of an invalidated capture", |f| {
        let (stream, runs) = (f.stream(), Arc::new(AtomicU32::new(0)));
        f.begin(*stream);
        let within = counted(f, *stream, &runs);
        f.driver.cuStreamQuery(*stream);
        let after = counted(f, *stream, &runs);
        let end = f.end_code(*stream);
        let finish = f.finish(*stream);
        Outcome::from([within, after, end, finish]).and(runs.load(Ordering::Acquire).to_string())
    }),
    Probe::current("captured host function: two branches, one at a time", |f| {
        let (stream, other, gate) = (f.stream(), f.stream(), Gate::default());
        let runs = Arc::new(AtomicU32::new(0));
        let executable = f.executable(|origin| {
            f.join(*other, origin);
            for stream in [origin, *other] {
                let (waiting, runs) = (gate.clone(), Arc::clone(&runs));
                enqueue_repeated(f.driver, stream, move || {
                    runs.fetch_add(1, Ordering::AcqRel);
                    waiting.pass();
                });
            }
            f.join(origin, *other);
        });
        // On another thread: where nothing is captured the functions run at once.
        executable.launch(*stream);
        let tail = f.recorded(*stream);
        let pending = f.settled_query(*tail);
        let entered = runs.load(Ordering::Acquire);
        gate.open();
        Outcome::from([pending, f.driver.cuEventSynchronize(*tail)]).and(format!("{entered}, {}", runs.load(Ordering::Acquire)))
    }),
    Probe::current("captured host function: one of another stream beside it", |f| {
        let (stream, other, gate, runs) = (f.stream(), f.stream(), Gate::default(), Arc::new(AtomicU32::new(0)));
        let waiting = gate.clone();
        let executable = f.executable(|stream| {
            enqueue_repeated(f.driver, stream, move || {
                waiting.pass();
            })
        });
        executable.launch(*stream);
        counted(f, *other, &runs);
        let pending = f.settled_query(*f.recorded(*other));
        gate.open();
        Outcome::from([pending, f.finish(*stream), f.finish(*other)]).and(runs.load(Ordering::Acquire).to_string())
    }),
    Probe::current("captured host function: what follows waits for it", |f| {
        let (stream, gate) = (f.stream(), Gate::default());
        let waiting = gate.clone();
        let executable = f.executable(|stream| {
            enqueue_repeated(f.driver, stream, move || {
                waiting.pass();
            })
        });
        executable.launch(*stream);
        let tail = f.recorded(*stream);
        let pending = f.settled_query(*tail);
        gate.open();
        [pending, f.driver.cuEventSynchronize(*tail)].into()
    }),
    Probe::alone("captured host function: a query in it", |d| {
        Fixture::alone(d, |f| {
            let (stream, event) = (f.stream(), f.complete(0).into_handle());
            let answer = Arc::new(AtomicU32::new(u32::MAX));
            let tells = Arc::clone(&answer);
            let executable =
                f.executable(|stream| enqueue_repeated(d, stream, move || tells.store(d.cuEventQuery(event).0, Ordering::Release)));
            Outcome::from([executable.launch(*stream), f.finish(*stream), Code(answer.load(Ordering::Acquire))])
        })
    }),
    Probe::alone("captured host function: a launch of another graph in it", |d| {
        Fixture::alone(d, |f| {
            let (stream, other, (tells, told)) = (f.stream().into_handle(), f.stream().into_handle(), mpsc::channel());
            let inner = f.executable(|_| ()).into_handle();
            let graph = f.captured(|stream| {
                enqueue_repeated(d, stream, move || {
                    // The probe may have given up.
                    let _ = tells.send(d.cuGraphLaunch(inner, other));
                })
            });
            let executable = graph.instantiate().1.into_handle();
            let launch = d.cuGraphLaunch(executable, stream);
            let _ = graph.into_handle();
            match told.recv_timeout(PATIENCE) {
                Ok(code) => [launch, code, f.finish(stream)].into(),
                Err(_) => Outcome::from(launch).and("does not return"),
            }
        })
    }),
    Probe::alone("inside a host function: capture of another stream", |d| {
        Fixture::alone(d, |f| {
            let (stream, other) = (f.stream().into_handle(), f.stream().into_handle());
            answer(d, stream, move |d| {
                let mut graph = Handle::NULL;
                let codes = [d.cuStreamBeginCapture_v2(other, 1), d.cuStreamEndCapture(other, Some(&mut graph))];
                Outcome::from(codes).and(d.cuGraphDestroy(graph))
            })
        })
    }),
    Probe::alone("inside a host function: cuGraphCreate, cuGraphClone", |d| {
        Fixture::alone(d, |f| {
            let (stream, graph) = (f.stream().into_handle(), f.empty_graph().into_handle());
            let place = || Some(Box::leak(Box::new(Handle::NULL)));
            answer(d, stream, move |d| [d.cuGraphCreate(place(), 0), d.cuGraphClone(place(), graph)].into())
        })
    }),
    Probe::alone("inside a host function: cuGraphInstantiate, context set", |d| {
        Fixture::alone(d, |f| {
            let (stream, graph, primary) = (f.stream().into_handle(), f.empty_graph().into_handle(), f.primary);
            answer(d, stream, move |d| {
                d.cuCtxSetCurrent(primary);
                d.cuGraphInstantiateWithFlags(Some(&mut Handle(0)), graph, 0).into()
            })
        })
    }),
    Probe::alone("inside a host function: cuGraphLaunch", |d| {
        Fixture::alone(d, |f| {
            let (stream, other, executable) = (f.stream().into_handle(), f.stream().into_handle(), f.executable(|_| ()).into_handle());
            answer(d, stream, move |d| d.cuGraphLaunch(executable, other).into())
        })
    }),
    Probe::alone("inside a host function: cuGraphExecDestroy, cuGraphDestroy", |d| {
        Fixture::alone(d, |f| {
            let graph = f.captured(|_| ());
            let executable = graph.instantiate().1.into_handle();
            let (stream, graph) = (f.stream().into_handle(), graph.into_handle());
            answer(d, stream, move |d| [d.cuGraphExecDestroy(executable), d.cuGraphDestroy(graph)].into())
        })
    }),
    Probe::alone("inside a host function: the last cuUserObjectRelease", |d| {
        Fixture::alone(d, |f| {
            let destructor = Destructor::new();
            let (stream, object) = (f.stream().into_handle(), destructor.object(d, 1).1);
            answer(d, stream, move |d| Outcome::from(d.cuUserObjectRelease(object, 1)).and(destructor.runs()).and(destructor.thread()))
        })
    }),
    Probe::alone("inside a host function: status and capture mode", |d| {
        Fixture::alone(d, |f| {
            let (stream, other) = (f.stream().into_handle(), f.stream().into_handle());
            answer(d, stream, move |d| {
                let codes = [
                    d.cuStreamIsCapturing(other, Some(&mut 0)),
                    d.cuThreadExchangeStreamCaptureMode(Some(&mut 2)),
                    d.cuStreamGetCaptureInfo_v2(other, Some(&mut 0), None, None, None, None),
                ];
                codes.into()
            })
        })
    }),
    Probe::alone("inside a host function: a query while a global capture is open", |d| {
        Fixture::alone(d, |f| {
            let (stream, origin, event) = (f.stream(), f.stream(), f.complete(0).into_handle());
            let (tells, told) = mpsc::channel();
            d.cuStreamBeginCapture_v2(*origin, 0);
            let code = enqueue(d, *stream, move || {
                let _ = tells.send(d.cuEventQuery(event));
            });
            let answer = told.recv_timeout(LIMIT).unwrap_or(Code::MISSING);
            Outcome::from([code, answer]).and(f.status(*origin)).and(f.end_code(*origin))
        })
    }),
    Probe::alone("fault: a host function behind it, one before it", |d| {
        Fixture::alone(d, |f| {
            let (stream, before, behind) = (f.stream(), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
            counted(f, *stream, &before);
            launch(d, f.kernels.fault, Shape::ONE_THREAD, *stream, &[]);
            let code = counted(f, *stream, &behind);
            let codes = [code, d.cuStreamSynchronize(*stream)];
            Outcome::from(codes).and(format!("{}, {}", settled(&before), settled(&behind)))
        })
    }),
    Probe::alone("fault: a host function of another stream, behind a hold", |d| {
        Fixture::alone(d, |f| {
            let (stream, runs) = (f.stream(), Arc::new(AtomicU32::new(0)));
            let hold = f.hold(*stream);
            counted(f, *stream, &runs);
            fault(f);
            hold.release();
            let code = d.cuStreamSynchronize(*stream);
            Outcome::from(code).and(settled(&runs).to_string())
        })
    }),
    Probe::alone("fault: a host function that runs meanwhile, is it left alone", |d| {
        Fixture::alone(d, |f| {
            let (stream, gate, (left, leaves)) = (f.stream(), Gate::default(), mpsc::channel());
            let waiting = gate.clone();
            enqueue(d, *stream, move || {
                let _ = left.send(waiting.pass());
            });
            fault(f);
            gate.open();
            verdict(leaves.recv_timeout(LIMIT).is_ok(), "left").and(d.cuStreamQuery(*stream))
        })
    }),
    Probe::alone("fault: begin, end of a capture, of one that is open", |d| {
        Fixture::alone(d, |f| {
            let (open, other) = (f.stream(), f.stream());
            let mut mode = 2;
            d.cuThreadExchangeStreamCaptureMode(Some(&mut mode));
            f.begin(*open);
            let executable = f.executable(|_| ());
            fault(f);
            let status = f.status(*open);
            let end = f.end_code(*open);
            Outcome::from(end).and(status).and([f.begin(*other), f.end_code(*other), executable.launch(*other)])
        })
    }),
    Probe::alone("fault: in a graph, launched again", |d| {
        Fixture::alone(d, |f| {
            let stream = f.stream();
            let executable = f.executable(|stream| launch(d, f.kernels.fault, Shape::ONE_THREAD, stream, &[]));
            let codes = [executable.launch(*stream), d.cuStreamSynchronize(*stream), executable.launch(*stream)];
            Outcome::from(codes).and(d.cuGraphExecDestroy(executable.into_handle()))
        })
    }),
    Probe::alone("host function: its context is destroyed while it is queued", |d| {
        Fixture::alone(d, |f| {
            let (second, front) = (f.second_context(), f.stream());
            let (stream, runs, gate) = (f.stream_in(second, NON_BLOCKING).into_handle(), Arc::new(AtomicU32::new(0)), Gate::default());
            let waiting = gate.clone();
            enqueue(d, *front, move || {
                waiting.pass();
            });
            f.join(stream, *front);
            counted(f, stream, &runs);
            thread::scope(|scope| {
                let destroy = scope.spawn(|| d.cuCtxDestroy_v2(second));
                // Whether the end of the context waits for the gate is not asked here.
                while !destroy.is_finished() && runs.load(Ordering::Acquire) == 0 {
                    gate.open();
                    thread::yield_now();
                }
                let code = destroy.join().expect("a code");
                Outcome::from(code).and(runs.load(Ordering::Acquire).to_string()).and(f.finish(*front))
            })
        })
    }),
    Probe::alone("host function: its context is destroyed, held: does the end wait", |d| {
        Fixture::alone(d, |f| {
            let (second, held) = (f.second_context(), f.stream());
            let (stream, runs) = (f.stream_in(second, NON_BLOCKING).into_handle(), Arc::new(AtomicU32::new(0)));
            let hold = f.hold(*held);
            f.join(stream, *held);
            counted(f, stream, &runs);
            let outcome = hold.wait_and_release(move |d| d.cuCtxDestroy_v2(second));
            outcome.and(settled(&runs).to_string())
        })
    }),
    Probe::alone("host function: its stream is destroyed while it is queued", |d| {
        Fixture::alone(d, |f| {
            let (stream, runs) = (f.stream().into_handle(), Arc::new(AtomicU32::new(0)));
            let hold = f.hold(stream);
            counted(f, stream, &runs);
            let tail = f.recorded(stream);
            let destroy = d.cuStreamDestroy_v2(stream);
            hold.release();
            let end = d.cuEventSynchronize(*tail);
            Outcome::from([destroy, end]).and(runs.load(Ordering::Acquire).to_string())
        })
    }),
    Probe::alone("host function: its primary context is reset while it is queued", |d| {
        Fixture::alone(d, |f| {
            let (stream, runs) = (f.stream().into_handle(), Arc::new(AtomicU32::new(0)));
            let hold = f.hold(stream);
            counted(f, stream, &runs);
            let reset = hold.wait_and_release(|d| d.cuDevicePrimaryCtxReset_v2(0));
            reset.and(settled(&runs).to_string())
        })
    }),
];

/// Enqueues a function that counts its runs.
fn counted(f: &Fixture, stream: Handle, runs: &Arc<AtomicU32>) -> Code {
    let runs = Arc::clone(runs);
    enqueue_repeated(f.driver, stream, move || {
        runs.fetch_add(1, Ordering::AcqRel);
    })
}

/// How often a function has run, after it had its time to.
fn settled(runs: &AtomicU32) -> u32 {
    let began = Instant::now();
    while runs.load(Ordering::Acquire) == 0 && began.elapsed() < Duration::from_millis(200) {
        thread::yield_now();
    }
    runs.load(Ordering::Acquire)
}

/// Lets a kernel trap, and waits until the driver knows.
pub(super) fn fault(f: &Fixture) {
    let stream = f.stream().into_handle();
    launch(f.driver, f.kernels.fault, Shape::ONE_THREAD, stream, &[]);
    f.driver.cuStreamSynchronize(stream);
}
