//! Memory operations of streams: flags, addresses, streams, several at once.

use std::sync::atomic::{AtomicU32, Ordering};

use super::value::{EQUAL, GREATER_OR_EQUAL};
use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING, NOWHERE, address, host, page};
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::structs::Operation;

/// `CU_STREAM_WAIT_VALUE_FLUSH`
const FLUSH: u32 = 1 << 30;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("value: wait with flags 0, 1, 2, 3", |f| waits(f, [0, 1, 2, 3])),
    Probe::current("value: wait with flags 4, 5, 8, 2^31", |f| waits(f, [4, 5, 8, 1 << 31])),
    Probe::current("value: wait with a flush and flags 0, 1, 2, 3", |f| waits(f, [0, 1, 2, 3].map(|flags| flags | FLUSH))),
    Probe::current("value: write with flags 0, 1, 2, 3, 2^30", |f| {
        let (stream, word) = (f.stream(), f.pinned(2));
        [0, 1, 2, 3, FLUSH].map(|flags| f.driver.cuStreamWriteValue32_v2(*stream, address(&word[0]), 1, flags)).into()
    }),
    Probe::current("value of 64 bits: write with flags 0, 1, 2", |f| {
        let (stream, word) = (f.stream(), f.pinned(2));
        [0, 1, 2].map(|flags| f.driver.cuStreamWriteValue64_v2(*stream, address(&word[0]), 1, flags)).into()
    }),
    Probe::current("value: the first form, wait, write, batch", |f| {
        let (stream, word) = (f.stream(), &f.pinned(1)[0]);
        let operation = write(address(word), 0);
        [
            f.driver.cuStreamWaitValue32(*stream, address(word), 0, EQUAL),
            f.driver.cuStreamWriteValue32(*stream, address(word), 0, 0),
            f.driver.cuStreamBatchMemOp(*stream, 1, &raw const operation, 0),
        ]
        .into()
    }),
    Probe::current("value at: device memory", |f| at(f, f.memory(4, 0).address)),
    Probe::current("value at: device memory, 1 byte on", |f| at(f, f.memory(4, 0).address + 1)),
    Probe::current("value at: device memory, 2 bytes on", |f| at(f, f.memory(4, 0).address + 2)),
    Probe::current("value at: device memory, 4 bytes on", |f| at(f, f.memory(4, 0).address + 4)),
    Probe::current("value at: pinned memory", |f| at(f, address(&f.pinned(4)[0]))),
    Probe::current("value at: pinned memory, 4 bytes on", |f| at(f, address(&f.pinned(4)[1]))),
    Probe::current("value at: registered memory", |f| {
        let page = page();
        let code = f.driver.cuMemHostRegister_v2(host(&page[0]), 4096, 0);
        let outcome = Outcome::from(code).and(at(f, address(&page[0])));
        outcome.and(f.driver.cuMemHostUnregister(host(&page[0])))
    }),
    Probe::current("value at: managed memory", |f| {
        let mut managed = 0;
        let code = f.driver.cuMemAllocManaged(Some(&mut managed), 64, 1);
        f.driver.cuMemsetD8_v2(managed, 0, 64);
        f.driver.cuCtxSynchronize();
        Outcome::from(code).and(at(f, managed)).and(f.driver.cuMemFree_v2(managed))
    }),
    Probe::current("value at: memory allocated in stream order", |f| {
        let (stream, mut ordered) = (f.stream(), 0);
        f.driver.cuMemAllocAsync(Some(&mut ordered), 64, *stream);
        f.driver.cuMemsetD8Async(ordered, 0, 64, *stream);
        f.driver.cuStreamSynchronize(*stream);
        at(f, ordered).and(f.driver.cuMemFreeAsync(ordered, *stream))
    }),
    Probe::current("value at: memory of a second context", |f| {
        let (context, mut memory) = (f.second_context(), 0);
        let outcome = f.within(context, || {
            f.driver.cuMemAlloc_v2(Some(&mut memory), 64);
            f.driver.cuMemsetD8_v2(memory, 0, 64);
            f.driver.cuCtxSynchronize()
        });
        let outcome = Outcome::from(outcome).and(at(f, memory));
        f.driver.cuCtxDestroy_v2(context);
        outcome
    }),
    Probe::current("value at: pageable memory", |f| at(f, address(&page()[0]))),
    Probe::current("value at: null", |f| at(f, 0)),
    Probe::current("value at: nowhere", |f| at(f, NOWHERE)),
    Probe::alone("value at: the end of device memory", |d| {
        Fixture::alone(d, |f| {
            let memory = f.memory(1 << 20, 0);
            at(f, memory.address + (4 << 20))
        })
    }),
    Probe::current("value: flags that are none at null, a flush at null", |f| {
        let stream = f.stream();
        let wait = |flags| f.driver.cuStreamWaitValue32_v2(*stream, 0, 0, flags);
        [wait(8), wait(FLUSH), f.driver.cuStreamWriteValue32_v2(*stream, 0, 0, 8)].into()
    }),
    Probe::current("value: on the handles 0, 1, 2", |f| {
        let word = address(&f.pinned(1)[0]);
        let waits = defaults(|stream| f.driver.cuStreamWaitValue32_v2(stream, word, 0, EQUAL));
        waits.and(defaults(|stream| f.driver.cuStreamWriteValue32_v2(stream, word, 0, 0)))
    }),
    Probe::bare("no context: cuStreamWaitValue, cuStreamWriteValue of 32 bits", |f| {
        let (stream, word) = (f.stream(), address(&f.pinned(1)[0]));
        [f.driver.cuStreamWaitValue32_v2(*stream, word, 0, EQUAL), f.driver.cuStreamWriteValue32_v2(*stream, word, 0, 0)].into()
    }),
    Probe::bare("no context: cuStreamWaitValue, cuStreamWriteValue of 64 bits", |f| {
        let (stream, word) = (f.stream(), address(&f.pinned(2)[0]));
        [f.driver.cuStreamWaitValue64_v2(*stream, word, 0, EQUAL), f.driver.cuStreamWriteValue64_v2(*stream, word, 0, 0)].into()
    }),
    Probe::bare("no context: cuStreamBatchMemOp", |f| batch(f, *f.stream(), &[write(address(&f.pinned(1)[0]), 1)], 0).into()),
    Probe::bare("no context, handles 0 1 2: cuStreamWaitValue32", |f| {
        let word = address(&f.pinned(1)[0]);
        defaults(|stream| f.driver.cuStreamWaitValue32_v2(stream, word, 0, EQUAL))
    }),
    Probe::bare("no context, handles 0 1 2: cuStreamWriteValue32", |f| {
        let word = address(&f.pinned(1)[0]);
        defaults(|stream| f.driver.cuStreamWriteValue32_v2(stream, word, 0, 0))
    }),
    Probe::bare("no context, handles 0 1 2: cuStreamBatchMemOp", |f| {
        let word = address(&f.pinned(1)[0]);
        defaults(|stream| batch(f, stream, &[write(word, 1)], 0))
    }),
    Probe::bare("no context, handles 0 1 2: cuStreamWriteValue32 nowhere", |f| {
        defaults(|stream| f.driver.cuStreamWriteValue32_v2(stream, NOWHERE, 0, 0))
    }),
    Probe::current("batch: a write, and the wait for it", |f| {
        let (stream, word) = (f.stream(), address(&f.pinned(1)[0]));
        let code = batch(f, *stream, &[write(word, 1), wait(word, 1)], 0);
        [code, f.ends(*f.recorded(*stream))].into()
    }),
    Probe::current("batch: a wait, then a write", |f| {
        let (stream, words) = (f.stream(), f.pinned(2));
        let code = batch(f, *stream, &[wait(address(&words[0]), 1), write(address(&words[1]), 2)], 0);
        let tail = f.recorded(*stream);
        let held = f.settled_query(*tail);
        let before = words[1].load(Ordering::Acquire);
        words[0].store(1, Ordering::Release);
        let end = f.ends(*tail);
        Outcome::from([code, held, end]).and(format!("{before}, {}", words[1].load(Ordering::Acquire)))
    }),
    Probe::current("batch: of 64 bits", |f| {
        let (stream, words) = (f.stream(), f.pinned(2));
        let to = address(&words[0]);
        let value = (7 << 32) | 6;
        let operations = [Operation::new(Operation::WRITE_64, to, value, 0), Operation::new(Operation::WAIT_64, to, value, EQUAL)];
        let code = batch(f, *stream, &operations, 0);
        let end = f.ends(*f.recorded(*stream));
        Outcome::from([code, end]).and(show(words))
    }),
    Probe::current("batch: empty, empty and null, null", |f| {
        let (stream, null) = (f.stream(), std::ptr::null());
        let operation = write(address(&f.pinned(1)[0]), 1);
        [
            f.driver.cuStreamBatchMemOp_v2(*stream, 0, &raw const operation, 0),
            f.driver.cuStreamBatchMemOp_v2(*stream, 0, null, 0),
            f.driver.cuStreamBatchMemOp_v2(*stream, 1, null, 0),
        ]
        .into()
    }),
    Probe::current("batch: of 256 and 257", |f| {
        let (stream, word) = (f.stream(), address(&f.pinned(1)[0]));
        let operations = [write(word, 1); 257];
        [batch(f, *stream, &operations[..256], 0), batch(f, *stream, &operations, 0)].into()
    }),
    Probe::current("batch: barriers with flags 0, 1, 2", |f| {
        let stream = f.stream();
        [0, 1, 2].map(|flags| batch(f, *stream, &[Operation::barrier(flags)], 0)).into()
    }),
    Probe::current("batch: operations 0, 3, 7, 9, 99", |f| {
        let (stream, word) = (f.stream(), address(&f.pinned(1)[0]));
        [0, Operation::FLUSH, 7, 9, 99].map(|operation| batch(f, *stream, &[Operation::new(operation, word, 1, 0)], 0)).into()
    }),
    Probe::current("batch: flags 1, flags 2", |f| {
        let (stream, word) = (f.stream(), address(&f.pinned(1)[0]));
        [1, 2].map(|flags| batch(f, *stream, &[write(word, 1)], flags)).into()
    }),
    Probe::current("batch: on the handles 0, 1, 2", |f| {
        let word = address(&f.pinned(1)[0]);
        defaults(|stream| batch(f, stream, &[write(word, 1)], 0))
    }),
    Probe::current("batch: the second nowhere, what the first wrote", |f| second_refused(f, write(NOWHERE, 1))),
    Probe::current("batch: the second is none, what the first wrote", |f| second_refused(f, Operation::new(99, 0, 1, 0))),
    Probe::current("batch: the second not aligned, what the first wrote", |f| second_refused(f, write(address(&f.pinned(2)[0]) + 2, 1))),
];

/// Waits of 32 bits by each of the flags, which a word of 5 fulfils.
fn waits<const N: usize>(f: &Fixture, flags: [u32; N]) -> Outcome {
    let (stream, word) = (f.stream(), &f.pinned(1)[0]);
    word.store(5, Ordering::Release);
    flags.map(|flags| f.driver.cuStreamWaitValue32_v2(*stream, address(word), 5, flags)).into()
}

/// Wait and write of 32 bits, of 64 bits, at an address where there are zeros; then the stream's end.
fn at(f: &Fixture, address: u64) -> Outcome {
    let stream = f.stream_in(f.primary, NON_BLOCKING);
    [
        f.driver.cuStreamWaitValue32_v2(*stream, address, 0, GREATER_OR_EQUAL),
        f.driver.cuStreamWriteValue32_v2(*stream, address, 0, 0),
        f.driver.cuStreamWaitValue64_v2(*stream, address, 0, GREATER_OR_EQUAL),
        f.driver.cuStreamWriteValue64_v2(*stream, address, 0, 0),
        f.driver.cuStreamSynchronize(*stream),
    ]
    .into()
}

fn wait(address: u64, value: u64) -> Operation {
    Operation::new(Operation::WAIT_32, address, value, EQUAL)
}

fn write(address: u64, value: u64) -> Operation {
    Operation::new(Operation::WRITE_32, address, value, 0)
}

fn batch(f: &Fixture, stream: Handle, operations: &[Operation], flags: u32) -> Code {
    let count = u32::try_from(operations.len()).unwrap_or(u32::MAX);
    f.driver.cuStreamBatchMemOp_v2(stream, count, operations.as_ptr(), flags)
}

fn second_refused(f: &Fixture, second: Operation) -> Outcome {
    let (stream, words) = (f.stream(), f.pinned(2));
    let code = batch(f, *stream, &[write(address(&words[0]), 1), second], 0);
    let end = f.driver.cuStreamSynchronize(*stream);
    Outcome::from([code, end]).and(words[0].load(Ordering::Acquire).to_string())
}

fn show(words: &[AtomicU32]) -> String {
    let values: Vec<String> = words.iter().map(|word| word.load(Ordering::Acquire).to_string()).collect();
    values.join(", ")
}

/// The answers on the null stream, the legacy stream and the per-thread stream.
fn defaults(call: impl Fn(Handle) -> Code) -> Outcome {
    [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD].map(call).into()
}
