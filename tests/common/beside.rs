//! Calls beside an open capture, which has to live.

use cuda_streams::{CaptureMode, CaptureStatus, Error, Result, Stream};

pub(crate) const MODES: [CaptureMode; 3] = [CaptureMode::Global, CaptureMode::ThreadLocal, CaptureMode::Relaxed];

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
