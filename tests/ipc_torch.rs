//! Rust's side of the example `ipc_torch`, with a process of this crate in the part of PyTorch.

#![cfg(not(miri))] // it has no child processes

mod common;

#[path = "../examples/ipc_torch/kernel.rs"]
mod kernel;
#[path = "../examples/ipc_torch/peer.rs"]
mod peer;
#[path = "../examples/ipc_torch/session.rs"]
mod session;

use std::env;
use std::error::Error;
use std::io;
use std::process::{self, Command};
use std::time::Duration;

use common::device;
use common::hold::Hold;
use cuda_streams::{Device, Event, EventOptions, Interprocess, IpcEventHandle, IpcMemHandle, IpcMemory, IpcSlice, Stream};
use kernel::Affine;
use peer::{MARK, Peer, bytes};
use session::{Session, Wait};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const CHILD: &str = "CUDA_STREAMS_PEER";
const ROUNDS: i32 = 5;

/// This executable, to run the test of this name as the peer, which is ready.
fn peer_of(test: &str) -> Result<Peer> {
    let mut command = Command::new(env::current_exe()?);
    command.args([test, "--exact", "--nocapture"]).env(CHILD, "1");
    let mut peer = Peer::start(command)?;
    assert_eq!(peer.answer()?, "ready");
    Ok(peer)
}

fn is_peer() -> bool {
    env::var_os(CHILD).is_some()
}

/// Answers as `peer.py` does. A fill is held until it is compared: where the other side waits for it on the
/// device, it must not be done before; where it does not wait, it is.
fn answer(wait: Wait) -> Result {
    let mut stand_in = StandIn::new(device(), wait)?;
    let say = |answer: &str| println!("\n{MARK}{answer}"); // the test's name is on the line
    say("ready");
    for question in io::stdin().lines() {
        let question = question?;
        say(&stand_in.answer(&question.split(' ').collect::<Vec<_>>())?);
        if question == "close" {
            break;
        }
    }
    Ok(())
}

struct StandIn {
    device: Device,
    wait: Wait,
    data: Option<IpcSlice<i32>>,
    affine: Affine,
    stream: Stream,
    /// Of the fill and of the doubling, from when one side has exported them.
    events: [Event<Interprocess>; 2],
    hold: Option<Hold>,
}

impl StandIn {
    fn new(device: Device, wait: Wait) -> Result<Self> {
        let stream = device.stream()?;
        let affine = Affine::load(device, &stream)?;
        let events = [Event::interprocess(), Event::interprocess()];
        Ok(Self { device, wait, stream, affine, data: None, events, hold: None })
    }

    fn answer(&mut self, question: &[&str]) -> Result<String> {
        let [filled, doubled] = &self.events;
        let answer = match (question, &mut self.data) {
            (["memory", handle, count], _) => {
                let handle = IpcMemHandle::from_bytes(bytes(handle)?);
                // SAFETY: from the process that has started this one, which keeps the memory until this one ends.
                let memory = unsafe { IpcMemory::open(self.device, handle) }?;
                self.data = Some(memory.into_cudarc(&self.affine.stream, count.parse()?).map_err(|(_, error)| error)?);
                "opened"
            }
            (["export"], _) => {
                let event = || self.device.event(EventOptions::new().interprocess());
                self.events = [event()?, event()?];
                let [filled, doubled] = &self.events;
                return Ok(format!("{} {}", filled.ipc_handle()?, doubled.ipc_handle()?));
            }
            (["import", handles @ ..], _) => {
                let event = |hex| {
                    let handle = IpcEventHandle::from_bytes(bytes(hex)?);
                    // SAFETY: from the process that has started this one, which keeps the event until "forget".
                    Ok::<_, Box<dyn Error>>(unsafe { Event::from_ipc_handle(self.device, handle) }?)
                };
                self.events = [event(handles[0])?, event(handles[1])?];
                "imported"
            }
            (["fill", value], Some(data)) => {
                self.hold = Some(Hold::new(&self.stream));
                self.affine.launch(Duration::ZERO, 0, value.parse()?, data)?;
                self.stream.record(filled)?;
                "recorded"
            }
            (["compare", value], Some(data)) => {
                match self.wait {
                    Wait::OnTheDevice => assert!(!doubled.query()?, "the fill is held"),
                    Wait::Never => doubled.synchronize()?,
                }
                self.hold.take().ok_or("nothing is filled")?.release();
                self.stream.wait_event(doubled)?;
                let (data, value) = (self.affine.stream.clone_dtoh(&data.as_view())?, value.parse()?);
                if data.iter().all(|x| *x == value) { "right" } else { "wrong" }
            }
            (["double"], Some(data)) if self.wait == Wait::OnTheDevice => {
                self.stream.wait_event(filled)?;
                self.affine.launch(Duration::ZERO, 2, 1, data)?;
                self.stream.record(doubled)?;
                "recorded"
            }
            (["double", "without", "waiting"], Some(_)) if self.wait == Wait::Never => {
                // It comes before the fill, which overwrites it: nothing is left to be done.
                self.stream.record(doubled)?;
                "recorded"
            }
            (["forget"], _) => {
                self.stream.synchronize()?;
                self.events = [Event::interprocess(), Event::interprocess()];
                "forgotten"
            }
            (["close"], _) => {
                self.stream.synchronize()?;
                self.data = None;
                "closed"
            }
            (["die"], _) => process::abort(),
            (other, _) => return Err(format!("what is {other:?}?").into()),
        };
        Ok(answer.to_owned())
    }
}

#[test]
fn rounds_with_the_events_of_either_side_are_right() -> Result {
    const TEST: &str = "rounds_with_the_events_of_either_side_are_right";
    if is_peer() {
        return answer(Wait::OnTheDevice);
    }
    Session::with(device(), peer_of(TEST)?, |session| {
        for _ in 0..2 {
            assert_eq!(session.double(ROUNDS, Wait::OnTheDevice)?, ROUNDS);
            assert_eq!(session.fill(ROUNDS, Wait::OnTheDevice)?, ROUNDS);
        }
        Ok(())
    })
}

#[test]
fn rounds_without_the_wait_are_wrong() -> Result {
    const TEST: &str = "rounds_without_the_wait_are_wrong";
    if is_peer() {
        return answer(Wait::Never);
    }
    Session::with(device(), peer_of(TEST)?, |session| {
        assert_eq!(session.double(ROUNDS, Wait::Never)?, 0);
        assert_eq!(session.fill(ROUNDS, Wait::Never)?, 0);
        Ok(())
    })
}

#[test]
fn a_peer_that_fails_is_told_of_with_the_question() -> Result {
    const TEST: &str = "a_peer_that_fails_is_told_of_with_the_question";
    if is_peer() {
        return answer(Wait::Never);
    }
    let mut peer = peer_of(TEST)?;
    let error = peer.tell("export", "nothing").unwrap_err().to_string();
    assert!(error.starts_with("the peer has answered `") && error.ends_with("` to: export"), "{error}");
    let error = peer.ask("die").unwrap_err().to_string();
    assert!(error.starts_with("the peer has ended with signal: 6") && error.ends_with("after: die"), "{error}");
    Ok(())
}

#[test]
fn a_peer_that_does_not_end_is_killed() -> Result {
    // Its output ends, and it stays.
    for (script, asked) in [("echo 'peer: ready'", "the start"), ("echo 'peer: ready'; read close; echo 'peer: closed'", "close")] {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{script}; exec sleep 1000 >&-")]);
        let mut peer = Peer::start(command)?;
        assert_eq!(peer.answer()?, "ready");
        peer.end = Duration::from_millis(10);
        let outcome = if asked == "close" { peer.finish() } else { peer.answer().map(drop) };
        assert_eq!(outcome.unwrap_err().to_string(), format!("the peer has not ended within 10ms after: {asked}"));
    }
    Ok(())
}

#[test]
fn a_handle_is_128_hexadecimal_digits() -> Result {
    let handle = IpcEventHandle::from_bytes(device().event(EventOptions::new().interprocess())?.ipc_handle()?.into());
    assert_eq!(bytes(&handle.to_string())?, *handle.as_bytes());
    for wrong in ["", "0", &"0".repeat(126), &"0".repeat(127), &"0".repeat(129), &"0".repeat(130), &"x".repeat(128)] {
        assert!(bytes(wrong).is_err(), "{wrong}");
    }
    Ok(())
}
