//! Handles for other processes: 64 bytes that say where something is.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::abi::Argument;
use super::codes::Outcome;
use super::peer::Peer;

/// A handle as C has it: `CUipcEventHandle` and `CUipcMemHandle`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct IpcHandle([u8; BYTES]);

const BYTES: usize = 64;
const WORDS: usize = BYTES / size_of::<u64>();
/// Raised whenever a page or a file is laid out differently: a process with another driver understands nothing.
const MAGIC: u64 = u64::from_le_bytes(*b"softipc2");

impl Argument for IpcHandle {
    type Abi = Self;

    unsafe fn accept(abi: Self) -> Outcome<Self> {
        Ok(abi)
    }
}

/// What a handle is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    /// An event's page.
    Event { device: u32 },
    /// `bytes` from `offset` of the file of a device; the export's number among the device's.
    Memory { device: u32, export: u32, offset: u64, bytes: u64 },
}

/// What a handle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// Who has exported it, and by which number he has its file open.
    pub(super) peer: Peer,
    pub(super) descriptor: u32,
    /// What nothing else has: the file says it too.
    pub(super) token: u64,
    pub(super) shared: Shared,
}

impl From<Contents> for IpcHandle {
    fn from(contents: Contents) -> Self {
        let Contents { peer, descriptor, token, shared } = contents;
        let (kind, export, offset, bytes) = match shared {
            Shared::Event { device } => (0, device, 0, 0),
            Shared::Memory { device, export, offset, bytes } => (u64::from(device) + 1, export, offset, bytes),
        };
        let mut words = [MAGIC, kind, peer.to_word(), u64::from(descriptor) << u32::BITS | u64::from(export), token, offset, bytes, 0];
        words[WORDS - 1] = checksum(&words);
        let mut handle = [0; BYTES];
        for (place, word) in handle.chunks_exact_mut(size_of::<u64>()).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        Self(handle)
    }
}

impl Contents {
    /// What a handle says, if this driver has made it and all its bytes have come through.
    pub(super) fn of(handle: &IpcHandle) -> Option<Self> {
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(handle.0.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        let [magic, kind, peer, numbers, token, offset, bytes, sum] = words;
        // What is exported no more has no token.
        if magic != MAGIC || sum != checksum(&words) || token == NONE {
            return None;
        }
        let [export, descriptor] =
            [numbers & u64::from(u32::MAX), numbers >> u32::BITS].map(|half| u32::try_from(half).unwrap_or(u32::MAX));
        let shared = match kind.checked_sub(1) {
            None => Shared::Event { device: export },
            Some(device) => Shared::Memory { device: u32::try_from(device).ok()?, export, offset, bytes },
        };
        Some(Self { peer: Peer::from_word(peer)?, descriptor, token, shared })
    }
}

/// A sum of all bytes but the sum's own. Each step can be undone, so that a change of one byte is always found.
fn checksum(words: &[u64; WORDS]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = words[..WORDS - 1].iter().flat_map(|word| word.to_le_bytes());
    bytes.fold(OFFSET, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// The token of no export, and the word of no process.
pub(super) const NONE: u64 = 0;

/// A number that nobody else has: chance decides it. Odd, and so never [`NONE`].
pub(super) fn token() -> u64 {
    RandomState::new().build_hasher().finish() | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> [Contents; 2] {
        let peer = Peer::from_word((77 << 22) + 4711).unwrap();
        let memory = Shared::Memory { device: 1, export: 9, offset: 1 << 40, bytes: 1 << 33 };
        [Shared::Event { device: 1 }, memory].map(|shared| Contents { peer, descriptor: 5, token: token(), shared })
    }

    #[test]
    fn a_handle_says_what_it_was_made_of() {
        for contents in contents() {
            assert_eq!(Contents::of(&contents.into()), Some(contents));
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        for contents in contents() {
            let handle = IpcHandle::from(contents);
            for bit in 0..BYTES * 8 {
                let mut torn = handle;
                torn.0[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Contents::of(&torn), None, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_handle_of_parts_is_none() {
        let [first, second] = contents().map(IpcHandle::from);
        for length in 1..BYTES {
            for rest in [[0; BYTES], [0xff; BYTES], second.0] {
                let mut torn = first;
                torn.0[length..].copy_from_slice(&rest[length..]);
                assert!(Contents::of(&torn).is_none() || torn.0 == first.0 || torn.0 == second.0, "{length} bytes");
            }
        }
        for byte in [0, 0xff] {
            assert_eq!(Contents::of(&IpcHandle([byte; BYTES])), None);
        }
    }

    /// Though its sum is right.
    #[test]
    fn a_handle_of_nothing_is_none() {
        for contents in contents() {
            assert_eq!(Contents::of(&Contents { token: NONE, ..contents }.into()), None);
        }
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(token(), token());
    }
}
