//! Memory of a device as a file in memory: what is allocated can be exported at any time later, and other processes
//! map that part of the file.
//!
//! A range that was exported is another's when it was freed here and no process has it imported any more that is there.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use super::device;
use super::exports::{Exported, Exports, HEADER, Membership};
use super::memory_file::{Mapping, MemoryFile};
use super::os::{self, PAGE};
use super::peer::Peer;
use super::ranges::Ranges;
use super::sync::{Mutex, global};

const NAME: &CStr = c"softcuda-device";
/// More than there is of memory, because ranges begin and end at certain places, and freed ones may be in use elsewhere.
const BYTES: usize = HEADER + 2 * device::MEMORY;
/// What ranges begin at a multiple of, up to a page: as device memory does on hardware.
const SMALLEST: usize = 512;
/// How much freed memory is kept for the next. When there is more, all of it goes back to the system.
const MOST_KEPT: usize = 64 << 20;

/// The file of a device.
#[derive(Debug)]
struct DeviceFile {
    file: MemoryFile,
    exports: Exports,
    memory: Mapping,
    free: Ranges,
    /// Bytes that were freed since free ranges last went back to the system.
    kept: usize,
    /// Numbers and tokens of exports by the offsets of their ranges.
    exported: BTreeMap<usize, (u32, u64)>,
    /// Freed here, and in use elsewhere when somebody looked.
    lingering: Vec<Lingering>,
}

/// A range that was exported, by the token of the export.
#[derive(Debug)]
struct Lingering {
    token: u64,
    offset: usize,
    bytes: usize,
}

impl DeviceFile {
    fn new() -> Option<Self> {
        let file = MemoryFile::new(NAME, BYTES).ok()?;
        Some(Self {
            exports: Exports::of(&file)?,
            memory: file.map(HEADER, BYTES - HEADER).ok()?,
            file,
            free: Ranges::new(HEADER, BYTES - HEADER),
            kept: 0,
            exported: BTreeMap::new(),
            lingering: Vec::new(),
        })
    }

    fn take(&mut self, bytes: usize, align: usize) -> Option<usize> {
        self.settle();
        self.free.take(bytes, align)
    }

    fn give_back(&mut self, offset: usize, bytes: usize) {
        if let Some((export, token)) = self.exported.remove(&offset) {
            self.exports.end(export);
            self.lingering.push(Lingering { token, offset, bytes });
            self.settle();
        } else {
            self.give_back_unused(offset, bytes);
        }
    }

    /// Gives back what nobody uses any more.
    fn settle(&mut self) {
        if self.lingering.is_empty() {
            return;
        }
        let in_use = self.exports.in_use();
        let (used, unused) = std::mem::take(&mut self.lingering).into_iter().partition(|range| in_use.contains(&range.token));
        self.lingering = used;
        let unused: Vec<Lingering> = unused;
        for Lingering { offset, bytes, .. } in unused {
            self.give_back_unused(offset, bytes);
        }
    }

    fn give_back_unused(&mut self, offset: usize, bytes: usize) {
        self.free.give_back(offset, bytes);
        self.kept += bytes;
        if self.kept > MOST_KEPT {
            self.kept = 0;
            for (start, bytes) in self.free.iter() {
                // Whole pages: others have the rest of the first and the last.
                let (first, end) = (start.next_multiple_of(PAGE), (start + bytes) / PAGE * PAGE);
                if first < end {
                    self.file.punch(first, end - first);
                }
            }
        }
    }

    /// The number and the token of the export of a range, which is a new one the first time; none if there are too many.
    fn export(&mut self, offset: usize, bytes: usize) -> Option<(u32, u64)> {
        if let Some(known) = self.exported.get(&offset) {
            return Some(*known);
        }
        let new = self.exports.add(offset, bytes)?;
        self.exported.insert(offset, new);
        Some(new)
    }
}

/// The file of a device, or why there is none.
#[derive(Debug)]
enum Place {
    NotAsked,
    /// The system has none.
    Refused,
    There(DeviceFile),
}

global! {
    static FILES: Mutex<[Place; device::COUNT]> = Mutex::new([const { Place::NotAsked }; device::COUNT]);
}

/// Uses the file of a device. No other lock is taken meanwhile.
fn with<T>(device: usize, run: impl FnOnce(&mut DeviceFile) -> Option<T>) -> Option<T> {
    if !os::AVAILABLE {
        return None;
    }
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let place = &mut files[device];
    if matches!(place, Place::NotAsked) {
        *place = DeviceFile::new().map_or(Place::Refused, Place::There);
    }
    match place {
        Place::There(file) => run(file),
        Place::NotAsked | Place::Refused => None,
    }
}

/// A range of the file of a device that nobody else has, until this is dropped.
#[derive(Debug)]
pub(super) struct DeviceRange {
    device: usize,
    offset: usize,
    /// As long as that to its user, and in the file.
    length: usize,
    bytes: usize,
    start: NonNull<u8>,
    is_exported: AtomicBool,
}

impl DeviceRange {
    /// None of no bytes, and none if there is no file, or no room in it.
    pub(super) fn new(device: usize, length: usize) -> Option<Self> {
        if length == 0 {
            return None;
        }
        let align = if length < PAGE { SMALLEST } else { PAGE };
        let bytes = length.checked_next_multiple_of(align)?;
        with(device, |file| {
            let offset = file.take(bytes, align)?;
            let start = file.memory.start().as_ptr().wrapping_add(offset - HEADER);
            Some(Self { device, offset, length, bytes, start: NonNull::new(start)?, is_exported: AtomicBool::new(false) })
        })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Whether other processes may have it.
    pub(super) fn is_exported(&self) -> bool {
        self.is_exported.load(Ordering::Relaxed)
    }

    /// Lets other processes import it; the same each time.
    pub(super) fn export(&self) -> Option<Exported> {
        self.is_exported.store(true, Ordering::Relaxed);
        with(self.device, |file| {
            let (export, token) = file.export(self.offset, self.length)?;
            let (offset, bytes) = (self.offset as u64, self.length as u64);
            Some(Exported { descriptor: file.file.descriptor(), export, token, offset, bytes })
        })
    }
}

impl Drop for DeviceRange {
    fn drop(&mut self) {
        with(self.device, |file| {
            file.give_back(self.offset, self.bytes);
            Some(())
        });
    }
}

/// Memory that another process has exported, mapped here until this is dropped.
#[derive(Debug)]
pub(super) struct Import {
    membership: Membership,
    _memory: Mapping,
    start: NonNull<u8>,
    bytes: usize,
}

impl Import {
    /// None if the export is over, or its process gone, or if this is not what was exported.
    pub(super) fn new(peer: Peer, exported: &Exported) -> Option<Self> {
        let is_place = |offset: &usize| *offset >= HEADER && offset.is_multiple_of(SMALLEST);
        let offset = usize::try_from(exported.offset).ok().filter(is_place)?;
        let bytes = usize::try_from(exported.bytes).ok().filter(|bytes| *bytes > 0)?;
        let end = offset.checked_add(bytes).filter(|end| *end <= BYTES)?;
        let file = MemoryFile::of(peer, exported.descriptor, NAME, BYTES)?;
        let membership = Membership::new(Exports::of(&file)?, Peer::own()?, exported)?;
        let page = offset - offset % PAGE;
        let memory = file.map(page, end - page).ok()?;
        let start = NonNull::new(memory.start().as_ptr().wrapping_add(offset - page))?;
        Some(Self { membership, _memory: memory, start, bytes })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What tells the export from all others.
    pub(super) fn token(&self) -> u64 {
        self.membership.token()
    }
}
