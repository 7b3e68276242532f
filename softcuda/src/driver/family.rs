//! Green contexts: parts of a primary context, with streams of their own and its memory, events and modules.

use super::handle::{Handle, Kind};
use super::objects::{Activity, Role, Serial};
use super::state::State;

impl State {
    /// A green context of a primary one.
    pub(super) fn add_green_context(&mut self, primary: Serial) -> Serial {
        let handle = Handle::new(Kind::GreenContext, self.last_context + 1);
        let green = self.add_context(handle, self.contexts[&primary].device, self.contexts[&primary].flags);
        if let Some(context) = self.contexts.get_mut(&green) {
            context.green_of = Some(primary);
            context.is_named = false;
        }
        self.order.becomes_green(green, primary);
        green
    }

    /// Whether a context is another, or a green one of it.
    pub(super) fn is_part(&self, context: Serial, whole: Serial) -> bool {
        context == whole || self.owner(context) == whole
    }

    /// The handle of a context, for a caller: that of a green one is a context's from now on.
    pub(super) fn name_context(&mut self, context: Serial) -> Handle {
        self.contexts.get_mut(&context).map_or(Handle::NULL, |context| {
            context.is_named = true;
            context.handle
        })
    }

    /// Takes a green context away. Its streams stay for the work that they have: nothing can be enqueued on them any more,
    /// and those that were created are to be destroyed. Captures that began on them are over: nobody can end them.
    pub(super) fn remove_green_context(&mut self, green: Serial) {
        self.abandon_captures_in(green);
        let primary = self.owner(green);
        for stream in self.streams.values_mut().filter(|stream| stream.context == green) {
            stream.detached = true;
            stream.destroyed |= !matches!(stream.role, Role::Created { .. });
            // The legacy stream of the primary context is nothing to it.
            stream.role = Role::Created { non_blocking: true };
            stream.context = primary;
        }
        self.streams.retain(|_, stream| !stream.detached || !stream.destroyed || !stream.is_idle() || stream.activity != Activity::Free);
        self.order.end_green_context(green);
        let busy = self.contexts.remove(&green).map(|green| green.busy);
        if let Some(primary) = self.contexts.get_mut(&primary) {
            primary.busy.extend(busy.into_iter().flatten());
        }
    }

    /// Green contexts outlive the end of their primary context, without what was its own.
    pub(super) fn keep_green_contexts(&mut self, primary: Serial) {
        for green in self.contexts.values_mut().filter(|context| context.green_of == Some(primary)) {
            green.green_of = None;
        }
    }
}
