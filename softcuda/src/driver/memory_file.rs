//! Files in memory that other processes map: by way of the system's table of who has which file open, so that
//! nothing has a name and nothing is left when all are gone.

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::ptr::NonNull;

use super::os;
use super::peer::Peer;

/// A file of a length that never changes.
#[derive(Debug)]
pub(super) struct MemoryFile(File);

impl MemoryFile {
    /// A new one, of zeros.
    pub(super) fn new(name: &CStr, bytes: usize) -> io::Result<Self> {
        if bytes as u64 > os::longest_file() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let file = os::memory_file(name)?;
        file.set_len(bytes as u64)?;
        os::fix_length(&file)?;
        Ok(Self(file))
    }

    /// The one that another process has open by this number, if that is one of this name and length.
    pub(super) fn of(peer: Peer, descriptor: u32, name: &CStr, bytes: usize) -> Option<Self> {
        /// Whatever it turns out to be, opening it waits for nobody.
        const NON_BLOCKING: i32 = 0o4000;
        let path = format!("/proc/{}/fd/{descriptor}", peer.number());
        // Before it is opened, which may do something to what is no file.
        let target = fs::read_link(&path).ok()?;
        if target.to_str()? != format!("/memfd:{} (deleted)", name.to_str().ok()?) {
            return None;
        }
        let file = OpenOptions::new().read(true).write(true).custom_flags(NON_BLOCKING).open(path).ok()?;
        let metadata = file.metadata().ok()?;
        // Asked last: the number was this process's all the time.
        let is_it = metadata.is_file() && metadata.len() == bytes as u64 && os::has_fixed_length(&file) && peer.is_there();
        is_it.then_some(Self(file))
    }

    /// By which number this process has it open.
    pub(super) fn descriptor(&self) -> u32 {
        // Open files have numbers from 0 on.
        self.0.as_raw_fd().cast_unsigned()
    }

    /// Maps `bytes` from a page at `offset`, which the file has.
    pub(super) fn map(&self, offset: usize, bytes: usize) -> io::Result<Mapping> {
        Ok(Mapping { start: os::map(&self.0, offset, bytes)?, bytes })
    }

    /// Gives whole pages back that nobody uses.
    pub(super) fn punch(&self, offset: usize, bytes: usize) {
        os::punch(&self.0, offset, bytes);
    }
}

/// Mapped memory, until this is dropped. Without the file it stays as well.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a plain address and a length. Who uses the memory, here and in other processes, does so by raw pointers or atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Where it begins: at a page.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `MemoryFile::map`, and whoever uses the memory keeps this.
        unsafe { os::unmap(self.start, self.bytes) };
    }
}

#[cfg(test)]
#[cfg(not(any(miri, softcuda_shuttle)))]
mod tests {
    use super::*;

    const NAME: &CStr = c"softcuda-test";

    fn write(mapping: &Mapping, value: u8) {
        // SAFETY: mapped, and this test's alone.
        unsafe { mapping.start().write(value) };
    }

    fn read(mapping: &Mapping) -> u8 {
        // SAFETY: as above.
        unsafe { mapping.start().read() }
    }

    #[test]
    fn a_file_is_found_by_its_number_and_shares_its_memory() {
        let file = MemoryFile::new(NAME, 3 * os::PAGE).unwrap();
        let mapping = file.map(os::PAGE, os::PAGE).unwrap();
        write(&mapping, 7);
        let found = MemoryFile::of(Peer::own().unwrap(), file.descriptor(), NAME, 3 * os::PAGE).unwrap();
        let other = found.map(os::PAGE, os::PAGE).unwrap();
        drop((file, found));
        assert_eq!(read(&other), 7);
        write(&other, 8);
        assert_eq!(read(&mapping), 8);
    }

    #[test]
    fn another_file_is_not_taken() {
        let own = Peer::own().unwrap();
        let file = MemoryFile::new(NAME, os::PAGE).unwrap();
        assert!(MemoryFile::of(own, file.descriptor(), NAME, 2 * os::PAGE).is_none());
        assert!(MemoryFile::of(own, file.descriptor(), c"softcuda-other", os::PAGE).is_none());
        assert!(MemoryFile::of(own, u32::MAX, NAME, os::PAGE).is_none());
        let unsealed = os::memory_file(NAME).unwrap();
        unsealed.set_len(os::PAGE as u64).unwrap();
        assert!(MemoryFile::of(own, unsealed.as_raw_fd().cast_unsigned(), NAME, os::PAGE).is_none());
    }

    #[test]
    fn what_is_punched_is_zero_again() {
        let file = MemoryFile::new(NAME, os::PAGE).unwrap();
        let mapping = file.map(0, os::PAGE).unwrap();
        write(&mapping, 7);
        file.punch(0, os::PAGE);
        assert_eq!(read(&mapping), 0);
    }
}
