//! Waits of which the driver learns nothing.

use std::thread;

use cuda_streams::AsStream;
use softcuda::Scope;

/// Waits for a stream as another scope, which the driver takes for another program: the calling thread's scope learns
/// nothing of it. Work that is settled before more is enqueued cannot race, whatever the driver says of its order.
pub(crate) fn settle(stream: &(impl AsStream + Sync)) {
    thread::scope(|threads| {
        threads.spawn(|| {
            let _other = Scope::enter();
            stream.as_stream().synchronize().expect("the work is done");
        });
    });
}
