//! A kernel that faults: every later call says so, none says "not yet", none crashes. In processes of
//! their own, since a device fault lasts until the process ends.

mod common;

use common::{child, device, raw};
use cuda_streams::{Error, ErrorCode, Event, EventOptions, Result, Stream};
use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg as _};
use cudarc::nvrtc::Ptx;

const PTX: &str = "
.version 6.0
.target sm_50
.address_size 64

.visible .entry fault(.param .u32 unused)
{
    trap;
}
";

/// Launches a kernel that traps.
fn fault(stream: &Stream) {
    softcuda::Kernel::new("fault", [softcuda::ParamKind::Int32]).run(|launch| launch.fail(719)).register();
    let context = CudaContext::new(device().ordinal() as usize).expect("cudarc's view of the primary context");
    let module = context.load_module(Ptx::from_src(PTX)).expect("the PTX loads");
    let kernel = module.load_function("fault").expect("the PTX has the kernel");
    // SAFETY: the stream outlives the wrapper, which ends with this function.
    let stream = unsafe { context.wrap_borrowed_stream(stream.as_raw().cast()) };
    let mut launch = stream.launch_builder(&kernel);
    launch.arg(&0_u32);
    // SAFETY: the kernel takes one 32-bit integer and touches no memory.
    unsafe { launch.launch(LaunchConfig::for_num_elems(1)) }.expect("the launch itself succeeds");
}

#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.expect_err("the device has faulted");
    assert!(error.is_sticky(), "{error:?}");
    assert!(matches!(error, Error::Driver { code: ErrorCode::LAUNCH_FAILED, .. }), "{error:?}");
    assert!(error.to_string().ends_with("only a new process can use this device again"), "{error}");
}

/// T500
#[test]
fn t500_after_a_fault_every_call_says_so() {
    child::run("t500_after_a_fault_every_call_says_so", child::with_reports, || {
        let stream = device().stream().unwrap();
        let complete = stream.record_event().unwrap();
        complete.synchronize().unwrap();
        let timed = || stream.record_event_with(EventOptions::new().timed()).unwrap();
        let (start, end) = (timed(), timed());
        end.synchronize().unwrap();

        fault(&stream);
        check(stream.synchronize());

        check(stream.query());
        check(stream.synchronize());
        check(stream.record_event());
        check(stream.wait_event(&start));
        check(start.record(&stream));
        check(start.query());
        check(end.synchronize().and_then(|()| end.record(&stream)));
        check(Event::new().record(&stream));
        check(device().stream());
        check(device().event(EventOptions::new()));
        check(device().context().and_then(cuda_streams::Context::synchronize));

        assert_eq!(complete.query(), Ok(true), "what was complete before is still known to be");
        assert_eq!(Event::new().query(), Ok(true));
        assert!(device().name().is_ok(), "properties need no context");
        drop((stream, complete, start, end));
        // SAFETY: initialising is allowed at any time.
        assert_eq!(unsafe { raw::cuInit(0) }, raw::SUCCESS, "the process goes on");
    });
}
