//! Green contexts: parts of a primary context, with streams of their own and its memory, events and modules.

use super::objects::{Role, Serial};
use super::state::State;

impl State {
    /// A green context of a primary one.
    pub(super) fn add_green_context(&mut self, primary: Serial) -> Serial {
        let (handle, device, flags) = (self.free_context_handle(), self.contexts[&primary].device, self.contexts[&primary].flags);
        let green = self.add_context(handle, device, flags);
        if let Some(context) = self.contexts.get_mut(&green) {
            context.green_of = Some(primary);
        }
        self.order.becomes_green(green, primary);
        green
    }

    /// Whether a context is another, or a green one of it.
    pub(super) fn is_part(&self, context: Serial, whole: Serial) -> bool {
        context == whole || self.owner(context) == whole
    }

    /// The green contexts of a primary one.
    pub(super) fn green_contexts_of(&self, primary: Serial) -> Vec<Serial> {
        self.contexts.iter().filter(|(_, context)| context.green_of == Some(primary)).map(|(green, _)| *green).collect()
    }

    /// Takes a green context away. Its work must be done. Streams that were created in it stay, to be destroyed.
    pub(super) fn remove_green_context(&mut self, green: Serial) {
        let primary = self.owner(green);
        self.streams.retain(|_, stream| stream.context != green || (!stream.destroyed && matches!(stream.role, Role::Created { .. })));
        for stream in self.streams.values_mut().filter(|stream| stream.context == green) {
            stream.detached = true;
            stream.context = primary;
        }
        self.order.end_green_context(green);
        self.contexts.remove(&green);
    }
}
