//! Killing a process that shares: what its survivor checks, and how a victim says that it is at its stage.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cuda_streams::{Event, EventOptions, Interprocess, IpcEventHandle};

use super::hold::Hold;
use super::peer::{Link, Part, Peer, Result, play};
use super::shared::{SharedWords, is_software, open_files};
use super::{child, device, streams};

/// How often a victim is killed in each test: 50 times in each stage, since either side may be the victim. On
/// hardware, where a process takes most of a second to start, 10.
fn kills() -> usize {
    if is_software() { 25 } else { 5 }
}

/// What the survivor has for something to happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 10 });

/// What a real driver has for what a victim's end may have stopped for good.
const PATIENCE: Duration = Duration::from_secs(1);

/// Checks that an event, or a stream that waits for one, completes although the process that has recorded it was killed.
/// On a real driver it may also fail, or never do, which is noted.
pub(crate) fn completes_or_is_noted(what: &str, synchronize: impl FnOnce(Duration) -> cuda_streams::Result<bool>) {
    let outcome = synchronize(if is_software() { LIMIT } else { PATIENCE });
    if outcome != Ok(true) {
        assert!(!is_software(), "{what}: {outcome:?}");
        let outcome = outcome.map_or_else(|error| error.to_string(), |_| format!("not within {PATIENCE:?}"));
        child::note(format_args!("{what}: {outcome}"));
    }
}

/// What this process has, and could keep of a victim.
fn resources() -> (usize, Vec<String>, Option<softcuda::Live>) {
    let shared = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    let shared = shared.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| name.contains("cuda"));
    // Threads end a little later than their work, and idle events are kept.
    let live = || {
        device().trim_events().expect("idle events are destroyed");
        softcuda::Live { threads: 0, ..softcuda::live() }
    };
    (open_files(), shared.collect(), is_software().then(live))
}

/// Kills victims that have come to their stage, in `survive`, and checks that this process and the machine then have
/// what they had. In a process of its own, for each test.
pub(crate) fn kill_each(test: &'static str, victim: Part, survive: fn(Peer) -> Result) {
    let scenario = || {
        let [stream] = streams();
        // Loading its kernel waits for the context's work, of which a victim may leave some that never ends.
        Hold::new(&stream).release();
        play(test, &[("victim", victim)], |cast| {
            let mut before = None;
            for round in 0..kills() {
                let mut victim = cast.start("victim");
                victim.say("round", round);
                survive(victim)?;
                // The first one opens what stays open.
                let (files, shared, live) = resources();
                let (files_before, shared_before, live_before) = before.get_or_insert((files, shared.clone(), live));
                if is_software() {
                    assert_eq!((files, &shared, live), (*files_before, &*shared_before, *live_before), "after round {round}");
                } else {
                    assert!(files < *files_before + kills(), "files stay open: {files_before}, and {files} after round {round}");
                    let left = shared.iter().filter(|name| !shared_before.contains(name));
                    left.for_each(|name| child::note(format_args!("a victim has left /dev/shm/{name}")));
                    *shared_before = shared;
                }
            }
            Ok(())
        });
    };
    child::run(test, child::same_environment, scenario);
}

/// Kills the victim, which would have gone on by itself.
pub(crate) fn kill(victim: Peer) {
    let status = victim.kill();
    assert_eq!(status.code(), None, "the victim had ended before: {status}");
}

/// Whether the victim stays where it is, or repeats what it does until it is killed. One of both in turn.
pub(crate) fn stays(link: &mut Link) -> Result<bool> {
    Ok(link.expect("round").parse::<usize>()? % 2 == 0)
}

/// Says that the stage is reached, and stays there.
pub(crate) fn stay(link: &mut Link) -> Result {
    link.tell("here");
    Err(format!("its parent says `{}`, and was to kill it", link.expect("nothing")).into())
}

/// Drops memory, which waits for work that is held, and stays there. The stage is reached when the thread that
/// drops sleeps, but a real driver may wait awake: of that it is only known that the drop is not over.
pub(crate) fn stay_dropping(link: &mut Link, data: SharedWords) -> Result {
    let ([stream], begins) = (streams(), AtomicBool::new(false));
    thread::scope(|scope| {
        let _hold = Hold::new(&stream);
        let (sender, task) = mpsc::channel();
        let begins = &begins;
        let dropping = scope.spawn(move || {
            sender.send(fs::read_link("/proc/thread-self")).expect("the other thread listens");
            begins.store(true, Ordering::Release);
            drop(data);
        });
        let stat = Path::new("/proc").join(task.recv()??).join("stat");
        while !begins.load(Ordering::Acquire) || is_software() && !sleeps(&stat)? {
            thread::yield_now();
        }
        assert!(!dropping.is_finished(), "the drop waits for what is held");
        stay(link)
    })
}

/// Whether a thread sleeps, by its state, which follows its name in parentheses.
fn sleeps(stat: &Path) -> Result<bool> {
    Ok(fs::read_to_string(stat)?.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('S')))
}

pub(crate) fn new_event() -> cuda_streams::Result<Event<Interprocess>> {
    device().event(EventOptions::new().interprocess())
}

pub(crate) fn open_event(handle: IpcEventHandle) -> cuda_streams::Result<Event<Interprocess>> {
    // SAFETY: of a process that is killed, which is what these tests are about.
    unsafe { Event::from_ipc_handle(device(), handle) }
}

/// The event works in this process as ever.
pub(crate) fn check_event(event: &Event<Interprocess>) -> Result {
    let [stream, other] = streams();
    let hold = Hold::new(&stream);
    event.record(&stream)?;
    other.wait_event(event)?;
    assert!(!event.query()? && !other.query()?);
    hold.release();
    assert!(event.synchronize_timeout(LIMIT)? && other.synchronize_timeout(LIMIT)?);
    Ok(())
}

/// And so does the memory.
pub(crate) fn check_memory(data: &mut SharedWords) -> Result {
    let ([stream], source) = (streams(), SharedWords::new(device(), 9));
    data.copy_from(&stream, &source);
    assert!(stream.synchronize_timeout(LIMIT)?);
    assert_eq!(data.read(), 9);
    Ok(())
}
