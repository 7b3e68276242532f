//! Graphs by cudarc's safe layer: what is captured runs at each launch.

mod support;

use cudarc::driver::DriverError;
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use support::context;

#[test]
fn what_was_captured_runs_at_each_launch() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let mut data = stream.clone_htod(&[1_u32; 4])?;
    stream.synchronize()?;
    stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
    stream.memset_zeros(&mut data)?;
    let graph = stream.end_capture(CUgraphInstantiate_flags(0))?.expect("a graph");
    assert_eq!(stream.clone_dtoh(&data)?, [1; 4], "nothing runs before the launch");
    graph.launch()?;
    assert_eq!(stream.clone_dtoh(&data)?, [0; 4]);
    drop(graph);
    Ok(())
}
