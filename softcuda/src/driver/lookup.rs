//! How a caller's handle becomes an object, or an error that says why there is none.

use super::codes::{self, Code, Outcome};
use super::handle::{Handle, Kind};
use super::objects::{Event, KernelFunction, Serial};
use super::raw::Topic;
use super::state::State;
use super::{report, thread};

impl State {
    /// The context of `handle`, which may be null for the current one.
    pub(super) fn context_or_current(&self, handle: Handle) -> Outcome<Serial> {
        if handle == Handle::NULL { self.current_even_faulted() } else { self.named_context(handle) }
    }

    /// The context of a caller's handle.
    pub(super) fn named_context(&self, handle: Handle) -> Outcome<Serial> {
        self.context_at(handle).ok_or_else(|| {
            let is_live_green = handle.serial(Kind::GreenContext).is_some_and(|green| self.contexts.contains_key(&green));
            if matches!(handle.kind(), Some(Kind::Context | Kind::GreenContext)) && !is_live_green {
                report::add(Topic::Handle, format_args!("context {handle:?} was destroyed"));
                codes::CONTEXT_IS_DESTROYED
            } else {
                report::add(Topic::Handle, format_args!("{handle:?} is not the handle of any context"));
                codes::INVALID_CONTEXT
            }
        })
    }

    /// The context whose memory and events the calling thread uses, if there was no fault: the current one, or
    /// where that is green its primary context.
    pub(super) fn current(&self) -> Outcome<Serial> {
        Ok(self.owner(self.current_place()?))
    }

    /// The calling thread's current context, if there was no fault: what new streams belong to.
    pub(super) fn current_place(&self) -> Outcome<Serial> {
        let context = self.current_even_faulted()?;
        self.check()?;
        Ok(context)
    }

    /// The calling thread's current context, also after a fault.
    pub(super) fn current_even_faulted(&self) -> Outcome<Serial> {
        thread::may_use_contexts()?;
        match thread::current() {
            Handle::NULL => Err(codes::INVALID_CONTEXT),
            handle => self.context_at(handle).ok_or(codes::CONTEXT_IS_DESTROYED),
        }
    }

    /// The stream of a caller's handle; 0, 1 and 2 are those of the current context.
    pub(super) fn stream(&mut self, handle: Handle) -> Outcome<Serial> {
        match handle {
            Handle::NULL | Handle::LEGACY_STREAM => {
                let context = self.current_place()?;
                Ok(self.contexts[&context].legacy)
            }
            Handle::PER_THREAD_STREAM => {
                let context = self.current_place()?;
                // Seen on a real driver: a green context has none.
                if self.contexts[&context].handle.kind() == Some(Kind::GreenContext) {
                    return Err(codes::INVALID_HANDLE);
                }
                Ok(self.per_thread_stream(context))
            }
            _ => self.created_stream(handle),
        }
    }

    /// The created stream of a caller's handle, if its context is there.
    pub(super) fn created_stream(&self, handle: Handle) -> Outcome<Serial> {
        let serial = self.stream_to_destroy(handle)?;
        if self.streams[&serial].detached { Err(codes::CONTEXT_IS_DESTROYED) } else { Ok(serial) }
    }

    /// The created stream of a caller's handle, also after its green context.
    pub(super) fn stream_to_destroy(&self, handle: Handle) -> Outcome<Serial> {
        let found = handle.serial(Kind::Stream).and_then(|serial| Some((serial, self.streams.get(&serial)?)));
        match found {
            Some((serial, stream)) if !stream.destroyed => self.check().map(|()| serial),
            _ => Err(self.refuse(handle, Kind::Stream)),
        }
    }

    /// The green context of a caller's handle.
    pub(super) fn green_context(&self, handle: Handle) -> Outcome<Serial> {
        let serial = handle.serial(Kind::GreenContext);
        let found = serial.filter(|serial| self.contexts.get(serial).is_some_and(|context| !context.ends));
        found.ok_or_else(|| match self.refuse(handle, Kind::GreenContext) {
            codes::INVALID_HANDLE if serial.is_some() => codes::CONTEXT_IS_DESTROYED,
            _ => codes::INVALID_CONTEXT,
        })
    }

    /// The event of a caller's handle.
    pub(super) fn event(&self, handle: Handle) -> Outcome<(Serial, &Event)> {
        let found = handle.serial(Kind::Event).and_then(|serial| Some((serial, self.events.get(&serial)?)));
        let (serial, event) = found.ok_or_else(|| self.refuse(handle, Kind::Event))?;
        self.check()?;
        Ok((serial, event))
    }

    /// The graph of a caller's handle.
    pub(super) fn graph(&self, handle: Handle) -> Outcome<Serial> {
        let serial = handle.serial(Kind::Graph).filter(|serial| self.graphs.all.contains_key(serial));
        serial.ok_or_else(|| self.refuse_value(handle, Kind::Graph))
    }

    /// The executable graph of a caller's handle.
    pub(super) fn executable(&self, handle: Handle) -> Outcome<Serial> {
        let serial = handle.serial(Kind::Executable).filter(|serial| self.graphs.executables.contains_key(serial));
        serial.ok_or_else(|| self.refuse_value(handle, Kind::Executable))
    }

    /// The user object of a caller's handle.
    pub(super) fn user_object(&self, handle: Handle) -> Outcome<Serial> {
        let serial = handle.serial(Kind::UserObject).filter(|serial| self.graphs.objects.contains_key(serial));
        serial.ok_or_else(|| self.refuse_value(handle, Kind::UserObject))
    }

    /// Why a handle of something of graphs is refused: as a value.
    fn refuse_value(&self, handle: Handle, kind: Kind) -> Code {
        if handle != Handle::NULL {
            self.refuse(handle, kind);
        }
        codes::INVALID_VALUE
    }

    /// The kernel of a caller's handle.
    pub(super) fn function(&self, handle: Handle) -> Outcome<&KernelFunction> {
        let serial = handle.serial(Kind::Function);
        serial.and_then(|serial| self.functions.get(&serial)).ok_or_else(|| self.refuse(handle, Kind::Function))
    }

    /// Reports the use of a handle that is not live; a real driver may crash here.
    #[cold]
    pub(super) fn refuse(&self, handle: Handle, kind: Kind) -> Code {
        if let Some(context) = self.orphans.context_of(handle).filter(|_| handle.kind() == Some(kind)) {
            report::add(Topic::Handle, format_args!("{kind} {handle:?} was destroyed with its context"));
            // Where another context has the handle by now, a real driver takes an event for one of
            // nowhere, and crashes on a stream.
            let recurred = kind == Kind::Event && self.context_at(context).is_some();
            return if recurred { codes::INVALID_CONTEXT } else { codes::CONTEXT_IS_DESTROYED };
        }
        match handle.kind() {
            Some(same) if same == kind => report::add(Topic::Handle, format_args!("{kind} {handle:?} was destroyed")),
            Some(other) => report::add(Topic::Handle, format_args!("{handle:?} is of kind {other}, not {kind}")),
            None => report::add(Topic::Handle, format_args!("{handle:?} is not the handle of any {kind}")),
        }
        codes::INVALID_HANDLE
    }
}
