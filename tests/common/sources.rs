//! The crate's sources, read for the names of its public functions.

macro_rules! sources {
    ($($file:literal)*) => {
        /// Each file of `src/` and its text.
        const SOURCES: &[(&str, &str)] = &[$(($file, include_str!(concat!("../../src/", $file)))),*];
    };
}

sources! {
    "lib.rs" "context.rs" "context/current.rs" "context/foreign.rs" "context/primary.rs" "context/record.rs"
    "context/relaxed.rs" "current.rs" "current/scope.rs" "device.rs" "device/attribute.rs" "device/primary.rs"
    "device/properties.rs" "device/uuid.rs" "driver.rs" "driver/loader.rs" "driver/refusal.rs" "driver/table.rs" "error.rs"
    "error/code.rs" "error/ipc.rs" "error/names.rs" "event.rs" "event/captures.rs" "event/construct.rs" "event/elapsed.rs"
    "event/flags.rs" "event/foreign.rs" "event/idle.rs" "event/inner.rs" "event/inner/binding.rs" "event/interprocess.rs" "event/mode.rs" "event/options.rs" "event/pool.rs" "event/pool/depot.rs" "event/pool/kind.rs" "event/pool/magazine.rs"
    "event/properties.rs" "event/raw.rs" "event/refused.rs" "event/shares.rs" "event/status.rs" "event/supply.rs" "event/view.rs" "event/word.rs"
    "exceptions.rs" "exit.rs" "external.rs" "external/owner.rs" "fork.rs" "graph.rs" "graph/capture.rs" "graph/event_scope.rs"
    "graph/events.rs" "graph/exec.rs" "graph/mode.rs" "graph/raw.rs" "graph/relaxed.rs" "graph/scope.rs" "graph/work.rs" "guard.rs" "handle.rs"
    "handle/capturing.rs" "handle/lent.rs" "host_fn.rs" "host_fn/launch.rs" "host_fn/outcome.rs" "host_fn/running.rs" "host_fn/tickets.rs"
    "host_fn/watching.rs" "interop.rs" "interop/ipc_slice.rs" "ipc.rs" "ipc/event.rs" "ipc/export.rs" "ipc/handle.rs"
    "ipc/memory.rs" "owners.rs" "poll.rs" "reaper.rs" "sharing.rs" "stream.rs" "stream/inner.rs" "stream/loans.rs" "stream/operations.rs"
    "stream/options.rs" "stream/pool.rs" "stream/pool/slots.rs" "stream/properties.rs" "stream/raw.rs" "stream/view.rs" "sync.rs"
    "user_object.rs"
}

/// The modules that the sources declare, as files; but for their tests.
pub(crate) fn declared_files() -> Vec<String> {
    let mut files = vec!["lib.rs".to_owned()];
    for (file, text) in SOURCES {
        let folder = if *file == "lib.rs" { String::new() } else { format!("{}/", file.trim_end_matches(".rs")) };
        let modules = text.lines().filter_map(|line| line.trim_start_matches("pub(crate) ").strip_prefix("mod ")?.strip_suffix(';'));
        files.extend(modules.filter(|module| *module != "tests").map(|module| format!("{folder}{module}.rs")));
    }
    files.sort();
    files
}

/// The files in the list.
pub(crate) fn listed_files() -> Vec<String> {
    let mut files: Vec<String> = SOURCES.iter().map(|(file, _)| (*file).to_owned()).collect();
    files.sort();
    files
}

/// Every public function, as `Type::function` or `function`. The lint `unreachable_pub` sees to it
/// that `pub` means public.
pub(crate) fn public_functions() -> Vec<String> {
    let (operations, others): (Vec<_>, Vec<_>) = SOURCES.iter().partition(|(file, _)| *file == OPERATIONS);
    let operations: Vec<String> = operations.into_iter().flat_map(|(_, text)| functions_of(text)).collect();
    let of_macro = |text: &str| -> Vec<String> {
        let types = text.lines().filter_map(|line| line.strip_prefix("stream_operations!(")?.split_once("] "));
        types.flat_map(|(_, owner)| operations.iter().map(move |function| format!("{}::{function}", identifier(owner)))).collect()
    };
    others
        .into_iter()
        .flat_map(|(_, text)| functions_of(text).into_iter().flat_map(|name| of_handles(text, &name)).chain(of_macro(text)))
        .collect()
}

/// A function of the macro that makes handles is one of each type that it makes.
fn of_handles(text: &str, function: &str) -> Vec<String> {
    match function.strip_prefix(OF_MACRO) {
        Some(rest) => text
            .lines()
            .filter_map(|line| line.strip_suffix(';')?.trim().split_once(" of "))
            .map(|(owner, _)| format!("{owner}{rest}"))
            .collect(),
        None => vec![function.to_owned()],
    }
}

/// The file with the macro that gives a type the operations of a stream.
const OPERATIONS: &str = "stream/operations.rs";

/// What the macro that makes handles calls each type.
const OF_MACRO: &str = "$name";

fn functions_of(text: &str) -> Vec<String> {
    let mut functions = Vec::new();
    let (mut owner, mut in_trait) = (String::new(), false);
    for line in text.lines() {
        let item = line.trim_start();
        if line.starts_with('}') {
            (owner, in_trait) = (String::new(), false);
        } else if let Some(declaration) = item.strip_prefix("impl") {
            (owner, in_trait) = (inherent_owner(declaration), false);
        } else if let Some(declaration) = item.strip_prefix("pub trait ") {
            (owner, in_trait) = (identifier(declaration), true);
        } else if let Some(function) = public_function(item, in_trait) {
            functions.push(if owner.is_empty() { function } else { format!("{owner}::{function}") });
        }
    }
    functions
}

/// `Event` of `impl<M: Mode> Event<M> {`; nothing for the implementation of a trait.
fn inherent_owner(declaration: &str) -> String {
    let header = declaration.split('{').next().unwrap_or_default();
    if header.contains(" for ") {
        return String::new();
    }
    let after_generics = header.strip_prefix('<').map_or(header, |generics| generics.split_once("> ").map_or("", |(_, rest)| rest));
    let owner = after_generics.trim_start();
    if owner.starts_with(OF_MACRO) { OF_MACRO.to_owned() } else { identifier(owner) }
}

fn public_function(item: &str, in_trait: bool) -> Option<String> {
    let rest = if in_trait { Some(item) } else { item.strip_prefix("pub ") }?;
    let rest = rest.trim_start_matches("const ").trim_start_matches("unsafe ").strip_prefix("fn ")?;
    Some(identifier(rest))
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
