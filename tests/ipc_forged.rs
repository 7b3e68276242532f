//! Handles that nobody has exported, opened in processes of their own: what a real driver does with them is not
//! known, and may be a crash, which is noted. A file of its own, to be run alone. `soft/ipc_forged.rs` asks the
//! software driver for more.
#![cfg(not(miri))]

mod common;

use std::collections::BTreeMap;

use common::child::note;
use common::peer::{Link, Result, play};
use common::shared::{SharedWords, is_software, say_event};
use common::{device, streams};
use cuda_streams::{Event, EventOptions, IpcEventHandle, IpcMemHandle, IpcMemory};

const HANDLES: usize = 2000;
/// As many are opened in one process, if none of them ends it.
const BATCH: usize = 100;
/// Each crash takes a process, of which a real driver needs most of a second to start: with more of them the handles
/// are not opened in the time that there is, and this fails.
const CRASHES: usize = 400;

/// Numbers that look random, the same ones for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("less than the bound")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// The handle of this number, made of a good one and one of the other kind; and how it was made.
fn forge(index: usize, good: [u8; 64], other: [u8; 64]) -> (&'static str, [u8; 64]) {
    let (mut random, mut bytes) = (Random(index as u64), good);
    // Of two in turn one is an event's.
    match index / 2 % 6 {
        0 => ("random bytes", std::array::from_fn(|_| random.byte())),
        1 => {
            (0..=random.below(3)).for_each(|_| bytes[random.below(64)] ^= 1 << random.below(8));
            ("flipped bits", bytes)
        }
        2 => {
            bytes[random.below(64)..].fill(0);
            ("cut off", bytes)
        }
        3 => {
            let from = random.below(64);
            let until = from + 1 + random.below(64 - from);
            bytes[from..until].fill_with(|| random.byte());
            ("some random bytes", bytes)
        }
        4 => ("of the other kind", other),
        _ => ("unchanged", bytes),
    }
}

/// Opens handles from a number on, and says before each which comes, and after each what became of it.
fn opener(parent: &mut Link) -> Result {
    let (event, memory) = (*parent.expect_event().as_bytes(), *parent.expect_memory().as_bytes());
    let first: usize = parent.expect("from").parse()?;
    let [stream] = streams();
    for index in first..(first + BATCH).min(HANDLES) {
        let is_event = index % 2 == 0;
        let (_, bytes) = if is_event { forge(index, event, memory) } else { forge(index, memory, event) };
        parent.say("opening", index);
        let outcome = if is_event {
            // SAFETY: no handle at all. What the driver makes of it is what this test is about.
            let event = unsafe { Event::from_ipc_handle(device(), IpcEventHandle::from_bytes(bytes)) };
            // An event that opens, works.
            event.and_then(|event| {
                event.query()?;
                event.record(&stream)?;
                event.synchronize()
            })
        } else {
            // SAFETY: as above.
            let memory = unsafe { IpcMemory::open(device(), IpcMemHandle::from_bytes(bytes)) };
            memory.and_then(IpcMemory::close)
        };
        let outcome =
            outcome.map_or_else(|error| error.code().map_or(format!("{error:?}"), |code| code.to_string()), |()| "opened".to_owned());
        parent.say("found", outcome);
    }
    parent.expect_end();
    Ok(())
}

#[test]
fn forged_handles_are_refused_or_open_something() {
    play("forged_handles_are_refused_or_open_something", &[("opener", opener)], |cast| {
        let [stream] = streams();
        let (event, data) = (stream.record_event_with(EventOptions::new().interprocess())?, SharedWords::new(device(), 7));
        let (good_event, good_memory) = (*event.ipc_handle()?.as_bytes(), *data.memory().ipc_handle()?.as_bytes());
        let (mut first, mut crashes, mut late, mut outcomes) = (0, 0, 0, BTreeMap::new());
        while first < HANDLES && crashes < CRASHES {
            let mut opener = cast.start("opener");
            say_event(&mut opener, &event);
            data.say(&mut opener);
            opener.say("from", first);
            let (said, status) = opener.until_its_end();
            for outcome in said.iter().filter_map(|line| line.strip_prefix("found ")) {
                *outcomes.entry(outcome.to_owned()).or_insert(0) += 1;
            }
            let last = said.last().expect("the process has begun");
            let last = match last.strip_prefix("opening ") {
                None => {
                    let until = (first + BATCH).min(HANDLES);
                    assert_eq!(said.len(), 2 * (until - first), "{last}");
                    if !status.success() {
                        note(format_args!("the process with the handles {first} to {} ends at its end in {status}", until - 1));
                        late += 1;
                    }
                    until - 1
                }
                Some(last) => {
                    let last: usize = last.parse()?;
                    let (good, other) = if last.is_multiple_of(2) { (good_event, good_memory) } else { (good_memory, good_event) };
                    let (how, bytes) = forge(last, good, other);
                    note(format_args!("handle {last} ({how}) ends the process in {status}: {}", IpcEventHandle::from_bytes(bytes)));
                    crashes += 1;
                    last
                }
            };
            first = last + 1;
        }
        note(format_args!(
            "of {first} forged handles {crashes} end the process, and {late} processes end in a crash once theirs are done; the others: {outcomes:?}"
        ));
        assert_eq!(first, HANDLES, "{crashes} of these handles have ended the process, and the rest was not opened");
        assert!(outcomes["opened"] >= HANDLES / 8, "those that nobody changed: {outcomes:?}");
        assert_eq!(outcomes.values().sum::<usize>() + crashes, HANDLES);
        assert_eq!(data.read(), 7, "the memory is as it was");
        event.record(&stream)?;
        event.synchronize()?;
        assert!(crashes + late == 0 || !is_software(), "the software driver crashes");
        Ok(())
    });
}
