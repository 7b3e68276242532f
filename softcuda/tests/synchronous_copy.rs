//! Copies that wait wait for themselves. Nothing else uses the legacy stream here.

mod support;

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{DriverError, result};
use softcuda::{Schedule, Scope};
use support::{Hold, context};

const SOURCE: [u8; 4] = [1, 2, 3, 4];
/// How long a call may take that must not wait; Miri's clock runs ahead.
const PATIENCE: Duration = Duration::from_secs(if cfg!(miri) { 100 } else { 10 });

#[test]
fn a_synchronous_copy_does_not_wait_for_what_comes_after_it() -> Result<(), DriverError> {
    let context = context(0);
    // That a record is held tells below that the copy is enqueued: only where no schedule holds records.
    let _plain = Scope::enter().scheduled(Schedule::Plain);
    let blocking = || {
        let raw = result::stream::create(StreamKind::Default).expect("a stream");
        // SAFETY: the stream is destroyed at the end of the test only.
        unsafe { context.wrap_borrowed_stream(raw) }
    };
    let (before, after) = (blocking(), blocking());
    // SAFETY: a context is current.
    let address = unsafe { result::malloc_sync(SOURCE.len()) }?;
    // SAFETY: allocated above.
    unsafe { result::memcpy_htod_sync(address, &SOURCE) }?;
    let event = result::event::create(CUevent_flags::CU_EVENT_DISABLE_TIMING)?;
    let hold = Hold::new(&before);
    let (tell, told) = channel();
    let copy = thread::spawn({
        let context = context.clone();
        move || {
            context.bind_to_thread().expect("the context is alive");
            let mut target = [0; SOURCE.len()];
            // SAFETY: allocated above, as long as the target.
            let copied = unsafe { result::memcpy_dtoh_sync(&mut target, address) };
            tell.send(copied.map(|()| target)).expect("the test waits");
        }
    });
    // The copy is enqueued as soon as work of a blocking stream comes after it.
    let is_held = || {
        // SAFETY: both are alive.
        unsafe { result::event::record(event, after.cu_stream()) }.expect("a record");
        // SAFETY: alive.
        unsafe { result::event::query(event) }.is_err()
    };
    while !is_held() {
        thread::yield_now();
    }
    let hold_after = Hold::new(&after);
    hold.release();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Ok(SOURCE)));
    drop((hold_after, hold));
    copy.join().expect("the copy is over");
    // SAFETY: alive, and not used any more.
    unsafe { result::event::destroy(event) }?;
    for stream in [before, after] {
        // SAFETY: as above.
        unsafe { result::stream::destroy(stream.cu_stream()) }?;
    }
    // SAFETY: as above.
    unsafe { result::free_sync(address) }
}
