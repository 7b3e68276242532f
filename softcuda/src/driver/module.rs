//! `cuModule*`: PTX text, and the kernels in it that have a twin.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::Arc;

use super::abi::Out;
use super::codes::{self, Outcome};
use super::handle::{Handle, Kind, RawHandle};
use super::kernel::{self, Registration};
use super::objects::{KernelFunction, Module};
use super::ptx::{self, Entry};
use super::raw::Topic;
use super::report;
use super::state::lock;

/// The first bytes of machine code in its two containers.
const CUBIN: &[u8] = b"\x7fELF";
const FATBIN: &[u8] = b"\x50\xed\x55\xba";

pub(super) fn load(out: Out<RawHandle>, image: &CStr) -> Outcome {
    let mut state = lock();
    let context = state.current()?;
    // It ends captures and is done nevertheless. A real driver was seen to end them in one process and not in another,
    // which had loaded more before: as if it were up to the memory that it has at hand.
    let _ = state.check_unsafe_call();
    drop(state);
    if image.to_bytes().starts_with(CUBIN) || image.to_bytes().starts_with(FATBIN) {
        report::add(Topic::Unsupported, "machine code cannot run here, only PTX whose kernels have twins");
        return Err(codes::NOT_SUPPORTED);
    }
    let entries = ptx::parse(&image.to_string_lossy()).map_err(|refusal| {
        report::add(Topic::Unsupported, refusal.why);
        refusal.code
    })?;
    let mut state = lock();
    let serial = state.serial();
    let entries = entries.into_iter().map(Arc::new).collect();
    state.modules.insert(serial, Module { context, entries, functions: BTreeMap::new() });
    out.set(Handle::new(Kind::Module, serial).raw());
    Ok(())
}

pub(super) fn unload(handle: Handle) -> Outcome {
    let mut state = lock();
    let serial = handle.serial(Kind::Module).filter(|serial| state.modules.contains_key(serial));
    let serial = serial.ok_or_else(|| state.refuse(handle, Kind::Module))?;
    state.check()?;
    state.check_unsafe_call()?;
    state.modules.remove(&serial);
    state.functions.retain(|_, function| function.module != serial);
    Ok(())
}

pub(super) fn function(out: Out<RawHandle>, handle: Handle, name: &CStr) -> Outcome {
    if name.is_empty() {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    let serial = handle.serial(Kind::Module);
    let found = serial.and_then(|serial| Some((serial, state.modules.get(&serial)?)));
    let (module, Module { context, entries, functions }) = found.ok_or_else(|| state.refuse(handle, Kind::Module))?;
    let context = *context;
    state.check()?;
    let index = entries.iter().position(|entry| entry.name.as_bytes() == name.to_bytes()).ok_or(codes::NOT_FOUND)?;
    let serial = if let Some(known) = functions.get(&index) {
        *known
    } else {
        let entry = Arc::clone(&entries[index]);
        let twin = twin_of(&entry).map_err(|why| {
            report::add(Topic::Unsupported, why);
            codes::NOT_SUPPORTED
        })?;
        let serial = state.serial();
        state.functions.insert(serial, KernelFunction { module, context, twin, entry });
        if let Some(module) = state.modules.get_mut(&module) {
            module.functions.insert(index, serial);
        }
        serial
    };
    out.set(Handle::new(Kind::Function, serial).raw());
    Ok(())
}

/// The twin of an entry, or why none can stand for it.
fn twin_of(entry: &Entry) -> Result<Registration, String> {
    let name = &entry.name;
    let twin = kernel::find(name).ok_or_else(|| format!("kernel `{name}` has no twin: register one under this name"))?;
    let declared: Vec<_> = entry.params.iter().collect();
    if declared.len() != twin.params.len() {
        return Err(format!("kernel `{name}` has {} parameters in PTX, its twin {}", declared.len(), twin.params.len()));
    }
    for (index, (declared, twin)) in declared.into_iter().zip(&twin.params).enumerate() {
        match declared {
            Ok(kind) if ptx::fits(*kind, *twin) => {}
            Ok(kind) => {
                return Err(format!("parameter {index} of kernel `{name}` is {kind:?} in PTX, {twin:?} in its twin"));
            }
            Err(text) => {
                return Err(format!("parameter {index} of kernel `{name}` is `{text}`; only numbers and pointers work"));
            }
        }
    }
    Ok(twin)
}
