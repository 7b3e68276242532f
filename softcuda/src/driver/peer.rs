//! Processes, as others know them.

use std::fs;
use std::process;
use std::sync::OnceLock;

/// A process: its number, and when it began, so that it is not taken for a later one of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer(u64);

/// Bits of a number of a process: the most that Linux allows.
const NUMBER_BITS: u32 = 22;
/// Bits for the time, in ticks since the machine began: centuries. Those above are others' marks.
const TIME_BITS: u32 = 40;

impl Peer {
    /// This process; none where the system does not tell of processes.
    pub(super) fn own() -> Option<Self> {
        static OWN: OnceLock<Option<Peer>> = OnceLock::new();
        *OWN.get_or_init(|| Self::new(process::id(), began(process::id())?))
    }

    fn new(number: u32, began: u64) -> Option<Self> {
        (number != 0 && number >> NUMBER_BITS == 0 && began >> TIME_BITS == 0).then_some(Self(began << NUMBER_BITS | u64::from(number)))
    }

    /// As a number that is never 0, of 62 bits.
    pub(super) fn to_word(self) -> u64 {
        self.0
    }

    /// The process of such a number.
    pub(super) fn from_word(word: u64) -> Option<Self> {
        let number = u32::try_from(word & ((1 << NUMBER_BITS) - 1)).ok()?;
        Self::new(number, word >> NUMBER_BITS)
    }

    /// Its number.
    pub(super) fn number(self) -> u64 {
        self.0 & ((1 << NUMBER_BITS) - 1)
    }

    /// Whether it is still there, and does something: one that has ended may be kept for its parent.
    pub(super) fn lives(self) -> bool {
        u32::try_from(self.number()).ok().and_then(began) == Some(self.0 >> NUMBER_BITS)
    }
}

/// When a process began that has not ended.
fn began(number: u32) -> Option<u64> {
    let line = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    parse(&line)
}

/// The same by what the system says of the process: its name may hold anything.
fn parse(line: &str) -> Option<u64> {
    /// The place of the time among the fields after the name, of which the state is the first.
    const BEGAN: usize = 19;
    let (_, fields) = line.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X" | "x");
    // One of the fields is taken.
    if has_ended { None } else { fields.nth(BEGAN - 1)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_by_its_number_and_its_begin() {
        let peer = Peer::new(4_194_303, 77).unwrap();
        assert_eq!(Peer::from_word(peer.to_word()), Some(peer));
        assert_eq!((peer.number(), peer == Peer::new(4_194_303, 78).unwrap()), (4_194_303, false));
        assert_eq!([Peer::new(0, 1), Peer::new(1 << NUMBER_BITS, 1), Peer::new(1, 1 << TIME_BITS), Peer::from_word(0)], [None; 4]);
    }

    #[test]
    fn the_time_is_found_behind_any_name() {
        let line = |name, state| format!("12 ({name}) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21\n");
        for name in ["softcuda", "a ) R 1", ""] {
            assert_eq!(parse(&line(name, "S")), Some(4711), "{name:?}");
            assert_eq!(parse(&line(name, "Z")), None, "{name:?}");
        }
        assert_eq!((parse(""), parse("12 (x) R 1")), (None, None));
    }

    #[test]
    #[cfg_attr(miri, ignore = "it has no other processes")]
    fn this_process_lives_and_no_earlier_one_of_its_number() {
        let own = Peer::own().unwrap();
        assert_eq!(own.number(), u64::from(process::id()));
        assert!(own.lives());
        assert!(!Peer(own.0 - (1 << NUMBER_BITS)).lives());
    }
}
