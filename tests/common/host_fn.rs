//! What tests of host functions share.

use std::pin::pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread, ThreadId};
use std::time::{Duration, Instant};

use cuda_streams::{AsStream, HostFn, Result, Stream};

/// How long something may take that another thread does.
pub(crate) const LIMIT: Duration = Duration::from_secs(if cfg!(miri) { 1000 } else { 10 });

/// Counts how often it is dropped, and tells on which threads.
#[derive(Clone)]
pub(crate) struct Drops(Arc<Mutex<Vec<ThreadId>>>);

pub(crate) struct Counted(Drops);

impl Drops {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn counted(&self) -> Counted {
        Counted(self.clone())
    }

    pub(crate) fn threads(&self) -> Vec<ThreadId> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.threads().len()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().push(thread::current().id());
    }
}

/// Waits for what another thread does.
#[track_caller]
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "it does not come");
        thread::yield_now();
    }
}

/// Runs `f` as a host function.
pub(crate) fn inside<T: Send + 'static>(stream: &Stream, f: impl FnOnce() -> T + Send + 'static) -> T {
    stream.launch_host_fn(f).expect("it is launched").join().expect("it runs")
}

/// A host function of the stream that is running, until something is sent or the sender dropped.
pub(crate) fn running(stream: &Stream) -> (HostFn<()>, Sender<()>) {
    let ((started, has_started), (end, ended)) = (channel(), channel::<()>());
    let function = stream.launch_host_fn(move || {
        started.send(()).unwrap();
        let _ = ended.recv_timeout(LIMIT);
    });
    let function = function.expect("it is launched");
    // Not by waiting for the message alone: a driver need not begin anything before it is asked.
    until(|| {
        assert!(!stream.query().unwrap());
        has_started.try_recv().is_ok()
    });
    (function, end)
}

/// A simple executor: polls when it is woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// How many functions are launched where one would not tell. Miri takes its time.
pub(crate) const MANY: usize = if cfg!(miri) { 10 } else { 100 };

/// Checks that 100 functions of a stream run in their order, each with its own number.
pub(crate) fn check_order(stream: impl AsStream) -> Result<()> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let launch = |number: usize| {
        let order = order.clone();
        stream.as_stream().launch_host_fn(move || {
            order.lock().unwrap().push(number);
            2 * number
        })
    };
    let functions: Vec<HostFn<usize>> = (0..MANY).map(launch).collect::<Result<_>>()?;
    stream.as_stream().synchronize()?;
    assert_eq!(*order.lock().unwrap(), (0..MANY).collect::<Vec<_>>());
    for (number, function) in functions.into_iter().enumerate() {
        assert!(function.is_finished());
        assert_eq!(function.join()?, 2 * number);
    }
    Ok(())
}
