//! Events of other processes: what they are, how many there are, and what becomes of them.
#![cfg(not(miri))]

mod common;

use common::hold::Hold;
use common::peer::{Link, Result, play};
use common::shared::{completes, hear_event, is_software, open_files, release_for, returns_after_release_by, say_event};
use common::{device, streams};
use cuda_streams::{Event, EventOptions, EventStatus, Interprocess, IpcEventHandle};

/// T239, of events: one handle, opened twice in a process.
#[test]
fn t239_one_handle_gives_two_events() {
    fn child(parent: &mut Link) -> Result {
        let [stream] = streams();
        let handle = parent.expect_event();
        // SAFETY: the parent keeps the event until this process ends.
        let open = || unsafe { Event::from_ipc_handle(device(), handle) };
        let (first, second) = (open()?, open()?);
        assert_ne!(first.as_raw(), second.as_raw());
        let hold = Hold::new(&stream);
        first.record(&stream)?;
        assert!(!second.query()?, "they are one event of the parent");
        first.destroy()?;
        assert!(!second.query()?);
        assert_eq!(second.ipc_handle()?, handle, "the table has the other one still");
        hold.release();
        second.synchronize()?;
        drop(second);
        let again = open()?;
        assert!(again.query()?);
        parent.expect_end();
        Ok(())
    }
    play("t239_one_handle_gives_two_events", &[("child", child)], |cast| {
        let event = device().event(EventOptions::new().interprocess())?;
        let mut child = cast.start("child");
        say_event(&mut child, &event);
        child.end();
        Ok(())
    });
}

/// What an importer has recorded counts for the others once it has dropped the event.
#[test]
fn a_pending_record_outlives_the_event_that_was_imported_for_it() {
    fn child(parent: &mut Link) -> Result {
        let [stream] = streams();
        let event = hear_event(parent);
        let hold = Hold::new(&stream);
        event.record(&stream)?;
        event.destroy()?;
        parent.tell("dropped");
        release_for(parent, hold);
        parent.expect_end();
        Ok(())
    }
    play("a_pending_record_outlives_the_event_that_was_imported_for_it", &[("child", child)], |cast| {
        let ([stream], event) = (streams(), device().event(EventOptions::new().interprocess())?);
        let mut child = cast.start("child");
        say_event(&mut child, &event);
        child.expect("dropped");
        assert!(!event.query()?);
        stream.wait_event(&event)?;
        assert!(!stream.query()?, "the wait is for the record of the other process");
        returns_after_release_by(&mut child, || event.synchronize())?;
        stream.synchronize()?;
        child.end();
        Ok(())
    });
}

#[test]
fn an_imported_event_says_what_it_is() {
    fn child(parent: &mut Link) -> Result {
        let [stream] = streams();
        let (handle, context) = (parent.expect_event(), device().context()?);
        for blocking in [false, true] {
            // SAFETY: the parent keeps the event until this process ends.
            let event = unsafe { Event::from_ipc_handle_with(device(), handle, blocking) }?;
            assert_eq!(event.flags(), EventOptions::new().interprocess().blocking_sync(blocking).build().flags());
            assert_eq!((event.is_interprocess(), event.is_timed(), event.is_blocking_sync()), (true, false, blocking));
            assert_eq!((event.device(), event.context()), (Some(device()), Some(context)));
            assert_eq!(event.status()?, EventStatus::Complete, "whether it was recorded only the others know");
            assert_eq!(event.ipc_handle()?, handle);

            let event = event.into_dynamic();
            assert!(event.is_interprocess());
            assert_eq!(event.status()?, EventStatus::Complete);
            let hold = Hold::new(&stream);
            event.record(&stream)?;
            assert!(!event.query()?);
            hold.release();
            event.synchronize()?;
        }
        // SAFETY: as above.
        assert!(!unsafe { Event::from_ipc_handle(device(), handle) }?.is_blocking_sync());
        parent.expect_end();
        Ok(())
    }
    play("an_imported_event_says_what_it_is", &[("child", child)], |cast| {
        let event = device().event(EventOptions::new().interprocess())?;
        let mut child = cast.start("child");
        say_event(&mut child, &event);
        child.end();
        Ok(())
    });
}

/// A handle may be passed on by who has opened it.
#[test]
fn a_third_process_opens_the_handle_of_an_imported_event() {
    fn second(parent: &mut Link) -> Result {
        let event = hear_event(parent);
        say_event(parent, &event);
        parent.expect("recorded");
        assert!(!event.query()?);
        parent.tell("pending");
        parent.expect_end();
        event.synchronize()?;
        Ok(())
    }
    fn third(parent: &mut Link) -> Result {
        let [stream] = streams();
        let event = hear_event(parent);
        let hold = Hold::new(&stream);
        event.record(&stream)?;
        parent.tell("recorded");
        parent.expect("release");
        hold.release();
        parent.expect_end();
        Ok(())
    }
    play("a_third_process_opens_the_handle_of_an_imported_event", &[("second", second), ("third", third)], |cast| {
        let event = device().event(EventOptions::new().interprocess())?;
        let (mut second, mut third) = (cast.start("second"), cast.start("third"));
        say_event(&mut second, &event);
        let handle = second.expect_event();
        assert_eq!(handle, event.ipc_handle()?);
        third.say("event", handle);
        third.expect("recorded");
        assert!(!event.query()?);
        second.tell("recorded");
        second.expect("pending");
        third.tell("release");
        event.synchronize()?;
        second.end();
        third.end();
        Ok(())
    });
}

/// What the driver's documentation calls undefined is no crash and no hang: the importer goes on, or is told.
#[test]
fn an_imported_event_outlives_the_exporters() {
    fn exporter(parent: &mut Link) -> Result {
        let [stream] = streams();
        let event = stream.record_event_with(EventOptions::new().interprocess())?;
        say_event(parent, &event);
        parent.expect("imported");
        event.destroy()?;
        parent.tell("destroyed");
        parent.expect_end();
        Ok(())
    }
    fn check(event: &Event<Interprocess>) -> Result {
        let [stream, other] = streams();
        assert!(event.query()?);
        for _ in 0..3 {
            let hold = Hold::new(&stream);
            event.record(&stream)?;
            other.wait_event(event)?;
            assert!(!event.query()? && !other.query()?);
            hold.release();
            completes(event);
            other.synchronize()?;
        }
        Ok(())
    }
    fn check_new(handle: IpcEventHandle) -> Result {
        // SAFETY: of an event that is gone; what comes of it is what this test is about.
        match unsafe { Event::from_ipc_handle(device(), handle) } {
            Ok(event) => check(&event),
            Err(error) => {
                assert!(matches!(error, cuda_streams::Error::IpcRefused { .. }), "{error:?}");
                assert!(error.to_string().contains("does the process that exported it live"), "{error}");
                Ok(())
            }
        }
    }
    play("an_imported_event_outlives_the_exporters", &[("exporter", exporter)], |cast| {
        let mut exporter = cast.start("exporter");
        let handle = exporter.expect_event();
        // SAFETY: as above.
        let event = unsafe { Event::from_ipc_handle(device(), handle) }?;
        check(&event)?;
        exporter.tell("imported");
        exporter.expect("destroyed");
        check(&event)?;
        check_new(handle)?;
        exporter.end();
        check(&event)?;
        check_new(handle)?;
        Ok(())
    });
}

/// T512: nothing hangs, and no file stays open, in either process.
#[test]
fn t512_many_events_are_shared_and_given_back() {
    const ROUNDS: usize = 10;
    const EVENTS: usize = 100;
    fn child(parent: &mut Link) -> Result {
        let [stream] = streams();
        for _ in 0..ROUNDS {
            let events: Vec<_> = (0..EVENTS).map(|_| hear_event(parent)).collect();
            for event in &events {
                stream.wait_event(event)?;
                event.record(&stream)?;
            }
            parent.tell("recorded");
            stream.synchronize()?;
            drop(events);
            parent.say("files", open_files());
        }
        parent.expect_end();
        Ok(())
    }
    play("t512_many_events_are_shared_and_given_back", &[("child", child)], |cast| {
        let [stream] = streams();
        let mut child = cast.start("child");
        let (mut files, live) = (Vec::new(), is_software().then(softcuda::live));
        for _ in 0..ROUNDS {
            let events = (0..EVENTS).map(|_| stream.record_event_with(EventOptions::new().interprocess()));
            let events = events.collect::<cuda_streams::Result<Vec<_>>>()?;
            for event in &events {
                say_event(&mut child, event);
            }
            child.expect("recorded");
            events.iter().for_each(completes);
            drop(events);
            files.push((open_files(), child.expect("files").parse::<usize>()?));
        }
        // The first round opens what stays open; a file for each event, or for one in ten, would be more than this.
        let ((first, first_theirs), (last, last_theirs)) = (files[0], files[ROUNDS - 1]);
        assert!(last < first + EVENTS / 10 && last_theirs < first_theirs + EVENTS / 10, "files stay open: {files:?}");
        if is_software() {
            assert_eq!(files[ROUNDS - 1], files[0], "{files:?}");
        }
        assert_eq!(is_software().then(softcuda::live).map(|live| live.events), live.map(|live| live.events));
        child.end();
        Ok(())
    });
}
