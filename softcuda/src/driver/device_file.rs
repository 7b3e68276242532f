//! Memory of a device as a file in memory: what is allocated can be exported at any time later, and other processes
//! map that part of the file.
//!
//! A range that was exported is another's when it was freed here and nobody has imported it any more. A process that
//! is killed gives nothing back, and neither do others what they had from it: the memory stays as long as the exporter.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::device;
use super::ipc_handle;
use super::memory_file::{Mapping, MemoryFile};
use super::os::{self, PAGE};
use super::peer::Peer;
use super::ranges::Ranges;
use super::sync::{Mutex, global};

const NAME: &CStr = c"softcuda-device";
/// Room for exports at the begin of the file.
const EXPORTS: usize = 1 << 12;
const HEADER: usize = EXPORTS * size_of::<Export>();
/// More than there is of memory, because ranges begin and end at certain places, and freed ones may be in use elsewhere.
const BYTES: usize = HEADER + 2 * device::MEMORY;
/// What ranges begin at a multiple of, up to a page: as device memory does on hardware.
const SMALLEST: usize = 512;
/// How much freed memory is kept for the next, about. What is beyond and as long as that goes back to the system.
const MOST_KEPT: usize = 64 << 20;
const WORTH_GIVING_BACK: usize = 1 << 20;

/// An export as other processes see it: zero at first.
#[derive(Debug)]
#[repr(C)]
struct Export {
    /// What a handle of it says. Something else when it is over.
    token: AtomicU64,
    /// How many imports of it there are, as far as processes have said.
    importers: AtomicU64,
}

/// The exports of a file that is mapped.
#[derive(Debug)]
struct Header(Mapping);

impl Header {
    fn of(file: &MemoryFile) -> Option<Self> {
        file.map(0, HEADER).ok().map(Self)
    }

    fn exports(&self) -> &[Export; EXPORTS] {
        // SAFETY: mapped as long as this is there, at a page, and so long. Exports are made of atomics: any bytes are
        // some, and every process changes them by atomic operations.
        unsafe { self.0.start().cast().as_ref() }
    }
}

/// The file of a device.
#[derive(Debug)]
struct DeviceFile {
    file: MemoryFile,
    header: Header,
    memory: Mapping,
    free: Ranges,
    /// Bytes of free ranges that have memory behind them, about.
    kept: usize,
    /// Exports by the offsets of their ranges.
    exported: BTreeMap<usize, u32>,
    /// Freed here, and in use elsewhere when somebody looked.
    lingering: Vec<(u32, usize, usize)>,
}

impl DeviceFile {
    fn new() -> Option<Self> {
        let file = MemoryFile::new(NAME, BYTES).ok()?;
        Some(Self {
            header: Header::of(&file)?,
            memory: file.map(HEADER, BYTES - HEADER).ok()?,
            file,
            free: Ranges::new(HEADER, BYTES - HEADER),
            kept: 0,
            exported: BTreeMap::new(),
            lingering: Vec::new(),
        })
    }

    fn take(&mut self, bytes: usize, align: usize) -> Option<usize> {
        for (export, offset, bytes) in std::mem::take(&mut self.lingering) {
            self.give_back_exported(export, offset, bytes);
        }
        self.kept = self.kept.saturating_sub(bytes);
        self.free.take(bytes, align)
    }

    fn give_back(&mut self, offset: usize, bytes: usize) {
        if let Some(export) = self.exported.remove(&offset) {
            // Whoever counts himself in from now on finds that it is over.
            self.header.exports()[export as usize].token.store(OVER, Ordering::SeqCst);
            self.give_back_exported(export, offset, bytes);
        } else {
            self.give_back_unused(offset, bytes);
        }
    }

    fn give_back_exported(&mut self, export: u32, offset: usize, bytes: usize) {
        let Export { token, importers } = &self.header.exports()[export as usize];
        if importers.load(Ordering::SeqCst) > 0 {
            self.lingering.push((export, offset, bytes));
        } else {
            token.store(UNUSED, Ordering::SeqCst);
            self.give_back_unused(offset, bytes);
        }
    }

    fn give_back_unused(&mut self, offset: usize, bytes: usize) {
        if bytes >= WORTH_GIVING_BACK && self.kept + bytes > MOST_KEPT {
            self.file.punch(offset, bytes);
        } else {
            self.kept += bytes;
        }
        self.free.give_back(offset, bytes);
    }

    /// The number of the export of a range, which is a new one the first time; none if there are too many.
    fn export(&mut self, offset: usize) -> Option<u32> {
        if let Some(export) = self.exported.get(&offset) {
            return Some(*export);
        }
        let exports = self.header.exports();
        let free = exports.iter().position(|export| export.token.load(Ordering::SeqCst) == UNUSED)?;
        exports[free].token.store(ipc_handle::token(), Ordering::SeqCst);
        let export = u32::try_from(free).ok()?;
        self.exported.insert(offset, export);
        Some(export)
    }
}

/// Tokens of no export: of one that is free, and of one that is over. Both are even, which no other is.
const UNUSED: u64 = 0;
const OVER: u64 = 2;

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
    bytes: usize,
    start: NonNull<u8>,
}

impl DeviceRange {
    /// As long as that at least; none of no bytes, and none if there is no file, or no room in it.
    pub(super) fn new(device: usize, bytes: usize) -> Option<Self> {
        if bytes == 0 {
            return None;
        }
        let align = if bytes < PAGE { SMALLEST } else { PAGE };
        let bytes = bytes.checked_next_multiple_of(align)?;
        with(device, |file| {
            let offset = file.take(bytes, align)?;
            let start = file.memory.start().as_ptr().wrapping_add(offset - HEADER);
            Some(Self { device, offset, bytes, start: NonNull::new(start)? })
        })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Lets other processes import it; the same each time.
    pub(super) fn export(&self) -> Option<Exported> {
        with(self.device, |file| {
            let export = file.export(self.offset)?;
            let token = file.header.exports()[export as usize].token.load(Ordering::SeqCst);
            Some(Exported { descriptor: file.file.descriptor(), export, token, offset: self.offset as u64 })
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

/// What other processes need to know of an export.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exported {
    pub(super) descriptor: u32,
    pub(super) export: u32,
    pub(super) token: u64,
    pub(super) offset: u64,
}

/// Memory that another process has exported, mapped here until this is dropped.
#[derive(Debug)]
pub(super) struct Import {
    membership: Membership,
    _memory: Mapping,
    start: NonNull<u8>,
}

impl Import {
    /// `bytes` of an export; none if it is over, or its process is gone.
    pub(super) fn new(peer: Peer, exported: Exported, bytes: usize) -> Option<Self> {
        let offset = usize::try_from(exported.offset).ok().filter(|offset| *offset >= HEADER)?;
        let end = offset.checked_add(bytes).filter(|end| *end <= BYTES && bytes > 0)?;
        let file = MemoryFile::of(peer, exported.descriptor, NAME, BYTES)?;
        let membership = Membership::new(Header::of(&file)?, exported)?;
        let page = offset - offset % PAGE;
        let memory = file.map(page, end - page).ok()?;
        let start = NonNull::new(memory.start().as_ptr().wrapping_add(offset - page))?;
        Some(Self { membership, _memory: memory, start })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// What tells the export from all others.
    pub(super) fn token(&self) -> u64 {
        self.membership.token
    }
}

/// One of those who have imported an export.
#[derive(Debug)]
struct Membership {
    header: Header,
    export: usize,
    token: u64,
}

impl Membership {
    fn new(header: Header, Exported { export, token, .. }: Exported) -> Option<Self> {
        let export = export as usize;
        header.exports().get(export)?.importers.fetch_add(1, Ordering::SeqCst);
        let membership = Self { header, export, token };
        // Asked when this one counts: either it is over here, or not given away there.
        let is_on = membership.header.exports()[export].token.load(Ordering::SeqCst) == token;
        is_on.then_some(membership)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.header.exports()[self.export].importers.fetch_sub(1, Ordering::SeqCst);
    }
}
