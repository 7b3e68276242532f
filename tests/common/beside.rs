//! Calls beside an open capture, which has to live.

use cuda_streams::{CaptureMode, CaptureStatus, Error, Result, Stream};

use super::raw;

pub(crate) const MODES: [CaptureMode; 3] = [CaptureMode::Global, CaptureMode::ThreadLocal, CaptureMode::Relaxed];

/// Asks the driver when it is dropped, as an owner of memory does: a capture of the thread would end by it.
#[derive(Debug)]
pub(crate) struct Asks(pub(crate) Stream);

impl Drop for Asks {
    fn drop(&mut self) {
        assert_eq!(raw::query(&self.0), raw::SUCCESS);
    }
}

/// Does `beside` while the stream is captured, in each mode: on the thread of the capture, and on another. The capture
/// must live.
#[track_caller]
pub(crate) fn beside(stream: &Stream, beside: impl Fn() -> Result<()> + Sync) {
    for mode in MODES {
        let graph = stream.capture::<Error>(mode, |scope| {
            scope.host_fn(|| ())?;
            beside()?;
            assert_eq!(scope.status(), Ok(CaptureStatus::Active), "{mode:?}");
            std::thread::scope(|threads| threads.spawn(&beside).join()).unwrap()?;
            assert_eq!(scope.status(), Ok(CaptureStatus::Active), "{mode:?}, of another thread");
            Ok(())
        });
        assert_eq!(graph.unwrap().node_count(), Ok(1), "{mode:?}");
        assert_eq!(stream.capture_status(), Ok(CaptureStatus::None));
        stream.synchronize().unwrap();
    }
}
