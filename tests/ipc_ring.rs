//! The ring of examples/ipc: two processes take turns on buffers, ordered by events or through the host.

#![cfg(not(miri))] // it has no child processes

mod common;

#[path = "../examples/ipc/consumer.rs"]
mod consumer;
#[path = "../examples/ipc/kernel.rs"]
mod kernel;
#[path = "../examples/ipc/line.rs"]
mod line;
#[path = "../examples/ipc/producer.rs"]
mod producer;
#[path = "../examples/ipc/ring.rs"]
mod ring;
#[path = "../examples/ipc/slot.rs"]
mod slot;

use std::env;
use std::error::Error;
use std::process::{self, Command, Stdio};

use common::hold::Hold;
use common::{child, device};
use consumer::Consumer;
use cudarc::driver::CudaContext;
use kernel::Kernels;
use line::Line;
use producer::Producer;
use ring::{BUFFERS, Order};
use slot::Slot;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// On a real device three blocks of threads, of which the last has one vector of elements.
const ELEMENTS: u32 = 2_052;

const ORDERS: [Order; 3] = [Order::Events, Order::Host { ahead: BUFFERS }, Order::Host { ahead: 1 }];

/// This executable, to run the test of this name as the consumer.
fn consumer_of(test: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args([test, "--exact", "--nocapture"]).env(CHILD, "1").stdout(Stdio::null());
    Ok(command)
}

const CHILD: &str = "CUDA_STREAMS_CONSUMER";

/// In the consumer's process: serves.
fn serve(before: impl FnMut(u32, &mut Slot) -> Result) -> Result {
    Consumer::serve(device(), Line::stdin()?, before)
}

fn is_consumer() -> bool {
    env::var_os(CHILD).is_some()
}

#[test]
fn frames_are_right_however_the_turns_are_taken() -> Result {
    const TEST: &str = "frames_are_right_however_the_turns_are_taken";
    if is_consumer() {
        return serve(|_, _| Ok(()));
    }
    Producer::with(device(), consumer_of(TEST)?, ELEMENTS, |producer| {
        for buffers in [BUFFERS, 1, 3] {
            for order in ORDERS {
                // More than the host may be ahead of its stream.
                assert_eq!(producer.run(order, buffers, 150)?.1, 0, "{order:?}, {buffers} buffers");
            }
        }
        Ok(())
    })
}

#[test]
fn by_events_the_hosts_run_ahead_and_the_streams_wait() -> Result {
    const TEST: &str = "by_events_the_hosts_run_ahead_and_the_streams_wait";
    if is_consumer() {
        return serve(|_, _| Ok(()));
    }
    Producer::with(device(), consumer_of(TEST)?, ELEMENTS, |producer| {
        let stream = producer.kernels.stream.clone();
        let mut hold = Some(Hold::new(&stream));
        let (_, wrong) = producer.run_with(Order::Events, BUFFERS, 3 * BUFFERS, |frame, slot| {
            if frame == BUFFERS {
                // The consumer's host has enqueued its work on the first frame, which is not there yet.
                assert!(!slot.filled.query()? && !slot.consumed.query()?);
                hold.take().expect("once").release();
            }
            Ok(())
        })?;
        assert_eq!(wrong, 0);
        Ok(())
    })
}

#[test]
fn frames_that_are_wrong_are_counted() -> Result {
    const TEST: &str = "frames_that_are_wrong_are_counted";
    if is_consumer() {
        return serve(|frame, slot| {
            if [3, 7].contains(&frame) {
                // The host has been told that the buffer is filled. Zero is in none of these frames.
                let stream = CudaContext::new(0)?.default_stream();
                let last = ELEMENTS as usize - 1;
                stream.memset_zeros(&mut slot.buffer.as_view_mut().slice_mut(last..))?;
                stream.synchronize()?;
            }
            Ok(())
        });
    }
    Producer::with(device(), consumer_of(TEST)?, ELEMENTS, |producer| {
        assert_eq!(producer.run(Order::Host { ahead: 1 }, BUFFERS, 10)?.1, 2);
        Ok(())
    })
}

#[test]
fn every_element_is_compared_with_the_frame() -> Result {
    let device = device();
    let stream = device.stream()?;
    let kernels = Kernels::load(device, &stream)?;
    let mut buffer = Slot::new(device, &kernels.stream, ELEMENTS as usize)?.buffer;
    let mut right = kernels.stream.alloc_zeros(3)?;
    kernels.fill(7, &mut buffer)?;
    kernels.check(7, &buffer, &mut right, 0)?;
    kernels.check(8, &buffer, &mut right, 1)?;
    kernels.stream.memset_zeros(&mut buffer.as_view_mut().slice_mut(1..2))?;
    kernels.check(7, &buffer, &mut right, 2)?;
    let all = u32::try_from(kernel::vectors(ELEMENTS as usize))?;
    assert_eq!(kernels.stream.clone_dtoh(&right)?, [all, 0, all - 1]);
    Ok(())
}

#[test]
fn a_consumer_that_dies_is_an_error() -> Result {
    const TEST: &str = "a_consumer_that_dies_is_an_error";
    if is_consumer() {
        return serve(|frame, _| if frame == 9 { process::abort() } else { Ok(()) });
    }
    // In processes of their own: a stream may go on waiting for the dead one.
    child::run_each_with(TEST, with_leaks, ORDERS, |order| {
        let consumer = consumer_of(TEST).expect("this executable");
        let result = Producer::with(device(), consumer, ELEMENTS, |producer| producer.run(order, BUFFERS, 1_000));
        assert_eq!(result.unwrap_err().to_string(), "the other process is gone", "{order:?}");
    });
    Ok(())
}

/// A child that leaks the ring on purpose, which the sanitizer is not to end.
fn with_leaks(command: &mut Command) {
    command.env("ASAN_OPTIONS", "detect_leaks=0");
}
