//! Memory that processes share, and what shows in which order work on it ran.

use std::fs;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cuda_streams::{AsEvent as _, AsStream, Device, Event, Interprocess, IpcMemHandle, IpcMemory, Result};
use cudarc::driver::{result, sys};

use super::device;
use super::hold::Hold;
use super::peer::Link;

/// Some words of shared memory, all of one value.
#[derive(Debug)]
pub(crate) struct SharedWords(IpcMemory);

impl SharedWords {
    const COUNT: usize = 1024;

    /// New memory, filled with `value`.
    pub(crate) fn new(device: Device, value: u32) -> Self {
        let memory = IpcMemory::new(device, Self::COUNT * size_of::<u32>()).expect("device memory");
        let stream = device.stream().expect("a stream");
        // SAFETY: the memory has as many words, and the copy is done before they end.
        let copy = || unsafe { result::memcpy_htod_async(memory.as_raw(), &[value; Self::COUNT], stream.as_raw().cast()) };
        memory.context().with_current(copy).expect("the context becomes current").expect("the copy is enqueued");
        stream.synchronize().expect("the memory is filled");
        Self(memory)
    }

    /// The memory of the other process, which keeps it until this one is done with it, and takes turns with it.
    pub(crate) fn open(device: Device, handle: IpcMemHandle) -> Result<Self> {
        // SAFETY: so the processes of each test are made.
        unsafe { IpcMemory::open(device, handle) }.map(Self)
    }

    /// What the other process says it has.
    pub(crate) fn hear(link: &mut Link) -> Self {
        let handle = link.expect_memory();
        Self::open(device(), handle).expect("memory of the other process")
    }

    /// Tells the other process.
    pub(crate) fn say(&self, link: &mut Link) {
        link.say("memory", self.0.ipc_handle().expect("the handle of memory"));
    }

    /// Enqueues a copy on the stream: `self` gets the value that `source` has then.
    pub(crate) fn copy_from(&mut self, stream: impl AsStream, source: &Self) {
        let (bytes, stream) = (Self::COUNT * size_of::<u32>(), stream.as_stream());
        // SAFETY: both have as many words, and live until the stream is synchronized.
        let copy = || unsafe { result::memcpy_dtod_async(self.0.as_raw(), source.0.as_raw(), bytes, stream.as_raw().cast()) };
        self.0.context().with_current(copy).expect("the context becomes current").expect("the copy is enqueued");
    }

    /// The value now, read beside all other streams.
    pub(crate) fn read(&self) -> u32 {
        let mut words = [0; Self::COUNT];
        let stream = self.0.device().stream().expect("a stream");
        let raw: sys::CUstream = stream.as_raw().cast();
        // SAFETY: the memory has as many words, and the copy is done before `words` ends.
        let copy = || unsafe { result::memcpy_dtoh_async(&mut words, self.0.as_raw(), raw) };
        self.0.context().with_current(copy).expect("the context becomes current").expect("the copy is enqueued");
        stream.synchronize().expect("the memory is read");
        assert!(words.windows(2).all(|pair| pair[0] == pair[1]), "some words are old and some are new: {words:?}");
        words[0]
    }

    pub(crate) fn memory(&self) -> &IpcMemory {
        &self.0
    }

    pub(crate) fn into_memory(self) -> IpcMemory {
        self.0
    }
}

/// The event that the other process says it has.
pub(crate) fn hear_event(link: &mut Link) -> Event<Interprocess> {
    let handle = link.expect_event();
    // SAFETY: so the processes of each test are made: the other one keeps the event until this one is done with it,
    // but in tests about what happens if it does not.
    unsafe { Event::from_ipc_handle(device(), handle) }.expect("an event of the other process")
}

/// Tells the other process of an event.
pub(crate) fn say_event(link: &mut Link, event: &Event<Interprocess>) {
    link.say("event", event.ipc_handle().expect("the handle of an event"));
}

/// How many files this process has open.
pub(crate) fn open_files() -> usize {
    // The folder is one, while it is read, each time.
    fs::read_dir("/proc/self/fd").expect("Linux").count()
}

/// Whether this is the software driver, which says exactly what it has.
pub(crate) fn is_software() -> bool {
    softcuda::choose().expect("a driver is chosen") == softcuda::Choice::Software
}

/// Work that is done within the time that a test has for it.
#[track_caller]
pub(crate) fn completes(event: &Event<Interprocess>) {
    let limit = std::time::Duration::from_secs(20);
    assert_eq!(event.as_event().synchronize_timeout(limit), Ok(true), "the event is not done within {limit:?}");
}

/// Calls `wait`, which is to wait for work that the other process holds and gives free by [`release_for`]; fails if it
/// returns before that.
pub(crate) fn returns_after_release_by<R: Send>(other: &mut Link, wait: impl FnOnce() -> R + Send) -> R {
    let (begins, released) = (Barrier::new(2), AtomicBool::new(false));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            begins.wait();
            let result = wait();
            assert!(released.load(Ordering::Acquire), "it returned while the other process held its work");
            result
        });
        begins.wait();
        other.tell("waiting");
        other.expect("releasing");
        released.store(true, Ordering::Release);
        other.tell("release");
        waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Releases what the other process waits for.
pub(crate) fn release_for(other: &mut Link, hold: Hold) {
    other.expect("waiting");
    other.tell("releasing");
    other.expect("release");
    hold.release();
}
