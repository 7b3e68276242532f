//! A process that shares is killed: the other one goes on or is told, waits no longer than it wants to, and keeps
//! nothing of it. Each test is a stage of the victim, which says through a pipe that it is there.
#![cfg(not(miri))]

mod common;

use common::hold::Hold;
use common::kill::{
    LIMIT, check_event, check_memory, completes_or_is_noted, kill, kill_each, new_event, open_event, stay, stay_dropping, stays,
};
use common::peer::{Link, Peer, Result};
use common::shared::{SharedWords, hear_event, is_software, say_event};
use common::{device, streams};
use cuda_streams::{Event, Interprocess, IpcEventHandle, IpcMemHandle};

/// The survivor has exported an event and memory, and goes on with them.
fn survive_a_consumer(mut victim: Peer) -> Result {
    let (event, mut data) = (new_event()?, SharedWords::new(device(), 1));
    say_event(&mut victim, &event);
    data.say(&mut victim);
    victim.expect("here");
    kill(victim);
    check_event(&event)?;
    check_memory(&mut data)
}

#[test]
fn the_consumer_is_killed_before_it_imports() {
    fn consumer(parent: &mut Link) -> Result {
        parent.expect("round");
        let _handles = (parent.expect_event(), parent.expect_memory());
        stay(parent)
    }
    kill_each("the_consumer_is_killed_before_it_imports", consumer, survive_a_consumer);
}

/// And gives it back: either may be what it is at.
#[test]
fn the_consumer_is_killed_while_it_imports() {
    fn consumer(parent: &mut Link) -> Result {
        parent.expect("round");
        let (event, memory) = (parent.expect_event(), parent.expect_memory());
        parent.tell("here");
        loop {
            drop((open_event(event)?, SharedWords::open(device(), memory)?));
        }
    }
    kill_each("the_consumer_is_killed_while_it_imports", consumer, survive_a_consumer);
}

/// T510: what it has imported still works here.
#[test]
fn the_consumer_is_killed_while_it_waits() {
    fn consumer(parent: &mut Link) -> Result {
        let stays = stays(parent)?;
        let (event, _data, [stream]) = (hear_event(parent), SharedWords::hear(parent), streams());
        stream.wait_event(&event)?;
        parent.tell("here");
        while !stays && !stream.query()? {}
        event.synchronize()?;
        Err("the parent's work is held until this process is killed".into())
    }
    kill_each("the_consumer_is_killed_while_it_waits", consumer, |mut victim| {
        let ([stream], event, mut data) = (streams(), Event::interprocess(), SharedWords::new(device(), 1));
        let hold = Hold::new(&stream);
        event.record(&stream)?;
        say_event(&mut victim, &event);
        data.say(&mut victim);
        victim.expect("here");
        kill(victim);
        assert!(!event.query()?);
        hold.release();
        assert!(event.synchronize_timeout(LIMIT)?);
        check_event(&event)?;
        check_memory(&mut data)
    });
}

/// A victim's records: one that is held when it is killed, or one after the other.
fn record(link: &mut Link, event: &Event<Interprocess>, stays: bool) -> Result {
    let [stream] = streams();
    let _hold = stays.then(|| Hold::new(&stream));
    event.record(&stream)?;
    if stays {
        return stay(link);
    }
    link.tell("here");
    loop {
        event.record(&stream)?;
    }
}

/// Kills a victim that records, and waits for what it has recorded. On a real driver that may never come, and neither may
/// what the survivor records in that event then, even where the victim's records were done: each of its waits has an end
/// all the same.
fn survive_records(event: &Event<Interprocess>, mut victim: Peer) -> Result {
    let [stream, other, third] = streams();
    victim.expect("here");
    stream.wait_event(event)?;
    kill(victim);
    completes_or_is_noted("the event that the victim has recorded", |limit| event.synchronize_timeout(limit));
    completes_or_is_noted("a stream that waits for it", |limit| stream.synchronize_timeout(limit));
    if is_software() {
        return check_event(event);
    }
    event.record(&other)?;
    completes_or_is_noted("the event, which the survivor has recorded since", |limit| event.synchronize_timeout(limit));
    let another = new_event()?;
    another.record(&third)?;
    completes_or_is_noted("another event, on a stream that has done nothing else", |limit| another.synchronize_timeout(limit));
    Ok(())
}

#[test]
fn the_consumer_is_killed_while_it_records() {
    fn consumer(parent: &mut Link) -> Result {
        let (stays, event) = (stays(parent)?, hear_event(parent));
        record(parent, &event, stays)
    }
    kill_each("the_consumer_is_killed_while_it_records", consumer, |mut victim| {
        let event = new_event()?;
        say_event(&mut victim, &event);
        survive_records(&event, victim)
    });
}

#[test]
fn the_consumer_is_killed_while_it_drops() {
    fn consumer(parent: &mut Link) -> Result {
        parent.expect("round");
        let (event, data) = (hear_event(parent), SharedWords::hear(parent));
        drop(event);
        stay_dropping(parent, data)
    }
    kill_each("the_consumer_is_killed_while_it_drops", consumer, survive_a_consumer);
}

/// What was exported by a process that is gone is refused, or works.
fn check_handles(event: IpcEventHandle, memory: IpcMemHandle) -> Result {
    let is_told = |error: cuda_streams::Error| {
        assert!(matches!(error, cuda_streams::Error::IpcRefused { .. }), "{error:?}");
        Ok(())
    };
    open_event(event).map_or_else(is_told, |event| check_event(&event))?;
    SharedWords::open(device(), memory).map_or_else(is_told, |mut data| check_memory(&mut data))
}

/// Exports an event and memory, and keeps them.
fn export(parent: &mut Link) -> cuda_streams::Result<(Event<Interprocess>, SharedWords)> {
    let (event, data) = (new_event()?, SharedWords::new(device(), 1));
    say_event(parent, &event);
    data.say(parent);
    Ok((event, data))
}

/// The survivor has the handles, and nothing open.
fn survive_an_exporter(mut victim: Peer) -> Result {
    let (event, memory) = (victim.expect_event(), victim.expect_memory());
    victim.expect("here");
    kill(victim);
    check_handles(event, memory)
}

#[test]
fn the_exporter_is_killed_before_the_import() {
    fn exporter(parent: &mut Link) -> Result {
        parent.expect("round");
        let _exported = export(parent)?;
        stay(parent)
    }
    kill_each("the_exporter_is_killed_before_the_import", exporter, survive_an_exporter);
}

/// And frees what it has exported: either may be what it is at.
#[test]
fn the_exporter_is_killed_while_it_exports() {
    fn exporter(parent: &mut Link) -> Result {
        parent.expect("round");
        let _exported = export(parent)?;
        parent.tell("here");
        loop {
            let event = new_event()?;
            event.ipc_handle()?;
            SharedWords::new(device(), 2).memory().ipc_handle()?;
        }
    }
    kill_each("the_exporter_is_killed_while_it_exports", exporter, survive_an_exporter);
}

#[test]
fn the_exporter_is_killed_while_it_waits() {
    fn exporter(parent: &mut Link) -> Result {
        let stays = stays(parent)?;
        let ([stream], event) = (streams(), new_event()?);
        say_event(parent, &event);
        parent.expect("recorded");
        stream.wait_event(&event)?;
        parent.tell("here");
        while !stays && !stream.query()? {}
        event.synchronize()?;
        Err("the parent's work is held until this process is killed".into())
    }
    kill_each("the_exporter_is_killed_while_it_waits", exporter, |mut victim| {
        let ([stream], event) = (streams(), hear_event(&mut victim));
        let hold = Hold::new(&stream);
        event.record(&stream)?;
        victim.tell("recorded");
        victim.expect("here");
        kill(victim);
        assert!(!event.query()?);
        hold.release();
        assert!(event.synchronize_timeout(LIMIT)?);
        check_event(&event)
    });
}

#[test]
fn the_exporter_is_killed_while_it_records() {
    fn exporter(parent: &mut Link) -> Result {
        let (stays, event) = (stays(parent)?, new_event()?);
        say_event(parent, &event);
        parent.expect("imported");
        record(parent, &event, stays)
    }
    kill_each("the_exporter_is_killed_while_it_records", exporter, |mut victim| {
        let event = hear_event(&mut victim);
        victim.tell("imported");
        survive_records(&event, victim)
    });
}

#[test]
fn the_exporter_is_killed_while_it_drops() {
    fn exporter(parent: &mut Link) -> Result {
        parent.expect("round");
        let (event, data) = export(parent)?;
        parent.expect("imported");
        drop(event);
        stay_dropping(parent, data)
    }
    kill_each("the_exporter_is_killed_while_it_drops", exporter, |mut victim| {
        let (event, memory) = (hear_event(&mut victim), victim.expect_memory());
        let mut data = SharedWords::open(device(), memory)?;
        victim.tell("imported");
        victim.expect("here");
        kill(victim);
        check_event(&event)?;
        // Of memory that is freed a real driver promises nothing.
        if is_software() { check_memory(&mut data) } else { Ok(data.into_memory().close()?) }
    });
}
