//! Streams of one device wait for work of the other.

use cuda_streams::{AsStream, Result, Stream, StreamOptions};

use crate::common::hold::Hold;
use crate::common::returns_after_release;
use crate::common::words::Words;
use crate::{devices, streams};

/// A producer on one device and a consumer on the other, ordered by `wait`: the consumer sees what
/// the producer has written.
fn check(producer: &Stream, consumer: &Stream, wait: fn(&Stream, &Stream) -> Result<()>) -> Result<()> {
    let source = Words::new(producer.device(), 51);
    let (mut mail, mut seen) = (Words::on_the_host(), Words::new(consumer.device(), 0));
    let hold = Hold::new(producer);
    source.copy_to_host(producer, &mut mail);
    let end = producer.record_event()?;
    wait(producer, consumer)?;
    seen.copy_from_host(consumer, &mail);
    assert!(!consumer.query()?, "the consumer does not wait");
    hold.release();
    consumer.synchronize()?;
    assert!(end.query()? && producer.query()?);
    assert_eq!(seen.read(), 51);
    Ok(())
}

fn both_ways(wait: fn(&Stream, &Stream) -> Result<()>) -> Result<()> {
    let [first, second] = streams();
    check(&first, &second, wait)?;
    check(&second, &first, wait)
}

/// T363
#[test]
fn t363_streams_of_a_pool_are_of_its_device() -> Result<()> {
    let pools = devices().map(|device| device.stream_pool(StreamOptions::new(), 1).expect("a pool"));
    for (pool, device) in pools.iter().zip(devices()) {
        assert_eq!((pool.context(), pool.checkout()?.device(), pool.next()?.device()), (device.context()?, device, device));
    }
    let [first, second] = &pools;
    check(&*first.checkout()?, second.next()?, |producer, consumer| consumer.wait_stream(producer))
}

/// T51
#[test]
fn t051_a_stream_waits_for_an_event_of_the_other_device() -> Result<()> {
    both_ways(|producer, consumer| consumer.wait_event(producer.record_event()?))
}

/// That it was complete before says nothing.
#[test]
fn an_event_of_the_other_device_that_is_recorded_again_holds_back() -> Result<()> {
    both_ways(|producer, consumer| {
        let event = consumer.device().stream()?.record_event()?;
        event.synchronize()?;
        producer.wait_event(&event)?;
        let event = producer.device().stream()?.record_event()?;
        event.synchronize()?;
        consumer.wait_event(&event)?;
        assert!(consumer.query()?, "it is complete");
        event.record(producer)?;
        consumer.wait_event(&event)
    })
}

/// T96
#[test]
fn t096_a_stream_waits_for_a_stream_of_the_other_device() -> Result<()> {
    both_ways(|producer, consumer| consumer.wait_stream(producer))
}

/// T335, T356: with the first device's context current, whose stream is held.
#[test]
fn t335_a_host_function_waits_for_an_event_of_the_other_device() -> Result<()> {
    let [first, second] = streams();
    let hold = Hold::new(&first);
    let gate = first.record_event()?;
    first.context().with_current(|| {
        second.wait_event(&gate)?;
        let function = second.launch_host_fn(|| 335)?;
        // More than a driver that begins nothing before it is asked has to be asked.
        for _ in 0..10 {
            assert!(!function.is_finished() && !second.query()?, "the gate is closed");
        }
        assert_eq!(returns_after_release(hold, || function.join())?, 335);
        assert!(gate.query()?);
        second.synchronize()
    })?
}

/// T46
#[test]
fn t046_default_streams_of_cudarc_are_two_streams() -> Result<()> {
    let [first, second] = [0, 1].map(|ordinal| {
        devices();
        cudarc::driver::CudaContext::new(ordinal).expect("cudarc's view of the primary context").default_stream()
    });
    assert_ne!(first.as_stream(), second.as_stream());
    let hold = Hold::new(&first);
    let mark = first.as_stream().record_event()?;
    second.as_stream().wait_stream(&first)?;
    assert!(!second.as_stream().query()?, "handles are compared only within a context");
    hold.release();
    second.as_stream().synchronize()?;
    assert!(mark.query()?);
    Ok(())
}

/// T56: pinned memory that one device reads is written again behind an event of that device, whichever is current.
#[test]
fn t056_an_event_of_the_device_that_reads_guards_pinned_memory() -> Result<()> {
    for reader in streams() {
        let (mut mail, mut seen) = (Words::on_the_host(), Words::new(reader.device(), 0));
        mail.as_mut_slice().expect("nobody uses it").fill(56);
        let hold = Hold::new(&reader);
        seen.copy_from_host(&reader, &mail);
        let last_use = reader.record_event()?;
        for device in devices() {
            assert_eq!(device.context()?.with_current(|| last_use.query())?, Ok(false), "the memory is in use");
        }
        let [first, second] = devices();
        let other = if reader.device() == first { second } else { first };
        other.context()?.with_current(|| returns_after_release(hold, || last_use.synchronize()))??;
        mail.as_mut_slice().expect("nobody uses it any more").fill(0);
        assert_eq!(seen.read(), 56);
    }
    Ok(())
}
