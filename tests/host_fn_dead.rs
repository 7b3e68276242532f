//! Functions of the host that never run: their context is gone, or work before them has faulted.
#![cfg(not(miri))]

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake, Waker};

use common::contexts::SecondContext;
use common::hold::Hold;
use common::host_fn::{Drops, LIMIT, block_on, inside, until};
use common::theirs::{NON_BLOCKING, TheirStream};
use common::{child, device, streams};
use cuda_streams::{AsStream, Error, ErrorCode, ExternalStream, HostFn, Result, Stream};

/// In a process of its own, as what follows: others may wait for the same device.
#[test]
fn what_belongs_to_a_dead_context_never_runs_and_is_dropped_once() {
    let test = "what_belongs_to_a_dead_context_never_runs_and_is_dropped_once";
    // The events of that context are leaked, which a report tells when it ends.
    child::run(test, child::with_reports, || {
        let second = SecondContext::new(device());
        let theirs = second.with_current(|| TheirStream::in_current(NON_BLOCKING, 0));
        // SAFETY: the stream lives until the end, and so does its context.
        let stream = unsafe { ExternalStream::from_raw(theirs.as_raw()) }.unwrap();
        let (hold, drops, ran) = (Hold::new(&stream), Drops::new(), Arc::new(AtomicUsize::new(0)));
        let launch = || {
            let (counted, ran) = (drops.counted(), ran.clone());
            stream.launch_host_fn(move || drop((counted, ran.fetch_add(1, Ordering::SeqCst)))).unwrap()
        };
        let (joined, mut awaited, asked, detached) = (launch(), pin!(launch()), launch(), launch());
        drop(detached);
        assert!(awaited.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        stream.context().retire();
        let over = Error::ContextDestroyed { device: 0 };
        assert_eq!(block_on(awaited), Err::<(), _>(over.clone()));
        assert!(asked.is_finished());
        assert_eq!(asked.join(), Err(over.clone()));
        assert_eq!(joined.join(), Err(over.clone()));
        until(|| drops.count() == 4);
        assert_eq!(stream.launch_host_fn(|| ()).map(drop), Err(over));
        hold.release();
        until(|| theirs.query());
        assert_eq!((drops.count(), ran.load(Ordering::SeqCst)), (4, 0));
    });
}

/// As by an executor that polls where it is woken.
#[test]
fn a_future_that_was_polled_inside_a_host_function_is_woken() {
    struct Tell(Sender<()>);
    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(());
        }
    }

    let test = "a_future_that_was_polled_inside_a_host_function_is_woken";
    child::run(test, child::with_reports, || {
        let second = SecondContext::new(device());
        let theirs = second.with_current(|| TheirStream::in_current(NON_BLOCKING, 0));
        // SAFETY: the stream lives until the end, and so does its context.
        let stream = unsafe { ExternalStream::from_raw(theirs.as_raw()) }.unwrap();
        let (hold, [other], (tell, told)) = (Hold::new(&stream), streams(), channel());
        let mut future = Box::pin(stream.launch_host_fn(|| ()).unwrap());
        let (poll, mut future) = inside(&other, move || {
            let waker = Waker::from(Arc::new(Tell(tell)));
            (future.as_mut().poll(&mut Context::from_waker(&waker)), future)
        });
        assert_eq!(poll, Poll::Pending);
        stream.context().retire();
        assert_eq!(told.recv_timeout(LIMIT), Ok(()), "nobody has polled it outside");
        let over = Err(Error::ContextDestroyed { device: 0 });
        assert_eq!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(over));
        hold.release();
        until(|| theirs.query());
    });
}

/// The graphs are leaked, and with them what they keep otherwise.
#[test]
fn the_functions_of_graphs_of_a_dead_context_are_dropped_once() {
    let test = "the_functions_of_graphs_of_a_dead_context_are_dropped_once";
    child::run(test, child::with_reports, || {
        let second = SecondContext::new(device());
        let theirs = second.with_current(|| TheirStream::in_current(NON_BLOCKING, 0));
        // SAFETY: the stream lives until the end, and so does its context.
        let stream = unsafe { ExternalStream::from_raw(theirs.as_raw()) }.unwrap();
        let [of_another] = streams();
        let (drops, kept, alive, ran) = (Drops::new(), Drops::new(), Drops::new(), Arc::new(AtomicUsize::new(0)));
        let graph = |stream: &dyn AsStream, drops: &Drops| {
            let (counted, ran, owner) = (drops.counted(), ran.clone(), kept.counted());
            let graph = stream.as_stream().capture_events::<Error>(|scope| {
                scope.keep(owner)?;
                scope.host_fn(move || {
                    let _counted = &counted;
                    ran.fetch_add(1, Ordering::SeqCst);
                })
            });
            graph.and_then(|graph| graph.instantiate()).unwrap()
        };
        let (first, mut second, mut of_another_context) = (graph(&stream, &drops), graph(&stream, &drops), graph(&of_another, &alive));
        second.launch(&stream).unwrap();
        until(|| theirs.query());
        stream.context().retire();
        let over = Err(Error::ContextDestroyed { device: 0 });
        assert_eq!(second.launch(&stream), over);
        assert_eq!(stream.launch_host_fn(|| ()).map(drop), over);
        until(|| drops.count() == 2);
        assert_eq!([first.destroy(), second.destroy()], [over.clone(), over]);
        of_another_context.launch(&of_another).unwrap();
        of_another.synchronize().unwrap();
        assert_eq!((drops.count(), alive.count(), kept.count(), ran.load(Ordering::SeqCst)), (2, 0, 0, 2));
        drop(of_another_context);
        until(|| alive.count() == 1 && kept.count() == 1);
    });
}

#[test]
fn what_is_behind_a_fault_never_runs_and_is_dropped_once() {
    let test = "what_is_behind_a_fault_never_runs_and_is_dropped_once";
    let wait: [fn(HostFn<()>) -> Result<()>; 3] = [
        HostFn::join,
        |function| block_on(function),
        |function| {
            until(|| function.is_finished());
            function.join()
        },
    ];
    child::run_each_with(test, child::with_reports, wait, |wait| {
        let [stream, other] = streams();
        let (hold, drops, ran) = (Hold::new(&stream), Drops::new(), Arc::new(AtomicUsize::new(0)));
        let launch = |stream: &Stream| {
            let (counted, ran) = (drops.counted(), ran.clone());
            stream.launch_host_fn(move || drop((counted, ran.fetch_add(1, Ordering::SeqCst)))).unwrap()
        };
        let (behind, of_others, detached) = (launch(&stream), launch(&stream), launch(&stream));
        drop(detached);
        hold.fault();
        let error = wait(behind).unwrap_err();
        assert!(error.is_sticky() && error.code() == Some(ErrorCode::LAUNCH_FAILED), "{error:?}");
        until(|| drops.count() == 3);
        assert_eq!(of_others.join(), Err(error));
        let refused = drops.counted();
        let error = other.launch_host_fn(move || drop(refused)).map(drop).unwrap_err();
        assert!(error.is_sticky(), "{error:?}");
        assert_eq!((drops.count(), ran.load(Ordering::SeqCst)), (4, 0), "what is refused is dropped at once");
    });
}
