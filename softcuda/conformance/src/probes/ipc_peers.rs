//! Events and memory that two processes use. Each in a process of its own, which begins the second.

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::Fixture;
use crate::handles::INTERPROCESS;
use crate::outcome::{Outcome, verdict};
use crate::peer::Peer;
use crate::probe::Probe;
use crate::structs::IpcHandle;

pub(super) const PROBES: &[Probe] = &[
    Probe::alone("two processes: a record here, seen there", |d| {
        both(d, |f, peer| {
            let (stream, event) = (f.stream(), f.event(INTERPROCESS));
            let opened = peer.ask(&format!("open {}", export(f, *event)));
            let hold = f.hold(*stream);
            f.driver.cuEventRecord(*event, *stream);
            let held = peer.ask("query 0");
            hold.release();
            words([opened, held, peer.ask("synchronize 0"), peer.ask("query 0")])
        })
    }),
    Probe::alone("two processes: a record there, seen here", |d| {
        both(d, |f, peer| {
            let event = f.event(INTERPROCESS);
            peer.ask(&format!("open {}", export(f, *event)));
            peer.ask("hold");
            let recorded = peer.ask("record 0");
            let held = f.settled_query(*event);
            peer.ask("release");
            words([recorded]).and(held).and(f.driver.cuEventSynchronize(*event)).and(f.driver.cuEventQuery(*event))
        })
    }),
    Probe::alone("two processes: a stream there waits for a record here", |d| {
        both(d, |f, peer| {
            let (stream, event, tail) = (f.stream(), f.event(INTERPROCESS), f.event(INTERPROCESS));
            peer.ask(&format!("open {}", export(f, *event)));
            peer.ask(&format!("open {}", export(f, *tail)));
            let hold = f.hold(*stream);
            f.driver.cuEventRecord(*event, *stream);
            let (wait, record) = (peer.ask("wait 0"), peer.ask("record 1"));
            let held = f.settled_query(*tail);
            hold.release();
            words([wait, record]).and(held).and(f.ends(*tail))
        })
    }),
    Probe::alone("two processes: a wait there, and a later record here", |d| {
        both(d, |f, peer| {
            let (first, second, event, tail) = (f.stream(), f.stream(), f.event(INTERPROCESS), f.event(INTERPROCESS));
            peer.ask(&format!("open {}", export(f, *event)));
            peer.ask(&format!("open {}", export(f, *tail)));
            let [hold_first, hold_second] = [*first, *second].map(|stream| f.hold(stream));
            f.driver.cuEventRecord(*event, *first);
            peer.ask("wait 0");
            f.driver.cuEventRecord(*event, *second);
            peer.ask("record 1");
            hold_first.release();
            let outcome = Outcome::from(f.ends(*tail)).and(f.driver.cuEventQuery(*event));
            hold_second.release();
            outcome
        })
    }),
    Probe::alone("two processes: an event that is never recorded, there", |d| {
        both(d, |f, peer| {
            let event = f.event(INTERPROCESS);
            let opened = peer.ask(&format!("open {}", export(f, *event)));
            words([opened, peer.ask("query 0"), peer.ask("synchronize 0"), peer.ask("wait 0"), peer.ask("stream")])
        })
    }),
    Probe::alone("two processes: an event recorded here before, complete, pending", |d| {
        both(d, |f, peer| {
            let (stream, held, complete, pending) = (f.stream(), f.stream(), f.event(INTERPROCESS), f.event(INTERPROCESS));
            f.driver.cuEventRecord(*complete, *stream);
            f.driver.cuEventSynchronize(*complete);
            let hold = f.hold(*held);
            f.driver.cuEventRecord(*pending, *held);
            peer.ask(&format!("open {}", export(f, *complete)));
            peer.ask(&format!("open {}", export(f, *pending)));
            let outcome = words([peer.ask("query 0"), peer.ask("query 1")]);
            hold.release();
            outcome.and(words([peer.ask("synchronize 1")]))
        })
    }),
    Probe::alone("two processes: one event opened twice", |d| {
        both(d, |f, peer| {
            let (handle, mut events) = (exported_there(peer), [Handle::NULL; 2]);
            let codes = events.each_mut().map(|event| f.driver.cuIpcOpenEventHandle(Some(event), handle));
            let first = f.driver.cuEventDestroy_v2(events[0]);
            Outcome::from(codes).and(verdict(events[0] != events[1], "two")).and([first, f.driver.cuEventQuery(events[1])])
        })
    }),
    Probe::alone("two processes: elapsed, a handle and a record of an opened event", |d| {
        both(d, |f, peer| {
            let (stream, event) = (f.stream(), opened(f, exported_there(peer)));
            let record = f.driver.cuEventRecord(event, *stream);
            f.driver.cuEventSynchronize(event);
            let elapsed = f.driver.cuEventElapsedTime_v2(Some(&mut 0.0), event, event);
            [record, elapsed, f.driver.cuIpcGetEventHandle(Some(&mut { IpcHandle::ZERO }), event), f.driver.cuEventDestroy_v2(event)].into()
        })
    }),
    Probe::alone("two processes: events by a handle of memory, and the reverse", |d| {
        both(d, |f, peer| {
            peer.ask("memory 1");
            let (event, memory) = (exported_there(peer), peer.handle("export-memory 0 0"));
            [f.driver.cuIpcOpenEventHandle(Some(&mut Handle(0)), memory), f.driver.cuIpcOpenMemHandle_v2(Some(&mut 0), event, 1)].into()
        })
    }),
    Probe::alone("two processes: an event destroyed there, used here", |d| {
        both(d, |f, peer| {
            let (stream, event) = (f.stream(), opened(f, exported_there(peer)));
            let destroyed = peer.ask("destroy 0");
            let codes = [f.driver.cuEventQuery(event), f.driver.cuEventRecord(event, *stream), f.driver.cuEventSynchronize(event)];
            words([destroyed]).and(codes)
        })
    }),
    Probe::alone("two processes: an event of a process that is gone, used here", |d| {
        both(d, |f, peer| {
            let (stream, event) = (f.stream(), opened(f, exported_there(peer)));
            peer.kill();
            [f.driver.cuEventQuery(event), f.driver.cuEventRecord(event, *stream), f.driver.cuEventSynchronize(event)].into()
        })
    }),
    Probe::alone("two processes: a pending record of a process that is gone", |d| {
        both(d, |f, peer| {
            let event = opened(f, exported_there(peer));
            peer.ask("hold");
            peer.ask("record 0");
            let held = f.settled_query(event);
            peer.kill();
            [held, f.ends(event)].into()
        })
    }),
    Probe::alone("two processes: memory of there, read and written here", |d| {
        both(d, |f, peer| {
            peer.ask("memory 7");
            let (memory, word) = (opened_memory(f, peer.handle("export-memory 0 0")), &f.pinned(1)[0]);
            let before = f.read(memory, word);
            f.driver.cuMemsetD32_v2(memory, 8, 64);
            f.driver.cuCtxSynchronize();
            words([before.to_string(), peer.ask("read 0")]).and(f.driver.cuIpcCloseMemHandle(memory))
        })
    }),
    Probe::alone("two processes: memory opened by a handle of an address within it", |d| {
        both(d, |f, peer| {
            peer.ask("memory 7");
            let memory = opened_memory(f, peer.handle("export-memory 0 16"));
            words([f.read(memory, &f.pinned(1)[0]).to_string()])
        })
    }),
    Probe::alone("two processes: one memory opened twice, closed three times", |d| {
        both(d, |f, peer| {
            peer.ask("memory 7");
            let handle = peer.handle("export-memory 0 0");
            let [first, second] = [(); 2].map(|()| opened_memory(f, handle));
            let once = f.driver.cuIpcCloseMemHandle(first);
            let read = f.read(second, &f.pinned(1)[0]).to_string();
            let rest = [(); 2].map(|()| f.driver.cuIpcCloseMemHandle(first));
            verdict(first == second, "the same").and(once).and(words([read])).and(rest)
        })
    }),
    Probe::alone("two processes: memory opened with flags 0, 2, 3, into nothing", |d| {
        both(d, |f, peer| {
            peer.ask("memory 7");
            let handle = peer.handle("export-memory 0 0");
            let open = |flags| f.driver.cuIpcOpenMemHandle_v2(Some(&mut 0), handle, flags);
            [open(0), open(2), open(3), f.driver.cuIpcOpenMemHandle_v2(None, handle, 1)].into()
        })
    }),
    Probe::alone("two processes: opened memory: a handle, cuMemFree, attribute 10", |d| {
        both(d, |f, peer| {
            peer.ask("memory 7");
            let memory = opened_memory(f, peer.handle("export-memory 0 0"));
            let (mut handle, mut value) = (IpcHandle::ZERO, 0_u64);
            let codes = [
                f.driver.cuIpcGetMemHandle(Some(&mut handle), memory),
                f.driver.cuPointerGetAttribute((&raw mut value).cast(), 10, memory),
                f.driver.cuMemFree_v2(memory),
            ];
            Outcome::from(codes).and((value & 0xff).to_string())
        })
    }),
    Probe::alone("two processes: cuIpcCloseMemHandle beside a held stream", |d| {
        both(d, |f, peer| {
            peer.ask("memory 7");
            let (memory, stream) = (opened_memory(f, peer.handle("export-memory 0 0")), f.stream());
            let hold = f.hold(*stream);
            hold.wait_and_release(|driver| driver.cuIpcCloseMemHandle(memory))
        })
    }),
    Probe::alone("two processes: memory of one that is gone, before, afterwards", |d| {
        both(d, |f, peer| {
            peer.ask("memory 7");
            let handle = peer.handle("export-memory 0 0");
            let memory = opened_memory(f, handle);
            peer.kill();
            let read = f.read(memory, &f.pinned(1)[0]).to_string();
            let close = f.driver.cuIpcCloseMemHandle(memory);
            words([read]).and([close, f.driver.cuIpcOpenMemHandle_v2(Some(&mut 0), handle, 1)])
        })
    }),
    Probe::alone("two processes: freed, destroyed, of one that is gone, then opened", |d| {
        both(d, |f, peer| {
            peer.ask("memory 7");
            let (memory, first) = (peer.handle("export-memory 0 0"), exported_there(peer));
            peer.ask("event");
            let second = peer.handle("export 1");
            let given_up = words([peer.ask("free 0"), peer.ask("destroy 0")]);
            let open = |event| f.driver.cuIpcOpenEventHandle(Some(&mut Handle(0)), event);
            let before = [f.driver.cuIpcOpenMemHandle_v2(Some(&mut 0), memory, 1), open(first)];
            peer.kill();
            given_up.and(before).and(open(second))
        })
    }),
    Probe::alone("two processes: handles with byte 0, 8, 31, 63 changed", |d| {
        both(d, |f, peer| {
            let event = exported_there(peer);
            peer.ask("memory 7");
            let memory = peer.handle("export-memory 0 0");
            let events = [0, 8, 31, 63].map(|byte| f.driver.cuIpcOpenEventHandle(Some(&mut Handle(0)), changed(event, byte)));
            let memories = [0, 8, 31, 63].map(|byte| f.driver.cuIpcOpenMemHandle_v2(Some(&mut 0), changed(memory, byte), 1));
            Outcome::from(events).and(memories)
        })
    }),
];

/// With the primary context current, and a second process.
pub(super) fn both(driver: &'static Driver, probe: impl FnOnce(&Fixture, &mut Peer) -> Outcome) -> Outcome {
    Fixture::alone(driver, |f| probe(f, &mut Peer::new()))
}

pub(super) fn words<const N: usize>(words: [String; N]) -> Outcome {
    words.into_iter().map(Outcome::from).reduce(Outcome::and).unwrap_or("nothing".into())
}

pub(super) fn export(f: &Fixture, event: Handle) -> IpcHandle {
    let mut handle = IpcHandle::ZERO;
    f.driver.cuIpcGetEventHandle(Some(&mut handle), event);
    handle
}

/// A new event of the second process.
pub(super) fn exported_there(peer: &mut Peer) -> IpcHandle {
    peer.ask("event");
    peer.handle("export 0")
}

pub(super) fn opened(f: &Fixture, handle: IpcHandle) -> Handle {
    let mut event = Handle::NULL;
    check(f, f.driver.cuIpcOpenEventHandle(Some(&mut event), handle));
    event
}

pub(super) fn opened_memory(f: &Fixture, handle: IpcHandle) -> u64 {
    let mut memory = 0;
    check(f, f.driver.cuIpcOpenMemHandle_v2(Some(&mut memory), handle, 1));
    memory
}

fn check(f: &Fixture, code: Code) {
    assert!(code.is_success(), "what the second process shares is not opened: {}", f.driver.code_name(code));
}

fn changed(mut handle: IpcHandle, byte: usize) -> IpcHandle {
    handle.0[byte] ^= 1;
    handle
}
