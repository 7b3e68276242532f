//! Handles that nobody has exported: torn, flipped, cut off, or of nothing. `tests/ipc_forged.rs` asks every driver,
//! in processes of their own.

use std::env;
use std::hash::{BuildHasher as _, RandomState};

use cuda_streams::{Error, ErrorCode, Event, IpcEventHandle, IpcMemHandle, IpcMemory, IpcRefusal};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use softcuda::live;

use crate::common::peer::{Link, Result, play};
use crate::common::shared::{SharedWords, completes, open_files, say_event};
use crate::common::{device, streams};

/// What becomes of a good handle.
#[derive(Clone, Debug)]
enum Change {
    None,
    /// Bits are flipped.
    Flip(Vec<usize>),
    /// What is received ends there; the rest are zeros.
    Cut(usize),
    /// A part of it is something else.
    Replace(usize, Vec<u8>),
    /// It is something else.
    Random([u8; 64]),
    /// It is a handle of the other kind.
    Other,
    /// Words are something else, and the sum is right again: who forges knows how handles are made.
    Words(Vec<(usize, Word)>),
}

/// What becomes of a word of a handle.
#[derive(Clone, Debug)]
enum Word {
    Xor(u64),
    Add(i8),
    Double,
    Set(u64),
}

impl Word {
    fn of(&self, word: u64) -> u64 {
        match self {
            Self::Xor(bits) => word ^ bits,
            Self::Add(number) => word.wrapping_add_signed(i64::from(*number)),
            Self::Double => word.wrapping_mul(2),
            Self::Set(new) => *new,
        }
    }
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        (0_u32..64).prop_map(|bit| Word::Xor(1 << bit)),
        any::<i8>().prop_map(Word::Add),
        Just(Word::Double),
        prop_oneof![Just(0), Just(u64::MAX), 0_u64..1 << 32, any::<u64>()].prop_map(Word::Set),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => Just(Change::None),
        6 => prop::collection::vec(0_usize..512, 1..6).prop_map(Change::Flip),
        2 => (0_usize..64).prop_map(Change::Cut),
        3 => (0_usize..64, prop::collection::vec(any::<u8>(), 1..16)).prop_map(|(from, bytes)| Change::Replace(from, bytes)),
        6 => prop::array::uniform32(any::<[u8; 2]>()).prop_map(|pairs| Change::Random(pairs.as_flattened().try_into().expect("64 bytes"))),
        1 => Just(Change::Other),
        // A third of all.
        10 => prop::collection::vec((0..SUM, word()), 1..4).prop_map(Change::Words),
    ]
}

fn changed(good: &[u8; 64], other: &[u8; 64], change: &Change) -> [u8; 64] {
    let mut bytes = *good;
    match change {
        Change::None => (),
        Change::Flip(bits) => bits.iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8)),
        Change::Cut(length) => bytes[*length..].fill(0),
        Change::Replace(from, new) => bytes[*from..].iter_mut().zip(new).for_each(|(byte, new)| *byte = *new),
        Change::Random(random) => bytes = *random,
        Change::Other => bytes = *other,
        Change::Words(changes) => {
            let words: &mut [[u8; 8]] = bytes.as_chunks_mut().0;
            for (index, change) in changes {
                words[*index] = change.of(u64::from_le_bytes(words[*index])).to_le_bytes();
            }
            // The half of a word that names an event's device: each other one is a report, of which a few are enough.
            words[NUMBERS][0] %= 4;
            words[NUMBERS][1..4].fill(0);
            words[SUM] = sum(words[..SUM].as_flattened()).to_le_bytes();
        }
    }
    bytes
}

/// The last word of a handle of the software driver is the sum of the others: FNV-1a.
const SUM: usize = 7;

/// The word with two numbers: who opens an event must be on this device.
const NUMBERS: usize = 3;

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The cases of this seed, or of another each time.
fn runner(cases: u32) -> TestRunner {
    let seed = env::var("CUDA_STREAMS_SEED").ok().map_or_else(|| RandomState::new().hash_one(0), |seed| seed.parse().expect("a number"));
    println!("CUDA_STREAMS_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Whether this is how a handle of nothing is refused: by this code. One with the right sum may also name this process, or a device
/// that is not there.
fn is_refusal(error: &Error, refusal: ErrorCode, change: &Change) -> bool {
    match error {
        Error::IpcRefused { code, reason: IpcRefusal::Unreachable, .. } if *code == refusal => true,
        Error::IpcRefused { .. } | Error::OwnHandle { .. } => matches!(change, Change::Words(_)),
        _ => false,
    }
}

fn exporter(parent: &mut Link) -> Result {
    let [stream] = streams();
    let event = stream.record_event_with(cuda_streams::EventOptions::new().interprocess())?;
    say_event(parent, &event);
    SharedWords::new(device(), 7).say(parent);
    let data = SharedWords::new(device(), 8);
    data.say(parent);
    parent.expect_end();
    assert_eq!(data.read(), 8);
    Ok(())
}

/// Each either is refused, or opens what works: only the handle that it was made of is opened, unless its sum is made
/// right. 100,000 of them.
#[test]
fn forged_handles_are_refused_or_work() {
    // A tenth with a sanitizer, which takes ten times as long.
    const CASES: u32 = if cfg!(softcuda_linked) { 5_000 } else { 50_000 };
    play("ipc_forged::forged_handles_are_refused_or_work", &[("exporter", exporter)], |cast| {
        let mut exporter = cast.start("exporter");
        let event = *exporter.expect_event().as_bytes();
        let _freed = exporter.expect_memory();
        let memory = *exporter.expect_memory().as_bytes();
        // SAFETY: the exporter keeps the event; any other handle the software driver refuses, or this fails.
        let open_event = |bytes| unsafe { Event::from_ipc_handle(device(), IpcEventHandle::from_bytes(bytes)) };
        // Nor is any other memory opened than what it keeps.
        let open_memory = |bytes| SharedWords::open(device(), IpcMemHandle::from_bytes(bytes));
        let [stream] = streams();
        // The first of each opens what stays open.
        drop((open_event(event)?, open_memory(memory)?));
        let scope = softcuda::Scope::enter();
        let before = (live(), open_files());
        runner(CASES).run(&change(), |change| {
            let is_right = matches!(change, Change::Words(_));
            let bytes = changed(&event, &memory, &change);
            match open_event(bytes) {
                Ok(opened) => {
                    prop_assert!(is_right || bytes == event, "{bytes:02x?} is opened");
                    opened.record(&stream).unwrap();
                    completes(&opened);
                }
                Err(error) => prop_assert!(is_refusal(&error, ErrorCode::MAP_FAILED, &change) && bytes != event, "{error:?}"),
            }
            let bytes = changed(&memory, &event, &change);
            match open_memory(bytes) {
                Ok(opened) => {
                    prop_assert!(is_right || bytes == memory, "{bytes:02x?} is opened");
                    prop_assert_eq!((opened.read(), opened.memory().bytes()), (8, 2 << 20));
                    prop_assert_eq!(opened.into_memory().close(), Ok(()));
                }
                Err(error) => prop_assert!(is_refusal(&error, ErrorCode::INVALID_VALUE, &change) && bytes != memory, "{error:?}"),
            }
            Ok(())
        })?;
        let without_threads = |live| softcuda::Live { threads: 0, ..live };
        assert_eq!((without_threads(live()), open_files()), (without_threads(before.0), before.1));
        let reports = scope.scope().reports();
        assert!(reports.iter().all(|report| report.to_string().contains("and the current context is not")), "{reports:?}");
        drop(scope);
        exporter.end();
        Ok(())
    });
}

/// What is cut off is no handle at all.
#[test]
fn a_cut_handle_is_refused_by_its_length() {
    let handle = IpcMemory::new(device(), 1).unwrap().ipc_handle().unwrap();
    for length in 0..64 {
        let error = IpcMemHandle::try_from(&handle.as_bytes()[..length]).unwrap_err();
        assert!(matches!(error, Error::HandleLength { bytes, .. } if bytes == length));
    }
}
