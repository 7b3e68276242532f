//! Runs each hot path once where callgrind counts, which is inside of [`measured`]. A line a path says its name, in the
//! order of callgrind's dumps, which `.ci/instructions` reads and compares.

use std::hint::black_box;

use cuda_streams::{Device, Event, EventOptions, Result, Stream, StreamOptions, driver_version};

/// Calls before the one that is counted: what happens once is behind it.
const WARM_UP: usize = 64;

/// By this name callgrind knows what to count. Its end is the end of a dump.
#[inline(never)]
#[unsafe(no_mangle)]
extern "Rust" fn measured(path: &mut dyn FnMut()) {
    path();
    // Not at the end, where callgrind would see this left before `path` begins.
    black_box(());
}

/// By this name callgrind knows when to dump what it counted before: calls it counts always.
#[inline(never)]
#[unsafe(no_mangle)]
extern "Rust" fn warmed_up() {
    black_box(());
}

/// `prepare` is called before each call of `path`.
fn count_after(name: &str, mut prepare: impl FnMut(), mut path: impl FnMut()) {
    println!("{name}");
    for _ in 0..WARM_UP {
        prepare();
        black_box(&mut path as &mut dyn FnMut())();
    }
    prepare();
    warmed_up();
    measured(black_box(&mut path));
}

fn count(name: &str, path: impl FnMut()) {
    count_after(name, || (), path);
}

fn main() -> Result<()> {
    assert_eq!(driver_version()?, (99, 0), "this is to run on the driver that does nothing");
    // What the counting itself costs, which is taken off the others.
    count("nothing", || ());
    let device = Device::get(0)?;
    let (stream, other) = (device.stream()?, device.stream()?);
    answers(&stream)?;
    records(&stream)?;
    waits(&stream, &other)?;
    lives(device, &stream);
    pools(device)?;
    scopes(&stream);
    Ok(())
}

/// Never recorded; recorded and seen complete; never complete (by the driver's rule); recorded by others, maybe.
struct Events {
    new: Event,
    complete: Event,
    pending: Event,
    lent: Event,
}

impl Events {
    fn on(stream: &Stream) -> Result<Self> {
        let (complete, pending, lent) = (stream.record_event()?, EventOptions::new().blocking_sync(true).build(), stream.record_event()?);
        assert!(complete.query()?);
        pending.record(stream)?;
        assert!(!pending.query()?);
        assert!(lent.as_raw().is_some());
        Ok(Self { new: Event::new(), complete, pending, lent })
    }
}

fn answers(stream: &Stream) -> Result<()> {
    let Events { new, complete, pending, lent } = &Events::on(stream)?;
    count("Event::query, never recorded", || assert!(black_box(new).query().expect("known")));
    count("Event::query, complete", || assert!(black_box(complete).query().expect("known")));
    count("Event::query, pending", || assert!(!black_box(pending).query().expect("answered")));
    count("Event::query, lent", || assert!(black_box(lent).query().expect("answered")));
    count("Event::synchronize, never recorded", || black_box(new).synchronize().expect("known"));
    count("Event::synchronize, complete", || black_box(complete).synchronize().expect("known"));
    count("Event::synchronize, lent", || black_box(lent).synchronize().expect("answered"));
    let event = Event::new();
    let record = || event.record(stream).expect("recorded");
    count_after("Event::query, complete, not known yet", record, || assert!(black_box(&event).query().expect("answered")));
    count_after("Event::synchronize, pending", record, || black_box(&event).synchronize().expect("answered"));
    count("Stream::query", || assert!(black_box(stream).query().expect("answered")));
    let (start, end) = (Event::timed(), Event::timed());
    start.record(stream)?;
    end.record(stream)?;
    count("Event::elapsed_time", || {
        black_box(black_box(&start).elapsed_time(black_box(&end)).expect("answered"));
    });
    Ok(())
}

fn records(stream: &Stream) -> Result<()> {
    let (event, lent) = (stream.record_event()?, stream.record_event()?);
    assert!(lent.as_raw().is_some());
    let default = stream.device().default_stream()?;
    count("Event::record", || black_box(&event).record(black_box(stream)).expect("recorded"));
    count("Event::record, lent", || black_box(&lent).record(black_box(stream)).expect("recorded"));
    count("Event::record, default stream", || black_box(&event).record(black_box(&default)).expect("recorded"));
    count("Stream::record", || black_box(stream).record(black_box(&event)).expect("recorded"));
    Ok(())
}

fn waits(stream: &Stream, other: &Stream) -> Result<()> {
    let Events { new, complete, pending, lent } = &Events::on(other)?;
    let (lent_stream, default) = (stream.device().stream()?, stream.device().default_stream()?);
    assert!(!lent_stream.as_raw().is_null());
    count("Stream::wait_event, never recorded", || black_box(stream).wait_event(black_box(new)).expect("known"));
    count("Stream::wait_event, complete", || black_box(stream).wait_event(black_box(complete)).expect("known"));
    count("Stream::wait_event, complete, lent stream", || black_box(&lent_stream).wait_event(black_box(complete)).expect("known"));
    count("Stream::wait_event, complete, default stream", || black_box(&default).wait_event(black_box(complete)).expect("enqueued"));
    count("Stream::wait_event, pending", || black_box(stream).wait_event(black_box(pending)).expect("enqueued"));
    count("Stream::wait_event, lent", || black_box(stream).wait_event(black_box(lent)).expect("enqueued"));
    count("Stream::wait_stream", || black_box(stream).wait_stream(black_box(other)).expect("enqueued"));
    Ok(())
}

fn lives(device: Device, stream: &Stream) {
    const UNTIMED: EventOptions = EventOptions::new();
    let event = || black_box(device).event(UNTIMED).expect("created");
    count("Event::new, drop", || drop(black_box(Event::new())));
    count("Event::new, record, drop", || black_box(Event::new()).record(black_box(stream)).expect("recorded"));
    count("Device::event, drop", || drop(black_box(event())));
    count("Stream::record_event, drop", || drop(black_box(black_box(stream).record_event().expect("recorded"))));
    // As many as no thread keeps for itself.
    let mut events = Vec::with_capacity(100);
    count("Device::event, 100 times, drop", || {
        events.extend((0..100).map(|_| event()));
        events.clear();
    });
}

fn pools(device: Device) -> Result<()> {
    let pool = device.stream_pool(StreamOptions::new(), 2)?;
    count("StreamPool::checkout, drop", || drop(black_box(pool.checkout().expect("a stream"))));
    count("StreamPool::next", || {
        black_box(pool.next().expect("a stream"));
    });
    Ok(())
}

fn scopes(stream: &Stream) {
    count("Stream::scope", || black_box(stream).scope(|| black_box(())));
    stream.scope(|| {
        count("Stream::scope, in another", || black_box(stream).scope(|| black_box(())));
        count("Stream::current", || drop(black_box(Stream::current().expect("in a scope"))));
        let event = Event::new();
        count("Event::record_current", || black_box(&event).record_current().expect("recorded"));
    });
}
