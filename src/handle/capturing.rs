//! Whether a stream is being captured, and in which capture.

use std::ffi::c_uint;
use std::marker::PhantomData;
use std::ptr;

use super::{Home, RawStream, StreamRef};
use crate::context::{Context, Relaxed};
use crate::driver::{Answer, CUstream, Driver};
use crate::error::{Error, ErrorCode, Result};
use crate::guard;

/// Whether work that is enqueued on a stream goes into a graph instead of running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[doc(alias = "CUstreamCaptureStatus")]
pub enum CaptureStatus {
    /// It runs.
    None,
    /// It goes into a graph.
    Active,
    /// It is refused: a call that is not allowed has ended the capture, which is to be ended by whoever began it.
    Invalidated,
}

impl CaptureStatus {
    pub(crate) const fn from_driver(status: c_uint) -> Self {
        match status {
            0 => Self::None,
            1 => Self::Active,
            _ => Self::Invalidated,
        }
    }
}

/// The capture that a stream is a part of.
#[derive(Clone, Copy)]
pub(crate) struct Capture {
    /// The driver's number of it; `None` if it was invalidated.
    pub(crate) id: Option<u64>,
}

/// A view of a stream with its context, in two registers: what is passed on goes through memory else, also on the way
/// past where it is used.
#[derive(Clone, Copy)]
pub(crate) struct StreamIn<'a> {
    raw: RawStream,
    context: Context,
    _stream: PhantomData<&'a ()>,
}

impl<'a> StreamRef<'a> {
    /// With `context`, which is the stream's.
    #[inline]
    pub(crate) fn within(self, context: Context) -> StreamIn<'a> {
        StreamIn { raw: self.raw, context, _stream: PhantomData }
    }
}

impl<'a> StreamIn<'a> {
    pub(crate) fn context(self) -> Context {
        self.context
    }

    pub(crate) fn view(self) -> StreamRef<'a> {
        StreamRef { raw: self.raw, home: Home::Known(self.context), _stream: PhantomData }
    }

    /// Its handle, if that is its own: whatever context is current, the driver takes it for this stream.
    #[inline]
    pub(crate) fn own_handle(self) -> Option<CUstream> {
        (!StreamRef::is_default_handle(self.raw)).then(|| self.raw.cast())
    }

    /// Whether it is being captured, or that cannot be told.
    #[inline(never)]
    fn may_be_capturing(self) -> bool {
        let mut status = 0;
        // SAFETY: the stream is alive: its context is, and the view borrows it; the out pointer is a live local.
        let ask = |driver: &Driver, stream| unsafe { driver.cuStreamIsCapturing(stream, &raw mut status) };
        !self.view().call(self.context, ask).is_ok_and(Answer::is_ok) || status != 0
    }

    /// For `call`, which ends a capture of the stream, where one of this crate is open: [`Error::Capturing`] if it would,
    /// and what else it needs, to be kept until it is made.
    #[cold]
    pub(crate) fn beside_captures(self, call: &'static str) -> Result<Option<Relaxed>> {
        self.view().outside_capture(self.context, call)?;
        Ok(Relaxed::beside_captures(self.context.driver()))
    }

    /// For a wait for what is enqueued on `other`: [`Error::Capturing`] if the stream is in a capture of this crate, and
    /// `other` is not.
    #[cold]
    pub(crate) fn may_wait_for(self, other: StreamIn<'_>) -> Result<()> {
        const CALL: &str = "cuStreamWaitEvent";
        let id = |stream: StreamIn<'_>| Ok(stream.view().capture_for(stream.context, CALL)?.and_then(|capture| capture.id));
        let Some(here) = id(self)?.filter(|id| guard::is_ours(*id)) else { return Ok(()) };
        if id(other)? == Some(here) { Ok(()) } else { Err(Error::Capturing { call: CALL }) }
    }
}

impl StreamRef<'_> {
    /// Whether a wait for what is complete may change something. No capture of this crate is open; `context` is the
    /// stream's.
    ///
    /// It is a barrier on the legacy default stream. If the stream is being captured, the driver has an opinion. (Who brings
    /// a stream that nobody else has had into a capture of others, by a wait for what was recorded there, does not
    /// get to hear that opinion: what is complete was so before the graph's first launch.)
    #[inline]
    pub(crate) fn notices_waits(self, context: Context) -> bool {
        match self.home {
            Home::Own(_, lent) if !lent.is_set() => false,
            _ => self.handle_name() == 0 || self.may_be_capturing(context),
        }
    }

    /// Whether it is being captured, or that cannot be told. `context` is the stream's.
    #[inline]
    pub(crate) fn may_be_capturing(self, context: Context) -> bool {
        self.within(context).may_be_capturing()
    }

    /// What the driver says of it. `context` is the stream's.
    pub(crate) fn status_in(self, context: Context) -> Result<CaptureStatus> {
        let mut status = 0;
        // SAFETY: as in `may_be_capturing`.
        let answer = self.call(context, |driver, stream| unsafe { driver.cuStreamIsCapturing(stream, &raw mut status) })?;
        context.check(answer).map(|()| CaptureStatus::from_driver(status))
    }

    /// [`Error::Capturing`] where `call` is not allowed because of a capture: of this stream; of a blocking one, on the
    /// legacy default stream. `context` is the stream's.
    pub(crate) fn outside_capture(self, context: Context, call: &'static str) -> Result<()> {
        match self.status_in(context) {
            Ok(CaptureStatus::None) => Ok(()),
            Ok(_) => Err(Error::Capturing { call }),
            Err(error) if error.code() == Some(ErrorCode::STREAM_CAPTURE_IMPLICIT) => Err(Error::Capturing { call }),
            Err(error) => Err(error),
        }
    }

    /// The capture that it is a part of. For `call`, which is [`Error::Capturing`] on the legacy default stream while
    /// a blocking stream is captured. `context` is the stream's.
    pub(crate) fn capture_for(self, context: Context, call: &'static str) -> Result<Option<Capture>> {
        let (mut status, mut id) = (0, 0);
        let answer = self.call(context, |driver, stream| info(driver, stream, &mut status, &mut id))?;
        let answer = answer.ok_or(Error::MissingSymbol { symbol: "cuStreamGetCaptureInfo_v3" })?;
        if answer.code() == Some(ErrorCode::STREAM_CAPTURE_IMPLICIT) {
            return Err(Error::Capturing { call });
        }
        context.check(answer)?;
        Ok(match CaptureStatus::from_driver(status) {
            CaptureStatus::None => None,
            CaptureStatus::Active => Some(Capture { id: Some(id) }),
            CaptureStatus::Invalidated => Some(Capture { id: None }),
        })
    }
}

fn info(driver: &Driver, stream: CUstream, status: &mut c_uint, id: &mut u64) -> Option<Answer> {
    // Nobody asks for the graph, the nodes and how many they are.
    let (graph, nodes, count) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: the stream is alive, says the caller; the out pointers are live, or null for what is not wanted.
    if let Some(answer) = unsafe { driver.cuStreamGetCaptureInfo_v3(stream, status, id, graph, nodes, ptr::null_mut(), count) } {
        return Some(answer);
    }
    // SAFETY: as above.
    unsafe { driver.cuStreamGetCaptureInfo_v2(stream, status, id, graph, nodes, count) }
}
