//! What the file of a device says of its exports at its begin, for all processes that map it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use super::ipc_handle::{self, NONE};
use super::memory_file::{Mapping, MemoryFile};
use super::os::PAGE;
use super::peer::Peer;

/// Room for exports, and for imports of all of them.
const EXPORTS: usize = 1 << 12;
const IMPORTS: usize = 1 << 14;
/// How long all this is.
pub(super) const HEADER: usize = size_of::<Table>().next_multiple_of(PAGE);

/// Numbers that every process changes by atomic operations, zero at first.
#[derive(Debug)]
#[repr(C)]
struct Table {
    exports: [Export; EXPORTS],
    imports: [Place; IMPORTS],
}

/// An export, which its exporter writes.
#[derive(Debug)]
#[repr(C)]
struct Export {
    /// What a handle of it says, and nothing else ever.
    token: AtomicU64,
    offset: AtomicU64,
    bytes: AtomicU64,
}

/// An import, which its importer writes: whose it is, and of what. If the one is gone the other means nothing.
#[derive(Debug)]
#[repr(C)]
struct Place {
    peer: AtomicU64,
    token: AtomicU64,
}

/// What other processes need to know of an export.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exported {
    pub(super) descriptor: u32,
    pub(super) export: u32,
    pub(super) token: u64,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// The exports of a file, which is mapped so far.
#[derive(Debug)]
pub(super) struct Exports(Mapping);

impl Exports {
    pub(super) fn of(file: &MemoryFile) -> Option<Self> {
        file.map(0, HEADER).ok().map(Self)
    }

    fn table(&self) -> &Table {
        // SAFETY: mapped as long as this is there, at a page, and so long. A table is made of atomics: any bytes are
        // some, and every process changes them by atomic operations.
        unsafe { self.0.start().cast().as_ref() }
    }

    /// A new export, as its number and its token; none if there are too many.
    pub(super) fn add(&self, offset: usize, bytes: usize) -> Option<(u32, u64)> {
        let exports = &self.table().exports;
        let free = exports.iter().position(|export| export.token.load(Ordering::SeqCst) == NONE)?;
        let (number, token) = (u32::try_from(free).ok()?, ipc_handle::token());
        exports[free].offset.store(offset as u64, Ordering::SeqCst);
        exports[free].bytes.store(bytes as u64, Ordering::SeqCst);
        exports[free].token.store(token, Ordering::SeqCst);
        Some((number, token))
    }

    /// An export is over: whoever enters himself from now on finds that.
    pub(super) fn end(&self, export: u32) {
        self.table().exports[export as usize].token.store(NONE, Ordering::SeqCst);
    }

    /// The tokens of what is imported by processes that are there.
    pub(super) fn in_use(&self) -> BTreeSet<u64> {
        let mut known = BTreeMap::new();
        let tokens = self.table().imports.iter().filter_map(|place| {
            let token = place.token.load(Ordering::SeqCst);
            let is_used = token != NONE && !is_gone(&mut known, place.peer.load(Ordering::SeqCst));
            is_used.then_some(token)
        });
        tokens.collect()
    }

    /// Whether there is this export, whose token is looked at last: it is never another's.
    fn has(&self, exported: &Exported) -> bool {
        let Some(export) = self.table().exports.get(exported.export as usize) else { return false };
        let place = (export.offset.load(Ordering::SeqCst), export.bytes.load(Ordering::SeqCst));
        place == (exported.offset, exported.bytes) && export.token.load(Ordering::SeqCst) == exported.token
    }

    /// A place for an import of a process: a free one, or that of a process that is gone.
    fn enter(&self, own: Peer) -> Option<usize> {
        let take = |place: &Place, found| place.peer.compare_exchange(found, own.to_word(), Ordering::SeqCst, Ordering::SeqCst).is_ok();
        let imports = &self.table().imports;
        let free = imports.iter().position(|place| place.peer.load(Ordering::SeqCst) == NONE && take(place, NONE));
        let mut known = BTreeMap::new();
        free.or_else(|| {
            imports.iter().position(|place| {
                let found = place.peer.load(Ordering::SeqCst);
                is_gone(&mut known, found) && take(place, found)
            })
        })
    }
}

/// Whether the process of a place is gone, for which a file is read unless that is known.
fn is_gone(known: &mut BTreeMap<u64, bool>, peer: u64) -> bool {
    *known.entry(peer).or_insert_with(|| Peer::from_word(peer).is_none_or(Peer::is_gone))
}

/// An import as its exporter sees it, until this is dropped.
#[derive(Debug)]
pub(super) struct Membership {
    exports: Exports,
    place: usize,
    token: u64,
}

impl Membership {
    /// None if there is no such export, and if there is no room.
    pub(super) fn new(exports: Exports, own: Peer, exported: &Exported) -> Option<Self> {
        let place = exports.enter(own)?;
        let membership = Self { exports, place, token: exported.token };
        membership.place().token.store(exported.token, Ordering::SeqCst);
        // Asked when this one counts: either it is over here, or not given away there.
        membership.exports.has(exported).then_some(membership)
    }

    /// What tells the export from all others.
    pub(super) fn token(&self) -> u64 {
        self.token
    }

    fn place(&self) -> &Place {
        &self.exports.table().imports[self.place]
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.place().token.store(NONE, Ordering::SeqCst);
        self.place().peer.store(NONE, Ordering::SeqCst);
    }
}

#[cfg(test)]
#[cfg(not(any(miri, softcuda_shuttle)))]
mod tests {
    use super::*;

    /// The exports of a file of this process, as two map them.
    fn both() -> [Exports; 2] {
        let file = MemoryFile::new(c"softcuda-test", HEADER).unwrap();
        [(); 2].map(|()| Exports::of(&file).unwrap())
    }

    fn exported((export, token): (u32, u64)) -> Exported {
        Exported { descriptor: 0, export, token, offset: 8 * PAGE as u64, bytes: 100 }
    }

    #[test]
    fn an_export_is_what_its_exporter_says() {
        let [here, there] = both();
        let this = exported(here.add(8 * PAGE, 100).unwrap());
        assert!(there.has(&this));
        let others = [
            Exported { bytes: 200, ..this },
            Exported { offset: this.offset + 1, ..this },
            Exported { token: this.token ^ 2, ..this },
            Exported { export: this.export + 1, ..this },
            Exported { export: u32::MAX, ..this },
        ];
        assert_eq!(others.map(|other| there.has(&other)), [false; 5]);
        here.end(this.export);
        assert!(!there.has(&this));
    }

    #[test]
    fn an_import_counts_until_it_is_dropped_or_its_process_is_gone() {
        let own = Peer::own().unwrap();
        let gone = Peer::from_word((1 << 22) + 1).unwrap();
        let [here, there] = both();
        let this = exported(here.add(8 * PAGE, 100).unwrap());
        let mut left = Membership::new(there, gone, &this).unwrap();
        assert_eq!(here.in_use(), BTreeSet::new(), "its process is gone");
        left.place().peer.store(own.to_word(), Ordering::SeqCst);
        assert_eq!(here.in_use(), BTreeSet::from([this.token]));
        left.token = NONE;
        drop(left);
        assert_eq!(here.in_use(), BTreeSet::new());
    }

    #[test]
    fn places_of_processes_that_are_gone_are_used_again() {
        let [here, _there] = both();
        let (gone, own) = (Peer::from_word((1 << 22) + 1).unwrap(), Peer::own().unwrap());
        let fill = |peer: Peer| here.table().imports.iter().for_each(|place| place.peer.store(peer.to_word(), Ordering::SeqCst));
        fill(gone);
        for _ in 0..3 {
            assert!(here.enter(own).is_some());
        }
        fill(own);
        assert_eq!(here.enter(own), None);
    }
}
