//! Work ordered by events across processes: this executable runs again as the other process.
#![cfg(not(miri))]

mod common;

use common::hold::Hold;
use common::peer::{Link, Peer, Result, play};
use common::shared::{SharedWords, hear_event, release_for, returns_after_release_by, say_event};
use common::{device, streams};
use cuda_streams::{AsEvent, CaptureMode, Device, Error, Event, EventOptions, EventStatus, Interprocess, IpcEventHandle};

/// T58: the importer waits for the exporter's work and records again, for which the exporter waits.
#[test]
fn t058_an_imported_event_is_waited_for_and_recorded_again() {
    fn child(parent: &mut Link) -> Result {
        let [stream] = streams();
        let (mut data, nine, mut seen) = (SharedWords::hear(parent), SharedWords::new(device(), 9), SharedWords::new(device(), 0));
        parent.tell("ready");
        let event = hear_event(parent);
        stream.wait_event(&event)?;
        seen.copy_from(&stream, &data);
        data.copy_from(&stream, &nine);
        event.record(&stream)?;
        assert!(!event.query()? && !stream.query()?, "the wait is not left out");
        parent.tell("recorded");
        returns_after_release_by(parent, || stream.synchronize())?;
        assert!(event.query()?);
        parent.say("saw", seen.read());
        parent.expect_end();
        Ok(())
    }
    play("t058_an_imported_event_is_waited_for_and_recorded_again", &[("child", child)], |cast| {
        let [stream, other] = streams();
        let (mut data, seven) = (SharedWords::new(device(), 0), SharedWords::new(device(), 7));
        let mut child = cast.start("child");
        data.say(&mut child);
        child.expect("ready");
        let (event, hold) = (Event::interprocess(), Hold::new(&stream));
        data.copy_from(&stream, &seven);
        event.record(&stream)?;
        say_event(&mut child, &event);
        child.expect("recorded");
        other.wait_event(&event)?;
        assert!(!event.query()? && !other.query()?, "the child's record is behind what is held here");
        release_for(&mut child, hold);
        event.synchronize()?;
        assert_eq!(data.read(), 9);
        assert_eq!(child.expect("saw"), "7");
        other.synchronize()?;
        assert!(event.query()?);
        child.end();
        Ok(())
    });
}

/// T59, T61: an event that is exported before its first record; the importer synchronizes.
#[test]
fn t059_an_event_is_exported_before_it_is_recorded() {
    fn child(parent: &mut Link) -> Result {
        let data = SharedWords::hear(parent);
        let handle = parent.expect_event();
        let handle = IpcEventHandle::try_from(&handle.as_bytes()[..])?;
        // SAFETY: the parent keeps the event until this process ends.
        let event = unsafe { Event::from_ipc_handle(Device::get(0)?, handle) }?;
        assert!(event.query()?, "there is no record to wait for");
        event.synchronize()?;
        parent.tell("imported");
        parent.expect("recorded");
        assert!(!event.query()?);
        assert_eq!(event.status()?, EventStatus::Pending);
        returns_after_release_by(parent, || event.synchronize())?;
        parent.say("saw", data.read());
        assert!(event.query()?);
        parent.expect_end();
        Ok(())
    }
    play("t059_an_event_is_exported_before_it_is_recorded", &[("child", child)], |cast| {
        let [stream] = streams();
        let (mut data, seven) = (SharedWords::new(device(), 0), SharedWords::new(device(), 7));
        let event = device().event(EventOptions::new().interprocess())?;
        assert!(event.query()?);
        let mut child = cast.start("child");
        data.say(&mut child);
        say_event(&mut child, &event);
        child.expect("imported");
        let hold = Hold::new(&stream);
        data.copy_from(&stream, &seven);
        event.record(&stream)?;
        child.tell("recorded");
        assert!(!event.query()?);
        release_for(&mut child, hold);
        assert_eq!(child.expect("saw"), "7");
        assert!(event.query()?);
        child.end();
        Ok(())
    });
}

/// T62: the importer records, the exporter waits.
#[test]
fn t062_what_the_importer_records_the_exporter_waits_for() {
    fn child(parent: &mut Link) -> Result {
        let [stream] = streams();
        let (mut data, seven) = (SharedWords::hear(parent), SharedWords::new(device(), 7));
        let event = hear_event(parent);
        let hold = Hold::new(&stream);
        data.copy_from(&stream, &seven);
        event.record(&stream)?;
        parent.tell("recorded");
        release_for(parent, hold);
        parent.expect_end();
        Ok(())
    }
    play("t062_what_the_importer_records_the_exporter_waits_for", &[("child", child)], |cast| {
        let [stream] = streams();
        let (data, mut seen) = (SharedWords::new(device(), 0), SharedWords::new(device(), 0));
        // One that was recorded and seen complete, and one that was never recorded by this process.
        let recorded = stream.record_event_with(EventOptions::new().interprocess())?;
        recorded.synchronize()?;
        assert!(recorded.query()?);
        for event in [recorded, device().event(EventOptions::new().interprocess())?] {
            let mut child = cast.start("child");
            data.say(&mut child);
            say_event(&mut child, &event);
            child.expect("recorded");
            assert!(!event.query()?);
            assert_eq!(event.as_event().status()?, EventStatus::Pending);
            stream.wait_event(&event)?;
            seen.copy_from(&stream, &data);
            assert!(!stream.query()?, "the wait is not left out");
            returns_after_release_by(&mut child, || event.synchronize())?;
            stream.synchronize()?;
            assert_eq!((data.read(), seen.read()), (7, 7));
            assert!(event.query()?);
            child.end();
        }
        Ok(())
    });
}

/// What `wait` says under "Ordering": it is for the record that was made before it, and for that one.
#[test]
fn a_wait_is_for_the_record_before_it() {
    fn child(parent: &mut Link) -> Result {
        let [first, second] = streams();
        let event = hear_event(parent);
        parent.tell("imported");
        parent.expect("waiting");
        let holds = [Hold::new(&first), Hold::new(&second)];
        event.record(&first)?;
        parent.tell("recorded");
        parent.expect("waiting");
        event.record(&second)?;
        let [first, second] = holds;
        first.release();
        parent.tell("released");
        parent.expect("done");
        second.release();
        parent.expect_end();
        Ok(())
    }
    play("a_wait_is_for_the_record_before_it", &[("child", child)], |cast| {
        let [too_early, stream] = streams();
        let event = device().event(EventOptions::new().interprocess())?;
        let mut child = cast.start("child");
        say_event(&mut child, &event);
        child.expect("imported");
        too_early.wait_event(&event)?;
        child.tell("waiting");
        child.expect("recorded");
        assert!(too_early.query()?, "there was no record to wait for");
        stream.wait_event(&event)?;
        assert!(!stream.query()?);
        child.tell("waiting");
        child.expect("released");
        stream.synchronize()?;
        assert!(!event.query()?, "its second record is held");
        child.tell("done");
        event.synchronize()?;
        child.end();
        Ok(())
    });
}

/// T376: each worker makes an event, one process collects them all, and all stages have a barrier.
#[test]
fn t376_a_collector_waits_for_the_events_of_all_workers() {
    const WORKERS: u32 = 3;
    fn worker(parent: &mut Link) -> Result {
        let [stream] = streams();
        let value: u32 = parent.expect("value").parse()?;
        let (mut data, source) = (SharedWords::hear(parent), SharedWords::new(device(), value));
        let start = hear_event(parent);
        let done = device().event(EventOptions::new().interprocess())?;
        say_event(parent, &done);
        parent.expect("go");
        stream.wait_event(&start)?;
        data.copy_from(&stream, &source);
        done.record(&stream)?;
        parent.tell("recorded");
        parent.expect_end();
        Ok(())
    }
    play("t376_a_collector_waits_for_the_events_of_all_workers", &[("worker", worker)], |cast| {
        let [stream, collector] = streams();
        let start = device().event(EventOptions::new().interprocess())?;
        let data: Vec<_> = (0..WORKERS).map(|_| SharedWords::new(device(), 0)).collect();
        let mut seen: Vec<_> = (0..WORKERS).map(|_| SharedWords::new(device(), 0)).collect();
        let mut workers: Vec<_> = (0..WORKERS).map(|_| cast.start("worker")).collect();
        for (index, (worker, data)) in workers.iter_mut().zip(&data).enumerate() {
            worker.say("value", index + 5);
            data.say(worker);
            say_event(worker, &start);
        }
        let events: Vec<_> = workers.iter_mut().map(|worker| hear_event(worker)).collect();
        let hold = Hold::new(&stream);
        start.record(&stream)?;
        for worker in &mut workers {
            worker.tell("go");
        }
        for worker in &mut workers {
            worker.expect("recorded");
        }
        for (index, event) in events.iter().enumerate() {
            assert!(!event.query()?, "all of it is behind the event of this process");
            collector.wait_event(event)?;
            seen[index].copy_from(&collector, &data[index]);
        }
        assert!(!collector.query()?);
        hold.release();
        events.iter().try_for_each(Event::synchronize)?;
        collector.synchronize()?;
        for (expected, (data, seen)) in (5..).zip(data.iter().zip(&seen)) {
            assert_eq!((data.read(), seen.read()), (expected, expected));
        }
        drop(events);
        workers.into_iter().for_each(Peer::end);
        Ok(())
    });
}

/// By the node of an external event: for the other process it is a record as any other, and its own a wait of the graph.
#[test]
fn a_launch_is_a_record_for_other_processes_and_waits_for_theirs() {
    const EXTERNAL: EventOptions<Interprocess> = EventOptions::new().interprocess().external(true);
    fn child(parent: &mut Link) -> Result {
        let ([stream], mut data) = (streams(), SharedWords::hear(parent));
        let (launched, answered) = (hear_event(parent), hear_event(parent));
        let (mut seen, nine) = (SharedWords::new(device(), 0), SharedWords::new(device(), 9));
        parent.expect("launched");
        assert!(!launched.query()?);
        stream.wait_event(&launched)?;
        seen.copy_from(&stream, &data);
        data.copy_from(&stream, &nine);
        answered.record(&stream)?;
        parent.tell("recorded");
        returns_after_release_by(parent, || stream.synchronize())?;
        assert_eq!(seen.read(), 7);
        assert!(launched.query()? && answered.query()?);
        parent.expect_end();
        Ok(())
    }
    play("a_launch_is_a_record_for_other_processes_and_waits_for_theirs", &[("child", child)], |cast| {
        let [first, second] = streams();
        let (mut data, mut seen) = (SharedWords::new(device(), 0), SharedWords::new(device(), 0));
        let filling = SharedWords::new(device(), 7);
        let (launched, answered) = (device().event(EXTERNAL)?, device().event(EXTERNAL)?);
        let records = first.capture::<Error>(CaptureMode::default(), |scope| scope.record(&launched))?;
        let waits = first.capture::<Error>(CaptureMode::default(), |scope| scope.wait_event(&answered))?;
        // SAFETY: it holds nothing but its event, which it keeps.
        let mut records = unsafe { records.instantiate() }?;
        // SAFETY: as above.
        let mut waits = unsafe { waits.instantiate() }?;
        let mut child = cast.start("child");
        data.say(&mut child);
        say_event(&mut child, &launched);
        say_event(&mut child, &answered);
        let hold = Hold::new(&first);
        data.copy_from(&first, &filling);
        // SAFETY: as above, and the stream is of the event's context.
        unsafe { records.launch(&first) }?;
        child.tell("launched");
        child.expect("recorded");
        // SAFETY: as above.
        unsafe { waits.launch(&second) }?;
        seen.copy_from(&second, &data);
        assert!(!second.query()?, "it waits for the child, who waits for what is held here");
        release_for(&mut child, hold);
        second.synchronize()?;
        assert_eq!(seen.read(), 9);
        child.end();
        Ok(())
    });
}
