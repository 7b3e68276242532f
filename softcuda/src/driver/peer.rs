//! Processes, as others know them.

use std::fs;
use std::io;
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
    /// This process; none where the system does not tell of processes, or does not at the moment.
    pub(super) fn own() -> Option<Self> {
        static OWN: OnceLock<Peer> = OnceLock::new();
        if let Some(own) = OWN.get() {
            return Some(*own);
        }
        let own = Self::new(process::id(), began(process::id()).ok()??)?;
        Some(*OWN.get_or_init(|| own))
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

    /// Whether the system says that it has ended. Where the system says nothing, because this process has no more files
    /// to ask by, for example, that is no end: others would be told of it.
    pub(super) fn is_gone(self) -> bool {
        self.look().is_ok_and(|lives| !lives)
    }

    /// Whether the system says that it is there.
    pub(super) fn is_there(self) -> bool {
        self.look().is_ok_and(|lives| lives)
    }

    fn look(self) -> io::Result<bool> {
        let number = u32::try_from(self.number()).map_err(io::Error::other)?;
        Ok(began(number)? == Some(self.0 >> NUMBER_BITS))
    }
}

/// When a process began; none if it has ended. An error if the system does not tell.
fn began(number: u32) -> io::Result<Option<u64>> {
    /// What the system answers when the process ends while it is asked.
    const NO_SUCH_PROCESS: i32 = 3;
    match fs::read_to_string(format!("/proc/{number}/stat")) {
        Ok(line) => parse(&line),
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(NO_SUCH_PROCESS) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same by what the system says of the process: its name may hold anything. One that has
/// ended may be kept for its parent, and one whose first thread has ended goes on if it has others.
fn parse(line: &str) -> io::Result<Option<u64>> {
    /// Places among the fields after the name, of which the state is the first.
    const THREADS: usize = 17;
    const BEGAN: usize = 19;
    let fields: Vec<&str> = line.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace().collect();
    let number = |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok()).ok_or(io::ErrorKind::InvalidData);
    let (threads, began) = (number(THREADS)?, number(BEGAN)?);
    let has_ended = match fields[0] {
        "Z" => threads <= 1,
        state => matches!(state, "X" | "x"),
    };
    Ok((!has_ended).then_some(began))
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
        let parse = |line: &str| parse(line).ok();
        let line = |name, state, threads| format!("12 ({name}) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 {threads} 18 4711 20 21\n");
        for name in ["softcuda", "a ) R 1", ""] {
            assert_eq!(parse(&line(name, "S", 1)), Some(Some(4711)), "{name:?}");
            assert_eq!(parse(&line(name, "Z", 1)), Some(None), "{name:?}");
            assert_eq!(parse(&line(name, "Z", 2)), Some(Some(4711)), "{name:?}: only its first thread has ended");
            assert_eq!(parse(&line(name, "X", 0)), Some(None), "{name:?}");
        }
        assert_eq!((parse(""), parse("12 (x) R 1")), (None, None));
    }

    #[test]
    #[cfg_attr(miri, ignore = "it has no other processes")]
    fn this_process_lives_and_no_earlier_one_of_its_number() {
        let own = Peer::own().unwrap();
        assert_eq!(own.number(), u64::from(process::id()));
        assert!(own.is_there() && !own.is_gone());
        let earlier = Peer(own.0 - (1 << NUMBER_BITS));
        assert!(earlier.is_gone() && !earlier.is_there());
        assert!(Peer::new((1 << NUMBER_BITS) - 1, 1).unwrap().is_gone(), "Linux gives no such number");
    }
}
